// The streams between runners and reconcilers: one session a runner, over a network that loses and
// delays.
// In: faults a node. Out: LinkPort for runners and NodesPort for reconcilers, with the real wire
// codecs between.
// A stream is ordered: what is lost stalls the rest of that direction until both ends notice and
// the runner dials anew. Sets of orders may also arrive twice or out of order, which is worse than
// a stream does. Not here: what is in reports and orders, who obeys them (node-runner/accept).

import type { LinkPort } from '../../../node-runner/ports.ts';
import {
  createCatalogueReader,
  type CatalogueReader,
} from '../../../node-runner/edge/link-catalogue.ts';
import {
  type Catalogues,
  createCatalogues,
  type Taker,
} from '../../../reconciler/edge/catalogues.ts';
import type { LeadPort, NodesPort } from '../../../reconciler/ports.ts';
import { compareText } from '../../../schema/ids.ts';
import type { HeardNode } from '../../../schema/live.ts';
import type { NodeOrders, NodeReport } from '../../../schema/orders.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../../schema/services.ts';
import type { Ms } from '../../../schema/spec.ts';
import {
  applyReport,
  encodeReport,
  leftOutBy,
  type SentReports,
  unchangedFacts,
} from '../../../schema/wire.ts';
import { aged } from '../../../schema/wire-ages.ts';
import type { Process } from '../process.ts';
import type { Random, SimTime } from '../time.ts';

/** The network between one node and the reconcilers. */
export interface LinkFaults {
  /** Nothing passes in that direction. */
  upBlocked: boolean;
  downBlocked: boolean;
  /** Share of frames that are lost. */
  drop: number;
  /** Longest latency of a frame. */
  delayMs: Ms;
  /** What every frame of that direction takes besides. */
  upLateMs: Ms;
  downLateMs: Ms;
  /** Share of order sets after which the stream ends, before anything was said about them. */
  cutAfterOrders: number;
  /**
   * Share of order sets that arrive twice, the second time up to seconds later (so: out of order
   * too).
   */
  duplicate: number;
  /** The runner's certificate has ended: it is let in again once it has another. */
  refused: boolean;
}

/** Nothing is wrong with the network of that node now. */
const isWell = (faults: LinkFaults): boolean =>
  !faults.upBlocked &&
  !faults.downBlocked &&
  faults.drop === 0 &&
  faults.delayMs <= FAST_MS &&
  faults.upLateMs + faults.downLateMs === 0;

/** One reconciler as runners see it. */
interface Endpoint {
  readonly process: Process;
  readonly now: () => Ms;
  readonly nodes: Map<string, Heard>;
  readonly wakes: Set<() => void>;
  /** null: it is alone, or nobody told it that it is not. */
  readonly lead: LeadPort | null;
  startedAt: Ms;
  readonly catalogues: Catalogues;
}

const leads = ({ lead }: Endpoint): boolean => lead === null || lead.term() !== null;

const leadsByLease = ({ lead }: Endpoint): boolean => lead !== null && lead.term() !== null;

interface Heard {
  node: HeardNode | null;
  session: Session | null;
}

interface Session {
  readonly node: string;
  readonly endpoint: Endpoint;
  readonly runner: Runner;
  open: boolean;
  readonly since: Ms;
  /** Virtual time at which the newest frame of the direction arrives: later frames come later. */
  upAt: Ms;
  downAt: Ms;
  /** A frame of that direction was lost: nothing more arrives. */
  upStalled: boolean;
  downStalled: boolean;
  closing: boolean;
  sent: SentReports | null;
  before: { readonly report: NodeReport; readonly at: Ms } | null;
  readonly catalogue: Taker;
  readonly reader: CatalogueReader;
}

