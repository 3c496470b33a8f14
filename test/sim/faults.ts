// Everything that can go wrong, drawn from the seed: a random subset of kinds, each several times,
// each for a while.
// In: a world and chance. Out: events that break something and mend it again. After `endsAt`
// nothing is broken.
// Not here: mistakes of people (human.ts), bad versions (registry.ts).

import type { Ms } from '../../schema/spec.ts';
import type { LinkFaults } from './fake/link.ts';
import { DISK_MS, type MachineFaults } from './fake/machine.ts';
import type { RepoFaults } from './fake/git.ts';
import type { Suspension } from './process.ts';
import type { Random } from './time.ts';
import { PARTED_KINDS, TIMED_KINDS, type PartedKind } from './parted.ts';
import type { World } from './world.ts';

export const FAULT_KINDS = [
  'drop',
  'delay',
  'duplicate',
  'partition',
  'partition-up',
  'partition-down',
  'runner-restart',
  'runner-killed-at-call',
  'node-reboot',
  'node-lost',
  'node-new-disk',
  'reconciler-killed-at-call',
  'reconciler-killed',
  'second-reconciler',
  'fetch-fails',
  'ledger-fails',
  'push-fails',
  'push-answer-lost',
  'human-pushes-first',
  'registry-down',
  'flapping-probes',
  'clock-jump',
  'containerd-late',
  'containerd-fails',
  'containerd-answer-lost',
  'reconnect',
  'wall-clock-jump',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number] | PartedKind;

interface Window {
  readonly from: Ms;
  readonly to: Ms;
}

/** Streams that are cut in one window. */
const MOST_CUTS = 12;
/** More than the seven days that an approval is good for (rules 8.2). */
const MOST_DAYS = 10;
const DAY_MS: Ms = 86_400_000;

/** Kinds are drawn so that some seeds have none and most have a handful. */
const KIND_SHARE = 0.22;
const MOST_TIMES = 3;

const PARTED_SHARE = 0.4;

export const drawFaults = (random: Random, parted: boolean): readonly FaultKind[] => {
  const kinds = random.chance(0.06) ? [] : random.some(FAULT_KINDS, KIND_SHARE);
  if (!parted) return kinds;
  const timed = random.fork('timed').some(TIMED_KINDS, PARTED_SHARE);
  return [...kinds, ...random.some(PARTED_KINDS, PARTED_SHARE), ...timed];
};

/** Returns how often each kind begins, as the run goes on. */
export const scheduleFaults = (
  world: World,
  kinds: readonly FaultKind[],
  endsAt: Ms,
): ReadonlyMap<FaultKind, number> => {
  const random = world.time.random.fork('faults');
  const struck = new Map<FaultKind, number>();
  for (const kind of kinds) {
    const times = random.between(1, MOST_TIMES);
    for (let round = 0; round < times; round += 1) {
      const from = random.between(0, Math.max(0, endsAt - 20_000));
      const to = Math.min(endsAt, from + random.between(3_000, 90_000));
      const count = (): void => void struck.set(kind, (struck.get(kind) ?? 0) + 1);
      schedule({ world, random: random.fork(`${kind} ${round}`), count }, kind, { from, to });
    }
  }
  return struck;
};

interface Context {
  readonly world: World;
  readonly random: Random;
  readonly count: () => void;
}

