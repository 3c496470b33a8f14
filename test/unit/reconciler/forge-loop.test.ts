// What the loop of the forge tells, in which order, how often, and what it does not tell twice: over a
// forge in memory, with a clock that the test moves.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { REPLAN_MS } from '../../../reconciler/forge/pulls.ts';
import type { EdgeFailure } from '../../../reconciler/ports.ts';
import { BUTTONS } from '../../../reconciler/render/buttons.ts';
import type { CheckReport, ForgeRequest } from '../../../schema/forge.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import { BASE, createForgeWorld, pull, viewOf, WEB } from '../../support/forge-world.ts';
import { jobOf, story } from '../../support/tree.ts';
import { STARTING } from '../../support/world.ts';

let world: ReturnType<typeof createForgeWorld>;
beforeEach(() => {
  world = createForgeWorld();
});
afterEach(() => world.stop());

const BROKEN_EDGE = { kind: 'edge-failure', consequence: 'broken' } as const;

/** A plan that does nothing, of a change to a file that a team owns. */
const plannedChange = () => {
  const none = { cpuMilli: 0, memoryBytes: 0 };
  return {
    kind: 'planned',
    effects: { slots: [] },
    owned: [{ path: WEB, blob: 'b1', owners: ['@shop/web'] }],
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
      capacity: { before: none, after: none, total: none },
      assumed: [],
      stopped: null,
    },
  } as const;
};

const checkWrites = () => world.fake.writes.filter((line) => line.startsWith('check'));

describe('commits', () => {
  test('a commit is told while it rolls out, and as a deployment', async () => {
    const view = viewOf([BASE], STARTING);
    await world.see(view);
    const head = view.tree.head.oid;
    expect(world.fake.checks.get(`sync/${head}`)?.status).toBe('in_progress');
    expect(world.fake.deployments.map(({ state }) => state)).toEqual(['in_progress']);
  });

  test('a deployment names the address of the environment, where one is configured', async () => {
    await world.see(viewOf([BASE], STARTING));
    const other = createForgeWorld({ environmentUrl: 'https://shop.example' });
    await other.see(viewOf([BASE], STARTING));
    await other.stop();
    const urls = [world, other].map(({ fake }) => fake.deployments.map(({ url }) => url));
    expect(urls).toEqual([[null], ['https://shop.example']]);
  });

  test('the same state is written once, however often the loop wakes', async () => {
    const view = viewOf([BASE], STARTING);
    await world.see(view);
    for (let turn = 0; turn < 20; turn += 1) await world.poke();
    await world.advance(60_000);
    expect(checkWrites()).toHaveLength(1);
  });

  test('after a start the check that is there is not written again', async () => {
    const view = viewOf([BASE], STARTING);
    await world.see(view);
    const again = createForgeWorld();
    for (const [key, check] of world.fake.checks) again.fake.checks.set(key, check);
    await again.see(view);
    expect(again.fake.writes.filter((line) => line.startsWith('check'))).toEqual([]);
    await again.stop();
  });

  test('a commit that another follows before it was in sync is cancelled', async () => {
    const first = viewOf([BASE], STARTING);
    await world.see(first);
    await world.see(viewOf([BASE, { [WEB]: 'image: reg.example/web:2\ncount: 3\n' }], STARTING));
    const told = world.fake.checks.get(`sync/${first.tree.head.oid}`);
    expect([told?.status, told?.conclusion]).toEqual(['completed', 'cancelled']);
  });

  test('a commit that the branch was rewritten to is told, also after a start; then resumed', async () => {
    const view = viewOf([BASE]);
    const refused = { commit: 'f'.repeat(40), message: 'rewritten: run `purser resume --at f`' };
    const forced = `check sync/${refused.commit}`;
    await world.see(null, { refused, failure: refused.message });
    expect(world.fake.writes).toEqual([forced]);
    await world.see(view, { refused, failure: refused.message });
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    expect(world.fake.writes.filter((line) => line === forced)).toHaveLength(1);
    const told = world.fake.checks.get(`sync/${refused.commit}`);
    expect(told).toMatchObject({ status: 'completed', conclusion: 'failure', buttons: [] });
    expect(told?.summary).toContain('`purser resume --at f`');
    const { head } = view.tree;
    const resumed = { ...view.tree, head: { ...head, oid: refused.commit } };
    const { desired } = view;
    const commit = { ...desired.commit, oid: refused.commit };
    await world.see({ ...view, tree: resumed, desired: { ...desired, commit } });
    expect(world.fake.checks.get(`sync/${refused.commit}`)?.conclusion).toBe('success');
  });

  test('a commit that failed and was reverted ends as a failure, however fast the revert', async () => {
    const first = viewOf([BASE], STARTING);
    await world.see(first);
    const { oid } = first.tree.head;
    const job = jobOf(first.desired, 'shop/web');
    const failed: LedgerRecord = {
      kind: 'failed',
      job: job.id,
      specHash: job.spec.specHash,
      deployment: job.deployment,
      commit: oid,
      evidence: { reason: 'exited with code 3', allocations: [] },
    };
    await world.see(viewOf([BASE, { 'configs/x': 'y' }], STARTING, [failed]));
    const told = world.fake.checks.get(`sync/${oid}`);
    expect(told?.conclusion).toBe('failure');
    expect(`${told?.summary} ${told?.text}`).toContain('exited with code 3');
  });
});

