// Ten outages that users of other orchestrators reported, told again here. Each is told twice: the
// real rules must come through, and with the rule broken that the other system lacked, the checkers must notice.

import { afterEach, describe, expect, it, vi } from 'vitest';

import type { CycleContext, View } from '../../reconciler/cycle.ts';
import type { JobLedger, SettledRecord } from '../../reconciler/desired/ledger-index.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { LiveState } from '../../schema/live.ts';
import type { Plan, Step } from '../../schema/plan.ts';
import type { SourceTree } from '../../schema/source.ts';
import type { Ms } from '../../schema/spec.ts';
import { askForPlan, type Asked } from './asked.ts';
import { pushImage, type JobDraft } from './drafts.ts';
import { GOOD, type Behaviour, type Registry } from './fake/registry.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { differences } from './settle.ts';
import type { World } from './world.ts';

type PlanFn = (desired: DesiredState, live: LiveState, now: Ms) => Plan;

type CycleFn = (context: CycleContext, last: View | null) => Promise<View>;
type SettledFn = (ledger: JobLedger, specHash: string) => SettledRecord | null;

/** What is broken now; null: nothing. */
interface Broken {
  plan: ((real: PlanFn) => PlanFn) | null;
  settledRecord: ((real: SettledFn) => SettledFn) | null;
  /** Which tree a pass of the loop looks at, in place of what stands in Git. */
  read: (() => SourceTree | null) | null;
}

const UNBROKEN: Broken = { plan: null, settledRecord: null, read: null };

const broken = vi.hoisted((): Broken => ({ plan: null, settledRecord: null, read: null }));

vi.mock('../../reconciler/cycle.ts', async (original) => {
  const real = await original<{ cycle: CycleFn }>();
  const cycle: CycleFn = (context, last) => {
    const other = broken.read?.() ?? null;
    if (other === null) return real.cycle(context, last);
    const { source } = context.ports;
    const read = async () => ({ ...other, ledger: (await source.read()).ledger });
    const ports = { ...context.ports, source: { ...source, read } };
    return real.cycle({ ...context, ports }, last);
  };
  return { ...real, cycle };
});

vi.mock('../../reconciler/desired/ledger-index.ts', async (original) => {
  const real = await original<{ settledRecord: SettledFn }>();
  const settledRecord: SettledFn = (...values) =>
    (broken.settledRecord?.(real.settledRecord) ?? real.settledRecord)(...values);
  return { ...real, settledRecord };
});

vi.mock('../../reconciler/plan/plan.ts', async (original) => {
  const real = await original<{ plan: PlanFn; planWith: (memo: unknown) => PlanFn }>();
  const planWith =
    (memo: unknown): PlanFn =>
    (...values) =>
      (broken.plan?.(real.plan) ?? real.planWith(memo))(...values);
  // The checker plans anew without a memo and compares: with the same rule broken.
  const plan: PlanFn = (...values) => (broken.plan?.(real.plan) ?? real.plan)(...values);
  return { ...real, plan, planWith };
});

vi.mock('../../reconciler/plan/check.ts', async (original) => {
  const real = await original<{ check: (...values: readonly unknown[]) => readonly unknown[] }>();
  // A broken planner would be refused by its own check; here the simulator must notice it.
  return { ...real, check: (...all: unknown[]) => (broken.plan ? [] : real.check(...all)) };
});

afterEach(() => {
  Object.assign(broken, UNBROKEN);
});

interface Story {
  readonly jobs: readonly JobDraft[];
  readonly nodes: number;
  /** Virtual time at which it is over. */
  readonly until: Ms;
  readonly tell: (world: World) => void;
  /** What must hold at the end, besides the checkers: what is wrong. */
  readonly end?: (world: World) => readonly string[];
}

const FAILING: ReadonlySet<string> = new Set(['stalled', 'failed']);

const web = (change: Partial<JobDraft>): JobDraft => ({ ...plainJob('web'), ...change });
const WEB = 'shop/web';
const CRASHES: Behaviour = { ...GOOD, crash: { afterMs: 2_000, code: 1, outOfMemory: false } };
/** All first versions have settled by then. */
const SETTLED: Ms = 90_000;

/** Rules that were violated. */
const rulesOf = async (story: Story): Promise<readonly string[]> => {
  const { time, world } = startTold(plainScenario(story.nodes, story.jobs));
  story.tell(world);
  await time.run(story.until, () => world.checker.violations.length === 0);
  const { violations } = world.checker;
  if (violations.length > 0) return violations.map(({ rule, detail }) => `${rule}: ${detail}`);
  return (story.end ?? differences)(world).map((found) => `end: ${found}`);
};

