// Services for whoever asks on this node: DNS for copies and, on request, at the loopback, files for
// load balancers, and Consul's local agent.
// In: catalogues as they come over the link, the node's own copies. Out: answers, files, and the
// last catalogue on the disk: without a reconciler, and after its own restart, the runner goes on by
// that. Not here: which copies are ready (the reconciler), what a name means (decide/dns.ts).

import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLoopbackAddress } from '../schema/ip-address.ts';
import { type Catalogue, EMPTY_CATALOGUE, type ServiceInstance } from '../schema/services.ts';
import {
  consulChanges,
  ownFilter,
  ownServices,
  registrationsOf,
  type ConsulOwner,
} from './decide/consul.ts';
import { departedAfter, type DepartedCopy } from './decide/departed.ts';
import { answerOf, isOurs } from './decide/dns.ts';
import { isOwnOut, type OwnCopies } from './decide/own-copies.ts';
import { type FileKind, presentIn, renderFile } from './decide/service-files.ts';
import { type Consul, type ConsulSettings, createConsul } from './edge/consul.ts';
import { createForward } from './edge/dns/forward.ts';
import { createDnsServer, type DnsServer } from './edge/dns/server.ts';
import { createUpstreams } from './edge/dns/upstreams.ts';
import { errnoOf, messageOf } from './edge/failure.ts';
import { createSharedFile, readCatalogue, writeCatalogue } from './edge/service-files.ts';
import type { CopiesDns, DnsAnswer, DnsQuestion, RunnerLog } from './ports.ts';

export interface DiscoveryOptions {
  readonly node: string;
  readonly cluster: string;
  /** The runner's own folder. */
  readonly root: string;
  /** null: copies do not ask here. */
  readonly copies: CopiesDns | null;
  readonly settings: DiscoverySettings;
  /** null: the runner has not looked yet. */
  readonly inventory: () => OwnCopies | null;
  /** What keeps Consul from knowing this node's copies, each time; null: nothing does. */
  readonly trouble: (words: string | null) => void;
  readonly log: RunnerLog;
}

/** What a person asked for. */
export interface DiscoverySettings {
  /** DNS for programs of this machine; null: none. */
  readonly dns: LoopbackAddress | null;
  /** Files to keep up to date. */
  readonly files: readonly { readonly kind: FileKind; readonly path: string }[];
  /** An agent that is told of this node's copies; null: none. */
  readonly consul: ConsulSettings | null;
}

export interface LoopbackAddress {
  readonly address: string;
  readonly port: number;
}

