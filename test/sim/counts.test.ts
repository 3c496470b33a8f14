// Counts that are the machine's (rules 7), each sentence told twice: the real planner keeps it, and
// with the sentence broken the checkers notice.

import { afterEach, describe, expect, it, vi } from 'vitest';

import type { DesiredState } from '../../schema/desired.ts';
import type { LiveState } from '../../schema/live.ts';
import type { Plan, Proposal } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';
import { scalePath } from './drafts.ts';
import { GOOD } from './fake/registry.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { differences } from './settle.ts';
import type { World } from './world.ts';

type PlanFn = (desired: DesiredState, live: LiveState, now: Ms) => Plan;

/** What is broken now; null: nothing. */
const broken = vi.hoisted((): { plan: ((real: PlanFn) => PlanFn) | null } => ({ plan: null }));

vi.mock('../../reconciler/plan/plan.ts', async (original) => {
  const real = await original<{ plan: PlanFn; planWith: (memo: unknown) => PlanFn }>();
  const planWith =
    (memo: unknown): PlanFn =>
    (...values) =>
      (broken.plan?.(real.plan) ?? real.planWith(memo))(...values);
  const plan: PlanFn = (...values) => (broken.plan?.(real.plan) ?? real.plan)(...values);
  return { ...real, plan, planWith };
});

vi.mock('../../reconciler/plan/check.ts', async (original) => {
  const real = await original<{ check: (...values: readonly unknown[]) => readonly unknown[] }>();
  // A broken planner would be refused by its own check; here the simulator must notice it.
  return { ...real, check: (...all: unknown[]) => (broken.plan ? [] : real.check(...all)) };
});

afterEach(() => {
  broken.plan = null;
});

const WEB = 'shop/web';
/** Four copies have settled by then. */
const SETTLED: Ms = 120_000;
const UNTIL: Ms = 400_000;

/** Rules that were violated until all is at rest, with four copies and a file that says so. */
const violated = async (happens: (world: World) => void): Promise<readonly string[]> => {
  const web = { ...plainJob('web'), maxParallel: 4, bounds: { min: 1, max: 5 } };
  const { time, world } = startTold(plainScenario(3, [web]));
  time.at(20_000, 'scale', () => world.human.scale(WEB, 4));
  time.at(SETTLED, 'happens', () => happens(world));
  await time.run(UNTIL, () => world.checker.violations.length === 0);
  const found = world.checker.violations.map(({ rule }) => rule);
  if (found.length > 0) return found;
  const copies = world.truth.copiesOf(WEB).length;
  const said = world.human.intent().counts.get(WEB);
  const isFour = copies === 4 && said === 4;
  return [...differences(world), ...(isFour ? [] : [`${copies} copies, ${said} said`])].map(
    () => 'end',
  );
};

const tellTwice = async (
  happens: (world: World) => void,
  rule: string,
  breakIt: (real: PlanFn) => PlanFn,
): Promise<void> => {
  expect(await violated(happens)).toEqual([]);
  broken.plan = breakIt;
  expect(await violated(happens)).toContain(rule);
};

const forget = ({ human }: World): void => human.scale(WEB, null);

const withProposals =
  (change: (proposals: Plan['proposals']) => readonly Proposal[]) =>
  (real: PlanFn): PlanFn =>
  (desired, live, now) => {
    const plan = real(desired, live, now);
    return { ...plan, proposals: change(plan.proposals) };
  };

describe('a count that is the machine’s', () => {
  it('is what lives while its file is missing', async () => {
    // Broken: what nobody says is the least.
    await tellTwice(forget, 'count', (real) => (desired, live, now) => {
      const jobs = desired.jobs.map((job) => {
        const groups = job.spec.groups.map((group) =>
          group.scale === null || group.scale.fromFile
            ? group
            : { ...group, count: group.scale.min, scale: { ...group.scale, fromFile: true } },
        );
        return { ...job, spec: { ...job.spec, groups } };
      });
      return real({ ...desired, jobs }, live, now);
    });
  });

  it('is written down again once the job is at rest', async () => {
    const drop = withProposals((all) => all.filter(({ kind }) => kind !== 'scale'));
    await tellTwice(forget, 'end', drop);
  });

  it('stays when the deploy is reverted that came with it', async () => {
    const crash = { afterMs: 2_000, code: 1, outOfMemory: false };
    const failing = ({ human }: World): void =>
      human.edit(WEB, { version: 2, behaviour: { ...GOOD, crash } }, 'Deploy what crashes');
    const seen: { blob: string | null } = { blob: null };
    const happens = (world: World): void => {
      seen.blob = world.human.repo.head().files.get(scalePath(WEB))?.blob ?? null;
      failing(world);
    };
    const reset = withProposals((all) =>
      all.map((each) => {
        if (each.kind !== 'revert') return each;
        const edit = { path: scalePath(WEB), content: 'web: 2\n', base: seen.blob };
        return { ...each, edits: [...each.edits, edit] };
      }),
    );
    await tellTwice(happens, 'count', reset);
  });

  it('is not overwritten where people wrote it', async () => {
    const seen: { blob: string | null } = { blob: null };
    const happens = ({ human }: World): void => {
      seen.blob = human.repo.head().files.get(scalePath(WEB))?.blob ?? null;
    };
    const overwrite = withProposals((all) => {
      if (seen.blob === null) return all;
      const edits = [{ path: scalePath(WEB), content: 'web: 2\n', base: seen.blob }];
      const message = `Write down the count\n\nPurser-Job: ${WEB}\n`;
      return [...all, { kind: 'scale', job: WEB, edits, message }];
    });
    await tellTwice(happens, 'count', overwrite);
  });
});