/** Tells it twice. */
const tellTwice = async (
  story: Story,
  rule: string,
  breakIt: Partial<Broken> | ((real: PlanFn) => PlanFn),
): Promise<void> => {
  expect(await rulesOf(story)).toEqual([]);
  Object.assign(broken, typeof breakIt === 'function' ? { plan: breakIt } : breakIt);
  const found = await rulesOf(story);
  expect(found.map((text) => text.slice(0, text.indexOf(':')))).toContain(rule);
};

const withSteps = (plan: Plan, steps: readonly Step[]): Plan => ({
  ...plan,
  steps: [...plan.steps.filter(({ allocation }) => !ids(steps).has(allocation)), ...steps],
});

const ids = (steps: readonly Step[]): ReadonlySet<string> =>
  new Set(steps.map(({ allocation }) => allocation));

/** Stops of all copies of a job that are not of its wanted version. */
const stopAllOld = (desired: DesiredJob, live: LiveState): readonly Step[] =>
  live.nodes.flatMap(({ allocations }) =>
    allocations
      .filter(({ body, stopping, phase }) => {
        const same = `${body.namespace}/${body.job}` === desired.id;
        return same && body.specHash !== desired.spec.specHash && !stopping && phase !== 'dead';
      })
      .map(({ node, allocation, body }) => ({
        kind: 'stop' as const,
        node,
        job: desired.id,
        slot: `${desired.id}/${body.group}[${body.index}]`,
        allocation,
        reason: 'rollout' as const,
        killTimeoutMs: 1_000,
      })),
  );

/** Drops start steps, as a planner does that does not know why they are needed. */
const without = (plan: Plan, isDropped: (step: Step) => boolean): Plan => ({
  ...plan,
  steps: plan.steps.filter((step) => !isDropped(step)),
});

const mapJobs = (desired: DesiredState, change: (job: DesiredJob) => DesiredJob): DesiredState => ({
  ...desired,
  jobs: desired.jobs.map(change),
});

const imagesOf = (world: World): readonly string[] =>
  world.truth
    .copiesOf(WEB)
    .flatMap(({ body }) => body.spec.tasks.map(({ image }) => image.reference.split('@')[0] ?? ''));

const onlyVersion = (world: World, version: number, count: number): readonly string[] => {
  const found = imagesOf(world).filter((image) => image.endsWith(`:v${version}`));
  const good = found.length === count && imagesOf(world).length === count;
  return good ? [] : [`${count} of v${version} wanted, running: ${imagesOf(world).join(' ')}`];
};

