// One simulated cluster: machines, runners, reconcilers, people, and the network between them.
// In: a scenario and virtual time. Out: a world that faults can break and checkers can look at.
// Programs that die are started again by a supervisor, as systemd would.
// Not here: what goes wrong (faults.ts), what must hold (check.ts, settle.ts), the programs
// (programs.ts).

import { createLeading } from '../../reconciler/leading.ts';
import type { LeadPort, LogPort } from '../../reconciler/ports.ts';
import type { View } from '../../reconciler/cycle.ts';
import type { NodeOrders, NodeReport } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import { createChecker, type Checker } from './check.ts';
import { createReconcilerClock } from './fake/clock.ts';
import { createForge, type SimForge } from './fake/forge.ts';
import { createEtcd, LEASE_MS, type Etcd } from './fake/lease.ts';
import { createLinks, type Links } from './fake/link.ts';
import { createMachine, type SimContainer } from './fake/machine.ts';
import {
  createDisk,
  createNetwork,
  createNodeClock,
  createProbes,
  createRunnerClock,
  createStore,
  createUsage,
  type NodeClock,
} from './fake/node.ts';
import { createRegistry, type Registry } from './fake/registry.ts';
import { createRuntime } from './fake/runtime.ts';
import { createMachineWatchdog, type MachineWatchdog } from './fake/watchdog.ts';
import { createHuman, EPOCH_MS, type Human, type Intent } from './human.ts';
import { createProcess, type Process, type Suspension, type WhichCall } from './process.ts';
import { startReconciler, startRunner } from './programs.ts';
import type { SimTime } from './time.ts';
import { createTruth, rememberBodies, rememberReport, type SimNode, type Truth } from './truth.ts';

export interface NodeSize {
  readonly name: string;
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  /** How fast its clock runs: 1 is right. */
  readonly clockRate: number;
}

export interface Scenario {
  readonly nodes: readonly NodeSize[];
  readonly first: Intent;
  /** The repository is on the reconciler's own disk. */
  readonly local: boolean;
  /** Streams are opened again at once, as real ones are; reconcilers' clocks differ. */
  readonly parted: boolean;
  /** Jobs have services, and runners are told of them. */
  readonly served: boolean;
}

export interface World {
  readonly time: SimTime;
  readonly human: Human;
  readonly links: Links;
  readonly registry: Registry;
  readonly etcd: Etcd;
  readonly forge: SimForge;
  readonly nodes: ReadonlyMap<string, SimNode>;
  readonly truth: Truth;
  readonly checker: Checker;
  /** The newest view of the reconciler that is meant to stay. */
  readonly view: () => View | null;
  readonly restartRunner: (node: string, downMs: Ms) => void;
  readonly killRunnerAtCall: (node: string, calls: number) => void;
  readonly suspendRunner: (node: string, pause: Suspension) => void;
  readonly suspendRunnerAtCall: (node: string, which: WhichCall, pause: Suspension) => void;
  readonly losePower: (node: string, loss: PowerLoss) => void;
  /** The one that leads, or led last. */
  readonly killReconciler: (downMs: Ms) => void;
  readonly leader: () => Process;
  readonly killReconcilerAtCall: (calls: number) => void;
  readonly startSecondReconciler: () => void;
  readonly stopSecondReconciler: () => void;
  readonly jumpClock: (node: string, ms: Ms) => void;
  /** The reconciler's calendar is wrong by so much from now on. */
  readonly setCalendar: (wrongMs: Ms) => void;
  /** A person does what the plan asks people for: approvals (8.2), runners that are ahead (10.3). */
  readonly approve: () => void;
}

export interface PowerLoss {
  readonly forMs: Ms;
  /** It comes back with an empty disk. */
  readonly wipe: boolean;
}

const SEVERAL = ['reconciler', 'warm', 'spare'];
/** A supervisor starts a dead program again after so long. */
const RESTART_LEAST_MS: Ms = 200;
const RESTART_MOST_MS: Ms = 8_000;

