// An approval lets nothing go that the text did not show below which it was asked for: clicks and
// comments that come while the plan grows, over a forge in memory.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { coversIn } from '../../../reconciler/forge/pulls.ts';
import type { Planned } from '../../../reconciler/render/plan-verdict.ts';
import { BASE, createForgeWorld, EPOCH, pull, viewOf } from '../../support/forge-world.ts';

let world: ReturnType<typeof createForgeWorld>;
beforeEach(() => {
  world = createForgeWorld();
});
afterEach(() => world.stop());

const NONE = { cpuMilli: 0, memoryBytes: 0 };
const NOTHING: Omit<Planned, 'base' | 'head'> = {
  kind: 'planned',
  effects: { slots: [] },
  snapshot: 's',
  fields: [],
  rehearsal: { losses: [], left: 0, waves: [], rollbacks: [] },
  summary: {
    jobs: [],
    waves: [],
    blocked: [],
    problems: [],
    guarded: [],
    pending: { steps: 0, blocked: [], problems: [] },
    capacity: { before: NONE, after: NONE, total: NONE },
    assumed: [],
    stopped: null,
  },
};

describe('an approval covers what was shown when it was asked for', () => {
  const slots = (...indexes: readonly number[]) => indexes.map((at) => `shop/web/web[${at}]`);
  /** Looked at and told with these slots; the plan is made anew for another base each time. */
  const lettingGo = async (indexes: readonly number[], visibility = '') => {
    const effects = { slots: slots(...indexes) };
    const guarded = [{ job: 'shop/web', slots: effects.slots, why: 'it is large' }];
    const summary = { ...NOTHING.summary, guarded };
    world.answer.plan = (head, base) => ({ ...NOTHING, effects, summary, head, base });
    world.fake.pulls = [pull()];
    await world.advance(1000);
    const cluster = `name: test\npolicies: { registries: [reg.example] }\n${visibility}`;
    const commits = [BASE, { 'cluster.yaml': cluster, 'configs/x': indexes.join() }];
    await world.see(viewOf(commits));
    return coversIn(world.fake.checks.get('plan/h1') ?? { buttons: [] });
  };
  const grace = { by: { login: 'grace', id: 2 }, permission: 'write' } as const;
  const ask = { action: 'approve', commit: 'h1', pull: 3, ...grace } as const;
  const now = () => EPOCH + world.now();
  const lookAgain = [expect.stringContaining('is not what was shown') as string];

  test.each(['', 'plan_visibility: counts\n'])('%s', async (visibility) => {
    const before = await lettingGo([1], visibility);
    const click = { ...ask, id: 'r1', kind: 'button', covers: before ?? '' } as const;
    const comment = { ...ask, id: 'r2', kind: 'comment', at: now() + 100 } as const;
    // Both are there before the pass in which the plan has grown.
    world.fake.requests = [click, comment];
    const after = await lettingGo([1, 2], visibility);
    expect(after).not.toBe(before);
    expect(world.records).toEqual([]);
    expect(world.fake.answers.map(({ words }) => words)).toEqual([...lookAgain, ...lookAgain]);
    world.fake.requests = [{ ...click, id: 'r3', covers: after ?? '' }];
    await world.poke();
    expect(world.records).toMatchObject([{ slots: slots(1, 2) }]);
  });

  test('less than was shown is covered; a comment counts for what stood there', async () => {
    const before = await lettingGo([1, 2]);
    await lettingGo([2]);
    world.fake.requests = [{ ...ask, id: 'r1', kind: 'button', covers: before ?? '' }];
    await world.poke();
    expect(world.records).toMatchObject([{ id: 'r1', slots: slots(2) }]);
    world.fake.requests = [{ ...ask, id: 'r2', kind: 'comment', at: now() + 5000 }];
    await world.poke();
    expect(world.records).toMatchObject([{ id: 'r1' }, { id: 'r2', slots: slots(2) }]);
  });

  test('what stands there since before a start was shown; what is told anew was not', async () => {
    await lettingGo([1]);
    const told = world.fake.checks.get('plan/h1');
    await world.stop();
    const again = createForgeWorld();
    try {
      if (told !== undefined) again.fake.checks.set('plan/h1', told);
      world = again;
      world.fake.requests = [{ ...ask, id: 'r1', kind: 'comment', at: EPOCH - 60_000 }];
      await lettingGo([1, 2]);
      expect(world.fake.answers.map(({ words }) => words)).toEqual(lookAgain);
    } finally {
      world = again;
    }
  });

  test('of a commit of the branch', async () => {
    const first = viewOf([BASE]);
    const { plan: made } = first;
    const guarded = (...indexes: readonly number[]) => ({
      ...first,
      plan: {
        ...made,
        guarded: [{ job: 'shop/web', slots: slots(...indexes), why: 'it is large' }],
      },
    });
    const commit = first.tree.head.oid;
    const covers = () => coversIn(world.fake.checks.get(`sync/${commit}`) ?? { buttons: [] });
    const click = { ...ask, kind: 'button', pull: null, commit } as const;
    world.fake.authors = [];
    await world.see(guarded(1));
    const before = covers() ?? '';
    world.fake.requests = [{ ...click, id: 'r1', covers: before }];
    await world.see(guarded(1, 2));
    expect(world.fake.answers.map(({ words }) => words)).toEqual(lookAgain);
    await world.advance(60_000);
    await world.see(guarded(1, 2));
    expect(covers()).not.toBe(before);
    expect(world.records).toEqual([]);
  });
});