test('a commit that took another one back offers to land that again, also once it is over', async () => {
  const commits = [BASE, { [WEB]: 'image: reg.example/web:2\ncount: 3\n' }];
  const view = viewOf(commits, STARTING);
  const head = { ...view.tree.head, trailers: [['Purser-Reverts', 'c'.repeat(40)] as const] };
  const buttonsAt = (commit: string) =>
    world.fake.checks.get(`sync/${commit}`)?.buttons.map(({ id }) => id);
  await world.see({ ...view, tree: { ...view.tree, head } });
  expect(buttonsAt(head.oid)).toEqual(['reland']);
  // In sync while the forge is away: it is told afterwards.
  world.fake.failure = { kind: 'edge-failure', consequence: 'retry', message: 'HTTP 502' };
  await world.see(viewOf(commits));
  world.fake.failure = null;
  const next = viewOf([...commits, { 'configs/x': 'y' }]);
  await world.see(next);
  expect(world.fake.checks.get(`sync/${head.oid}`)?.title).toBe('It was in sync');
  expect(buttonsAt(head.oid)).toEqual(['reland']);
  expect(buttonsAt(next.tree.head.oid)).toEqual(['rollback']);
});

test('more copies of a version that settled: in sync when they are healthy', async () => {
  const more = viewOf([BASE, { [WEB]: 'image: reg.example/web:1\ncount: 4\n' }]);
  const { oid } = more.tree.head;
  const synced: LedgerRecord = { kind: 'synced', commit: oid };
  await world.see({ ...more, tree: { ...more.tree, ledger: [synced] } });
  const told = world.fake.checks.get(`sync/${oid}`);
  expect([told?.status, told?.title]).toEqual(['in_progress', 'shop/web 3/4 healthy']);
  const next = viewOf([BASE, {}, { 'configs/x': 'y' }]);
  await world.see(next);
  expect(world.fake.checks.get(`sync/${oid}`)?.conclusion).toBe('cancelled');
});

test('a commit whose removals wait can be approved where it is told', async () => {
  const view = viewOf([BASE]);
  const guarded = [{ job: 'shop/web', slots: ['shop/web/web[2]'], why: 'it is large' }];
  await world.see({ ...view, plan: { ...view.plan, guarded, synced: false } });
  const told = world.fake.checks.get(`sync/${view.tree.head.oid}`);
  expect(told?.conclusion).toBe('action_required');
  expect(told?.buttons.map(({ id }) => id)).toEqual(['approve', 'rollback']);
  const by = { login: 'grace', id: 2 };
  const click = { kind: 'button', action: 'approve', commit: view.tree.head.oid } as const;
  world.fake.requests = [{ id: 'r1', by, permission: 'write', pull: null, ...click }];
  await world.poke();
  expect(world.fake.answers[0]?.words).toContain('has no account with this address');
  world.fake.accounts.set(view.desired.commit.email, { login: 'ada', id: 1 });
  world.fake.requests = [{ id: 'r2', by, permission: 'write', pull: null, ...click }];
  await world.poke();
  expect(world.records).toMatchObject([{ kind: 'approval', slots: ['shop/web/web[2]'] }]);
});