export const createWorld = (time: SimTime, scenario: Scenario): World => {
  const registry = createRegistry(time);
  const nodes = new Map<string, SimNode>();
  const clocks = new Map<string, NodeClock>();
  const watchdogs = new Map<string, MachineWatchdog>();
  const runners = new Map<string, Supervised<never>>();
  const human = createHuman({ time, registry, ...scenario });
  const forge = createForge(time, human);
  const etcd = createEtcd(time);
  const seen = {
    ordered: (orders: NodeOrders) => {
      rememberBodies(truth, orders);
      checker.ordered(orders);
    },
    heard: (report: NodeReport) => rememberReport(truth, report),
    leading: (names: readonly string[]) => checker.leading(names),
  };
  const { parted: soon, served } = scenario;
  const links = createLinks(time, seen, { soon, served });
  for (const size of scenario.nodes) {
    const watch = {
      started: (...seen: Parameters<Checker['started']>) => checker.started(...seen),
      ended: (...seen: Parameters<Checker['ended']>) => checker.ended(...seen),
      signalled: (...seen: Parameters<Checker['signalled']>) => checker.signalled(...seen),
    };
    const machine = createMachine({ time, name: size.name, registry, watch });
    nodes.set(size.name, { ...size, machine, disk: createDisk() });
    const clock = createNodeClock(time, size.name, size.clockRate);
    clocks.set(size.name, clock);
    const acts = ({ id }: SimContainer): void => {
      const process = runners.get(size.name)?.process();
      if (process?.alive() === true && !process.suspended()) checker.watchdogActs(machine, id);
    };
    watchdogs.set(size.name, createMachineWatchdog({ time, machine, clock, acts }));
  }
  const truth = createTruth(time, nodes);
  const checker = createChecker({ truth, human, links });
  human.repo.onMachineCommit(checker.machineCommit);
  human.repo.onRecord(checker.recorded);
  if (scenario.served) lookAtServices(time, checker);
  const calendar = { offsetMs: 0 };
  const parts: Parts = {
    calendar,
    time,
    registry,
    nodes,
    clocks,
    watchdogs,
    human,
    links,
    checker,
    forge,
    etcd,
  };
  for (const name of nodes.keys()) runners.set(name, superviseRunner(parts, name));
  const reconcilers = (scenario.parted ? SEVERAL : SEVERAL.slice(0, 1)).map((name) => ({
    name,
    supervised: superviseReconciler(parts, name, scenario.parted),
  }));
  const [alone] = reconcilers;
  if (alone === undefined) throw new Error('There is no reconciler.');
  const leader = (): Supervised<View> =>
    (reconcilers.find(({ name }) => name === etcd.leader()) ?? alone).supervised;
  let second: Supervised<View> | null = null;

  return {
    time,
    human,
    links,
    registry,
    forge,
    nodes,
    truth,
    checker,
    view: () => leader().latest(),
    leader: () => leader().process(),
    etcd,
    restartRunner: (node, downMs) =>
      disturb(checker, node, () => runners.get(node)?.restart(downMs)),
    killRunnerAtCall: (node, calls) => runners.get(node)?.dieAtCall(calls),
    suspendRunner: (node, pause) =>
      disturb(checker, node, () => runners.get(node)?.process().suspend(pause)),
    suspendRunnerAtCall: (node, which, pause) =>
      runners.get(node)?.process().suspendAtCall(which, pause),
    losePower: (node, loss) => losePower(parts, { node, runner: runners.get(node), loss }),
    killReconciler: (downMs) => leader().restart(downMs),
    killReconcilerAtCall: (calls) => leader().dieAtCall(calls),
    startSecondReconciler: () => {
      second?.stop();
      // Where there are several, one more of them.
      second = superviseReconciler(parts, 'second', scenario.parted);
    },
    stopSecondReconciler: () => {
      second?.stop();
      second = null;
    },
    setCalendar: (wrongMs) => void (calendar.offsetMs = wrongMs),
    approve: () => approve(parts, leader().latest()),
    jumpClock: (node, ms) => disturb(checker, node, () => clocks.get(node)?.jump(ms)),
  };
};

