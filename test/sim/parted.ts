// Seeds of partitions: each has singletons with no time to spare, and more that goes wrong between
// runners and reconcilers, and with the programs themselves.
// In: a seed, a scenario. Out: whether it is such a seed, the scenario with singletons, kinds of
// faults. Not here: what a kind of fault does (faults.ts), what must hold (check.ts).

import type { Ms } from '../../schema/spec.ts';
import type { JobDraft } from './drafts.ts';
import { GOOD } from './fake/registry.ts';
import { deploy } from './human.ts';
import type { Random } from './time.ts';
import type { Scenario, World } from './world.ts';

/** None of the seeds that are kept for what they once showed before there were such seeds. */
const RESIDUES: ReadonlySet<number> = new Set([4, 6, 10, 13, 17, 20, 32, 33, 34, 40, 42, 49]);

export const isParted = (seed: number): boolean => RESIDUES.has(seed % 50);

/** What these seeds draw from besides: each is worth a line in docs/OPERATIONS.md. */
export const PARTED_KINDS = [
  'runner-suspended',
  'runner-suspended-at-call',
  'certificate-ended',
  'disk-late',
  'orders-replayed',
  'leader-suspended',
  'leader-suspended-at-call',
  'leader-cut-from-etcd',
  'etcd-down',
  'etcd-slow',
  'git-slow',
] as const;

/** Drawn apart, so that what was drawn before stays as it was: two things at the worst moment. */
export const TIMED_KINDS = [
  'start-suspended',
  'cut-after-orders',
  'late-by-minutes',
  'leader-suspended-node-cut',
  'late-then-cut',
] as const;

export type PartedKind = (typeof PARTED_KINDS)[number] | (typeof TIMED_KINDS)[number];

/** lost_after (30 s) less kill_timeout (4 s) and the 5 s to spare: the most that is let through. */
const LONGEST_STOP_AFTER_MS = 21_000;
const SECOND_SHARE = 0.5;

/** The first job is a singleton, and perhaps the second. */
export const withSingletons = (random: Random, scenario: Scenario): Scenario => {
  const most = random.chance(SECOND_SHARE) ? 2 : 1;
  const jobs = [...scenario.first.jobs].map(
    ([id, draft], place) => [id, place < most ? asSingleton(random, draft) : draft] as const,
  );
  return { ...scenario, parted: true, first: { ...scenario.first, jobs: new Map(jobs) } };
};

const asSingleton = (random: Random, draft: JobDraft): JobDraft => ({
  ...draft,
  count: random.between(1, 2),
  singleton: true,
  stopAfterMs: LONGEST_STOP_AFTER_MS,
  order: 'stop-first',
  canary: 0,
  volume: 'none',
  hostPort: null,
});

/** Singletons are deployed again and again: a start is when most can go wrong. */
export const scheduleSingletons = ({ time, human }: World, endsAt: Ms): void => {
  const random = time.random.fork('deploys of singletons');
  let at: Ms = random.between(20_000, 60_000);
  while (at < endsAt) {
    time.at(at, 'a person deploys a singleton', () => {
      const found = [...human.written().jobs.values()].filter(({ singleton }) => singleton);
      const draft = found[random.between(0, Math.max(0, found.length - 1))];
      if (draft !== undefined) deploy(human, draft.id, GOOD);
    });
    at += random.between(15_000, 60_000);
  }
};