describe('pull requests', () => {
  test('one is planned and told, with a comment; nothing is done twice', async () => {
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    expect(world.plans).toEqual(['h1']);
    expect(world.fake.checks.get('plan/h1')?.conclusion).toBe('success');
    expect(world.fake.writes.filter((line) => line === 'comment #3')).toHaveLength(1);
  });

  test('one whose plan takes a minute holds up no commit and no person, and is told once', async () => {
    const { fake, plans, answer } = world;
    fake.pulls = [pull(), pull({ number: 4, head: 'h4' })];
    let made = () => {};
    const minute = new Promise<void>((resolve) => void (made = resolve));
    answer.plan = (head, base) =>
      head === 'h4'
        ? minute.then(() => ({ kind: 'untouched', head, base }) as const)
        : { kind: 'untouched', head, base };
    const view = viewOf([BASE], STARTING);
    await world.see(view);
    const sync = `sync/${view.tree.head.oid}`;
    expect(fake.checks.has(sync)).toBe(false);
    await world.advance(3000);
    expect(fake.checks.get(sync)?.status).toBe('in_progress');
    // The cluster moves meanwhile: what is being made is not begun anew each time.
    for (let turn = 0; turn < 5; turn += 1) {
      await world.see(viewOf([BASE], STARTING));
      await world.advance(3000);
    }
    expect(plans).toEqual(['h4']);
    expect(fake.writes.filter((line) => line.startsWith('check plan'))).toEqual([]);
    made();
    await world.settle();
    expect(plans).toEqual(['h4', 'h1']);
    expect(fake.checks.has('plan/h4') && fake.checks.has('plan/h1')).toBe(true);
    expect(fake.writes.filter((line) => line === 'check plan/h4')).toHaveLength(1);
  });

  test('of sixty fifty are planned, and it is said; whoever asks for another one gets it', async () => {
    const { fake, plans, loop } = world;
    fake.pulls = Array.from({ length: 60 }, (_, index) =>
      pull({ number: index + 1, head: `h${index + 1}`, fromFork: index > 0 }),
    );
    const view = viewOf([BASE]);
    await world.see(view);
    expect(plans).toHaveLength(50);
    expect(plans[0]).toBe('h1');
    expect(plans).not.toContain('h5');
    expect(loop.notice()).toMatch(/of 60 open pull requests 50 are planned/);
    const by = { login: 'ada', id: 1 };
    const asked = { id: 'r1', kind: 'comment', action: 'plan', by, pull: 5, commit: 'h5' } as const;
    fake.requests = [{ ...asked, permission: 'write' }];
    await world.poke();
    await world.poke();
    expect(plans).toContain('h5');
  });

  test('its plan begins while the forge is still asked for the rest, and is told once, after it', async () => {
    const { fake, plans } = world;
    fake.pulls = [pull(), pull({ number: 4, head: 'h4' })];
    let answer = () => {};
    fake.rest = new Promise((resolve) => void (answer = resolve));
    await world.see(viewOf([BASE]));
    expect(plans, 'one at a time, the newest first').toEqual(['h4']);
    expect(fake.writes).toEqual([]);
    answer();
    await world.settle();
    expect(plans).toEqual(['h4', 'h1']);
    expect(fake.writes).toContain('check plan/h4');
    await world.poke();
    expect(plans).toHaveLength(2);
  });

  test('what moved while it was being planned is planned as it stands now', async () => {
    const { fake, plans } = world;
    fake.pulls = [pull()];
    let answer = () => {};
    fake.rest = new Promise((resolve) => void (answer = resolve));
    await world.see(viewOf([BASE]));
    fake.failure = { ...BROKEN_EDGE, message: 'it is away' };
    answer();
    await world.settle();
    fake.failure = null;
    fake.pulls = [pull({ head: 'h2' })];
    await world.poke();
    expect(plans).toEqual(['h1', 'h2']);
    expect(fake.checks.has('plan/h1')).toBe(false);
    expect(fake.checks.has('plan/h2')).toBe(true);
  });

  test('a push is planned again at once, on the new commit', async () => {
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    world.fake.pulls = [pull({ head: 'h2' })];
    await world.poke();
    expect(world.plans).toEqual(['h1', 'h2']);
    expect(world.fake.checks.has('plan/h2')).toBe(true);
  });

  test('a node that flaps is planned at most every five minutes, and not told without news', async () => {
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    for (let turn = 0; turn < 10; turn += 1) {
      await world.advance(REPLAN_MS / 10);
      await world.see(viewOf([BASE]));
    }
    expect(world.plans).toEqual(['h1', 'h1']);
    expect(checkWrites().filter((line) => line === 'check plan/h1')).toHaveLength(1);
  });

  test('the comment is folded when the pull request is merged, once', async () => {
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    world.fake.pulls = [pull({ state: 'merged' })];
    for (let turn = 0; turn < 3; turn += 1) await world.poke();
    expect(world.fake.writes.filter((line) => line.startsWith('comment'))).toEqual([
      'comment #3',
      'comment #3 folded',
    ]);
  });

  test('a review tells the plan again without making it anew', async () => {
    const made = plannedChange();
    world.answer.plan = (head, base) => ({ ...made, head, base });
    world.fake.pulls = [pull()];
    const ada = { name: 'ada', as: ['@ada'] };
    world.fake.behind.set('#3', { authors: [ada], approvals: [] });
    await world.see(viewOf([BASE]));
    const waiting = world.fake.checks.get('plan/h1');
    expect([waiting?.conclusion, waiting?.title]).toEqual([
      'action_required',
      'Nothing starts or stops, waits for @shop/web',
    ]);
    expect(waiting?.summary).toContain('`shop/web` needs an approval of `@shop/web`');
    expect(waiting?.buttons.map(({ id }) => id)).toEqual(['approve']);
    for (let turn = 0; turn < 3; turn += 1) await world.poke();
    const grace = { name: 'grace', as: ['@grace', '@shop/web'] };
    world.fake.behind.set('#3', { authors: [ada], approvals: [grace] });
    await world.poke();
    expect(world.fake.checks.get('plan/h1')?.conclusion).toBe('success');
    expect(world.plans).toEqual(['h1']);
    expect(checkWrites().filter((line) => line === 'check plan/h1')).toHaveLength(2);
  });

  test('whose approvals cannot be asked is told as waiting, and the reason is shown', async () => {
    const made = plannedChange();
    world.answer.plan = (head, base) => ({ ...made, head, base });
    world.fake.pulls = [pull()];
    (world.fake.port as { behind: unknown }).behind = () =>
      Promise.reject(Object.assign(new Error('no «Members»'), BROKEN_EDGE));
    await world.see(viewOf([BASE]));
    expect(world.fake.checks.get('plan/h1')?.conclusion).toBe('action_required');
    expect(world.loop.failure()).toContain('no «Members»');
  });

  const waiting = (fields: Partial<CheckReport> = {}): CheckReport => ({
    kind: 'plan',
    commit: 'h1',
    status: 'completed',
    conclusion: 'action_required',
    title: '3 stop, 3 copies would stop once approved',
    summary: 'Somebody must approve.',
    text: '',
    annotations: [],
    buttons: [BUTTONS.approve],
    ...fields,
  });

  test.each([
    ['merged', 'Merged: 3 stop, 3 copies would stop once approved'],
    ['closed', 'Closed: 3 stop, 3 copies would stop once approved'],
  ] as const)(
    'what waited for a person ends with a pull request that is %s',
    async (state, title) => {
      world.fake.checks.set('plan/h1', waiting());
      world.fake.pulls = [pull({ state })];
      await world.see(viewOf([BASE]));
      for (let turn = 0; turn < 3; turn += 1) await world.poke();
      expect(world.fake.checks.get('plan/h1')).toMatchObject({
        conclusion: 'cancelled',
        title,
        summary: expect.stringMatching(/ plan was:\n\nSomebody must approve/) as string,
        buttons: [],
      });
      expect(world.fake.writes.filter((line) => / h1|\/h1|#3/.test(line))).toEqual([
        'check plan/h1',
        'comment #3 folded',
      ]);
    },
  );

  test.each(['success', 'failure'] as const)(
    'a verdict of %s stays as it is',
    async (conclusion) => {
      world.fake.checks.set('plan/h1', waiting({ conclusion }));
      world.fake.pulls = [pull({ state: 'merged' })];
      await world.see(viewOf([BASE]));
      expect(world.fake.writes).not.toContain('check plan/h1');
      expect(world.fake.comments.get(3)?.folded).toBe(true);
    },
  );

  test('where there are no checks, the comment has the details', async () => {
    world.fake.hasChecks = false;
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    expect(world.fake.comments.get(3)?.body).not.toContain('in the check');
    expect(world.fake.comments.get(3)?.body).toContain('As a comment: `/purser plan`');
  });

  test('a merge queue gets its check, and no comment', async () => {
    world.fake.groups = [{ head: 'q1', base: 'b1' }];
    await world.see(viewOf([BASE]));
    expect(world.fake.checks.has('plan/q1')).toBe(true);
    expect(world.fake.writes.some((line) => line.startsWith('comment'))).toBe(false);
  });
});

