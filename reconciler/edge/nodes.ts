// The reconciler's end of the link: one session a node, reports in, orders out, streams on demand.
// In: gRPC calls of runners. Out: NodesPort, and streams for logs and exec. A node that is cut off
// keeps its last report; silence is judged by the planner. Not here: the server itself (server.ts),
// what orders say.

import type { CallContext } from 'nice-grpc';
import type {
  LinkServiceImplementation,
  SessionRequest,
  SessionResponse,
} from '../../schema/generated/purser/link/v1/link.ts';
import type { HeardNode, LeftOut } from '../../schema/live.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import { checkHello } from '../../schema/check-report.ts';
import { leftOutBy, LINK_PROTOCOL } from '../../schema/wire.ts';
import { compareText } from '../../schema/ids.ts';
import type { ClockPort, LeadPort, LogPort, NodesPort } from '../ports.ts';
import { type Catalogues, createCatalogues } from './catalogues.ts';
import { openFrame, orderFrames, redirect, welcome, type Welcomed } from './frames.ts';
import type { Outbox } from './outbox.ts';
import { createOutbox } from './outbox.ts';
import { createLastReport, type LastReport, type Taken } from './last-report.ts';
import type { Streams } from './streams.ts';
import { createStreams } from './streams.ts';

interface Session extends Welcomed {
  /** The newest catalogue is for this runner too. */
  readonly offer: () => void;
}

interface Entry {
  readonly node: string;
  readonly last: LastReport;
  session: Session | null;
  sent: NodeOrders | null;
  leftOut: readonly LeftOut[];
}

/** Why a caller may not speak for this node; null when it may. */
export type Admits = (node: string) => string | null;

export interface Nodes {
  readonly port: NodesPort;
  /** For sockets that only this machine's own runners can reach. */
  readonly service: LinkServiceImplementation;
  /** For those of other machines: `admit` is asked at every hello and every report. */
  readonly serviceFor: (admit: (context: CallContext) => Admits) => LinkServiceImplementation;
  readonly streams: Streams;
}

export interface NodesOptions {
  readonly cluster: string;
  readonly clock: ClockPort;
  readonly log: LogPort;
  /** Absent: there is one reconciler, which leads. */
  readonly lead?: LeadPort;
}

/** What all sessions share. */
interface Shared {
  readonly options: NodesOptions;
  readonly entries: Map<string, Entry>;
  readonly catalogues: Catalogues;
  readonly wake: (isNews: boolean) => void;
}

interface Listener {
  readonly wake: () => void;
  readonly quiet: () => void;
}

