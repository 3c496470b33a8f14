// Many open pull requests: each gets its check, whoever pushes is answered first, and plans that are
// made again share time and GitHub's limits. Over a forge in memory, with a clock that the test moves.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PULLS_AT_ONCE } from '../../../reconciler/forge/pull-turns.ts';
import { PULLS_PLANNED, REPLAN_MS } from '../../../reconciler/forge/pulls.ts';
import type { PullRequest } from '../../../schema/forge.ts';
import type { PullPlan } from '../../../schema/pull-plan.ts';
import { BASE, createForgeWorld, pull, viewOf } from '../../support/forge-world.ts';

let world: ReturnType<typeof createForgeWorld>;
beforeEach(() => {
  world = createForgeWorld();
  isEnded = false;
  end = async () => {};
});
afterEach(async () => {
  await end();
  await world.stop();
});

/** Plans that are still made are done. */
let isEnded = false;
let end = async (): Promise<void> => {};

const HOUR_MS = 3_600_000;
const NEXT = { 'configs/x': 'y' };

const pulls = (count: number, fields: Partial<PullRequest> = {}): PullRequest[] =>
  Array.from({ length: count }, (_, index) =>
    pull({ number: index + 1, head: `h${index + 1}`, ...fields }),
  );

/** Until the loop does nothing more at this instant. */
const quiet = async (): Promise<void> => {
  let before = -1;
  while (before !== world.plans.length + world.fake.writes.length) {
    before = world.plans.length + world.fake.writes.length;
    for (let turn = 0; turn < 5; turn += 1) await world.settle();
  }
};

const checked = (): readonly string[] =>
  world.fake.writes.flatMap((line) => /^check plan\/(.*)/.exec(line)?.[1] ?? []);
const commented = (): readonly string[] =>
  world.fake.writes.filter((line) => line.startsWith('comment'));

/** Pushed to one of them: it has another head. */
const push = (number: number, head: string): void => {
  world.fake.pulls = world.fake.pulls.map((one) =>
    one.number === number ? { ...one, head } : one,
  );
};

/** Plans take so long from now on, one after the other. */
const slowly = (takesMs: number) => {
  const waiting: (() => void)[] = [];
  let now = 0;
  let freeAt = 0;
  world.answer.plan = (head, base) =>
    new Promise<PullPlan>((resolve) => {
      const doneAt = Math.max(now, freeAt) + takesMs;
      freeAt = doneAt;
      const look = () => {
        if (now < doneAt && !isEnded) waiting.push(look);
        else resolve({ kind: 'untouched', head, base });
      };
      look();
    });
  end = async () => {
    isEnded = true;
    for (const look of waiting.splice(0)) look();
    await quiet();
  };
  return async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += takesMs / 2) {
      now += takesMs / 2;
      await world.advance(takesMs / 2);
      for (const look of waiting.splice(0)) look();
      await quiet();
    }
  };
};

test('a thousand: each gets its check and its comment', async () => {
  world.fake.pulls = pulls(PULLS_PLANNED);
  await world.see(viewOf([BASE]));
  await quiet();
  expect(new Set(checked()).size).toBe(PULLS_PLANNED);
  expect(checked()).toHaveLength(PULLS_PLANNED);
  expect(commented()).toHaveLength(PULLS_PLANNED);
  expect(world.loop.notice()).toBeNull();
  await world.poke();
  await quiet();
  expect(world.plans).toHaveLength(PULLS_PLANNED);
});