interface Runner {
  readonly process: Process;
  readonly node: string;
  readonly now: () => Ms;
  readonly taken: NodeOrders[];
  readonly wakes: Set<() => void>;
  session: Session | null;
  /** The newest report: the first of the next session. */
  newest: { readonly report: NodeReport; readonly at: Ms } | null;
  acknowledged: Ms | null;
  /** When the present session began, on the runner's clock. */
  openedAt: Ms;
  /** Orders were taken since the last session began. */
  tookOrders: boolean;
  /** A session began whose first report must be made after that instant, by the runner's clock. */
  staleAt: Ms | null;
  readonly dialSoon: () => void;
}

/** What a checker wants to see. */
export interface LinkWatch {
  /** Reconcilers that lead by a lease now, asked whenever one of them takes in or sends. */
  readonly leading: (names: readonly string[]) => void;
  readonly ordered: (orders: NodeOrders) => void;
  readonly heard: (report: NodeReport) => void;
}

export interface Links {
  readonly faults: (node: string) => LinkFaults;
  readonly runner: (
    process: Process,
    self: { readonly node: string; readonly now: () => Ms },
  ) => LinkPort;
  /** `lead`: of one of several that lead by a lease. */
  readonly reconciler: (process: Process, now: () => Ms, lead?: LeadPort) => NodesPort;
  /** The reconciler that the node talks to, and since when; null while cut off. */
  readonly session: (node: string) => { readonly with: string; readonly since: Ms } | null;
  /** Time of the last report of the node that a living reconciler took in. */
  readonly heardAt: (node: string) => Ms;
  /** The network of the node is well, and nothing is late on it that was sent before. */
  readonly isCalm: (node: string) => boolean;
  /** Ends the stream of the node, as a broken connection does. */
  readonly cut: (node: string) => void;
  /** A set of orders that the runner has had already comes again. */
  readonly replay: (node: string) => void;
  /**
   * The node's disk is a new one: no stream of it brings again what went over those of the disk
   * before, whose sessions and keys are gone.
   */
  readonly renew: (node: string) => void;
  /** When two reconcilers without a lease last lived at once; now, while they do. */
  readonly sharedAt: () => Ms;
  /** What the node knows of services; null: its reconciler may not tell it now. */
  readonly catalogue: (node: string) => Catalogue | null;
}

/** Sets of orders that may come again. */
const SETS_KEPT = 12;
const FAST_MS: Ms = 20;
const DIAL_EVERY_MS: Ms = 1_000;
/** A stream that was cut is opened again so soon, where the seed says so (edge/link.ts). */
const DIAL_SOON_MS: Ms = 50;
/** Keep-alive: so long until an end notices that the other is silent. */
const NOTICE_LEAST_MS: Ms = 5_000;
const NOTICE_MOST_MS: Ms = 15_000;
/** An end that dies while the network works is noticed at once. */
const RESET_MS: Ms = 50;
const LATE_MOST_MS: Ms = 8_000;

export interface LinkHabits {
  /** A stream that was cut is opened again at once, as real ones are. */
  readonly soon: boolean;
  /** Runners are told of services. */
  readonly served: boolean;
}

