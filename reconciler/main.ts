// Puts the reconciler together: ports and their implementations meet only here.
// In: a configuration. Out: a running control plane, and the way to stop it. Containers are never
// touched by stopping. Not here: any decision.

import { setImmediate as pause } from 'node:timers/promises';
import { LinkServiceDefinition } from '../schema/generated/purser/link/v1/link.ts';
import { ControlServiceDefinition } from '../schema/generated/purser/control/v1/control.ts';
import type {
  CommitAnswer,
  CommitArgument,
  CopiesAnswer,
  CopiesArgument,
  EventAnswer,
  FileAnswer,
  FileArgument,
  HistoryArgument,
  HistoryCommit,
  RecordArgument,
  ResolveArgument,
  RollbackAnswer,
  RollbackArgument,
  StateAnswer,
} from '../schema/control.ts';
import type { LiveState } from '../schema/live.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import { NOTHING_KEPT } from '../schema/kept.ts';
import { parseImageReference } from '../schema/image-reference.ts';
import type { LookupAnswer, SourceTree } from '../schema/source.ts';
import type { ReconcilerConfig } from './config.ts';
import { createClock } from './edge/clock.ts';
import type { Handler } from './edge/control.ts';
import { createControl } from './edge/control.ts';
import type { GitSource } from './edge/git/source.ts';
import { allowedSignerLine, openSigningKey } from './edge/git/signing-key.ts';
import { createLedgerMark } from './edge/git/ledger-mark.ts';
import { createGitSource } from './edge/git/source.ts';
import { shownRepository } from './edge/git/remote.ts';
import { withoutItems } from './edge/live-parts.ts';
import { createKeep, type KeepPort } from './edge/keep.ts';
import { createLog } from './edge/log.ts';
import { createNodes } from './edge/nodes.ts';
import { createRegistry } from './edge/registry.ts';
import { listen } from './edge/server.ts';
import { readToken } from './edge/token-file.ts';
import type { Events } from './events.ts';
import { createEvents } from './events.ts';
import type { Loop } from './loop.ts';
import { createBehinds, type BehindsOptions } from './behinds.ts';
import { createLoop } from './loop.ts';
import type { View } from './cycle.ts';
import type { Forge, RunningForge } from './forge.ts';
import { createForeseer } from './foresee.ts';
import { createKeeping } from './keeping.ts';
import { createMemos } from './memos.ts';
import { createNoter, type Noter, type NoterOptions } from './notes.ts';
import type { ClockPort, LogPort, RegistryPort } from './ports.ts';
import { byAddress, createScreen } from './screen.ts';
import { rollbackTarget } from './rollback.ts';

export interface Reconciler {
  readonly linkAddress: string;
  readonly stop: () => Promise<void>;
}

export const startReconciler = async (config: ReconcilerConfig): Promise<Reconciler> => {
  const clock = createClock();
  const log = createLog('reconciler');
  const { cluster } = config;
  const { tokenFile } = config.repository;
  const memos = createMemos();
  const forge = await openForge(config, { clock, log });
  const auth = tokenFile === null ? (forge?.auth ?? null) : () => readToken(tokenFile);
  const keep = keepOf(config, log);
  const keeping = createKeeping(keep?.recall() ?? NOTHING_KEPT, {
    reads: memos.compile.reads,
    texts: () => source.texts(),
    keep: async (texts, documents) => keep?.keep(texts, documents),
  });
  const { signingKey: place } = config;
  const signingKey = place === null ? null : openSigningKey(place.file, place.make);
  const source = openSource(config, { log, known: keeping.known, signingKey, auth });
  const nodes = createNodes({ cluster, clock, log });
  const registry = createRegistry({
    credentials: config.registryCredentials,
    insecure: config.insecureRegistries,
  });
  const screened = screenOf(source, forge, { clock, log, wake: () => loop.wake() });
  const ports = { source: screened, nodes: nodes.port, registry, clock, log };
  const loop = createLoop(ports, memos);
  loop.watch(({ view }) => {
    if (view !== null && keep !== null) keeping.offer(view);
  });
  const events = noteEvents(loop);
  const foresee = createForeseer({ memo: memos.plan, now: clock.now, pause });
  const noter = noteCommits(loop, { notes: source.notes, foresee, log, epochMs: Date.now });
  const forging: { running: RunningForge | null } = { running: null };
  const control = createControl({
    handlers: handlersOf({
      config,
      loop,
      source: screened,
      registry,
      events,
      now: clock.now,
      signer: signingKey && allowedSignerLine(signingKey),
      forging: () => forging.running,
    }),
    changes: (listener) => loop.watch(listener),
    streams: nodes.streams,
  });
  const abort = new AbortController();
  const link = await listen(config.linkAddress, LinkServiceDefinition, nodes.service);
  const socket = await listen(`unix:${config.controlSocket}`, ControlServiceDefinition, control);
  const running = loop.run(abort.signal);
  if (forge !== null) forging.running = await forge.start({ loop, source: screened, auth });
  log.info({ cluster, link: link.address }, 'the reconciler runs');
  return {
    linkAddress: link.address,
    stop: async () => {
      abort.abort();
      await forging.running?.stop();
      await Promise.all([link.stop(), socket.stop()]);
      await running;
      keeping.close();
      await noter.idle();
      source.close();
    },
  };
};

