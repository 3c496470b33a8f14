// Puts the reconciler together: ports and their implementations meet only here.
// In: a configuration. Out: a running control plane, and the way to stop it. Containers are never
// touched by stopping. Not here: any decision.

import { setImmediate as pause } from 'node:timers/promises';
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
import { hideTokensOfCallers } from './edge/grpc-log.ts';
import { createLog } from './edge/log.ts';
import { createNodes, type Nodes } from './edge/nodes.ts';
import { createRegistry } from './edge/registry.ts';
import { LINK_SERVICE } from './edge/link-service.ts';
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
import type { Several } from './several.ts';

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
  const { cluster, repository } = config;
  const { tokenFile } = repository;
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
  const several = await severalOf(config, log);
  const lead = several === null ? {} : { lead: several.lead };
  const leads = () => several === null || several.lead.term() !== null;
  const nodes = createNodes({ cluster, clock, log, ...lead });
  const registry = registryOf(config);
  const judged = screenOf(source, forge, { clock, log, wake: () => loop.wake() });
  const screened = several?.gate(judged) ?? judged;
  const ports = { source: screened, nodes: nodes.port, registry, clock, log, ...lead };
  const loop = createLoop(ports, memos);
  loop.watch(({ view }) => void (view !== null && keep !== null && keeping.offer(view)));
  const events = noteEvents(loop, leads);
  const foresee = createForeseer({ memo: memos.plan, now: clock.now, pause });
  const noting = { notes: source.notes, foresee, log, epochMs: Date.now };
  const noter = noteCommits(loop, noting, leads);
  const doors = await doorsOf(config, log, several);
  const report = async () => forge?.start({ loop, source: screened, auth }) ?? null;
  const forging = createForging(log, leads, report);
  const handling: Handling = {
    config,
    loop,
    source: screened,
    registry,
    services: memos.services,
    events,
    now: clock.now,
    signer: signingKey && allowedSignerLine(signingKey),
    forging: forging.running,
  };
  const { link, tls, api, close } = await serveAll({ handling, doors, several, nodes, log });
  const abort = new AbortController();
  const running = loop.run(abort.signal);
  await forging.turn();
  const leave = doors === null ? undefined : several?.start(doors);
  // With every pass: one that could not be begun is tried again.
  if (several !== null) loop.watch(() => void forging.turn().catch(() => undefined));
  log.info({ cluster, link: link.address, tls: tls?.address ?? null }, 'the reconciler runs');
  return {
    linkAddress: link.address,
    tlsAddress: tls?.address ?? null,
    apiAddress: api.tlsAddress,
    stop: async () => {
      // First of all, so that another one need not wait for the end of the lease.
      await leave?.();
      abort.abort();
      await forging.stop();
      await close();
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
interface Listeners {
  readonly handling: Handling;
  readonly doors: Doors | null;
  readonly several: Several | null;
  readonly nodes: Nodes;
  readonly log: LogPort;
}

/** Runners and commands of this machine, and those of others where they may come in. */
const serveAll = async ({ handling, doors, several, nodes, log }: Listeners) => {
  hideTokensOfCallers();
  const { config, loop } = handling;
  const handlers = { ...handlersOf(handling), ...(doors?.handlers ?? NO_DOORS) };
  const own = createControl({
    handlers: several?.handlers(handlers) ?? handlers,
    changes: (listener) => loop.watch(listener),
    streams: nodes.streams,
  });
  const control = doors === null ? own : (several?.forward(own, doors.authority) ?? own);
  const link = await listen(config.linkAddress, LINK_SERVICE, nodes.service);
  const socket = await listen(`unix:${config.controlSocket}`, ControlServiceDefinition, control);
  const list = (node: string) => listNode(handling, node);
  const tls = (await doors?.open({ control, nodes, list })) ?? null;
  const api = await openApi(config, { handling, doors, several, log });
  const close = () => Promise.all([link.stop(), socket.stop(), tls?.stop(), api.stop()]);
  return { link, tls, api, close };
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

/** Nothing of it is loaded where nothing listens beyond this machine. */
const doorsOf = async (
  { cluster, listen: given }: ReconcilerConfig,
  log: LogPort,
  several: Several | null,
): Promise<Doors | null> => {
  if (given === null) return null;
  const { openDoors } = await import('./doors.ts');
  const others = several === null ? {} : { several };
  return openDoors({ cluster, listen: given, log, epochMs: Date.now, ...others });
};

/** Nothing of it is loaded where there is one reconciler. */
const severalOf = async (config: ReconcilerConfig, log: LogPort): Promise<Several | null> =>
  config.several === undefined ? null : (await import('./several.ts')).openSeveral(config, log);

/** The forge hears from the one that leads: begun and ended as that changes, one after the other. */
const createForging = (
  log: LogPort,
  leads: () => boolean,
  start: () => Promise<RunningForge | null>,
) => {
  let running: RunningForge | null = null;
  let isOver = false;
  let turns: Promise<void> = Promise.resolve();
  const step = async () => {
    const isWanted = !isOver && leads();
    if (isWanted && running === null) running = await start();
    if (isWanted || running === null) return;
    await running.stop();
    running = null;
  };
  const turn = (): Promise<void> => {
    const mine = turns.then(step);
    turns = mine.catch((error: unknown) => {
      log.error({ error: String(error) }, 'reports to the forge could not be begun or ended');
    });
    return mine;
  };
  return {
    running: () => running,
    turn,
    stop: async () => {
      isOver = true;
      await turn();
    },
  };
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

const noteCommits = (loop: Loop, options: NoterOptions, leads: () => boolean): Noter => {
  const noter = createNoter(options);
  loop.watch(({ view }) => {
    if (view !== null && leads()) noter.look(view);
  });
  return noter;
};

const noteEvents = (loop: Loop, leads: () => boolean): Events => {
  const events = createEvents();
  let before: View | null = null;
  loop.watch(({ view }) => {
    if (view === null || view === before || !leads()) return;
    events.note(before, view, Date.now());
    before = view;
  });
  return events;
};