export const createLinks = (
  time: SimTime,
  watch: LinkWatch,
  { soon, served }: LinkHabits,
): Links => {
  const random = time.random.fork('links');
  const faults = new Map<string, LinkFaults>();
  const endpoints: Endpoint[] = [];
  const runners = new Map<string, Runner>();
  /** The highest term that each node has followed. */
  const terms = new Map<string, number>();
  const heardAt = new Map<string, Ms>();
  let sharedAt: Ms = Number.NEGATIVE_INFINITY;
  const faultsOf = (node: string): LinkFaults => {
    const known = faults.get(node) ?? calm();
    faults.set(node, known);
    return known;
  };
  const isShared = (): boolean => endpoints.filter(({ lead }) => lead === null).length > 1;
  const kept = { delivered: new Map(), known: new Map(), untold: new Set<string>() };
  const leaders = (): readonly string[] =>
    endpoints.filter(leadsByLease).map(({ process }) => process.name);
  const net: Net = { time, random, watch, faultsOf, heardAt, served, leaders, ...kept };

  /** A leader of the past is left, also by a runner that was started anew. */
  const dial = (runner: Runner): void => {
    const { process, node } = runner;
    const follows = ({ lead }: Endpoint): boolean => {
      const term = lead?.term() ?? null;
      if (lead === null || term === null) return lead === null;
      const followed = terms.get(node) ?? 0;
      terms.set(node, Math.max(followed, term));
      return term >= followed;
    };
    if (!process.alive() || runner.session !== null) return;
    const again = DIAL_EVERY_MS + random.between(0, 500);
    // One that does not lead says who does.
    const living = endpoints.filter((each) => each.process.alive() && leads(each));
    const { upBlocked, downBlocked, refused } = faultsOf(node);
    const endpoint = living[random.between(0, Math.max(0, living.length - 1))];
    const answers = endpoint !== undefined && !endpoint.process.suspended() && follows(endpoint);
    if (answers && !upBlocked && !downBlocked && !refused) open(net, runner, endpoint);
    else
      time.after(
        again,
        `${process.name} dials`,
        process.guard(() => dial(runner)),
      );
  };
  const dialMs = (): Ms => (soon ? random.between(DIAL_SOON_MS, DIAL_EVERY_MS) : DIAL_EVERY_MS);
  return {
    faults: faultsOf,
    runner: (process, { node, now }) => {
      const runner: Runner = {
        process,
        node,
        now,
        taken: [],
        wakes: new Set(),
        session: null,
        newest: null,
        acknowledged: null,
        openedAt: 0,
        tookOrders: false,
        staleAt: null,
        dialSoon: () => {
          time.after(
            dialMs(),
            `${process.name} dials`,
            process.guard(() => dial(runner)),
          );
        },
      };
      runners.set(node, runner);
      const first = process.guard(() => dial(runner));
      time.after(random.between(10, 500), `${process.name} dials`, first);
      process.onSuspend(() => silentEnd(net, runner.session));
      process.onDeath(() => {
        if (runner.session !== null) closeSoon(net, runner.session, RESET_MS);
      });
      return runnerPort(net, runner);
    },
    reconciler: (process, now, lead) => {
      const nodes = new Map<string, Heard>();
      const rest = { nodes, wakes: new Set<() => void>(), lead: lead ?? null, startedAt: now() };
      const catalogues = createCatalogues();
      const endpoint: Endpoint = { process, now, catalogues, ...rest };
      endpoints.push(endpoint);
      // As edge/nodes.ts: a new leader has heard nothing, one that leads no more lets them go.
      lead?.watch(() => {
        endpoint.startedAt = now();
        for (const { session } of nodes.values()) if (session !== null) drop(session);
        nodes.clear();
        wakeAll(endpoint.wakes);
      });
      process.onSuspend(() => {
        for (const { session } of endpoint.nodes.values()) silentEnd(net, session);
      });
      process.onDeath(() => {
        if (isShared()) sharedAt = time.now();
        for (const { session } of endpoint.nodes.values()) {
          if (session !== null) closeSoon(net, session, RESET_MS);
        }
        endpoints.splice(endpoints.indexOf(endpoint), 1);
      });
      return nodesPort(net, endpoint);
    },
    session: (node) => {
      const session = runners.get(node)?.session ?? null;
      if (session === null || !session.open) return null;
      if (session.upStalled || session.downStalled) return null;
      return { with: session.endpoint.process.name, since: session.since };
    },
    isCalm: (node) => {
      const { upAt = 0, downAt = 0 } = runners.get(node)?.session ?? {};
      return isWell(faultsOf(node)) && Math.max(upAt, downAt) <= time.now() + FAST_MS;
    },
    heardAt: (node) => heardAt.get(node) ?? Number.NEGATIVE_INFINITY,
    cut: (node) => {
      const session = runners.get(node)?.session ?? null;
      if (session !== null) drop(session);
    },
    replay: (node) => {
      const runner = runners.get(node);
      const sets = net.delivered.get(node) ?? [];
      const [first, ...rest] = sets.slice(0, -1);
      if (runner === undefined || first === undefined) return;
      const wire = random.pick([first, ...rest]);
      runner.process.guard(() => {
        runner.taken.push(wire);
        wakeAll(runner.wakes);
      })();
    },
    renew: (node) => void net.delivered.delete(node),
    sharedAt: () => (isShared() ? time.now() : sharedAt),
    catalogue: (node) => (net.untold.has(node) ? null : knownOf(net, node).catalogue),
  };
};