type SourceOptions = Parameters<typeof createGitSource>[0];

const openSource = (
  { cluster, repository, cacheDir, trusted, signingKey: place }: ReconcilerConfig,
  {
    auth,
    ...more
  }: Pick<SourceOptions, 'log' | 'known' | 'signingKey'> & {
    readonly auth: SourceOptions['auth'] | null;
  },
): GitSource =>
  createGitSource({
    repository: repository.url,
    branch: repository.branch,
    directory: repository.directory,
    cluster,
    cacheDir,
    trusted,
    ...more,
    ...(place === null || !more.signingKey
      ? {}
      : {
          ledgerMark: createLedgerMark(`${place.file}.ledger`, {
            about: [cluster, repository.url],
            key: more.signingKey,
            log: more.log,
          }),
        }),
    ...(auth === null || auth === undefined ? {} : { auth }),
  });

/** Nothing of it is loaded where no forge is configured. */
const openForge = async (
  config: ReconcilerConfig,
  ports: { readonly clock: ClockPort; readonly log: LogPort },
): Promise<Forge | null> =>
  config.forge === null ? null : (await import('./forge.ts')).openForge(config, ports);

/** Who is behind commits: the forge's accounts, else the addresses in the commits. */
const screenOf = (
  source: GitSource,
  forge: Forge | null,
  others: Omit<BehindsOptions, 'ask'>,
): GitSource => {
  const people = forge === null ? byAddress : createBehinds({ ...others, ask: forge.behind });
  return createScreen(source, { people, epochMs: Date.now, log: others.log });
};

const keepOf = ({ cacheDir, program }: ReconcilerConfig, log: LogPort): KeepPort | null =>
  program === null ? null : createKeep({ folder: cacheDir, program, log });

const noteCommits = (loop: Loop, options: NoterOptions): Noter => {
  const noter = createNoter(options);
  loop.watch(({ view }) => {
    if (view !== null) noter.look(view);
  });
  return noter;
};

const noteEvents = (loop: Loop): Events => {
  const events = createEvents();
  let before: View | null = null;
  loop.watch(({ view }) => {
    if (view === null || view === before) return;
    events.note(before, view, Date.now());
    before = view;
  });
  return events;
};

interface Handling {
  readonly config: ReconcilerConfig;
  readonly loop: Loop;
  readonly source: GitSource;
  readonly registry: RegistryPort;
  readonly events: Events;
  readonly now: () => number;
  /** Lists our key among signers; null: we have none. */
  readonly signer: string | null;
  readonly forging: () => Pick<RunningForge, 'failure' | 'notice'> | null;
}

const handlersOf = (handling: Handling): Readonly<Record<string, Handler>> => ({
  state: async () => stateOf(handling),
  copies: async (argument) => copiesIn(handling, argument as CopiesArgument),
  snapshot: async () => snapshotOf(handling),
  file: (argument) => fileOf(handling, argument as FileArgument),
  events: async (): Promise<readonly EventAnswer[]> => handling.events.all(),
  commit: async (argument) => commit(handling, argument as CommitArgument),
  record: async (argument) => {
    const { records, ledger } = argument as RecordArgument;
    if (ledger !== undefined) await handling.source.acceptLedger(ledger);
    await handling.source.record(records);
    handling.loop.wake();
    return null;
  },
  history: async (argument) => history(handling, argument as HistoryArgument),
  resolve: async (argument) => resolve(handling, argument as ResolveArgument),
  rollback: async (argument) => rollback(handling, argument as RollbackArgument),
});

const stateOf = ({ config, loop, now, forging, signer }: Handling): StateAnswer => {
  const { view, failure, write, refused } = loop.state();
  const { url, branch, directory } = config.repository;
  return {
    cluster: config.cluster,
    repository: shownRepository(url),
    branch,
    directory,
    failure,
    ...(refused === null ? {} : { isRefused: true as const }),
    write,
    forge: forging()?.failure() ?? null,
    forgeNotice: forging()?.notice() ?? null,
    signer,
    view: view === null ? null : viewOf(view, now()),
  };
};