test('of more a thousand are planned, the others are told so at once; who asks for one gets it', async () => {
  const { fake, plans, loop } = world;
  fake.pulls = pulls(PULLS_PLANNED + 3, { fromFork: true }).map((one) =>
    one.number === 1 ? { ...one, fromFork: false } : one,
  );
  await world.see(viewOf([BASE]));
  await quiet();
  expect(plans).toHaveLength(PULLS_PLANNED);
  expect(plans[0]).toBe('h1');
  expect(plans).not.toContain('h3');
  const told = fake.checks.get('plan/h3');
  expect([told?.status, told?.conclusion]).toEqual(['completed', 'failure']);
  expect(told?.summary).toMatch(
    /more than 1,000 pull requests are open.*Comment `\/purser plan`/is,
  );
  expect(loop.notice()).toMatch(/of 1,003 open pull requests 1,000 are planned/);
  await world.see(viewOf([BASE, NEXT]));
  await quiet();
  expect(checked().filter((head) => head === 'h3')).toHaveLength(1);
  const by = { login: 'ada', id: 1 };
  const asked = { id: 'r1', kind: 'comment', action: 'plan', by, pull: 3, commit: 'h3' } as const;
  fake.requests = [{ ...asked, permission: 'write' }];
  await world.poke();
  await world.poke();
  await quiet();
  expect(plans).toContain('h3');
  expect(fake.checks.get('plan/h3')?.conclusion).toBe('success');
  // It takes the place of another one, which has its verdict, and is told.
  expect(fake.checks.get('plan/h5')?.conclusion).toBe('failure');
});

describe('who goes first', () => {
  test('a push to one of a thousand waits for the plan that is being made, not for the others', async () => {
    const pass = slowly(300);
    world.fake.pulls = pulls(PULLS_PLANNED);
    await world.see(viewOf([BASE]));
    await pass(3000);
    const before = checked().length;
    push(5, 'new');
    await world.poke();
    await pass(900);
    expect(checked().slice(before, before + 3)).toContain('new');
    expect(world.fake.urgent).toContain('plan/new push');
    expect(world.fake.urgent).toContain(`plan/h${PULLS_PLANNED} plan`);
  });

  test('the newest push, then what was pushed last before the start; forks after all own ones', async () => {
    const [one, two, three, four] = pulls(4).map((each, index) => ({
      ...each,
      updatedAt: `2026-01-0${5 - index}T00:00:00Z`,
    }));
    if (!one || !two || !three || !four) throw new Error('four');
    world.fake.pulls = [one, { ...two, fromFork: true }, three, four];
    await world.see(viewOf([BASE]));
    await quiet();
    expect(world.plans).toEqual(['h1', 'h3', 'h4', 'h2']);
    world.plans.length = 0;
    const pass = slowly(300);
    push(2, 'fork');
    push(3, 'first');
    await world.poke();
    await world.advance(100);
    push(4, 'second');
    await world.poke();
    await pass(1500);
    expect(world.plans).toEqual(['first', 'second', 'fork']);
  });

  test('after a merge: planned longest ago first, and a push before them', async () => {
    const many = PULLS_AT_ONCE + 10;
    world.fake.pulls = pulls(many);
    await world.see(viewOf([BASE]));
    await quiet();
    const first = [...world.plans];
    world.plans.length = 0;
    // One is planned later than the others.
    await world.advance(1000);
    push(many, 'late');
    await world.poke();
    await quiet();
    world.plans.length = 0;
    const pass = slowly(100);
    await world.see(viewOf([BASE, NEXT]));
    await pass(2000);
    push(7, 'pushed');
    await world.poke();
    await pass(HOUR_MS / 60);
    const at = world.plans.indexOf('pushed');
    expect(at).toBeGreaterThan(5);
    expect(at).toBeLessThan(25);
    expect(world.plans.filter((head) => head !== 'pushed' && head !== 'h7')).toEqual([
      ...first.filter((head) => head !== `h${many}` && head !== 'h7'),
      'late',
    ]);
  });

  test('what somebody approved is made again before the others', async () => {
    const { fake } = world;
    fake.pulls = pulls(3);
    const view = viewOf([BASE]);
    world.answer.plan = (head, base) => ({
      head,
      base,
      kind: 'planned',
      snapshot: 's',
      fields: [],
      effects: { slots: head === 'h1' ? ['shop/web/web[2]'] : [] },
      rehearsal: { losses: [], left: 0, waves: [], rollbacks: [] },
      summary: {
        jobs: [],
        waves: [],
        blocked: [],
        problems: [],
        assumed: [],
        stopped: null,
        guarded:
          head === 'h1' ? [{ job: 'shop/web', slots: ['shop/web/web[2]'], why: 'large' }] : [],
        pending: { steps: 0, blocked: [], problems: [] },
        capacity: { before: NONE, after: NONE, total: NONE },
      },
    });
    await world.see(view);
    expect(fake.checks.get('plan/h1')?.conclusion).toBe('action_required');
    world.plans.length = 0;
    const approvals = [{ id: 'a1', slots: [], jobs: [] }];
    const desired = { ...view.desired, approvals } as unknown as typeof view.desired;
    await world.see({ ...view, desired });
    expect(world.plans).toEqual(['h1', 'h3', 'h2']);
  });
});

