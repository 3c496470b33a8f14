// The laws of the planner, each proven on random worlds, and each shown to catch a planner that
// breaks it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assume } from '../../reconciler/plan/assume.ts';
import { check } from '../../reconciler/plan/check.ts';
import { forecast, recorded } from '../../reconciler/plan/forecast.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import { observe } from '../../reconciler/live/observe.ts';
import type { DesiredState } from '../../schema/desired.ts';
import type { LiveState } from '../../schema/live.ts';
import type { Plan, Step } from '../../schema/plan.ts';
import { broken, type Planner } from '../support/broken-planners.ts';
import { worlds, type World } from '../support/random-worlds.ts';
import { aJob, aNode, desiredOf, liveOf, nodeNames } from '../support/world.ts';

/** Worlds are dear to make, so every law is held against the same ones. */
const WORLDS: readonly World[] = fc.sample(worlds, { numRuns: 200, seed: 1 });
const text = (value: unknown): string => JSON.stringify(value);
const steps = (made: Plan): string => text(made.steps);

/** Violations of one rule of check(). */
const violations =
  (...rules: readonly string[]) =>
  (planner: Planner, { desired, live, now }: World): readonly unknown[] =>
    check(planner(desired, live, now), live, desired).filter(({ rule }) => rules.includes(rule));

/** Never the order it was in, where there are two items or more. */
const shuffled = <Item>(items: readonly Item[]): readonly Item[] => [
  ...items.filter((_, i) => i % 2 === 1).toReversed(),
  ...items.filter((_, i) => i % 2 === 0),
];

const sameWhenShuffled = (planner: Planner, { desired, live, now }: World): readonly unknown[] => {
  const mixed: DesiredState = {
    ...desired,
    jobs: shuffled(desired.jobs),
    nodes: shuffled(desired.nodes),
    volumes: shuffled(desired.volumes),
  };
  const mixedLive: LiveState = {
    ...live,
    nodes: shuffled(live.nodes).map((node) => ({
      ...node,
      allocations: shuffled(node.allocations),
    })),
  };
  const [a, b] = [planner(desired, live, now), planner(mixed, mixedLive, now)];
  return text(a) === text(b) ? [] : [{ a: a.steps, b: b.steps }];
};

const LIMIT = 200;

/** Plans and assumes until nothing is left to do; then doing nothing must go on. */
const comesToRest = (planner: Planner, { desired, live, now }: World): readonly unknown[] => {
  let [wanted, world] = [desired, live];
  let quiet = 0;
  for (let wave = 0; wave < LIMIT; wave += 1) {
    const made = planner(wanted, world, now);
    quiet = made.steps.length === 0 ? quiet + 1 : 0;
    if (quiet === 3) return [];
    wanted = recorded(
      wanted,
      made.proposals.flatMap((proposal) => (proposal.kind === 'ledger' ? proposal.records : [])),
    );
    world = assume(world, made);
  }
  return [planner(wanted, world, now).steps];
};

const keepsReasons = (planner: Planner, world: World): readonly unknown[] =>
  violations('reasons')(planner, world);

/** Every slot of a job at HEAD that nothing holds is started, or blocked with a reason. */
const everyWantIsAnswered = (
  planner: Planner,
  { desired, live, now }: World,
): readonly unknown[] => {
  const made = planner(desired, live, now);
  const held = new Set(
    live.nodes
      .flatMap((node) => node.allocations)
      .filter(({ phase }) => phase !== 'dead')
      .map(({ body }) => `${body.namespace}/${body.job}/${body.group}[${body.index}]`),
  );
  const answered = new Set([
    ...made.steps.map((step: Step) => step.slot),
    ...made.blocked.map((entry) => entry.slot ?? `${entry.job}/`),
  ]);
  const slots = desired.jobs.flatMap(({ spec }) =>
    spec.groups.flatMap((group) =>
      Array.from({ length: group.count }, (_, index) => `${spec.id}/${group.name}[${index}]`),
    ),
  );
  return slots.filter((slot) => !held.has(slot) && !answered.has(slot));
};