const schedule = (context: Context, kind: FaultKind, window: Window): void => {
  const { world, random, count } = context;
  const nodes = [...world.nodes.keys()];
  const node = nodes[random.between(0, nodes.length - 1)] ?? '';
  const strike = (at: Ms, run: () => void): void =>
    void world.time.at(at, `fault ${kind} ${node}`, () => {
      count();
      run();
    });
  const begin = (run: () => void): void => strike(window.from, run);
  const end = (run: () => void): void =>
    void world.time.at(window.to, `fault ${kind} ${node} ends`, run);
  const link = (change: Partial<LinkFaults>, back: Partial<LinkFaults>): void => {
    const faults = world.links.faults(node);
    begin(() => hit(world, node, () => Object.assign(faults, change)));
    end(() => hit(world, node, () => Object.assign(faults, back)));
  };
  const machine = (change: Partial<MachineFaults>, back: Partial<MachineFaults>): void => {
    const faults = world.nodes.get(node)?.machine.faults ?? {};
    begin(() => hit(world, node, () => Object.assign(faults, change)));
    end(() => hit(world, node, () => Object.assign(faults, back)));
  };
  const repo = (change: Partial<RepoFaults>, back: Partial<RepoFaults>): void => {
    begin(() => Object.assign(world.human.repo.faults, change));
    end(() => Object.assign(world.human.repo.faults, back));
  };
  const downMs = window.to - window.from;
  switch (kind) {
    case 'drop':
      return link({ drop: 0.02 + random.unit() * 0.2 }, { drop: 0 });
    case 'delay':
      return link({ delayMs: random.between(200, 6_000) }, { delayMs: 20 });
    case 'duplicate':
      return link({ duplicate: 0.5 }, { duplicate: 0 });
    case 'partition':
      return link({ upBlocked: true, downBlocked: true }, { upBlocked: false, downBlocked: false });
    case 'reconnect':
      // The stream is cut and opened again at once: the last report is sent again, its
      // acknowledgement may be lost.
      for (let cut = 0; cut < random.between(1, MOST_CUTS); cut += 1) {
        const at = random.between(window.from, window.to);
        strike(at, () => hit(world, node, () => world.links.cut(node)));
      }
      return undefined;
    case 'wall-clock-jump':
      begin(() => world.setCalendar(random.between(-MOST_DAYS, MOST_DAYS) * DAY_MS));
      return end(() => world.setCalendar(0));
    case 'certificate-ended':
      // It was not renewed in time: the stream that is open ends, and no other is let in.
      begin(() => hit(world, node, () => world.links.cut(node)));
      return link({ refused: true }, { refused: false });
    case 'orders-replayed':
      for (let left = random.between(1, MOST_CUTS); left > 0; left -= 1) {
        const at = random.between(window.from, window.to);
        strike(at, () => world.links.replay(node));
      }
      return undefined;
    case 'disk-late':
      return machine({ diskMs: random.between(100, 4_000) }, { diskMs: DISK_MS });
    case 'runner-suspended':
      return begin(() => world.suspendRunner(node, pause(random, downMs)));
    case 'runner-suspended-at-call':
      // Anywhere, or where it hurts: between a decision and what follows from it.
      for (const each of random.some(nodes, 0.6)) {
        const begins = random.pick(['', 'start ', 'start ', 'watchdog', 'write ', 'create ']);
        const which = { begins, calls: random.between(1, begins === '' ? 60 : 3) };
        const forMs = random.between(20_000, 75_000);
        begin(() =>
          hit(world, each, () => world.suspendRunnerAtCall(each, which, pause(random, forMs))),
        );
      }
      return undefined;
    case 'git-slow':
      return repo({ slowMs: random.between(1_000, 9_000) }, { slowMs: 0 });
    case 'leader-suspended':
      return begin(() => world.leader().suspend(pause(random, random.between(500, 60_000))));
    case 'leader-suspended-at-call': {
      const begins = random.pick(['', '', 'lease ', 'lease keep']);
      const which = { begins, calls: random.between(1, 10) };
      const forMs = random.between(2_000, 60_000);
      return begin(() => world.leader().suspendAtCall(which, pause(random, forMs)));
    }
    case 'start-suspended':
      // Between the runner's decision to start a copy with stop_after and its last look at the clock.
      for (const each of random.some(nodes, 0.6)) {
        const which = { begins: 'start-watchdog', calls: random.between(1, 2) };
        const forMs = random.between(30_000, 75_000);
        begin(() =>
          hit(world, each, () => world.suspendRunnerAtCall(each, which, pause(random, forMs))),
        );
      }
      return undefined;
    case 'cut-after-orders':
      for (const each of nodes) {
        const faults = world.links.faults(each);
        begin(() => hit(world, each, () => void (faults.cutAfterOrders = 0.6)));
        end(() => hit(world, each, () => void (faults.cutAfterOrders = 0)));
      }
      return undefined;
    case 'late-by-minutes': {
      // What is said now arrives when nobody means it any more, and no end notices.
      const [up, down] = random.pick<readonly [Ms, Ms]>([
        [1, 0],
        [0, 1],
        [1, 1],
      ]);
      const lateMs = random.between(20_000, 150_000);
      const [upLateMs, downLateMs] = [up * lateMs, down * lateMs];
      return link({ upLateMs, downLateMs }, { upLateMs: 0, downLateMs: 0 });
    }
    case 'leader-suspended-node-cut': {
      // It wakes up with reports before it that came after its lease had ended, and the node that
      // sent them can tell nobody else.
      const forMs = random.between(9_000, 15_000);
      const faults = world.links.faults(node);
      const blocked = { upBlocked: true, downBlocked: true };
      begin(() => world.leader().suspend(pause(random, forMs)));
      const cut = window.from + forMs + random.between(0, 60);
      world.time.at(cut, `${node} is cut off`, () =>
        hit(world, node, () => Object.assign(faults, blocked)),
      );
      world.time.at(cut + random.between(35_000, 90_000), `${node} is cut off no more`, () =>
        hit(world, node, () => Object.assign(faults, { upBlocked: false, downBlocked: false })),
      );
      return undefined;
    }
    case 'late-then-cut': {
      // The last answers came late, and say when a report was sent: nobody has longer for that.
      const downLateMs = random.between(8_000, 18_000);
      const lateForMs = random.between(30_000, 45_000);
      const faults = world.links.faults(node);
      const change = (at: Ms, label: string, changes: Partial<LinkFaults>): void =>
        void world.time.at(at, `${node} is ${label}`, () =>
          hit(world, node, () => Object.assign(faults, changes)),
        );
      begin(() => hit(world, node, () => Object.assign(faults, { downLateMs })));
      const cut = window.from + lateForMs;
      change(cut, 'cut off', { upBlocked: true, downLateMs: 0 });
      change(cut + random.between(40_000, 60_000), 'cut off no more', { upBlocked: false });
      return undefined;
    }
    case 'leader-cut-from-etcd': {
      const { cutOff } = world.etcd.faults;
      begin(() => void cutOff.add(world.etcd.leader() ?? ''));
      return end(() => cutOff.clear());
    }
    case 'etcd-down':
      begin(() => void (world.etcd.faults.down = true));
      return end(() => void (world.etcd.faults.down = false));
    case 'etcd-slow':
      begin(() => Object.assign(world.etcd.faults, { slowMs: 3_000, lost: 0.3 }));
      return end(() => Object.assign(world.etcd.faults, { slowMs: 10, lost: 0 }));
    case 'partition-up':
      return link({ upBlocked: true }, { upBlocked: false });
    case 'partition-down':
      return link({ downBlocked: true }, { downBlocked: false });
    case 'runner-restart':
      return begin(() => world.restartRunner(node, Math.min(downMs, 20_000)));
    case 'runner-killed-at-call':
      return begin(() => world.killRunnerAtCall(node, random.between(1, 200)));
    case 'node-reboot':
      return begin(() =>
        world.losePower(node, { forMs: random.between(500, 15_000), wipe: false }),
      );
    case 'node-lost':
      return begin(() => world.losePower(node, { forMs: downMs, wipe: false }));
    case 'node-new-disk':
      return begin(() => world.losePower(node, { forMs: downMs, wipe: true }));
    case 'reconciler-killed-at-call':
      return begin(() => world.killReconcilerAtCall(random.between(1, 60)));
    case 'reconciler-killed':
      return begin(() => world.killReconciler(Math.min(downMs, 60_000)));
    case 'second-reconciler':
      begin(world.startSecondReconciler);
      return end(world.stopSecondReconciler);
    case 'fetch-fails':
      return repo({ fetch: random.chance(0.5) ? 1 : 0.4 }, { fetch: 0 });
    case 'ledger-fails':
      return repo({ ledger: random.chance(0.5) ? 1 : 0.4 }, { ledger: 0 });
    case 'push-fails':
      return repo({ push: random.chance(0.5) ? 1 : 0.4 }, { push: 0 });
    case 'push-answer-lost':
      return repo({ pushedYetFailed: 0.6 }, { pushedYetFailed: 0 });
    case 'human-pushes-first':
      return repo({ beforePush: () => world.human.act() }, { beforePush: null });
    case 'registry-down':
      begin(() => void (world.registry.down = true));
      return end(() => void (world.registry.down = false));
    case 'flapping-probes':
      return machine({ flapping: 0.1 + random.unit() * 0.6 }, { flapping: 0 });
    case 'clock-jump':
      return begin(() => world.jumpClock(node, random.between(1_000, 120_000)));
    case 'containerd-late':
      return machine({ late: 0.2 + random.unit() * 0.5 }, { late: 0 });
    case 'containerd-fails':
      return machine({ failBefore: 0.05 + random.unit() * 0.5 }, { failBefore: 0 });
    case 'containerd-answer-lost':
      return machine({ failAfter: 0.05 + random.unit() * 0.4 }, { failAfter: 0 });
  }
};

const pause = (random: Random, forMs: Ms): Suspension => ({
  forMs,
  timersFirst: random.chance(0.5),
});

const hit = (world: World, node: string, run: () => void): void => {
  world.checker.disturbed(node);
  run();
};