/** It outlives the runner (node-runner/discovery.ts). */
const knownOf = ({ known }: Net, node: string): { catalogue: Catalogue } => {
  const found = known.get(node) ?? { catalogue: EMPTY_CATALOGUE };
  known.set(node, found);
  return found;
};

export const calm = (): LinkFaults => ({
  upBlocked: false,
  downBlocked: false,
  drop: 0,
  delayMs: FAST_MS,
  upLateMs: 0,
  downLateMs: 0,
  cutAfterOrders: 0,
  duplicate: 0,
  refused: false,
});

interface Net {
  readonly time: SimTime;
  readonly random: Random;
  readonly watch: LinkWatch;
  readonly faultsOf: (node: string) => LinkFaults;
  readonly heardAt: Map<string, Ms>;
  /** Sets of orders that each node had, oldest first; a few of them. */
  readonly delivered: Map<string, NodeOrders[]>;
  readonly served: boolean;
  readonly leaders: () => readonly string[];
  readonly known: Map<string, { catalogue: Catalogue }>;
  /** Nodes that the newest catalogue was not for (rules 10.3). */
  readonly untold: Set<string>;
}

const open = (net: Net, runner: Runner, endpoint: Endpoint): void => {
  const { time, random } = net;
  const session: Session = {
    node: runner.node,
    endpoint,
    runner,
    open: true,
    since: time.now(),
    upAt: time.now(),
    downAt: time.now(),
    upStalled: false,
    downStalled: false,
    closing: false,
    sent: null,
    before: null,
    catalogue: endpoint.catalogues.taker(),
    reader: createCatalogueReader(knownOf(net, runner.node)),
  };
  runner.session = session;
  runner.openedAt = runner.now();
  runner.taken.length = 0;
  if (runner.tookOrders) runner.staleAt = runner.openedAt;
  runner.tookOrders = false;
  const heard = endpoint.nodes.get(runner.node) ?? { node: null, session: null };
  endpoint.nodes.set(runner.node, heard);
  if (heard.session !== null) drop(heard.session);
  heard.session = session;
  const connected = runner.process.guard(() => {
    if (runner.newest !== null) sendReport(net, runner);
    wakeAll(runner.wakes);
  });
  time.after(random.between(1, FAST_MS), `${runner.process.name} is connected`, connected);
};

const wakeAll = (wakes: ReadonlySet<() => void>): void => {
  for (const wake of wakes) wake();
};

/** The end of a session, seen by both ends. */
const drop = (session: Session): void => {
  if (!session.open) return;
  session.open = false;
  const { runner, endpoint, node } = session;
  // An end that is suspended reads what has arrived before it sees that the stream is over.
  runner.process.guard(() => {
    if (runner.session !== session) return;
    runner.session = null;
    runner.dialSoon();
  })();
  endpoint.process.guard(() => {
    const heard = endpoint.nodes.get(node);
    if (heard?.session !== session) return;
    heard.session = null;
    if (heard.node !== null) heard.node = { ...heard.node, connected: false };
    wakeAll(endpoint.wakes);
  })();
};

/** One end of it is suspended: the other one notices in the end. */
const silentEnd = ({ time, random }: Net, session: Session | null): void => {
  if (session === null) return;
  const noticedMs = random.between(NOTICE_LEAST_MS, NOTICE_MOST_MS);
  time.after(noticedMs, `silence of ${session.node} is noticed`, () => {
    const { runner, endpoint } = session;
    if (runner.process.suspended() || endpoint.process.suspended()) drop(session);
  });
};