const copiesIn = (handling: Handling, { job }: CopiesArgument): CopiesAnswer => {
  const { desired, live } = viewIn(handling);
  const copies = live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body }) => `${body.namespace}/${body.job}` === job)
    .map(({ node, allocation, body: { group, index, specHash, spec } }) => {
      const tasks = spec.tasks.map(({ name }) => name);
      return { node, allocation, group, index, specHash, tasks };
    });
  const heard = new Set(live.nodes.map(({ name }) => name));
  return {
    exists: copies.length > 0 || desired.jobs.some(({ id }) => id === job),
    complete: desired.nodes.every(({ name }) => heard.has(name)),
    copies,
  };
};

const viewOf = (
  { desired, told, plan, at }: View,
  now: number,
): NonNullable<StateAnswer['view']> => ({
  desired,
  live: shown(told()),
  plan,
  ageMs: now - at,
  wakesInMs: plan.wakeAt === null ? null : Math.max(0, plan.wakeAt - now),
});

/** Without the orders that were sent: the same copies once more, which nobody looks at. */
const shown = ({ upForMs, nodes }: LiveState): LiveState => ({
  upForMs,
  nodes: nodes.map((node) => ({
    ...node,
    sent: node.sent === null ? null : withoutItems(node.sent),
  })),
});

const snapshotOf = (handling: Handling): Snapshot => {
  const { tree, live } = viewIn(handling);
  return { format: 1, tree: plain(tree), live, takenAt: new Date().toISOString() };
};

const viewIn = ({ loop }: Handling): View => {
  const { view, failure } = loop.state();
  if (view === null) {
    throw new Error(
      failure ?? 'the reconciler has not read its repository yet: try again in a moment',
    );
  }
  return view;
};

/** Maps that can be written as text, without what only saves the reconciler time. */
const plain = (tree: SourceTree): SourceTree => {
  const { differences: _differences, lastSynced, ...rest } = tree;
  return {
    ...rest,
    files: new Map(tree.files),
    lastSynced: lastSynced && { ...lastSynced, files: new Map(lastSynced.files) },
  };
};

/** A file as it stands at HEAD; what a command edits. */
const fileOf = async (handling: Handling, { path }: FileArgument): Promise<FileAnswer> => {
  const { tree } = viewIn(handling);
  const file = tree.files.get(path);
  const head = tree.head.oid;
  if (file?.kind === 'text') return { head, text: file.text, blob: file.blob };
  // What waits for an owner can be edited on.
  const held = tree.held?.find((one) => one.path === path);
  if (!held?.blob) return { head, text: null, blob: null };
  return { head, text: await handling.source.readFile(path), blob: held.blob };
};

const commit = async ({ source, loop }: Handling, ask: CommitArgument): Promise<CommitAnswer> => {
  try {
    return { commit: await source.commit(ask) };
  } finally {
    // Also where somebody was quicker: what they pushed is to be read.
    loop.wake();
  }
};

const history = async (
  { source }: Handling,
  { limit, job }: HistoryArgument,
): Promise<readonly HistoryCommit[]> => {
  const path = job === null ? undefined : `jobs/${job}.yaml`;
  const commits = await source.listCommits(limit, path);
  return commits.map(({ oid, author, authoredAt, message, trailers }) => ({
    oid,
    author: author.name,
    email: author.email,
    subject: message.split('\n')[0] ?? '',
    at: authoredAt,
    trailers,
  }));
};

/** Rules 3: only registries that policy names are ever asked, by commands too. */
const resolve = async (
  { loop, registry }: Handling,
  { reference }: ResolveArgument,
): Promise<LookupAnswer> => {
  const allowed = loop.state().view?.desired.cluster.registries ?? [];
  const name = parseImageReference(reference)?.registry;
  if (name !== undefined && !allowed.includes(name)) {
    const message =
      `registry ${name} is not asked, as cluster.yaml at HEAD does not allow it: ` +
      `commit \`- ${name}\` under \`policies.registries\` there first`;
    return { kind: 'failed', why: 'not-allowed', message, sinceMs: 0 };
  }
  return registry.resolve({ job: '', group: '', task: '', commit: '', reference });
};

const rollback = async (handling: Handling, { job }: RollbackArgument): Promise<RollbackAnswer> => {
  const { tree } = viewIn(handling);
  const target = await rollbackTarget({ tree, job, complete: handling.source.complete });
  return { head: tree.head.oid, target };
};
