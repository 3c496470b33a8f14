// The runner's end of the link: dials, says hello, reports, takes orders, opens streams on demand.
// In: an address and reports. Out: LinkPort. Reconnects with back-off; the newest report is the
// only one that waits.
// Not here: whether orders are accepted (accept.ts), what is reported (decide/report.ts).

import { watch } from 'node:fs';
import path from 'node:path';
import { createClientFactory } from 'nice-grpc';
import type {
  LinkServiceClient,
  SessionRequest,
  SessionResponse,
} from '../../schema/generated/purser/link/v1/link.ts';
import { LinkServiceDefinition } from '../../schema/generated/purser/link/v1/link.ts';
import type { NodeOrders, NodeReport } from '../../schema/orders.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../schema/services.ts';
import type { Ms } from '../../schema/spec.ts';
import type { SentReports } from '../../schema/wire.ts';
import { encodeReport, HELD_BYTES, LINK_PROTOCOL, ordersHash } from '../../schema/wire.ts';
import { aged } from '../../schema/wire-ages.ts';
import type { LinkPort, RunnerClock, RunnerLog } from '../ports.ts';
import { createCatalogueReader, type CatalogueReader } from './link-catalogue.ts';
import { channelTo, DIAL_FIRST_MS, DIAL_LONGEST_MS } from './channel.ts';
import type { ServeStream } from './link-streams.ts';
import { openStream } from './link-streams.ts';
import { openPlaces, type Places } from './places.ts';
import { clockDoubt } from './tls.ts';

export interface LinkOptions {
  readonly address: string;
  /** More than one address, perhaps; absent: that one. */
  readonly places?: Places;
  readonly cluster: string;
  readonly node: string;
  /** Of this program, told in the hello; absent: it tells none. */
  readonly release?: string;
  readonly clock: RunnerClock;
  readonly log: RunnerLog;
  readonly serve: ServeStream;
  /** Is given each new catalogue of services; the last one counts while the link is cut. */
  readonly catalogue?: (catalogue: Catalogue) => void;
  /** The last one of the run before; absent: none. */
  readonly lastCatalogue?: Catalogue;
  /** Folder of the certificate, for an address that begins with `tls:`. */
  readonly identity?: string;
}