const closeSoon = ({ time }: Net, session: Session, delayMs: Ms): void => {
  if (session.closing) return;
  session.closing = true;
  time.after(delayMs, `session of ${session.node} ends`, () => drop(session));
};

/** Sends one frame; when it is lost, the session is doomed. */
const transmit = (net: Net, session: Session, frame: Frame): void => {
  const { time, random } = net;
  const faults = net.faultsOf(session.node);
  const up = frame.direction === 'up';
  const lost = (up ? faults.upBlocked : faults.downBlocked) || random.chance(faults.drop);
  if (lost) {
    if (up) session.upStalled = true;
    else session.downStalled = true;
    closeSoon(net, session, random.between(NOTICE_LEAST_MS, NOTICE_MOST_MS));
  }
  if (up ? session.upStalled : session.downStalled) return;
  const lateMs = up ? faults.upLateMs : faults.downLateMs;
  const arrives = Math.max(
    up ? session.upAt : session.downAt,
    time.now() + lateMs + random.between(1, Math.max(1, faults.delayMs)),
  );
  if (up) session.upAt = arrives;
  else session.downAt = arrives;
  const label = `${session.node} ${frame.direction} ${frame.label}`;
  time.at(arrives, label, () => {
    if (session.open && !(up ? session.upStalled : session.downStalled)) frame.deliver();
  });
  if (up || frame.once === true || !random.chance(faults.duplicate)) return;
  const late = arrives + random.between(0, LATE_MOST_MS);
  time.at(late, `${label} again`, () => {
    if (session.open) frame.deliver();
  });
};

interface Frame {
  readonly direction: 'up' | 'down';
  readonly label: string;
  readonly deliver: () => void;
  /** It goes on from the one before it, as a stream brings them. */
  readonly once?: true;
}

/** What crosses the wire is text. */
const overTheWire = <T>(value: T): T => JSON.parse(JSON.stringify(value));

const runnerPort = (net: Net, runner: Runner): LinkPort => ({
  take: () => {
    const orders = runner.taken.shift() ?? null;
    if (orders !== null) runner.tookOrders = true;
    return orders;
  },
  wantsReport: () => runner.session !== null && runner.staleAt !== null,
  report: (report, at) => {
    runner.newest = { report, at };
    if (runner.staleAt !== null && at >= runner.staleAt) runner.staleAt = null;
    sendReport(net, runner);
  },
  acknowledged: () => runner.acknowledged,
  renew: (openedBefore) => {
    if (runner.session === null || runner.openedAt >= openedBefore) return;
    runner.taken.length = 0;
    drop(runner.session);
  },
  watch: (wake) => {
    const guarded = runner.process.guard(wake);
    runner.wakes.add(guarded);
    return () => runner.wakes.delete(guarded);
  },
});

/** The newest report as of now. */
const sendReport = (net: Net, runner: Runner): void => {
  const { session, newest } = runner;
  if (session === null || newest === null || !runner.process.alive()) return;
  if (runner.staleAt !== null) return;
  const at = runner.now();
  const allocations = newest.report.allocations.map((each) => aged(each, at - newest.at));
  const { frame, sent } = encodeReport(session.sent, { ...newest.report, allocations }, at);
  session.sent = { ...sent, takesPatches: true };
  const wire = overTheWire(frame);
  const acknowledge = runner.process.guard(() => {
    if (runner.session !== session) return;
    runner.acknowledged = Math.max(at, runner.acknowledged ?? at);
  });
  const deliver = session.endpoint.process.guard(() => {
    if (!takeIn(net, session, wire)) return;
    transmit(net, session, { direction: 'down', label: 'ack', deliver: acknowledge });
  });
  transmit(net, session, { direction: 'up', label: 'report', deliver });
};

