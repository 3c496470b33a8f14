// The reconciler's end of the link: one session a node, reports in, orders out, streams on demand.
// In: gRPC calls of runners. Out: NodesPort, and streams for logs and exec. A node that is cut off keeps its last
// report; silence is judged by the planner. Not here: the server itself (server.ts), what orders say.

import type { CallContext } from 'nice-grpc';
import type {
  LinkServiceImplementation,
  SessionRequest,
  SessionResponse,
} from '../../schema/generated/purser/link/v1/link.ts';
import type { HeardNode } from '../../schema/live.ts';
import type { NodeOrders, NodeReport } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { ReportFrame } from '../../schema/wire.ts';
import { applyReport, FRAME_BYTES, LINK_PROTOCOL, ordersHash } from '../../schema/wire.ts';
import { compareText } from '../../schema/ids.ts';
import type { ClockPort, LogPort, NodesPort } from '../ports.ts';
import type { Outbox } from './outbox.ts';
import { createOutbox } from './outbox.ts';
import type { Streams } from './streams.ts';
import { createStreams } from './streams.ts';

interface Session {
  readonly outbox: Outbox<SessionResponse>;
}

interface Entry {
  report: NodeReport | null;
  receivedAt: Ms;
  session: Session | null;
  sent: NodeOrders | null;
  /** The first report of the session has come. */
  heard: boolean;
}

export interface Nodes {
  readonly port: NodesPort;
  readonly service: LinkServiceImplementation;
  readonly streams: Streams;
}

export interface NodesOptions {
  readonly cluster: string;
  readonly clock: ClockPort;
  readonly log: LogPort;
}

/** Room for the frame around a chunk of orders. */
const FRAME_OVERHEAD_BYTES = 1024;

export const createNodes = (options: NodesOptions): Nodes => {
  const { clock, log } = options;
  const entries = new Map<string, Entry>();
  const listeners = new Set<() => void>();
  const startedAt = clock.now();
  const wake = () => {
    for (const listener of listeners) listener();
  };
  const streams = createStreams((node, stream, ask) => {
    const bytes = Buffer.from(JSON.stringify(ask));
    const session = entries.get(node)?.session;
    return session?.outbox.push(openFrame(stream, bytes)) ?? false;
  });

  const session = async function* session(
    requests: AsyncIterable<SessionRequest>,
    context: CallContext,
  ): AsyncGenerator<SessionResponse, void, undefined> {
    const outbox = createOutbox<SessionResponse>();
    const reading = read(requests, outbox, context.signal);
    yield* outbox.frames();
    await reading;
  };

  const read = async (
    requests: AsyncIterable<SessionRequest>,
    outbox: Outbox<SessionResponse>,
    signal: AbortSignal,
  ) => {
    let entry: Entry | null = null;
    signal.addEventListener('abort', outbox.close, { once: true });
    try {
      for await (const { frame } of requests) {
        if (frame?.$case === 'hello') {
          entry = greet(frame.value, outbox);
          if (entry === null) break;
        } else if (frame?.$case === 'report' && entry !== null) {
          const problem = take(entry, outbox, frame.value);
          if (problem !== null) refuse(outbox, problem);
        }
      }
    } catch (error) {
      log.info({ error: String(error) }, 'a runner link was cut');
    } finally {
      if (entry?.session?.outbox === outbox) entry.session = null;
      outbox.close();
      wake();
    }
  };

  const greet = (
    hello: { readonly protocol: number; readonly cluster: string; readonly node: string },
    outbox: Outbox<SessionResponse>,
  ): Entry | null => {
    const problem = helloProblem(hello, options.cluster);
    if (problem !== null) {
      log.warn({ node: hello.node }, problem);
      refuse(outbox, problem);
      return null;
    }
    const entry = entries.get(hello.node) ?? newEntry();
    entries.set(hello.node, entry);
    entry.session?.outbox.close(); // a second runner of this name, or the same one back: the newest counts
    entry.session = { outbox };
    entry.heard = false;
    log.info({ node: hello.node }, 'a runner dialled in');
    return entry;
  };

  const take = (
    entry: Entry,
    outbox: Outbox<SessionResponse>,
    value: { readonly sequence: bigint; readonly frame: Uint8Array },
  ): string | null => {
    const now = clock.now();
    const frame = JSON.parse(Buffer.from(value.frame).toString('utf8')) as ReportFrame;
    const before = entry.heard ? entry.report : null;
    const applied = applyReport(before, now - entry.receivedAt, frame);
    if (!applied.ok) return applied.why;
    if (!entry.heard) entry.sent = null; // the accepted set in this report says what became of it
    Object.assign(entry, { report: applied.report, receivedAt: now, heard: true });
    outbox.push({ frame: { $case: 'ack', value: { sequence: value.sequence } } });
    wake();
    return null;
  };

  const send = (orders: NodeOrders): boolean => {
    const entry = entries.get(orders.node);
    if (entry === undefined || entry.session === null || !entry.heard) return false;
    entry.sent = orders;
    entry.session.outbox.replace(orderFrames(orders));
    return true;
  };

  return {
    port: {
      heard: () => ({ startedAt, nodes: heardNodes(entries) }),
      send,
      watch: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    service: { session, attach: streams.attach },
    streams,
  };
};

const newEntry = (): Entry => ({
  report: null,
  receivedAt: 0,
  session: null,
  sent: null,
  heard: false,
});

const heardNodes = (entries: ReadonlyMap<string, Entry>): readonly HeardNode[] =>
  [...entries]
    .flatMap(([node, { report, receivedAt, session, sent, heard }]) =>
      report === null
        ? []
        : [{ node, report, receivedAt, connected: session !== null && heard, sent }],
    )
    .toSorted((a, b) => compareText(a.node, b.node));

const helloProblem = (
  hello: { readonly protocol: number; readonly cluster: string; readonly node: string },
  cluster: string,
): string | null => {
  if (hello.protocol !== LINK_PROTOCOL) {
    return `the runner of ${hello.node} speaks protocol ${hello.protocol}, this reconciler ${LINK_PROTOCOL}: install the same release on both`;
  }
  if (hello.cluster !== cluster) {
    return `the runner of ${hello.node} belongs to cluster ${hello.cluster}, not to ${cluster}`;
  }
  return null;
};

const refuse = (outbox: Outbox<SessionResponse>, message: string): void => {
  outbox.push({ frame: { $case: 'refusal', value: { message } } });
};

const openFrame = (stream: string, ask: Buffer): SessionResponse => ({
  frame: { $case: 'open', value: { stream, ask } },
});

/** The set in frames of at most 1 MiB; the last one carries the hash of the whole (rules 10.3). */
const orderFrames = (orders: NodeOrders): readonly SessionResponse[] => {
  const bytes = Buffer.from(JSON.stringify(orders));
  const size = FRAME_BYTES - FRAME_OVERHEAD_BYTES;
  const count = Math.max(1, Math.ceil(bytes.length / size));
  const hash = ordersHash(orders);
  return Array.from({ length: count }, (_, part) => ({
    frame: {
      $case: 'orders' as const,
      value: {
        generation: BigInt(orders.generation),
        chunk: bytes.subarray(part * size, (part + 1) * size),
        last: part === count - 1,
        hash: part === count - 1 ? hash : '',
      },
    },
  }));
};