export interface Link {
  readonly port: LinkPort;
  /** Dials until the signal. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/**
 * A reconciler that was just lost is most likely being started again: it is dialled at least this
 * often at first. Ten thousand runners would knock 40,000 times a second, on a port that refuses.
 */
const DIAL_SOON_MS = 250;
const SOON_FOR_MS = 15_000;
/** A wait is so much longer or shorter: nodes that were cut off together do not dial together. */
const DIAL_JITTER = 0.2;
/** Where there are several reconcilers, each knock is at another one's door, which may hold it. */
const SEVERAL_LONGEST_MS = 1000;
/** One that says nothing for so long is left for another; a standby speaks after two seconds. */
const FIRST_FRAME_MS = 6000;
/** Reports are answered, and go out every five seconds: who brought nothing for longer is silent. */
const SILENT_MS = 6000;

interface Waiting {
  readonly report: NodeReport;
  readonly at: Ms;
}

type Options = LinkOptions & { readonly places: Places };

interface State {
  /** The newest report, kept for the start of the next session. */
  newest: Waiting | null;
  /** It was not sent yet. */
  fresh: boolean;
  orders: NodeOrders | null;
  /** Orders were handed on since the last session began. */
  handedOn: boolean;
  /** Reports of that time and before do not say what became of them; null: there were none. */
  staleAt: Ms | null;
  acknowledged: Ms | null;
  /** When the present stream was opened, and how to end it. */
  stream: { readonly openedAt: Ms; readonly end: () => void } | null;
  /** The present or the last stream brought an answer to a report. */
  isGood: boolean;
  /** That answer said that reports may say of a copy only what changed. */
  takesPatches: boolean;
  /** When the present or the last stream brought anything. */
  heardAt: Ms;
  /** Who leads, as the last stream said: `host:port`, '' where it did not. */
  leader: string;
  wakeSender: () => void;
  readonly known: { catalogue: Catalogue };
}

export const createLink = (given: LinkOptions): Link => {
  const options = { ...given, places: given.places ?? openPlaces([given.address], null) };
  const state: State = {
    newest: null,
    fresh: false,
    orders: null,
    handedOn: false,
    staleAt: null,
    acknowledged: null,
    stream: null,
    isGood: false,
    takesPatches: false,
    heardAt: 0,
    leader: '',
    wakeSender: () => undefined,
    known: { catalogue: options.lastCatalogue ?? EMPTY_CATALOGUE },
  };
  const listeners = new Set<() => void>();
  const wake = () => {
    for (const listener of listeners) listener();
  };

  return {
    port: {
      take: () => {
        const taken = state.orders;
        state.orders = null;
        state.handedOn ||= taken !== null;
        return taken;
      },
      wantsReport: () => state.stream !== null && state.staleAt !== null,
      report: (report, at) => {
        state.newest = { report, at };
        state.fresh = true;
        if (state.staleAt !== null && at > state.staleAt) state.staleAt = null;
        state.wakeSender();
      },
      acknowledged: () => state.acknowledged,
      renew: (openedBefore) => {
        if (state.stream === null || state.stream.openedAt >= openedBefore) return;
        // What it brought is as old as the silence.
        state.orders = null;
        state.stream.end();
      },
      watch: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    run: (signal) => dialForEver(options, state, { signal, wake }),
  };
};

interface Dialling {
  readonly signal: AbortSignal;
  readonly wake: () => void;
}

const dialForEver = async (options: Options, state: State, dialling: Dialling) => {
  let wait = DIAL_FIRST_MS;
  let lostAt: Ms | null = null;
  let doubted = false;
  while (!dialling.signal.aborted) {
    const began = options.clock.now();
    try {
      await session(options, state, dialling);
    } catch (error) {
      options.log.info({ error: String(error) }, 'the link to the reconciler was cut');
      const doubt = clockDoubt(error, Date.now());
      if (doubt !== null && !doubted) options.log.error({}, doubt);
      doubted = doubt !== null;
    }
    // A session that lasted was a good one: begin the back-off anew.
    const now = options.clock.now();
    const lasted = now - began > DIAL_LONGEST_MS;
    if (lasted) lostAt = now;
    const soon = lostAt !== null && now - lostAt < SOON_FOR_MS;
    const { places } = options;
    const most = places.all().length > 1 ? SEVERAL_LONGEST_MS : DIAL_LONGEST_MS;
    wait = Math.min(lasted ? DIAL_FIRST_MS : wait * 2, soon ? DIAL_SOON_MS : most);
    const jittered = wait * (1 + DIAL_JITTER * (2 * Math.random() - 1));
    // One that answered well is most likely being started again; it is left at the second try. One
    // that fell silent is suspended, or cut off from here: it is left at once.
    const fellSilent = now - state.heardAt > SILENT_MS;
    if (!state.isGood || fellSilent || state.leader !== '') places.next(state.leader);
    await untilNextDial(places.now(), jittered, dialling.signal);
  }
};

/**
 * A reconciler that starts makes its Unix socket anew, and the folder says so at once: then it is
 * dialled without waiting any longer. What the watch misses costs the wait.
 */
const untilNextDial = (address: string, waitMs: Ms, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const socket = address.startsWith('unix:') ? address.slice('unix:'.length) : null;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      stop();
      resolve();
    };
    const timer = setTimeout(end, waitMs);
    const stop = socket === null ? () => undefined : whenMade(socket, end);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });

/** Calls back when a file of this name comes, changes or goes. Returns the way to stop. */
const whenMade = (file: string, call: () => void): (() => void) => {
  try {
    const name = path.basename(file);
    const watcher = watch(path.dirname(file), (_event, changed) => {
      if (changed === name) call();
    });
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => undefined; // the folder is not there yet
  }
};

const session = async (options: Options, state: State, dialling: Dialling) => {
  const channel = channelTo(options.places.now(), options.identity);
  const client = createClientFactory().create(LinkServiceDefinition, channel);
  const over = new AbortController();
  const signal = AbortSignal.any([dialling.signal, over.signal]);
  const sentAt = new Map<bigint, Ms>();
  const requests = outgoing(options, state, { signal, sentAt });
  state.stream = { openedAt: options.clock.now(), end: () => over.abort() };
  // What the stream before brought and nobody took: this one brings it anew. What was taken stands
  // in the first report, or the reconciler would order the same elsewhere.
  state.orders = null;
  const heardAt = options.clock.now();
  Object.assign(state, { isGood: false, takesPatches: false, heardAt, leader: '' });
  const silence =
    options.places.all().length > 1 ? setTimeout(() => over.abort(), FIRST_FRAME_MS) : undefined;
  if (state.handedOn) state.staleAt = options.clock.now();
  state.handedOn = false;
  dialling.wake();
  try {
    const parts: Buffer[] = [];
    const catalogues = createCatalogueReader(state.known);
    for await (const response of client.session(requests, { signal })) {
      clearTimeout(silence);
      state.heardAt = options.clock.now();
      receive(
        { options, state, client, parts, catalogues, sentAt, signal, wake: dialling.wake },
        response,
      );
    }
  } finally {
    clearTimeout(silence);
    over.abort();
    state.stream = null;
    state.wakeSender();
    channel.close();
  }
};