/** The steps are the same at every instant before wakeAt, when nothing new was heard. */
const wakesInTime = (planner: Planner, { desired, heard, now }: World): readonly unknown[] => {
  const made = planner(desired, observe(heard, now), now);
  const end = made.wakeAt ?? now + 1_000_000;
  return [0.3, 0.9, 1]
    .map((part) => Math.max(now, Math.floor(now + (end - now) * part) - 1))
    .filter((at) => steps(planner(desired, observe(heard, at), at)) !== steps(made));
};

const LAWS: readonly {
  readonly law: string;
  readonly broken: Planner;
  readonly broke: (planner: Planner, world: World) => readonly unknown[];
}[] = [
  { law: 'shuffled input, same plan', broken: broken.dependsOnInputOrder, broke: sameWhenShuffled },
  { law: 'desired met, no steps', broken: broken.neverRests, broke: comesToRest },
  {
    law: 'any subset of steps keeps minHealthy',
    broken: broken.ignoresHealth,
    broke: violations('min-healthy'),
  },
  { law: 'capacity is never exceeded', broken: broken.overcommits, broke: violations('capacity') },
  {
    law: 'a held job is not rolled or removed',
    broken: broken.rollsHeldJobs,
    broke: violations('held'),
  },
  { law: 'reasons add up to all nodes', broken: broken.losesReasons, broke: keepsReasons },
  { law: 'every want is answered', broken: broken.servesOneJob, broke: everyWantIsAnswered },
  { law: 'steps are the same until wakeAt', broken: broken.oversleeps, broke: wakesInTime },
];

describe.each(LAWS)('$law', ({ broke, broken: bad }) => {
  it.each([...WORLDS.entries()])('holds in world %i', (_number, world) => {
    expect(broke(plan, world)).toEqual([]);
  });

  it('catches the planner that breaks it', () => {
    expect(WORLDS.some((world) => broke(bad, world).length > 0)).toBe(true);
  });
});

describe('the other rules', () => {
  it.each([...WORLDS.entries()])('of check hold in world %i', (_number, world) => {
    expect(check(plan(world.desired, world.live, world.now), world.live, world.desired)).toEqual(
      [],
    );
    expect(world.violations).toEqual([]);
  });

  it.each([...WORLDS.entries()])('forecast of world %i ends', (_number, world) => {
    expect(forecast(world.desired, world.live, world.now).length).toBeLessThan(LIMIT);
  });
});

const single = (planner: Planner, nodes: number, cpuMilli: number): boolean => {
  const job = aJob({ groups: [{ count: 1, ask: { cpuMilli, memoryBytes: 1 } }] });
  const names = nodeNames(nodes);
  const desired = desiredOf([job], { nodes: names.map((name) => aNode(name)) });
  return planner(desired, liveOf([], {}, names), 0).steps.length === 1;
};

describe('adding a node never makes a single want unplaceable', () => {
  const monotone = (planner: Planner) => (nodes: number, cpuMilli: number) =>
    !single(planner, nodes, cpuMilli) || single(planner, nodes + 1, cpuMilli);
  const inputs = [fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 5_000 })] as const;

  it('holds', () => {
    fc.assert(fc.property(...inputs, monotone(plan)), { seed: 5 });
  });

  it('catches the planner that breaks it', () => {
    const found = fc.check(fc.property(...inputs, monotone(broken.dislikesLargeClusters)), {
      seed: 6,
    });
    expect(found.failed).toBe(true);
  });
});

describe('with room to spare, unrelated jobs get the same counts', () => {
  const starts = (planner: Planner, others: number): number => {
    const mine = aJob({ name: 'mine' });
    const rest = Array.from({ length: others }, (_, i) => aJob({ name: `a${i}`, count: 1 }));
    return planner(desiredOf([mine, ...rest]), liveOf([]), 0).steps.filter(
      (step) => step.job === 'shop/mine',
    ).length;
  };

  it('holds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9 }), (others) => starts(plan, others) === 3),
      { seed: 7 },
    );
  });

  it('catches the planner that breaks it', () => {
    expect(starts(broken.servesOneJob, 1)).toBe(0);
  });
});