describe('requests', () => {
  const request = (fields: Partial<ForgeRequest> = {}): ForgeRequest => ({
    id: 'r1',
    kind: 'comment',
    action: 'plan',
    by: { login: 'grace', id: 2 },
    permission: 'write',
    commit: 'h1',
    pull: 3,
    ...fields,
  });

  test('`/purser plan` plans again', async () => {
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    world.fake.requests = [request()];
    await world.poke();
    await world.advance(1000);
    expect(world.plans).toEqual(['h1', 'h1']);
    expect(world.fake.answers).toEqual([{ id: 'r1', words: 'The plan is made anew.', done: true }]);
  });

  const NEXT = { [WEB]: 'image: reg.example/web:2\ncount: 3\n' };

  test('a commit that the branch does not take is a pull request', async () => {
    const view = viewOf([BASE, NEXT]);
    const { oid } = view.tree.head;
    world.answer.commits = story(BASE, NEXT);
    world.closed.branch = { kind: 'edge-failure', consequence: 'broken', message: 'protected' };
    world.fake.requests = [
      request({ kind: 'button', action: 'rollback', pull: null, commit: oid }),
    ];
    await world.see(view);
    const branch = `purser/test/rollback-${oid.slice(0, 12)}`;
    expect(world.offers.map((one) => one.branch)).toEqual([branch]);
    expect(world.offers[0]?.ask.author).toMatchObject({ name: 'grace' });
    expect(world.fake.opened).toMatchObject([
      { branch, title: `Roll back commit ${oid.slice(0, 12)}` },
    ]);
    expect(world.fake.answers).toEqual([
      {
        id: 'r1',
        words: 'Purser may not push to the branch, so it is pull request #101: merge it to do so.',
        done: true,
      },
    ]);
  });

  test('a commit that cannot be written now is asked again, and others go first', async () => {
    const view = viewOf([BASE, NEXT]);
    const { oid } = view.tree.head;
    world.answer.commits = story(BASE, NEXT);
    world.closed.branch = { kind: 'edge-failure', consequence: 'retry', message: 'HTTP 502' };
    const ids = Array.from({ length: 40 }, (_, index) => `r${index}`);
    const click = { kind: 'button', action: 'rollback', pull: null, commit: oid } as const;
    world.fake.pulls = [pull()];
    world.fake.requests = [...ids.map((id) => request({ id, ...click })), request({ id: 'last' })];
    await world.see(view);
    expect(world.fake.answers).toEqual([]);
    await world.advance(60_000);
    await world.advance(60_000);
    expect(world.fake.answers.map(({ id }) => id)).toEqual(['last']);
    world.closed.branch = null;
    await world.advance(60_000);
    expect(world.commits).toHaveLength(1);
  });

  test('a stranger is answered, and nothing is done', async () => {
    world.fake.pulls = [pull()];
    world.fake.requests = [request({ action: 'approve', permission: 'read' })];
    await world.see(viewOf([BASE]));
    expect(world.fake.answers.map(({ done }) => done)).toEqual([false]);
    expect(world.records).toEqual([]);
  });

  test('what a crash left unanswered is not done twice', async () => {
    const view = viewOf([BASE]);
    const head = { ...view.tree.head, trailers: [['Purser-Request', 'r1'] as const] };
    world.fake.requests = [request({ action: 'retry', pull: null, commit: head.oid })];
    await world.see({ ...view, tree: { ...view.tree, head } });
    expect(world.commits).toEqual([]);
    expect(world.fake.answers[0]?.words).toBe('This is done already.');
  });
});