describe('outages that others had', () => {
  it('nomad #19643: after a failed deployment all copies of the old version are back', async () => {
    const story: Story = {
      jobs: [web({ count: 4, maxParallel: 2 })],
      nodes: 3,
      until: 400_000,
      tell: ({ time, human }) => {
        const bad = { version: 2, behaviour: CRASHES };
        time.at(SETTLED, 'deploy', () => human.edit(WEB, bad, 'Deploy a bad version'));
      },
      end: (world) => onlyVersion(world, 1, 4),
    };
    // The other system left the slots empty that the failed version had taken.
    const seen = { failed: false };
    await tellTwice(story, 'end', (real) => (desired, live, now) => {
      const plan = real(desired, live, now);
      seen.failed ||= plan.deployments.some(({ status }) => FAILING.has(status));
      return seen.failed ? without(plan, ({ kind }) => kind === 'start') : plan;
    });
  });

  it('nomad #3836: a revert stops no healthy copy before others are up', async () => {
    const story: Story = {
      jobs: [web({ count: 3, order: 'start-first' })],
      nodes: 3,
      until: 400_000,
      tell: ({ time, human }) => {
        const bad = { version: 2, behaviour: { ...GOOD, healthyAfterMs: null } };
        time.at(SETTLED, 'deploy', () => human.edit(WEB, bad, 'Deploy a bad version'));
      },
    };
    await tellTwice(story, 'budget', (real) => (desired, live, now) => {
      const plan = real(desired, live, now);
      const failed = desired.jobs.filter((job) => job.failed !== null);
      return withSteps(
        plan,
        failed.flatMap((job) => stopAllOld(job, live)),
      );
    });
  });

  it('nomad #14200: a rollback obeys max_parallel', async () => {
    const story: Story = {
      jobs: [web({ count: 4 })],
      nodes: 3,
      until: 400_000,
      tell: ({ time, human }) => {
        time.at(SETTLED, 'deploy', () => human.edit(WEB, { version: 2 }, 'Deploy v2'));
        time.at(220_000, 'rollback', () => human.edit(WEB, { version: 1 }, 'Revert'));
      },
    };
    await tellTwice(story, 'budget', (real) => (desired, live, now) => {
      const plan = real(desired, live, now);
      const back = desired.jobs.filter(({ isRollback }) => isRollback);
      return withSteps(
        plan,
        back.flatMap((job) => stopAllOld(job, live)),
      );
    });
  });

  it('nomad #10882: a rollback does not wait for the promotion of canaries', async () => {
    const story: Story = {
      jobs: [web({ count: 3, canary: 1, autoPromote: true })],
      nodes: 3,
      until: 460_000,
      tell: ({ time, human }) => {
        time.at(SETTLED, 'deploy', () => human.edit(WEB, { version: 2 }, 'Deploy v2'));
        const back = { version: 1, autoPromote: false };
        time.at(300_000, 'rollback', () => human.edit(WEB, back, 'Revert'));
      },
      end: (world) => onlyVersion(world, 1, 3),
    };
    // The other system treats a way back like any other deployment.
    const before: { fallback: DesiredJob['fallback'] } = { fallback: null };
    await tellTwice(story, 'end', (real) => (desired, live, now) => {
      const { fallback } = before;
      const [job] = desired.jobs;
      if (desired.commit.subject !== 'Revert') {
        before.fallback = job ?? null;
        return real(desired, live, now);
      }
      const unknown = { isRollback: false, settled: false, fallback };
      return real(
        mapJobs(desired, (each) => ({ ...each, ...unknown })),
        unsettled(live),
        now,
      );
    });
  });

  it('nomad #7432: a drain after a failed deployment moves the settled version', async () => {
    const story: Story = {
      jobs: [web({ count: 3, autoRevert: false })],
      nodes: 3,
      until: 520_000,
      tell: ({ time, human }) => {
        const bad = { version: 2, behaviour: CRASHES };
        time.at(SETTLED, 'deploy', () => human.edit(WEB, bad, 'Deploy a bad version'));
        time.at(300_000, 'drain', () => human.drain('n1', true));
      },
      end: (world) => [
        ...onlyVersion(world, 1, 3),
        ...world.truth
          .copiesOf(WEB)
          .filter(({ node }) => node.name === 'n1')
          .map(({ allocation }) => `${allocation} is still on n1`),
      ],
    };
    // The other system forgot that the deployment had failed.
    await tellTwice(
      story,
      'end',
      (real) => (desired, live, now) =>
        real(
          mapJobs(desired, (job) => ({ ...job, failed: null, fallback: null })),
          forgetFailures(live),
          now,
        ),
    );
  });

  it('argo-cd #5351: what was rolled back is not applied again', async () => {
    const story: Story = {
      jobs: [web({ count: 3 })],
      nodes: 3,
      until: 420_000,
      tell: ({ time, human }) => {
        time.at(SETTLED, 'deploy', () => human.edit(WEB, { version: 2 }, 'Deploy v2'));
        time.at(220_000, 'rollback', () => human.edit(WEB, { version: 1 }, 'Revert'));
      },
      end: (world) => onlyVersion(world, 1, 3),
    };
    // The other system syncs to the newest version that it knows.
    const newest: { job: DesiredJob | null } = { job: null };
    await tellTwice(
      story,
      'end',
      (real) => (desired, live, now) =>
        real(
          mapJobs(desired, (job) => {
            if (!job.isRollback) newest.job = job;
            return newest.job ?? job;
          }),
          live,
          now,
        ),
    );
  });

  it('image-updater #1249: the machine never overwrites a rollback', async () => {
    const story: Story = {
      jobs: [web({ count: 2 })],
      nodes: 2,
      until: 460_000,
      tell: ({ time, human, registry }) => {
        time.at(SETTLED, 'deploy', () => human.edit(WEB, { version: 2 }, 'Deploy v2'));
        time.at(220_000, 'rollback', () => {
          human.edit(WEB, { version: 1 }, 'Revert');
          // What the old version needs is gone: it crashes now, and is what a person asked for.
          spoil(registry, human.intent().jobs.get(WEB));
        });
      },
      end: ({ human }) => {
        const { message } = human.repo.head().info;
        return message === 'Revert' ? [] : [`a rollback was overwritten by: ${message}`];
      },
    };
    // Rules 2.5 and 6.6 switched off: a version that comes back is one like any other, so what the
    // machine knows to be newer and good is written over it.
    await tellTwice(story, 'revert', {
      settledRecord: (real) => (ledger, specHash) => {
        const found = real(ledger, specHash);
        const isLeft = ledger.some(
          (other, at) =>
            other.kind === 'settled' &&
            other.specHash !== specHash &&
            at > ledger.findIndex((one) => one === found),
        );
        return isLeft ? null : found;
      },
    });
  });

  it('compose #14029: a preview changes nothing', async () => {
    const seen: { asked: Asked | null } = { asked: null };
    const story: Story = {
      jobs: [web({ count: 2, order: 'start-first' })],
      nodes: 2,
      until: 200_000,
      tell: (world) => {
        seen.asked = null;
        const question = { job: WEB, change: { version: 99, pinned: false } };
        world.time.at(SETTLED, 'a person asks', () => {
          void askForPlan(world, question).then((asked) => (seen.asked = asked));
        });
      },
      // It was answered, and nothing came of it.
      end: (world) => [
        ...(seen.asked?.starts === 2 ? [] : [`${seen.asked?.starts} copies would start`]),
        ...(seen.asked?.isUntouched() === true ? [] : ['the cluster was told something']),
        ...onlyVersion(world, 1, 2),
      ],
    };
    // The other system's dry run was a flag on the real way, and a part of it did not look at the
    // flag. Here: the question is answered by passes of the loop, over the tree that was asked about.
    // Its commit is on no branch, which is seen before a copy of it starts.
    await tellTwice(story, 'refused', { read: () => seen.asked?.tree ?? null });
  });

  it('nerdctl #4547: what did not change is left alone', async () => {
    const api = { ...plainJob('api'), count: 2 };
    const story: Story = {
      jobs: [web({ count: 2 }), api],
      nodes: 2,
      until: 300_000,
      tell: ({ time, human }) => {
        time.at(SETTLED, 'deploy', () => human.edit('shop/api', { version: 2 }, 'Deploy api v2'));
        time.at(180_000, 'remark', () => human.edit(WEB, { remark: 7 }, 'A comment'));
      },
    };
    // The other system made everything anew whenever anything was touched.
    await tellTwice(
      story,
      'unchanged',
      (real) => (desired, live, now) =>
        real(
          mapJobs(desired, (job) => ({ ...job, spec: rehashed(job, desired.commit.oid) })),
          live,
          now,
        ),
    );
  });

  it('a restart of all runners in mid-rollout takes no healthy copy', async () => {
    const story: Story = {
      jobs: [web({ count: 4 })],
      nodes: 2,
      until: 400_000,
      tell: ({ time, human, nodes, restartRunner }) => {
        time.at(SETTLED, 'deploy', () => human.edit(WEB, { version: 2 }, 'Deploy v2'));
        for (const [node, { machine }] of nodes) {
          const at = SETTLED + 12_000;
          time.at(at, `${node} restarts`, () => {
            machine.faults.flapping = 1;
            restartRunner(node, 500);
          });
          // The first check after the restart gets no answer: until the next all copies are
          // unproven.
          time.at(at + 4_000, `${node} answers`, () => void (machine.faults.flapping = 0));
        }
      },
    };
    // Unproven is not unhealthy. The other system replaced whatever was not known to be well.
    await tellTwice(story, 'budget', (real) => (desired, live, now) => {
      const plan = real(desired, live, now);
      return withSteps(
        plan,
        desired.jobs.flatMap((job) => stopAllOld(job, onlyUnproven(live))),
      );
    });
  });
});