/** What is listed is looked at so often. */
const LOOK_AT_SERVICES_MS: Ms = 2_000;

const lookAtServices = (time: SimTime, checker: Checker): void => {
  const look = (): void => {
    checker.services();
    time.after(LOOK_AT_SERVICES_MS, 'services are looked at', look);
  };
  time.after(LOOK_AT_SERVICES_MS, 'services are looked at', look);
};

interface Parts {
  /** How far the reconciler's calendar is from the truth. */
  readonly calendar: { offsetMs: Ms };
  readonly time: SimTime;
  readonly registry: Registry;
  readonly nodes: ReadonlyMap<string, SimNode>;
  readonly clocks: ReadonlyMap<string, NodeClock>;
  readonly watchdogs: ReadonlyMap<string, MachineWatchdog>;
  readonly human: Human;
  readonly links: Links;
  readonly checker: Checker;
  readonly forge: SimForge;
  readonly etcd: Etcd;
}

/** What `purser approve` and `purser resume` write. */
const approve = ({ time, human }: Parts, view: View | null): void => {
  if (view === null) return;
  const at = new Date(EPOCH_MS + time.now()).toISOString();
  const ahead = view.plan.blocked.flatMap((each) =>
    each.kind === 'waiting' && each.why === 'runner-ahead' ? [each.remedy ?? ''] : [],
  );
  for (const remedy of new Set(ahead)) {
    const dropped = /--at ([0-9a-f]{40})$/.exec(remedy)?.[1];
    if (dropped === undefined) throw new Error(`A remedy that nobody can follow: ${remedy}`);
    human.repo.record([{ kind: 'resume', commit: dropped, by: 'bea', at }]);
  }
  const slots = view.plan.guarded.flatMap((each) => each.slots);
  if (slots.length === 0) return;
  const commit = view.desired.commit.oid;
  const id = `approval-${time.now()}`;
  const by = 'bea@example.com';
  human.repo.record([{ kind: 'approval', id, by, at, commit, slots, nodes: [], used: false }]);
};

const disturb = (checker: Checker, node: string, run: () => void): void => {
  checker.disturbed(node);
  run();
};

interface Supervised<T> {
  /** Kills it and starts it again after that time. */
  readonly restart: (downMs: Ms) => void;
  readonly dieAtCall: (calls: number) => void;
  /** The one that lives, or died last. */
  readonly process: () => Process;
  /** Kills it for good, until `restart`. */
  readonly stop: () => void;
  readonly latest: () => T | null;
}

interface Supervision<T> {
  readonly time: SimTime;
  readonly name: string;
  readonly start: (process: Process, seen: (value: T) => void) => void;
}

const supervise = <T>({ time, name, start }: Supervision<T>): Supervised<T> => {
  const random = time.random.fork(`supervisor of ${name}`);
  let births = 0;
  let latest: T | null = null;
  let wanted = true;
  let process = createProcess(time, name);
  const birth = (): void => {
    births += 1;
    const born = createProcess(time, `${name}.${births}`);
    process = born;
    born.onDeath(() => {
      if (wanted) bear(random.between(RESTART_LEAST_MS, RESTART_MOST_MS));
    });
    start(born, (value) => {
      if (born.alive()) latest = value;
    });
  };
  const bear = (delayMs: Ms): void =>
    void time.after(delayMs, `${name} starts`, () => {
      if (wanted && !process.alive()) birth();
    });
  const stop = (): void => {
    wanted = false;
    process.kill();
  };
  birth();
  return {
    restart: (downMs) => {
      stop();
      wanted = true;
      bear(downMs);
    },
    dieAtCall: (calls) => process.dieAtCall(calls, random.chance(0.5) ? 'before' : 'after'),
    process: () => process,
    stop,
    latest: () => latest,
  };
};

/** A bug that the programs notice themselves is a finding like any other. */
const log = ({ time, checker }: Parts, name: string): LogPort => ({
  info: () => undefined,
  warn: (_fields, message) => time.note(`${name} warns: ${message}`),
  error: (fields, message) => checker.fail('log', `${name}: ${message} ${JSON.stringify(fields)}`),
});

