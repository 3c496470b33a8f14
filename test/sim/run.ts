// One seed from beginning to end: a cluster is drawn, people and faults do their worst, then all
// must come to rest.
// In: a seed. Out: what was violated, the trace's hash, and the trace when it is asked for.
// Not here: many seeds at once (main.ts).

import type { Ms } from '../../schema/spec.ts';
import type { Violation } from './check.ts';
import { type JobDraft, type NodeDraft } from './drafts.ts';
import { GOOD } from './fake/registry.ts';
import { isCounted, scheduleCounts } from './counts.ts';
import { drawFaults, scheduleFaults, type FaultKind } from './faults.ts';
import { goodBehaviour, type Intent } from './human.ts';
import { drawHelpers, isOrdered } from './ordered.ts';
import { NO_POLICY } from './policies.ts';
import { isServed, withServices } from './served.ts';
import { isParted, scheduleSingletons, withSingletons } from './parted.ts';
import { differences } from './settle.ts';
import { endSignatures, isSigned, scheduleSignatures } from './signing.ts';
import { endOwners, isOwned, scheduleOwners } from './owning.ts';
import { createRandom, createTime, type Random, type SimTime } from './time.ts';
import { createWorld, type Scenario, type World } from './world.ts';

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly faults: readonly FaultKind[];
  /** How often each kind began. */
  readonly struck: Readonly<Record<string, number>>;
  readonly virtualMs: Ms;
  readonly digest: string;
  readonly events: number;
  /** Virtual time at which all had come to rest; null when it did not. */
  readonly settledAt: Ms | null;
  readonly lines: readonly string[];
}

export interface SeedOptions {
  readonly seed: number;
  readonly trace: boolean;
}

/** People and faults do their worst for so long. */
const CHAOS_MS: Ms = 300_000;
/** The cluster is left in peace at first in half of the seeds, so that versions settle. */
const QUIET_MS: Ms = 45_000;
/**
 * A failed version takes progress_deadline (150 s) to be called so, then is reverted and rolled
 * back.
 */
const SETTLE_MS: Ms = 720_000;
const LOOK_EVERY_MS: Ms = 5_000;
/** It must stay at rest for so long: two cycles of the slow timer. */
const REST_MS: Ms = 30_000;

/** A cluster with its people and faults, before anything happened. */
export const prepareSeed = ({ seed, trace }: SeedOptions) => {
  const time = createTime({ seed, keepLines: trace });
  const drawn = drawScenario(time.random.fork('scenario'));
  const parted = isParted(seed) ? withSingletons(time.random.fork('singletons'), drawn) : drawn;
  const ordered = isOrdered(seed) && !parted.parted;
  const told = ordered ? inOrder(time.random.fork('tasks'), parted) : parted;
  const world = createWorld(time, isServed(seed) ? withServices(told) : told);
  const faults = faultsOf(seed);
  const struck = scheduleFaults(world, faults, CHAOS_MS);
  schedulePeople(world);
  scheduleMore(world, seed);
  if (parted.parted) scheduleSingletons(world, CHAOS_MS);
  if (isCounted(seed)) scheduleCounts(world, CHAOS_MS);
  if (isSigned(seed)) scheduleSignatures(world, CHAOS_MS);
  if (isOwned(seed)) scheduleOwners(world, CHAOS_MS);
  return { time, world, faults, struck };
};

/** Kinds of faults of the seed. */
export const faultsOf = (seed: number): readonly FaultKind[] =>
  drawFaults(createRandom(seed).fork('kinds'), isParted(seed));

export const runSeed = async (options: SeedOptions): Promise<SeedResult> => {
  const { time, world, faults, struck } = prepareSeed(options);
  const { violations } = world.checker;
  const goesOn = (): boolean => violations.length === 0;
  await guarded(world, () => time.run(CHAOS_MS, goesOn));
  if (goesOn()) world.human.tidy();
  if (goesOn()) endSignatures(world.human);
  if (goesOn()) endOwners(world);
  const settledAt = await settle(world, goesOn);
  const { seed } = options;
  const told = { digest: time.digest(), events: time.events(), lines: time.lines };
  const lasted = { settledAt, virtualMs: time.now(), struck: Object.fromEntries(struck) };
  return { seed, violations, faults, ...lasted, ...told };
};