const mapAllocations = (
  live: LiveState,
  change: (each: LiveState['nodes'][0]['allocations'][0]) => typeof each,
): LiveState => ({
  ...live,
  nodes: live.nodes.map((node) => ({ ...node, allocations: node.allocations.map(change) })),
});

const forgetFailures = (live: LiveState): LiveState =>
  mapAllocations(live, (each) => ({ ...each, failure: null }));

const unsettled = (live: LiveState): LiveState =>
  mapAllocations(live, (each) => ({ ...each, body: { ...each.body, settled: false } }));

const onlyUnproven = (live: LiveState): LiveState => ({
  ...live,
  nodes: live.nodes.map((node) => ({
    ...node,
    allocations: node.allocations.filter(({ health }) => health === 'unproven'),
  })),
});

const rehashed = ({ spec }: DesiredJob, salt: string): DesiredJob['spec'] => {
  const hash = (old: string): string => salt.padEnd(64, '0').slice(0, 32) + old.slice(32);
  const groups = spec.groups.map((group) => ({ ...group, hash: hash(group.hash) }));
  return { ...spec, specHash: hash(spec.specHash), groups };
};

/** The bytes that are there already crash from now on. */
const spoil = (registry: Registry, draft: JobDraft | undefined): void => {
  const [, digest = ''] = draft === undefined ? [] : pushImage(registry, draft).split('@');
  const image = registry.byDigest(digest);
  if (image === null) throw new Error('The image is not in the registry.');
  Object.assign(image, { behaviour: CRASHES });
};