interface Sending {
  readonly signal: AbortSignal;
  readonly sentAt: Map<bigint, Ms>;
}

/**
 * Hello, then the newest report whenever there is a fresh one; what a slow link misses is
 * overtaken.
 */
const outgoing = async function* outgoing(
  options: Options,
  state: State,
  { signal, sentAt }: Sending,
): AsyncGenerator<SessionRequest> {
  const { cluster, node, release = '', clock } = options;
  const term = BigInt(options.places.followed());
  const hello = { protocol: LINK_PROTOCOL, cluster, node, release, term };
  yield { frame: { $case: 'hello', value: hello } };
  let sent: SentReports | null = null;
  let sequence = 0n;
  while (!signal.aborted) {
    const waits =
      state.newest === null || state.staleAt !== null || (sent !== null && !state.fresh);
    if (waits || state.newest === null) {
      await new Promise<void>((resolve) => {
        state.wakeSender = resolve;
        if (signal.aborted) resolve();
      });
      continue;
    }
    state.fresh = false;
    const now = clock.now();
    const { takesPatches } = state;
    const before: SentReports | null = sent && { ...sent, takesPatches };
    const encoded = encodeReport(before, current(state.newest, now), now);
    sent = encoded.sent;
    sequence += 1n;
    sentAt.set(sequence, now);
    const frame = Buffer.from(JSON.stringify(encoded.frame));
    yield { frame: { $case: 'report', value: { sequence, frame } } };
  }
};

/** The report as of now: it may have waited for the link to come back. */
const current = ({ report, at }: Waiting, now: Ms): NodeReport => ({
  ...report,
  allocations: report.allocations.map((allocation) => aged(allocation, now - at)),
});

interface Receiving {
  readonly options: Options;
  readonly state: State;
  readonly client: LinkServiceClient;
  readonly parts: Buffer[];
  readonly catalogues: CatalogueReader;
  readonly sentAt: Map<bigint, Ms>;
  readonly signal: AbortSignal;
  readonly wake: () => void;
}

const receive = (receiving: Receiving, { frame }: SessionResponse): void => {
  const { options, state, client, sentAt, signal, wake } = receiving;
  switch (frame?.$case) {
    case 'ack':
      state.isGood = true;
      state.takesPatches = frame.value.takesPatches;
      state.acknowledged = sentAt.get(frame.value.sequence) ?? state.acknowledged;
      for (const sequence of sentAt.keys()) {
        if (sequence <= frame.value.sequence) sentAt.delete(sequence);
      }
      return;
    case 'orders': {
      const orders = assemble(receiving, frame.value);
      if (orders === null) return;
      state.orders = orders;
      wake();
      return;
    }
    case 'catalogue': {
      const read = receiving.catalogues.take(frame.value);
      if (read.kind === 'whole') options.catalogue?.(read.catalogue);
      if (read.kind !== 'wrong') return;
      // A new session brings it whole.
      options.log.error({ reason: read.why }, 'a catalogue of services could not be taken in');
      state.stream?.end();
      return;
    }
    case 'open': {
      const { log, serve, node } = options;
      void openStream(frame.value, node, { client, serve, log, signal });
      return;
    }
    case 'refusal':
      options.log.error({ reason: frame.value.message }, 'the reconciler refuses this runner');
      return;
    case 'welcome': {
      const { term, reconcilers } = frame.value;
      if (options.places.follow({ term: Number(term), reconcilers })) return;
      const followed = options.places.followed();
      options.log.warn({ term: Number(term), followed }, 'a leader of the past was left');
      state.stream?.end();
      return;
    }
    case 'redirect':
      state.leader = frame.value.leader;
      options.places.learn(frame.value.reconcilers);
      return;
    case undefined:
  }
};

/** A set counts only when it came whole and its hash agrees (rules 10.3). */
const assemble = (
  { parts, options }: Receiving,
  part: { readonly chunk: Uint8Array; readonly last: boolean; readonly hash: string },
): NodeOrders | null => {
  parts.push(Buffer.from(part.chunk));
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  if (!part.last && size <= HELD_BYTES) return null;
  const text = Buffer.concat(parts.splice(0)).toString('utf8');
  if (size > HELD_BYTES) {
    options.log.error({ size }, 'orders are too large and were refused');
    return null;
  }
  const orders = JSON.parse(text) as NodeOrders;
  if (ordersHash(orders) === part.hash) return orders;
  options.log.error({ generation: orders.generation }, 'orders came damaged and were refused');
  return null;
};
