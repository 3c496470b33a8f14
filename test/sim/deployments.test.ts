// A version that comes back, in the simulated cluster: what the ledger and the labels say at rest,
// after a restart in between, and that a planner which believes the first record is caught.

import { describe, expect, it } from 'vitest';

import type { View } from '../../reconciler/cycle.ts';
import { compile } from '../../reconciler/desired/compile.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { SourceTree } from '../../schema/source.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { differences } from './settle.ts';
import type { World } from './world.ts';

const JOB = 'shop/web';
const SETTLED_MS = 90_000;
/** Long enough to be seen, too short to settle (min_healthy_time is 4 s). */
const SEEN_MS = 3_000;

const settledIn = ({ human }: World) =>
  human.repo.ledger.flatMap((entry) => (entry.kind === 'settled' ? [entry] : []));

/** Version 1 settles, 2 is there for so long, and 1 comes back. */
const cameBack = async (
  betweenMs: number,
  meanwhile: (world: World) => void = () => undefined,
): Promise<World> => {
  const { time, world } = startTold(plainScenario(3, [plainJob('web')]));
  const { human } = world;
  await time.run(SETTLED_MS, () => true);
  human.edit(JOB, { version: 2 }, 'The second');
  await time.run(time.now() + betweenMs, () => true);
  meanwhile(world);
  human.edit(JOB, { version: 1 }, 'The first again');
  await time.run(time.now() + SETTLED_MS, () => true);
  return world;
};

const viewOf = (world: World): View => {
  const view = world.view();
  if (view === null) throw new Error('no reconciler has made a plan');
  return view;
};

describe('a version that comes back', () => {
  it.each([
    ['after the other one settled', SETTLED_MS],
    ['before the other one did either', SEEN_MS],
    ['in one push', 0],
  ])('%s: is a deployment of its own, in the ledger and on its copies', async (_name, ms) => {
    const world = await cameBack(ms);
    const head = world.human.repo.head().info.oid;
    const marks = settledIn(world).filter(({ commit }) => commit === head);
    expect(marks).toHaveLength(1);
    expect(marks[0]?.sameAs).toBe(world.human.intents[0]?.oid);
    const copies = world.truth.copiesOf(JOB);
    expect(copies).toHaveLength(3);
    for (const { body } of copies) expect(body.deployment).toBe(marks[0]?.deployment);
    expect(world.checker.violations).toEqual([]);
    expect(differences(world)).toEqual([]);
  });

  it('touches no copy that is of it already', async () => {
    const world = await cameBack(0);
    for (const { containers } of world.truth.copiesOf(JOB)) {
      for (const { startedAt } of containers) expect(startedAt).toBeLessThan(SETTLED_MS);
    }
  });

  it('is the same to a reconciler that starts in between, and to one after it', async () => {
    const world = await cameBack(SEEN_MS, ({ killReconciler }) => killReconciler(500));
    world.killReconciler(500);
    await world.time.run(world.time.now() + SETTLED_MS, () => true);
    const head = world.human.repo.head().info.oid;
    expect(viewOf(world).desired.jobs).toMatchObject([{ commit: { oid: head }, settled: true }]);
    expect(world.checker.violations).toEqual([]);
    expect(differences(world)).toEqual([]);
  });
});

/** Planners that are wrong as the rule was once understood. */
const BROKEN: readonly (readonly [string, (tree: SourceTree) => SourceTree])[] = [
  [
    'believes the first record of the version',
    (tree) => ({
      ...withoutTouched(tree),
      ledger: firstRecords(tree.ledger),
    }),
  ],
  [
    'takes HEAD for the commit of whatever is there',
    (tree) => ({
      ...withoutTouched(tree),
      ledger: tree.ledger.map((entry) =>
        entry.kind === 'settled' ? { ...entry, commit: tree.head.oid } : entry,
      ),
    }),
  ],
];

const withoutTouched = ({ touched: _touched, ...tree }: SourceTree): SourceTree => tree;

const firstRecords = (ledger: readonly LedgerRecord[]): readonly LedgerRecord[] => {
  const seen = new Set<string>();
  return ledger.filter((entry) => {
    if (entry.kind === 'returned') return false;
    if (entry.kind !== 'settled') return true;
    const isNew = !seen.has(entry.specHash);
    seen.add(entry.specHash);
    return isNew;
  });
};

describe('the checker', () => {
  it.each(BROKEN)('catches a planner that %s', async (_name, spoil) => {
    const world = await cameBack(SETTLED_MS);
    world.human.edit(JOB, { count: 2 }, 'Fewer');
    await world.time.run(world.time.now() + SETTLED_MS, () => true);
    expect(world.checker.violations).toEqual([]);
    const view = viewOf(world);
    world.checker.saw({ ...view, desired: compile(spoil(view.tree)) }, 'reconciler');
    expect(world.checker.violations).toMatchObject([{ rule: 'introduced' }]);
  });

  it('at rest asks for the mark and the labels of that deployment', async () => {
    const world = await cameBack(SETTLED_MS);
    const view = viewOf(world);
    const deployments = view.plan.deployments.map((row) => ({ ...row, deployment: 'another' }));
    const spoiled = { ...world, view: () => ({ ...view, plan: { ...view.plan, deployments } }) };
    expect(differences(spoiled)).toEqual([
      expect.stringContaining('no mark says that another settled'),
      ...Array.from({ length: 3 }, () => expect.stringContaining('is labelled') as string),
    ]);
  });
});