interface Beginning {
  readonly process: Process;
  readonly clock: ReturnType<typeof createReconcilerClock>;
  readonly seen: (view: View) => void;
  readonly lead?: LeadPort;
}

/** Half a percent too fast or too slow at most, as of nodes. */
const rateOf = (time: SimTime, name: string): number =>
  1 + (time.random.fork(`clock of ${name}`).unit() - 0.5) / 100;

const superviseReconciler = (
  parts: Parts,
  name: string,
  isOneOfSeveral: boolean,
): Supervised<View> => {
  const { time, human, links, registry, checker, etcd } = parts;
  const start = (process: Process, seen: (view: View) => void): void => {
    const clock = createReconcilerClock(time, process, isOneOfSeveral ? rateOf(time, name) : 1);
    if (!isOneOfSeveral) return begin({ process, clock, seen });
    const lease = etcd.lease(process, name);
    const me = { name, address: name };
    const others = () => [];
    const leading = createLeading({
      lease,
      me,
      leaseMs: LEASE_MS,
      clock,
      log: log(parts, name),
      others,
    });
    begin({ process, clock, seen, lead: leading });
    void leading.run(new AbortController().signal);
  };
  const begin = ({ process, clock, seen, lead }: Beginning): void => {
    const ports = {
      source: human.repo.port(process),
      nodes: links.reconciler(process, clock.now, lead),
      ...(lead === undefined ? {} : { lead }),
      registry: registry.port(process),
      clock: {
        ...clock,
        epochMs: () => EPOCH_MS + time.now() + parts.calendar.offsetMs,
      },
      log: log(parts, name),
      behind: parts.forge.behind(process),
    };
    startReconciler(ports, (view) => {
      checker.saw(view, name);
      seen(view);
    });
  };
  return supervise({ time, name, start });
};

const superviseRunner = (parts: Parts, name: string): Supervised<never> => {
  const { time, registry, links, checker } = parts;
  const node = parts.nodes.get(name);
  const clock = parts.clocks.get(name);
  const watchdog = parts.watchdogs.get(name);
  if (node === undefined || clock === undefined || watchdog === undefined)
    throw new Error(`There is no node ${name}.`);
  const { machine, disk } = node;
  const start = (process: Process): void => {
    const nodeParts = { time, process, machine, disk, clock, accepted: checker.accepted };
    checker.disturbed(name);
    process.onDeath(() => checker.disturbed(name));
    process.onSuspend(() => checker.disturbed(name));
    process.onResume(() => checker.disturbed(name));
    const ports = {
      runtime: createRuntime({ time, process, machine, registry }),
      network: createNetwork(nodeParts),
      probes: createProbes(nodeParts),
      store: createStore(nodeParts),
      link: links.runner(process, { node: name, now: clock.now }),
      usage: createUsage(nodeParts),
      clock: createRunnerClock(nodeParts),
      log: log(parts, name),
    };
    startRunner({ ports, watchdogs: watchdog.port(process) }, node);
  };
  return supervise({ time, name: `runner ${name}`, start });
};

interface LostPower {
  readonly node: string;
  readonly runner: Supervised<never> | undefined;
  readonly loss: PowerLoss;
}

const losePower = (parts: Parts, { node, runner, loss }: LostPower): void => {
  const { time, checker, nodes, clocks, links } = parts;
  const machine = nodes.get(node)?.machine;
  const disk = nodes.get(node)?.disk;
  if (machine === undefined || disk === undefined || !machine.powered()) return;
  checker.disturbed(node);
  machine.powerOff();
  runner?.stop();
  disk.networks.clear();
  disk.ports.clear();
  if (loss.wipe) {
    machine.wipe();
    links.renew(node);
    Object.assign(disk, { orders: null, marks: null, contact: null });
    disk.volumes.clear();
    disk.prepared.clear();
  }
  time.after(loss.forMs, `${node} has power again`, () => {
    machine.powerOn();
    clocks.get(node)?.reboot();
    checker.disturbed(node);
    runner?.restart(2_000);
  });
};