/** False: the session is over for the reconciler. */
const takeIn = (net: Net, session: Session, frame: Parameters<typeof applyReport>[2]): boolean => {
  const { endpoint, node } = session;
  const heard = endpoint.nodes.get(node);
  if (heard === undefined || heard.session !== session) return false;
  if (!leads(endpoint)) {
    drop(session);
    return false;
  }
  net.watch.leading(net.leaders());
  const at = endpoint.now();
  const before = session.before;
  const applied = applyReport(before?.report ?? null, before === null ? 0 : at - before.at, frame);
  if (!applied.ok) throw new Error(`${node}: ${applied.why}`);
  session.before = { report: applied.report, at };
  heard.node = {
    node,
    report: applied.report,
    receivedAt: at,
    connected: true,
    sent: before === null ? null : (heard.node?.sent ?? null),
    leftOut: before === null ? [] : (heard.node?.leftOut ?? []),
    unchanged: unchangedFacts(before === null ? null : heard.node, frame),
  };
  net.heardAt.set(node, net.time.now());
  net.watch.heard(applied.report);
  wakeAll(endpoint.wakes);
  return true;
};

const nodesPort = (net: Net, endpoint: Endpoint): NodesPort => {
  return {
    heard: () => ({
      startedAt: leads(endpoint) ? endpoint.startedAt : endpoint.now(),
      nodes: !leads(endpoint)
        ? []
        : [...endpoint.nodes.values()]
            .flatMap(({ node }) => (node === null ? [] : [node]))
            .toSorted((a, b) => compareText(a.node, b.node)),
    }),
    send: (orders) => {
      const heard = endpoint.nodes.get(orders.node);
      const session = heard?.session ?? null;
      if (heard === undefined || heard.node?.connected !== true || session === null) return false;
      if (session.before === null || !endpoint.process.alive() || !leads(endpoint)) return false;
      heard.node = { ...heard.node, sent: orders, leftOut: leftOutBy(orders, heard.node) };
      net.watch.leading(net.leaders());
      net.watch.ordered(orders);
      const wire = overTheWire(orders);
      const { runner } = session;
      const deliver = runner.process.guard(() => {
        if (runner.session !== session) return;
        runner.taken.push(wire);
        const before = net.delivered.get(session.node) ?? [];
        net.delivered.set(session.node, [...before.slice(-SETS_KEPT), wire]);
        wakeAll(runner.wakes);
        cutAfter(net, session);
      });
      const label = `orders ${orders.generation}`;
      transmit(net, session, { direction: 'down', label, deliver });
      return true;
    },
    publish: (catalogue, mayTell) => {
      if (!net.served || !leads(endpoint)) return;
      endpoint.catalogues.publish(catalogue);
      for (const [node, { session }] of endpoint.nodes) {
        if (session === null || session.before === null) continue;
        if (mayTell(node)) offer(net, session);
        else net.untold.add(node);
      }
    },
    watch: (wake) => {
      const guarded = endpoint.process.guard(wake);
      endpoint.wakes.add(guarded);
      return () => endpoint.wakes.delete(guarded);
    },
  };
};

/** What brings it to the newest catalogue, before any orders that follow (edge/outbox.ts). */
const offer = (net: Net, session: Session): void => {
  net.untold.delete(session.node);
  for (const { frame } of session.catalogue.take()) {
    if (frame?.$case !== 'catalogue') throw new Error('A catalogue in a frame of another kind.');
    const { value } = frame;
    const deliver = session.runner.process.guard(() => {
      if (session.runner.session !== session) return;
      const read = session.reader.take(value);
      if (read.kind === 'wrong') throw new Error(`${session.node}: ${read.why}`);
    });
    transmit(net, session, { direction: 'down', label: 'catalogue', deliver, once: true });
  }
};

/** Soon enough that no report has told what became of the orders. */
const CUT_WITHIN_MS = 20;

const cutAfter = ({ time, random, faultsOf }: Net, session: Session): void => {
  const { cutAfterOrders } = faultsOf(session.node);
  if (cutAfterOrders === 0 || !random.chance(cutAfterOrders)) return;
  time.after(random.between(0, CUT_WITHIN_MS), `session of ${session.node} is cut`, () =>
    drop(session),
  );
};
