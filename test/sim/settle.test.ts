// What the simulation's checker calls a difference at the end: a bad version that must be reverted,
// one that has nothing on the line of HEAD to go back to, and one whose file is broken before its
// revert.
// In: a told cluster whose people throw away history, deploy what does not work and break files.
// Not here: seeds (sim.test.ts).

import { describe, expect, it } from 'vitest';

import { GOOD } from './fake/registry.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { differences } from './settle.ts';
import type { World } from './world.ts';

const JOB = 'shop/web';
const SETTLED_MS = 60_000;
/** Long enough to look the image up, shorter than healthy_deadline: no revert has come yet. */
const LOOKED_UP_MS = 15_000;
/** healthy_deadline (40 s) and what it takes to start and to push the mark. */
const FAILED_MS = 120_000;

/** v1 for so long, v2 until it has settled; that is thrown away, and v3 has no image. */
const thrownAway = async (firstMs: number): Promise<World> => {
  const { time, world } = startTold(plainScenario(3, [{ ...plainJob('web'), pinned: false }]));
  const { human } = world;
  await time.run(firstMs, () => true);
  human.edit(JOB, { version: 2 }, 'The second');
  await time.run(firstMs + SETTLED_MS, () => true);
  human.rewrite();
  human.resume();
  human.edit(JOB, { version: 3, behaviour: { ...GOOD, pull: 'not-found' } }, 'The third');
  await time.run(time.now() + LOOKED_UP_MS, () => true);
  return world;
};

const settledCommits = ({ human }: World): readonly string[] =>
  human.repo.ledger.flatMap((entry) => (entry.kind === 'settled' ? [entry.commit] : []));

describe('an image that does not exist, after a history was thrown away', () => {
  it('must be reverted where a version on the line of HEAD has settled', async () => {
    const world = await thrownAway(SETTLED_MS);
    expect(settledCommits(world)).toContain(world.human.repo.commits[0]?.info.oid);
    expect(world.view()?.plan.blocked).toMatchObject([{ job: JOB, why: 'held' }]);
    expect(differences(world)).toEqual([expect.stringContaining('0 of 3 copies of :v3')]);
  });

  it('may stay where only the history thrown away had settled', async () => {
    const world = await thrownAway(0);
    const line = world.human.repo.commits.map(({ info }) => info.oid);
    expect(settledCommits(world)).not.toEqual([]);
    expect(settledCommits(world).some((oid) => line.includes(oid))).toBe(false);
    expect(world.view()?.plan.blocked).toMatchObject([{ job: JOB, why: 'held' }]);
    expect(differences(world)).toEqual([]);
  });
});

/** v1 settles, v2 is never healthy, and its file is broken when the failed mark is written. */
const brokenAtTheMark = async (): Promise<World> => {
  const { time, world } = startTold(plainScenario(3, [{ ...plainJob('web'), pinned: false }]));
  const { human } = world;
  await time.run(SETTLED_MS, () => true);
  human.edit(JOB, { version: 2, behaviour: { ...GOOD, healthyAfterMs: null } }, 'The second');
  await time.run(time.now() + FAILED_MS, () => !has(world, 'failed'));
  expect(has(world, 'failed')).toBe(true);
  human.edit(JOB, { broken: true }, 'In a hurry');
  await time.run(time.now() + SETTLED_MS, () => true);
  return world;
};

const has = ({ human }: World, wanted: 'failed' | 'reverted'): boolean =>
  human.repo.ledger.some(({ kind }) => kind === wanted);

describe('a file broken after its version was marked failed and before the revert', () => {
  it('stays at the settled version, and every slot must have a copy that is well', async () => {
    const world = await brokenAtTheMark();
    const blocked = world.view()?.plan.blocked.map((each) => each.kind === 'waiting' && each.why);
    expect(blocked).toEqual(['failed', 'revert-impossible']);
    expect(has(world, 'reverted')).toBe(false);
    expect(differences(world)).toEqual([]);
    for (const { node } of world.truth.copiesOf(JOB)) node.machine.powerOff();
    expect(differences(world)).toEqual([expect.stringContaining('slots without a copy')]);
  });

  it('is reverted when people mend it', async () => {
    const world = await brokenAtTheMark();
    world.human.edit(JOB, { broken: false }, 'Mended');
    await world.time.run(world.time.now() + SETTLED_MS, () => true);
    expect(has(world, 'reverted')).toBe(true);
    expect(world.view()?.plan.blocked).toEqual([]);
    expect(differences(world)).toEqual([]);
  });
});

/** A third slot waits for v2's image; that is thrown away, and the file of v1 is broken. */
const overtaken = async (): Promise<World> => {
  const { time, world } = startTold(plainScenario(3, [{ ...plainJob('web'), count: 2 }]));
  const { human } = world;
  await time.run(SETTLED_MS, () => true);
  const never = { ...GOOD, pull: 'never' } as const;
  human.edit(JOB, { version: 2, behaviour: never, count: 3 }, 'The second');
  await time.run(time.now() + LOOKED_UP_MS, () => true);
  human.rewrite();
  human.resume();
  human.edit(JOB, { count: 3 }, 'Three of the first');
  human.edit(JOB, { broken: true }, 'In a hurry');
  await time.run(time.now() + 2 * SETTLED_MS, () => true);
  return world;
};

describe('a held job with a copy that never came up, of a version thrown away', () => {
  it('keeps the copy, says what it waits for, and every other slot must be well', async () => {
    const world = await overtaken();
    const blocked = world.view()?.plan.blocked.map((each) => each.kind === 'waiting' && each.why);
    expect(blocked).toEqual(['held', 'stalled']);
    expect(world.truth.copiesOf(JOB)).toHaveLength(2);
    expect(differences(world)).toEqual([]);
    world.truth.copiesOf(JOB)[0]?.node.machine.powerOff();
    expect(differences(world)).toEqual([expect.stringContaining('slots without a copy')]);
  });

  it('heals its slot when people mend the file', async () => {
    const world = await overtaken();
    world.human.edit(JOB, { broken: false }, 'Mended');
    await world.time.run(world.time.now() + SETTLED_MS, () => true);
    expect(world.truth.copiesOf(JOB)).toHaveLength(3);
    expect(differences(world)).toEqual([]);
  });
});