/** A bug that throws out of a fake or a program is a finding. */
const guarded = async (world: World, run: () => Promise<void>): Promise<void> => {
  try {
    await run();
  } catch (error) {
    world.checker.fail(
      'thrown',
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
  }
};

/** Shares of what people do now and then, each a few times. */
const REWRITE_SHARE = 0.12;
const APPROVE_SHARE = 0.5;
const VOLUME_DRAIN_SHARE = 0.1;

/** Beside the everyday: approvals, histories made anew, drains that stop volumes too. */
const scheduleMore = ({ time, human, approve, nodes }: World, seed: number): void => {
  const random = time.random.fork('more people');
  const sometimes = (label: string, run: () => void): void => {
    for (let left = random.between(1, 3); left > 0; left -= 1) {
      time.at(random.between(20_000, CHAOS_MS), label, run);
    }
  };
  if (random.chance(APPROVE_SHARE)) sometimes('a person approves', approve);
  // What owners let through is judged anew on another history: docs/GITHUB.md.
  if (random.chance(REWRITE_SHARE) && !isOwned(seed)) {
    sometimes('a person rewrites', () => {
      human.rewrite();
      time.after(random.between(2_000, 60_000), 'a person resumes', human.resume);
    });
  }
  if (random.chance(VOLUME_DRAIN_SHARE)) {
    const names = [...nodes.keys()];
    sometimes('a person drains with volumes', () => {
      const name = names[random.between(0, names.length - 1)] ?? '';
      human.drain(name, random.chance(0.6) ? 'volumes' : false);
    });
  }
};

const schedulePeople = ({ time, human }: World): void => {
  const random = time.random.fork('people');
  let at: Ms = random.chance(0.5) ? QUIET_MS : 1_000;
  while (at < CHAOS_MS) {
    time.at(at, 'a person acts', human.act);
    at += random.between(2_000, 70_000);
  }
};

/** Waits until nothing differs for REST_MS; says what still differs when that never comes. */
const settle = async (world: World, goesOn: () => boolean): Promise<Ms | null> => {
  const { time, checker } = world;
  let restingSince: Ms | null = null;
  while (goesOn() && time.now() < CHAOS_MS + SETTLE_MS) {
    const found = differences(world);
    // Somebody looks now and then, so nothing waits for approval for good.
    if (found.length > 0) world.approve();
    restingSince = found.length > 0 ? null : (restingSince ?? time.now());
    if (restingSince !== null && time.now() - restingSince >= REST_MS) return restingSince;
    await guarded(world, () => time.run(time.now() + LOOK_EVERY_MS, goesOn));
  }
  if (goesOn()) for (const found of differences(world)) checker.fail('settle', found);
  return null;
};

const MIB = 1024 * 1024;

const drawScenario = (random: Random): Scenario => {
  const names = Array.from({ length: random.between(1, 5) }, (_, index) => `n${index + 1}`);
  const nodes = names.map((name) => ({
    name,
    cpuMilli: random.between(4, 20) * 100,
    memoryBytes: random.between(4, 16) * 64 * MIB,
    clockRate: 1 + (random.unit() - 0.5) / 100,
  }));
  const jobs = ['web', 'api', 'db', 'cron'].slice(0, random.between(1, 4));
  // Drawn apart, so that what was drawn before stays as it was.
  const more = random.fork('more');
  const drafts = jobs.map((job, place) => withMore(more.fork(job), drawJob(random, job), place));
  return {
    nodes,
    local: more.chance(LOCAL_SHARE),
    parted: false,
    served: false,
    first: {
      jobs: new Map(drafts.map((draft) => [draft.id, draft])),
      nodes: new Map(names.map((name): [string, NodeDraft] => [name, { name, drain: false }])),
      counts: new Map(),
      policy: NO_POLICY,
    },
  };
};

/** Some of its jobs have tasks of all kinds. */
const inOrder = (random: Random, scenario: Scenario): Scenario => {
  const jobs = [...scenario.first.jobs].map(
    ([id, draft]) => [id, { ...draft, helpers: drawHelpers(random.fork(id)) }] as const,
  );
  return { ...scenario, first: { ...scenario.first, jobs: new Map(jobs) } };
};

const LOCAL_SHARE = 0.3;
const VOLUME_SHARE = 0.12;
const PORT_SHARE = 0.12;
const FIRST_HOST_PORT = 9_000;

/** Named volumes and pinned ports. A canary beside a named volume is a problem (rules 14). */
const withMore = (random: Random, draft: JobDraft, place: number): JobDraft => {
  if (draft.singleton) return draft;
  if (random.chance(VOLUME_SHARE)) {
    return { ...draft, canary: 0, volume: random.pick(['wait', 'recreate']) };
  }
  return random.chance(PORT_SHARE) ? { ...draft, hostPort: FIRST_HOST_PORT + place } : draft;
};

const drawJob = (random: Random, job: string): JobDraft =>
  random.chance(0.12) ? drawSingleton(random, job) : drawOrdinary(random, job);

const drawSingleton = (random: Random, job: string): JobDraft => ({
  ...plainJob(job),
  behaviour: goodBehaviour(random),
  count: random.between(1, 2),
  singleton: true,
});

const drawOrdinary = (random: Random, job: string): JobDraft => ({
  ...plainJob(job),
  behaviour: goodBehaviour(random),
  pinned: random.chance(0.7),
  count: random.between(1, 4),
  maxParallel: random.between(1, 2),
  order: random.chance(0.5) ? 'stop-first' : 'start-first',
  canary: random.chance(0.25) ? 1 : 0,
  memoryMiB: random.pick([32, 64, 128]),
  priority: random.pick([50, 50, 60, 80]),
});

/** A job as most people write it. */
export const plainJob = (job: string): JobDraft => ({
  id: `shop/${job}`,
  path: `jobs/shop/${job}.yaml`,
  behaviour: GOOD,
  version: 1,
  pinned: true,
  count: 3,
  bounds: null,
  said: null,
  maxParallel: 1,
  order: 'stop-first',
  canary: 0,
  autoPromote: true,
  autoRevert: true,
  paused: false,
  stopped: false,
  singleton: false,
  stopAfterMs: 15_000,
  memoryMiB: 64,
  priority: 50,
  broken: false,
  remark: 0,
  volume: 'none',
  hostPort: null,
  shutdownDelayMs: 0,
  isService: false,
  helpers: null,
});

/** An even cluster for scenarios that are told, not drawn. */
export const plainScenario = (nodes: number, jobs: readonly JobDraft[]): Scenario => {
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`);
  const first: Intent = {
    jobs: new Map(jobs.map((draft) => [draft.id, draft])),
    nodes: new Map(names.map((name): [string, NodeDraft] => [name, { name, drain: false }])),
    counts: new Map(),
    policy: NO_POLICY,
  };
  const size = { cpuMilli: 2_000, memoryBytes: 1024 * MIB, clockRate: 1 };
  const calm = { local: false, parted: false, served: false };
  return { nodes: names.map((name) => ({ name, ...size })), first, ...calm };
};

export const startTold = (scenario: Scenario): { time: SimTime; world: World } => {
  const time = createTime({ seed: 1, keepLines: true });
  return { time, world: createWorld(time, scenario) };
};