export interface Discovery {
  /** A catalogue came. */
  readonly heard: (catalogue: Catalogue) => void;
  /** Where copies ask, once the runner answers there; null: it cannot now. */
  readonly begun: () => Promise<string | null>;
  /** Answers and writes until the signal. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

const DNS_PORT = 53;
/** An earlier runner of this node may still be ending. */
const BEGIN_WITHIN_MS = 5000;
const BEGIN_LOOK_MS = 20;
/** Own copies that died are looked for this often; whoever asks by DNS is told at once. */
const LOOK_EVERY_MS = 100;
/**
 * A runner that begins knows what it was told last, and copies may have left since. It is told anew
 * within a second; where no reconciler answers for so long it goes on by what it knows.
 */
const TOLD_WITHIN_MS = 5000;
/** An agent that was started again knows nothing of ours: it is asked this often. */
const CONSUL_EVERY_MS = 5000;
const CONSUL_AGAIN_MS = 1000;
/** A write of 100,000 instances takes a second of work, so it comes every ten. */
const keepGapMs = (services: number): number => 200 + Math.floor(services / 10);

export const createDiscovery = async (options: DiscoveryOptions): Promise<Discovery> => {
  const kept = join(options.root, 'catalogue.json');
  const state: State = {
    catalogue: await readCatalogue(kept),
    departed: [],
    wakes: new Set(),
    ...untilTold(),
  };
  const servers = serversOf(options, state);
  return {
    heard: (catalogue) => {
      const change = { before: state.catalogue, now: catalogue, at: performance.now() };
      state.departed = departedAfter(state.departed, change);
      state.catalogue = catalogue;
      state.isTold();
      for (const wake of state.wakes) wake();
    },
    begun: async () => {
      if (options.copies === null) return null;
      const last = performance.now() + BEGIN_WITHIN_MS;
      while (servers.copies?.port() === null && performance.now() < last) {
        await sleep(BEGIN_LOOK_MS);
      }
      if (servers.copies?.port() !== null) return options.copies.address;
      options.log.warn({}, NO_DNS);
      return null;
    },
    run: async (signal) => {
      const late = setTimeout(state.isTold, TOLD_WITHIN_MS);
      const running = servers.all.map((server) => server.run(signal));
      await Promise.all([
        ...running,
        keepCatalogue(kept, { options, state, signal }),
        keepFiles({ options, state, signal }),
        keepConsul({ options, state, signal }),
      ]);
      clearTimeout(late);
    },
  };
};

const NO_DNS =
  'copies that start now ask the machine’s own name servers and find no services: ' +
  'free port 53 of that address and start the runner again';

interface State {
  /** null: none was ever told, so that files stay as they are. */
  catalogue: Catalogue | null;
  /** Copies that the newest catalogues left out. */
  departed: readonly DepartedCopy[];
  /** Whoever asks for one of our names waits for it. */
  readonly told: Promise<void>;
  readonly isTold: () => void;
  readonly wakes: Set<() => void>;
}

const untilTold = (): Pick<State, 'told' | 'isTold'> => {
  let isTold = (): void => undefined;
  const told = new Promise<void>((resolve) => (isTold = resolve));
  return { told, isTold };
};

interface Running {
  readonly options: DiscoveryOptions;
  readonly state: State;
  readonly signal: AbortSignal;
}

const serversOf = (
  { node, copies, settings, inventory, log }: DiscoveryOptions,
  state: State,
): { readonly copies: DnsServer | null; readonly all: readonly DnsServer[] } => {
  const ours = [
    ...(copies === null ? [] : [copies.address]),
    ...(settings.dns?.port === DNS_PORT ? [settings.dns.address] : []),
  ];
  const machine = createUpstreams('/etc/resolv.conf', () => ours);
  const upstreams = async (asker: string): Promise<readonly string[]> => {
    const named = copies?.nameServersOf(asker).filter((address) => !ours.includes(address)) ?? [];
    return named.length > 0 ? named : machine();
  };
  const shared = {
    log,
    forward: createForward({ upstreams }),
    answer: async (question: DnsQuestion): Promise<DnsAnswer> => {
      if (isOurs(question.name)) await state.told;
      return answerOf(question, {
        catalogue: state.catalogue ?? EMPTY_CATALOGUE,
        node,
        departed: state.departed,
        isOut: (allocation) => isOwnCopyOut(allocation, inventory()),
        draw: randomInt,
      });
    },
  };
  const forCopies =
    copies &&
    createDnsServer({
      ...shared,
      address: copies.address,
      port: DNS_PORT,
      isAllowed: copies.holds,
    });
  const own =
    settings.dns && createDnsServer({ ...shared, ...settings.dns, isAllowed: isLoopbackAddress });
  return { copies: forCopies, all: [forCopies, own].flatMap((server) => server ?? []) };
};

/** The newest is written, in the end too; what came and went meanwhile is not. */
const keepCatalogue = async (path: string, { options, state, signal }: Running): Promise<void> => {
  let written = state.catalogue;
  let said = '';
  const keep = async (): Promise<void> => {
    const { catalogue } = state;
    if (catalogue === null || catalogue === written) return;
    try {
      await writeCatalogue(path, catalogue);
      written = catalogue;
      said = '';
    } catch (error) {
      const words = errnoOf(error) ?? String(error);
      if (words !== said) options.log.warn({ error: words }, 'the catalogue cannot be kept');
      said = words;
    }
  };
  while (!signal.aborted) {
    await keep();
    const gap = keepGapMs(state.catalogue?.services.length ?? 0);
    await sleep(gap, undefined, { signal }).catch(() => undefined);
  }
  await keep();
};

const keepFiles = async (running: Running): Promise<void> => {
  const { settings, log } = running.options;
  if (settings.files.length === 0) return;
  const files = settings.files.map((file) => fileOf(file, log));
  await follow(running, async (present) => {
    const written = await Promise.all(files.map((write) => write(present)));
    return written.every(Boolean) ? Number.POSITIVE_INFINITY : 0;
  });
};

/** One that is away or refuses is told of once, and hurts nothing else. */
const keepConsul = async (running: Running): Promise<void> => {
  const { settings, node, cluster, trouble, log } = running.options;
  if (settings.consul === null) return;
  const consul = createConsul(settings.consul);
  const owner = { cluster, node };
  let said: string | null = null;
  await follow(running, async (present) => {
    const words = await tellConsul(consul, { present, owner, log }).then(() => null, messageOf);
    trouble(words);
    if (words !== said && words !== null) log.warn({}, `${words}; this is tried again`);
    if (words !== said && words === null) log.info({}, 'Consul knows the copies of this node');
    said = words;
    return words === null ? CONSUL_EVERY_MS : CONSUL_AGAIN_MS;
  });
  consul.close();
};

interface Telling {
  readonly present: Catalogue;
  readonly owner: ConsulOwner;
  readonly log: RunnerLog;
}

/** What is gone first: nobody is to be sent there. */
const tellConsul = async (consul: Consul, { present, owner, log }: Telling): Promise<void> => {
  const session = await consul.session();
  const held = ownServices(await session.services(ownFilter(owner)), owner);
  if (held === null) throw new Error('Consul answers in another form: is it an agent?');
  const { gone, made } = consulChanges(registrationsOf(present, owner), held);
  for (const id of gone) await session.deregister(id);
  for (const one of made) await session.register(one);
  if (gone.length + made.length > 0)
    log.info({ registered: made.length, deregistered: gone.length }, 'told Consul');
};

/**
 * Acts at once when a catalogue comes; own copies are looked at again and again. `act` says how long
 * what it did holds where nothing changes.
 */
const follow = async (
  { options, state, signal }: Running,
  act: (present: Catalogue) => Promise<number>,
): Promise<void> => {
  const ownOut = ownOutOf(options.node, options.inventory);
  let done: Shown | null = null;
  let againAt = 0;
  while (!signal.aborted) {
    const nap = new AbortController();
    const wake = () => nap.abort();
    state.wakes.add(wake);
    const { catalogue } = state;
    const shown = catalogue && { catalogue, out: ownOut(catalogue) };
    if (shown !== null && (!isSame(done, shown) || performance.now() >= againAt)) {
      const out = new Set(shown.out);
      const isGone = (one: ServiceInstance) => one.allocation !== null && out.has(one.allocation);
      const holdsMs = await act(presentIn(shown.catalogue, isGone));
      againAt = performance.now() + holdsMs;
      done = shown;
    }
    await napFor(LOOK_EVERY_MS, nap, signal);
    state.wakes.delete(wake);
  }
};

/** Until the time is over, the nap is ended, or the signal; it leaves nothing behind. */
const napFor = async (ms: number, nap: AbortController, signal: AbortSignal): Promise<void> => {
  const end = (): void => nap.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  await sleep(ms, undefined, { signal: nap.signal }).catch(() => undefined);
  signal.removeEventListener('abort', end);
};

const isOwnCopyOut = (allocation: string, own: OwnCopies | null): boolean =>
  own !== null && isOwnOut(allocation, own);

const isSame = (done: Shown | null, { catalogue, out }: Shown): boolean =>
  done?.catalogue === catalogue && done.out.join() === out.join();

interface Shown {
  readonly catalogue: Catalogue;
  readonly out: readonly string[];
}

/** Only this node's part of a catalogue is looked at each time. */
const ownOutOf = (node: string, inventory: () => OwnCopies | null) => {
  let seen: Catalogue | null = null;
  let own: readonly ServiceInstance[] = [];
  return (catalogue: Catalogue): readonly string[] => {
    if (catalogue !== seen) {
      own = catalogue.services.flatMap(({ instances }) =>
        instances.filter((one) => one.node === node),
      );
      seen = catalogue;
    }
    return own.flatMap(({ allocation }) =>
      allocation !== null && isOwnCopyOut(allocation, inventory()) ? [allocation] : [],
    );
  };
};

/** Writes one; false: it could not be, which is said once. */
const fileOf = (
  { kind, path }: DiscoverySettings['files'][number],
  log: RunnerLog,
): ((present: Catalogue) => Promise<boolean>) => {
  const file = createSharedFile(path);
  let said = '';
  return async (present) => {
    try {
      if (await file.write(renderFile(kind, present))) log.info({ path, kind }, 'wrote services');
      said = '';
      return true;
    } catch (error) {
      // The message names a file of the moment, another one each time.
      const words = errnoOf(error) ?? String(error);
      if (words !== said)
        log.warn({ error: String(error) }, `${path} cannot be written, and is tried again`);
      said = words;
      return false;
    }
  };
};