test('while the forge is away nothing is lost: all is told afterwards', async () => {
  const failure: EdgeFailure = { kind: 'edge-failure', consequence: 'retry', message: 'HTTP 502' };
  world.fake.failure = failure;
  world.fake.pulls = [pull()];
  const view = viewOf([BASE], STARTING);
  await world.see(view);
  expect(world.loop.failure()).toBe('HTTP 502');
  await world.advance(3_600_000);
  world.fake.failure = null;
  await world.advance(60_000);
  expect(world.loop.failure()).toBeNull();
  expect(world.fake.checks.has(`sync/${view.tree.head.oid}`)).toBe(true);
  expect(world.fake.checks.has('plan/h1')).toBe(true);
});

describe('what the forge refuses of one keeps no other from being told', () => {
  const refusal: EdgeFailure = {
    kind: 'edge-failure',
    consequence: 'broken',
    message: 'GitHub refuses POST /repos/o/r/check-runs: no',
  };

  test('a pull request whose check cannot be written', async () => {
    world.fake.refused.set('check plan/h9', refusal);
    world.fake.pulls = [pull({ number: 9, head: 'h9' }), pull(), pull({ number: 1, head: 'h0' })];
    const view = viewOf([BASE]);
    await world.see(view);
    expect([...world.fake.checks.keys()]).toEqual([
      'plan/h1',
      'plan/h0',
      `sync/${view.tree.head.oid}`,
    ]);
    expect(world.loop.failure()).toBe(refusal.message);
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    expect(world.plans.filter((head) => head === 'h9')).toHaveLength(1);
    world.fake.refused.clear();
    await world.advance(60_000);
    expect(world.fake.checks.has('plan/h9')).toBe(true);
    expect(world.loop.failure()).toBeNull();
  });

  test('a closed pull request whose comment cannot be folded', async () => {
    world.fake.refused.set('comment #9 folded', refusal);
    world.fake.pulls = [pull({ number: 9, state: 'closed' }), pull({ state: 'merged' })];
    await world.see(viewOf([BASE]));
    expect(world.fake.comments.get(3)?.folded).toBe(true);
    expect(world.loop.failure()).toBe(refusal.message);
  });

  test('a commit whose check cannot be written', async () => {
    const first = viewOf([BASE], STARTING);
    world.fake.refused.set(`check sync/${first.tree.head.oid}`, refusal);
    await world.see(first);
    const second = viewOf([BASE, { 'configs/x': 'y' }], STARTING);
    await world.see(second);
    expect(world.fake.checks.get(`sync/${second.tree.head.oid}`)?.status).toBe('in_progress');
    expect(world.loop.failure()).toBe(refusal.message);
  });

  test('a click that cannot be answered', async () => {
    const stranger = { by: { login: 'eve', id: 5 }, permission: 'read' } as const;
    const ask = { kind: 'comment', action: 'approve', commit: 'h1', pull: 3 } as const;
    world.fake.pulls = [pull()];
    world.fake.requests = ['r1', 'r2'].map((id) => ({ id, ...stranger, ...ask }));
    world.fake.refused.set('answer r1', refusal);
    await world.see(viewOf([BASE]));
    expect(world.fake.answers.map(({ id }) => id)).toEqual(['r2']);
    expect(world.loop.failure()).toBe(refusal.message);
  });
});
