// Puts the reconciler together: ports and their implementations meet only here.
// In: a configuration. Out: a running control plane, and the way to stop it. Containers are never
// touched by stopping. Not here: any decision.

import { setImmediate as pause } from 'node:timers/promises';
import { LinkServiceDefinition } from '../schema/generated/purser/link/v1/link.ts';
import { ControlServiceDefinition } from '../schema/generated/purser/control/v1/control.ts';
import { NOTHING_KEPT } from '../schema/kept.ts';
import { openApi } from './api.ts';
import type { ReconcilerConfig } from './config.ts';
import type { Doors } from './doors.ts';
import { createClock } from './edge/clock.ts';
import type { Handler } from './edge/control.ts';
import { createControl } from './edge/control.ts';
import type { GitSource } from './edge/git/source.ts';
import { allowedSignerLine, openSigningKey } from './edge/git/signing-key.ts';
import { createLedgerMark } from './edge/git/ledger-mark.ts';
import { createGitSource } from './edge/git/source.ts';
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
import type { ClockPort, LogPort } from './ports.ts';
import { byAddress, createScreen } from './screen.ts';
import { handlersOf, type Handling, listNode } from './handlers.ts';

export interface Reconciler {
  readonly linkAddress: string;
  /** Where other machines come in, with the port that was given; null: nowhere. */
  readonly tlsAddress: string | null;
  /** Where programs ask over HTTP and TLS; null: nowhere. */
  readonly apiAddress: string | null;
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
  const registry = registryOf(config);
  const screened = screenOf(source, forge, { clock, log, wake: () => loop.wake() });
  const ports = { source: screened, nodes: nodes.port, registry, clock, log };
  const loop = createLoop(ports, memos);
  loop.watch(({ view }) => {
    if (view !== null && keep !== null) keeping.offer(view);
  });
  const events = noteEvents(loop);
  const foresee = createForeseer({ memo: memos.plan, now: clock.now, pause });
  const noter = noteCommits(loop, { notes: source.notes, foresee, log, epochMs: Date.now });
  const doors = await doorsOf(config, log);
  const forging: { running: RunningForge | null } = { running: null };
  const handling: Handling = {
    config,
    loop,
    source: screened,
    registry,
    services: memos.services,
    events,
    now: clock.now,
    signer: signingKey && allowedSignerLine(signingKey),
    forging: () => forging.running,
  };
  const control = createControl({
    handlers: { ...handlersOf(handling), ...(doors?.handlers ?? NO_DOORS) },
    changes: (listener) => loop.watch(listener),
    streams: nodes.streams,
  });
  const abort = new AbortController();
  const link = await listen(config.linkAddress, LinkServiceDefinition, nodes.service);
  const socket = await listen(`unix:${config.controlSocket}`, ControlServiceDefinition, control);
  const list = (node: string) => listNode(handling, node);
  const tls = (await doors?.open({ control, nodes, list })) ?? null;
  const api = await openApi(config, { handling, doors });
  const running = loop.run(abort.signal);
  if (forge !== null) forging.running = await forge.start({ loop, source: screened, auth });
  log.info({ cluster, link: link.address, tls: tls?.address ?? null }, 'the reconciler runs');
  return {
    linkAddress: link.address,
    tlsAddress: tls?.address ?? null,
    apiAddress: api.tlsAddress,
    stop: async () => {
      abort.abort();
      await forging.running?.stop();
      await Promise.all([link.stop(), socket.stop(), tls?.stop(), api.stop()]);
      await running;
      keeping.close();
      await noter.idle();
      source.close();
    },
  };
};

const registryOf = (config: ReconcilerConfig) =>
  createRegistry({
    credentials: config.registryCredentials,
    insecure: config.insecureRegistries,
  });

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

/** Nothing of it is loaded where nothing listens beyond this machine. */
const doorsOf = async (
  { cluster, listen: given }: ReconcilerConfig,
  log: LogPort,
): Promise<Doors | null> => {
  if (given === null) return null;
  const { openDoors } = await import('./doors.ts');
  return openDoors({ cluster, listen: given, log, epochMs: Date.now });
};

const noDoors: Handler = async () => {
  throw new Error(
    'this reconciler listens on this machine only: start it with --listen HOST:PORT, and other machines can join',
  );
};
/** Nobody has a certificate to take back. */
const NO_DOORS = { token: noDoors, tokens: noDoors, endToken: noDoors, expel: async () => null };

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