const NONE = { cpuMilli: 0, memoryBytes: 0 };

describe('limits', () => {
  /** How many plans are made in ten minutes after a merge, when each takes a second. */
  const madeAgain = async (open: number): Promise<number> => {
    world.fake.pulls = pulls(open);
    await world.see(viewOf([BASE]));
    await quiet();
    world.plans.length = 0;
    const pass = slowly(1000);
    await world.see(viewOf([BASE, NEXT]));
    await pass(REPLAN_MS / 2);
    return world.plans.length;
  };

  test('up to fifty are made again as fast as they can be, as ever', async () => {
    const made = await madeAgain(PULLS_AT_ONCE);
    expect(made).toBe(PULLS_AT_ONCE);
  });

  test('of more, plans that are made again take a quarter of the time', async () => {
    const made = await madeAgain(5 * PULLS_AT_ONCE);
    const seconds = REPLAN_MS / 2 / 1000;
    expect(made).toBeGreaterThan(seconds / 4);
    expect(made).toBeLessThan(seconds / 4 + 25);
  });

  test('without room for plans nothing is tried and nothing fails; a push has room of its own', async () => {
    const { fake, loop, plans } = world;
    fake.pulls = pulls(60);
    await world.see(viewOf([BASE]));
    await quiet();
    fake.writes.length = 0;
    plans.length = 0;
    fake.room.plan = HOUR_MS;
    await world.see(viewOf([BASE, NEXT]));
    push(9, 'pushed');
    await world.poke();
    await quiet();
    expect(plans).toEqual(['pushed']);
    expect(checked()).toEqual(['pushed']);
    expect(loop.failure()).toBeNull();
    expect(loop.notice()).toMatch(/^1 comment .* wait for the limits/);
    fake.room.plan = 0;
    await world.advance(HOUR_MS);
    await quiet();
    expect(plans).toHaveLength(60);
    expect(fake.writes.filter((line) => line === 'comment #9')).toHaveLength(1);
    expect(loop.notice()).toBeNull();
  });

  test('a closed pull request is ended once there is room', async () => {
    const { fake } = world;
    fake.pulls = pulls(1);
    await world.see(viewOf([BASE]));
    fake.room.plan = 5000;
    fake.pulls = pulls(1, { state: 'merged' });
    await world.poke();
    expect(fake.comments.get(1)?.folded).toBe(false);
    await world.advance(5000);
    expect(fake.comments.get(1)?.folded).toBe(true);
  });

  test.each([3, PULLS_AT_ONCE + 1])('the checks of %i go before their comments', async (count) => {
    world.fake.pulls = pulls(count);
    await world.see(viewOf([BASE]));
    await quiet();
    const kinds = world.fake.writes.map((line) => /^(check plan|comment)/.exec(line)?.[1] ?? '');
    const told = kinds.filter((kind) => kind !== '');
    expect(told).toHaveLength(2 * count);
    expect(told.lastIndexOf('check plan')).toBeLessThan(told.indexOf('comment'));
  });

  test('a merge that changes nothing of what is said is told to nobody', async () => {
    world.answer.plan = (head, base) => ({ kind: 'conflict', head, base, files: ['a'] });
    world.fake.pulls = pulls(PULLS_AT_ONCE + 1);
    await world.see(viewOf([BASE]));
    await quiet();
    const writes = world.fake.writes.filter((line) => /plan|comment/.test(line)).length;
    await world.see(viewOf([BASE, NEXT]));
    await quiet();
    expect(world.plans).toHaveLength(2 * (PULLS_AT_ONCE + 1));
    expect(world.fake.writes.filter((line) => /plan|comment/.test(line))).toHaveLength(writes);
  });
});