export const createNodes = (options: NodesOptions): Nodes => {
  const entries = new Map<string, Entry>();
  const listeners = new Set<Listener>();
  let startedAt = options.clock.now();
  const wake = wakeAll(listeners);
  const catalogues = createCatalogues();
  const shared = { options, entries, catalogues, wake };
  const streams = createStreams((node, stream, ask) => {
    const bytes = Buffer.from(JSON.stringify(ask));
    return entries.get(node)?.session?.outbox.push(openFrame(stream, bytes)) ?? false;
  });
  const serviceFor = (admit: (context: CallContext) => Admits): LinkServiceImplementation => ({
    session: (requests, context) => {
      const outbox = createOutbox<SessionResponse>();
      context.signal.addEventListener('abort', outbox.close, { once: true });
      // The call ends with its answers, and with it what is still to be read.
      const { signal } = context;
      void read(shared, { requests, outbox, signal, admits: admit(context) });
      return outbox.frames();
    },
    attach: (requests, context) => streams.attach(requests, admit(context)),
  });

  // A new leader begins as a reconciler that was started: with nothing heard. One that leads no more
  // takes nothing in, and lets its runners look for another.
  options.lead?.watch(() => {
    startedAt = options.clock.now();
    endSessions(entries, options.lead);
    wake(true);
  });
  const leads = () => options.lead === undefined || options.lead.term() !== null;

  return {
    port: {
      heard: () =>
        leads()
          ? { startedAt, nodes: heardNodes(entries) }
          : { startedAt: options.clock.now(), nodes: [] },
      send: (orders) => {
        if (!leads()) return false;
        const entry = entries.get(orders.node);
        if (entry === undefined || entry.session === null || !entry.last.isBegun()) return false;
        const { sent, leftOut } = entry;
        const said = entry.last.said();
        if (said !== null)
          entry.leftOut = leftOutBy(orders, { sent, leftOut, report: said.report });
        entry.sent = orders;
        entry.session.outbox.replace(orderFrames(orders));
        return true;
      },
      publish: (catalogue, mayTell) => {
        catalogues.publish(catalogue);
        offer(entries, mayTell);
      },
      watch: (ring, quiet = ring) => {
        const listener = { wake: ring, quiet };
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    service: serviceFor(() => () => null),
    serviceFor,
    streams,
  };
};

/** Also where it is the same one: who might not be told before may be now. */
const offer = (entries: ReadonlyMap<string, Entry>, mayTell: (node: string) => boolean): void => {
  for (const { node, session, last } of entries.values()) {
    if (session !== null && last.isBegun() && mayTell(node)) session.offer();
  }
};

const endSessions = (entries: Map<string, Entry>, lead: LeadPort | undefined): void => {
  for (const entry of entries.values()) {
    if (entry.session !== null) redirect(entry.session.outbox, lead);
    entry.session = null;
  }
  entries.clear();
};

const wakeAll = (listeners: ReadonlySet<Listener>) => (isNews: boolean) => {
  for (const { wake, quiet } of listeners) (isNews ? wake : quiet)();
};

interface Reading {
  readonly requests: AsyncIterable<SessionRequest>;
  readonly outbox: Outbox<SessionResponse>;
  readonly admits: Admits;
  /** Aborted when the call ends. */
  readonly signal: AbortSignal;
}

/** Takes in one session until it ends, however it ends. */
const read = async (shared: Shared, reading: Reading): Promise<void> => {
  const { requests, outbox, admits } = reading;
  const { clock, log, lead } = shared.options;
  let entry: Entry | null = null;
  try {
    for await (const { frame } of requests) {
      // Another session of this node began: what comes on this one counts no more.
      if (entry !== null && entry.session?.outbox !== outbox) break;
      if (frame?.$case === 'hello' && entry === null) {
        entry = await greet(shared, frame.value, reading);
        if (entry === null) break;
      } else if (frame?.$case === 'report' && entry !== null) {
        // Neither taken in nor acknowledged: whoever leads may count this node as lost (rules 9.3).
        if (lead !== undefined && lead.term() === null) {
          redirect(outbox, lead);
          break;
        }
        const refused = admits(entry.node);
        const taken = refused === null ? take(entry, frame.value, clock.now()) : { refused };
        if ('refused' in taken) {
          const problem = taken.refused;
          log.warn({ node: entry.node, problem }, 'a report was refused, and its session ended');
          refuse(outbox, `the report was refused: ${problem}`);
          break;
        }
        const { sequence } = frame.value;
        if (!outbox.push({ frame: { $case: 'ack', value: { sequence, takesPatches: true } } })) {
          log.warn({ node: entry.node }, 'a runner takes no answers, and its session was ended');
          break;
        }
        if (entry.session !== null) welcome(entry.session, lead);
        shared.wake(taken.isNews);
      }
    }
  } catch (error) {
    log.info({ error: String(error) }, 'a runner link was cut');
  } finally {
    if (entry?.session?.outbox === outbox) {
      entry.session = null;
      // Nothing is known of it, so nothing is kept: names are free to make up.
      if (entry.last.said() === null) shared.entries.delete(entry.node);
    }
    outbox.close();
    shared.wake(true);
  }
};

const greet = async (
  { options, entries, catalogues }: Shared,
  hello: HelloFrame,
  { outbox, admits, signal }: Reading,
): Promise<Entry | null> => {
  const problem =
    helloProblem(hello, { cluster: options.cluster, known: entries }) ?? admits(hello.node);
  if (problem !== null) {
    options.log.warn({}, problem);
    refuse(outbox, problem);
    return null;
  }
  const { lead } = options;
  const standing = await lead?.standing(Number(hello.term), signal);
  if (standing?.kind === 'follows') {
    redirect(outbox, lead);
    return null;
  }
  const entry = entries.get(hello.node) ?? newEntry(hello);
  entries.set(hello.node, entry);
  // A second runner of this name, or the same one back: the newest counts.
  entry.session?.outbox.close();
  const offer = offering(catalogues, outbox);
  entry.session = { outbox, term: standing?.term ?? null, told: '', offer };
  welcome(entry.session, lead);
  entry.last.begin();
  const release = RELEASE.test(hello.release) ? hello.release : 'unknown';
  options.log.info({ node: hello.node, release }, 'a runner dialled in');
  return entry;
};

/** What it is given is worked out when it takes it; until it is offered the newest, it waits. */
const offering = ({ taker }: Catalogues, outbox: Outbox<SessionResponse>): (() => void) => {
  const { isBehind, take } = taker();
  let offered = false;
  outbox.due(() => {
    const frames = offered ? take() : [];
    offered = false;
    return frames;
  });
  return () => {
    if (!isBehind()) return;
    offered = true;
    outbox.nudge();
  };
};

/** Takes one report in, or says what is wrong with it. */
const take = (entry: Entry, { frame }: { readonly frame: Uint8Array }, now: Ms): Taken => {
  const isFirst = !entry.last.isBegun();
  const taken = entry.last.take(frame, now);
  // The accepted set in the first report of a session says what became of what was sent before.
  if (isFirst && entry.last.isBegun()) Object.assign(entry, { sent: null, leftOut: [] });
  return taken;
};

interface HelloFrame {
  readonly protocol: number;
  readonly cluster: string;
  readonly node: string;
  readonly release: string;
  /** The highest that it has followed; 0: none. */
  readonly term: bigint;
}

/** A runner's version, as it may stand in a log; 0.1.0 tells none. */
const RELEASE = /^\d{1,5}\.\d{1,5}\.\d{1,5}$/;

const newEntry = ({ node, cluster }: Pick<HelloFrame, 'node' | 'cluster'>): Entry => ({
  node,
  last: createLastReport({ node, cluster }),
  session: null,
  sent: null,
  leftOut: [],
});

const heardNodes = (entries: ReadonlyMap<string, Entry>): readonly HeardNode[] =>
  [...entries]
    .flatMap(([node, { last, session, sent, leftOut }]) => {
      const said = last.said();
      const connected = session !== null && last.isBegun();
      return said === null ? [] : [{ node, ...said, connected, sent, leftOut }];
    })
    .toSorted((a, b) => compareText(a.node, b.node));

/** Nodes that are remembered; clusters are made for 10,000 (SCOPE). */
const NODES_MAX = 20_000;

const helloProblem = (
  hello: HelloFrame,
  { cluster, known }: { readonly cluster: string; readonly known: ReadonlyMap<string, Entry> },
): string | null => {
  if (hello.protocol !== LINK_PROTOCOL) {
    return `the runner of ${hello.node} speaks protocol ${hello.protocol}, this reconciler ${LINK_PROTOCOL}: install the same release on both`;
  }
  const wrong = checkHello({ cluster: hello.cluster, node: hello.node });
  if (wrong !== null) return `a runner says who it is in a form that is not allowed: ${wrong}`;
  if (hello.cluster !== cluster) {
    return `the runner of ${hello.node} belongs to cluster ${hello.cluster}, not to ${cluster}`;
  }
  if (known.size >= NODES_MAX && !known.has(hello.node)) {
    return `the runner of ${hello.node} is refused: ${NODES_MAX} nodes have reported already`;
  }
  return null;
};

const refuse = (outbox: Outbox<SessionResponse>, message: string): void => {
  outbox.push({ frame: { $case: 'refusal', value: { message } } });
};
