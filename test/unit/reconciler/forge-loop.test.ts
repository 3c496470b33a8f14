// What the loop of the forge tells, in which order, how often, and what it does not tell twice: over a
// forge in memory, with a clock that the test moves.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RETRY_FIRST_MS, RETRY_LONGEST_MS } from '../../../reconciler/config.ts';
import { REPLAN_MS } from '../../../reconciler/forge/pulls.ts';
import type { EdgeFailure } from '../../../reconciler/ports.ts';
import { BUTTONS } from '../../../reconciler/render/buttons.ts';
import type { CheckReport, ForgeRequest } from '../../../schema/forge.ts';
import type { HeldFile, LedgerRecord } from '../../../schema/ledger.ts';
import type { CommitInfo, RefusedCommits } from '../../../schema/source.ts';
import { BASE, createForgeWorld, EPOCH, pull, viewOf, WEB } from '../../support/forge-world.ts';
import { jobOf, story } from '../../support/tree.ts';
import { DEAD, STARTING } from '../../support/world.ts';

let world: ReturnType<typeof createForgeWorld>;
beforeEach(() => {
  world = createForgeWorld();
});
afterEach(() => world.stop());

const TEN_MINUTES_MS = 600_000;
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

  const info = (word: string): CommitInfo => ({
    oid: word.repeat(40),
    parent: null,
    author: { name: 'Eve', email: 'eve@example.org' },
    authoredAt: 0,
    message: `Change ${word}`,
    trailers: [],
  });

  const deployed = () =>
    world.fake.deployments.map(({ commit, state }) => `${commit.slice(0, 4)} ${state}`);

  test('a deployment that succeeded stays so until the next one has: that one ends it', async () => {
    const [first, second] = [viewOf([BASE]), viewOf([BASE, { 'configs/x': 'y' }])];
    await world.see(first);
    await world.see(second);
    const [a, b] = [first, second].map(({ tree }) => tree.head.oid.slice(0, 4));
    expect(deployed()).toEqual([`${a} success`, `${b} success`]);
  });

  test('a deployment that another commit overtakes ends; one that never began is none', async () => {
    const first = viewOf([BASE], STARTING);
    await world.see(first);
    const between = info('d');
    world.pushed([between]);
    const next = viewOf([BASE, { [WEB]: 'image: reg.example/web:2\ncount: 3\n' }], STARTING);
    await world.see(next);
    const [a, b] = [first, next].map(({ tree }) => tree.head.oid.slice(0, 4));
    expect(world.fake.checks.get(`sync/${between.oid}`)?.conclusion).toBe('cancelled');
    expect(deployed().toSorted()).toEqual(
      [`${a} in_progress`, `${a} inactive`, `${b} in_progress`].toSorted(),
    );
  });

  test('a forge that is new here is told of the newest commit alone', async () => {
    world.pushed([info('e'), info('f')]);
    const view = viewOf([BASE]);
    await world.see(view);
    for (let turn = 0; turn < 3; turn += 1) await world.poke();
    expect(checkWrites()).toEqual([`check sync/${view.tree.head.oid}`]);
    expect(world.fake.deployments).toHaveLength(1);
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

  test('each refused commit of a push is told once, and ended when the branch goes on', async () => {
    const view = viewOf([BASE], STARTING);
    const [cause, newest] = [info('a'), info('b')];
    const unsigned = { kind: 'unsigned' } as const;
    const refused: RefusedCommits = {
      verify: 'strict',
      newest,
      cause,
      reason: unsigned,
      commits: [newest.oid, cause.oid],
      each: [
        { commit: newest, reason: null },
        { commit: cause, reason: unsigned },
      ],
    };
    world.pushed([newest, cause]);
    await world.see({ ...view, tree: { ...view.tree, refused } });
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    const told = [newest, cause].map(({ oid }) => world.fake.checks.get(`sync/${oid}`));
    expect(told.map((one) => [one?.conclusion, one?.title])).toEqual([
      ['failure', 'Not accepted: aaaaaaaaaaaa below it is not signed'],
      ['failure', 'Not accepted: it is not signed'],
    ]);
    expect(checkWrites().filter((line) => line.includes('bbbb'))).toHaveLength(1);
    // Somebody resumes at the newest, with a reconciler that has just started.
    const again = createForgeWorld();
    for (const [key, check] of world.fake.checks) again.fake.checks.set(key, check);
    again.pushed([cause, view.tree.head]);
    const commit = { ...view.desired.commit, oid: newest.oid };
    const tree = { ...view.tree, head: newest };
    await again.see({ ...view, tree, desired: { ...view.desired, commit } });
    const ended = again.fake.checks.get(`sync/${cause.oid}`);
    expect([ended?.conclusion, ended?.title]).toEqual(['cancelled', 'Superseded by bbbbbbbbbbbb']);
    expect(again.fake.checks.get(`sync/${newest.oid}`)?.conclusion).not.toBe('failure');
    await again.stop();
  });

  test('an older commit of a push whose file waits for its owner says so until it does not', async () => {
    await world.see(viewOf([BASE]));
    const view = viewOf([BASE, { 'configs/x': 'y' }]);
    const older = info('c');
    const held: HeldFile = {
      path: WEB,
      blob: 'b2',
      accepted: 'b1',
      commit: older.oid,
      since: older.oid,
      owners: ['@ada'],
      by: '',
    };
    const seeHeld = (heldFiles: readonly HeldFile[]) =>
      world.see({ ...view, desired: { ...view.desired, heldFiles } });
    const checkOf = () => world.fake.checks.get(`sync/${older.oid}`);
    world.pushed([older]);
    await seeHeld([held]);
    expect(checkOf()).toBeUndefined();
    await seeHeld([{ ...held, why: 'GitHub does not say who is in @shop/team' }]);
    expect(checkOf()?.summary).toContain('until it is known who approved it');
    expect(checkOf()?.summary).toContain('GitHub does not say who is in');
    await world.advance(60_000);
    await seeHeld([{ ...held, by: 'eve' }]);
    for (let turn = 0; turn < 3; turn += 1) await world.poke();
    expect([checkOf()?.conclusion, checkOf()?.title, checkOf()?.buttons]).toEqual([
      'action_required',
      '1 file of it waits for @ada',
      [],
    ]);
    expect(checkOf()?.summary).toContain('shop/web waits for an approval of');
    expect(checkWrites().filter((line) => line.includes('cccc'))).toHaveLength(2);
    await seeHeld([]);
    expect(checkOf()?.conclusion).toBe('cancelled');
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

  test('that a commit was taken back is told when the ledger says so, a moment after its end', async () => {
    const first = viewOf([BASE], STARTING);
    const { oid } = first.tree.head;
    const job = jobOf(first.desired, 'shop/web');
    const { id, deployment } = job;
    const of = { job: id, deployment, commit: oid };
    const evidence = { reason: 'exited with code 3', allocations: [] };
    const failed: LedgerRecord = { kind: 'failed', ...of, specHash: job.spec.specHash, evidence };
    const told = () => world.fake.checks.get(`sync/${oid}`);
    await world.see(first);
    await world.see(viewOf([BASE], DEAD, [failed]));
    expect(told()?.title).toMatch(/^shop\/web failed/);
    const commits = [BASE, { 'configs/x': 'y' }];
    const next = viewOf(commits, STARTING, [failed]);
    await world.see(next);
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    const before = checkWrites().length;
    const reverted: LedgerRecord = { ...of, kind: 'reverted', commit: next.tree.head.oid };
    await world.see(viewOf(commits, STARTING, [failed, reverted]));
    expect(told()?.title).toMatch(/exited with code 3; taken back$/);
    expect(told()?.summary).toContain(next.tree.head.oid.slice(0, 12));
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    await world.advance(TEN_MINUTES_MS);
    await world.see(viewOf(commits, STARTING, [failed, reverted]));
    expect(checkWrites().filter((line) => line.includes(oid))).toHaveLength(3);
    expect(checkWrites().length - before).toBeLessThanOrEqual(2);
  });

  test('words are made when they may be told: a cluster in motion makes few of them', async () => {
    const view = viewOf([BASE], STARTING);
    let made = 0;
    const counted = (from: typeof view): typeof view => {
      const deployments = from.plan.deployments.map((one) => ({
        ...one,
        get specHash() {
          made += 1;
          return one.specHash;
        },
      }));
      return { ...from, plan: { ...from.plan, deployments } };
    };
    await world.see(counted(view));
    const once = made;
    expect(once).toBeGreaterThan(0);
    for (let turn = 0; turn < 50; turn += 1) await world.see(counted(view));
    expect(made).toBe(once);
    await world.advance(15_000);
    expect(made).toBeGreaterThan(once);
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
  await world.advance(RETRY_FIRST_MS);
  expect(world.fake.checks.get(`sync/${head.oid}`)?.title).toBe('It was in sync');
  expect(buttonsAt(head.oid)).toEqual(['reland']);
  expect(buttonsAt(next.tree.head.oid)).toEqual(['rollback']);
});

test('what is refused is not written anew with each move of the cluster, and nothing is missed', async () => {
  const commits = [BASE, { [WEB]: 'image: reg.example/web:2\ncount: 3\n' }];
  const rolling = viewOf(commits, STARTING);
  const { oid } = rolling.tree.head;
  await world.see(rolling);
  const line = `check sync/${oid}`;
  world.fake.refused.set(line, { ...BROKEN_EDGE, message: 'HTTP 422' });
  const spy = vi.spyOn(world.fake.refused, 'get');
  const tries = () => spy.mock.calls.filter(([asked]) => asked === line).length;
  for (let turn = 0; turn < 50; turn += 1) {
    await world.see(viewOf(commits, DEAD));
    await world.see(viewOf(commits));
  }
  expect(tries()).toBeLessThanOrEqual(1);
  for (let ms = 0; ms < 60_000; ms += 500) {
    await world.see(viewOf(commits));
    await world.advance(500);
  }
  expect(tries()).toBeLessThanOrEqual(1 + 8);
  // It was in sync in between, and another commit follows before that could be told.
  await world.see(viewOf([...commits, { 'configs/x': 'y' }], STARTING));
  world.fake.refused.clear();
  await world.advance(RETRY_LONGEST_MS);
  expect(world.fake.checks.get(`sync/${oid}`)?.title).toBe('It was in sync');
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

  test('a forge that takes seconds for the check gets the comment right after it', async () => {
    await world.see(viewOf([BASE]));
    world.fake.pulls = [pull()];
    const { writeCheck } = world.fake.port;
    vi.spyOn(world.fake.port, 'writeCheck').mockImplementation(async (report, of) => {
      await writeCheck(report, of);
      await world.advance(4000);
    });
    await world.poke();
    for (let turn = 0; turn < 5; turn += 1) await world.advance(1);
    expect(world.fake.writes.slice(-2)).toEqual(['check plan/h1', 'comment #3']);
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

  test('the cluster moves what an approval lets go: it is shown first, with the same title', async () => {
    const { owned: _owned, ...made } = plannedChange();
    const plan = { slots: ['shop/web/web[1]'] };
    const guardedPlan = () => ({
      ...made,
      effects: { slots: plan.slots },
      summary: {
        ...made.summary,
        guarded: [{ job: 'shop/web', slots: plan.slots, why: 'it is large' }],
      },
    });
    world.answer.plan = (head, base) => ({ ...guardedPlan(), head, base });
    const told = () => world.fake.checks.get('plan/h1');
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    const { title, conclusion } = told() ?? {};
    expect(told()?.summary).toContain('web&#91;1&#93;');
    plan.slots = ['shop/web/web[2]'];
    await world.see(viewOf([BASE]));
    await world.advance(REPLAN_MS);
    expect(world.plans).toEqual(['h1', 'h1']);
    expect(told()).toMatchObject({ title, conclusion });
    expect(told()?.summary).toContain('web&#91;2&#93;');
    expect(world.fake.comments.get(3)?.body).toContain('web&#91;2&#93;');
    const by = { login: 'grace', id: 2 };
    const ask = { kind: 'comment', action: 'approve', commit: 'h1', pull: 3 } as const;
    const at = EPOCH + REPLAN_MS + 10_000;
    world.fake.requests = [{ id: 'r1', by, permission: 'write', at, ...ask }];
    await world.poke();
    expect(world.records).toMatchObject([{ kind: 'approval', slots: ['shop/web/web[2]'] }]);
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

  test('what is needed to know who is in a team is told in the check and in status', async () => {
    const made = plannedChange();
    world.answer.plan = (head, base) => ({ ...made, head, base });
    world.fake.pulls = [pull()];
    const ada = { name: 'ada', as: ['@ada'] };
    const unread = { teams: ['@shop/web'], why: 'the App lacks «Members: Read-only»' };
    world.fake.behind.set('#3', { authors: [ada], approvals: [], unread });
    await world.see(viewOf([BASE]));
    const check = world.fake.checks.get('plan/h1');
    expect(check?.conclusion).toBe('action_required');
    expect(check?.summary).toContain(
      'Who has approved is not known: the App lacks «Members: Read-only»',
    );
    expect(world.loop.failure()).toBeNull();
    expect(world.loop.notice()).toBe(
      'who approved #3 is not known: the App lacks «Members: Read-only»',
    );
    const other = { teams: ['@shop/db'], why: unread.why };
    world.fake.behind.set('#3', { authors: [ada], approvals: [], unread: other });
    await world.poke();
    expect(world.loop.notice()).toBeNull();
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

  test('what waits for a person goes on where another one that is open has the same head', async () => {
    const shared = waiting();
    world.fake.checks.set('plan/h1', shared);
    world.answer.plan = () => new Promise(() => {});
    world.fake.pulls = [pull({ state: 'closed' }), pull({ number: 4, headRef: 'web-3' })];
    await world.see(viewOf([BASE]));
    await world.advance(4000);
    expect(world.fake.comments.get(3)?.folded).toBe(true);
    expect(world.fake.checks.get('plan/h1')).toBe(shared);
  });

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
    world.fake.groups = [{ head: 'q1', base: 'b1', pull: 3 }];
    await world.see(viewOf([BASE]));
    expect(world.fake.checks.has('plan/q1')).toBe(true);
    expect(world.fake.writes.some((line) => line.startsWith('comment'))).toBe(false);
  });

  test('a merge queue’s check asks for what its pull requests lack of their owners', async () => {
    const made = plannedChange();
    world.answer.plan = (head, base) => ({ ...made, head, base });
    const conclusionOf = (head: string) => world.fake.checks.get(`plan/${head}`)?.conclusion;
    const ada = { name: 'ada', as: ['@ada'] };
    const grace = { name: 'grace', as: ['@grace', '@shop/web'] };
    world.fake.pulls = [pull(), pull({ number: 4, head: 'h4' })];
    world.fake.behind.set('#3', { authors: [ada], approvals: [grace] });
    world.fake.behind.set('#4', { authors: [ada], approvals: [] });
    world.fake.groups = [{ head: 'q3', base: 'b1', pull: 3 }];
    await world.see(viewOf([BASE]));
    expect([conclusionOf('h3'), conclusionOf('q3')]).toEqual([undefined, 'success']);
    world.fake.groups = [...world.fake.groups, { head: 'q4', base: 'q3', pull: 4 }];
    await world.poke();
    expect(conclusionOf('q4')).toBe('action_required');
    expect(world.fake.checks.get('plan/q4')?.title).toContain('waits for @shop/web');
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
    const author = { name: 'grace', email: '2+grace@forge.example' };
    expect(world.offers[0]?.ask.author, 'the address is the forge’s to say').toEqual(author);
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

test('a repository that was made anew is told all again, as after a start', async () => {
  const view = viewOf([BASE], STARTING);
  world.fake.pulls = [pull()];
  await world.see(view);
  const told = [...world.fake.checks.keys()];
  expect(told).toHaveLength(2);
  world.fake.checks.clear();
  world.fake.comments.clear();
  await world.poke();
  expect([...world.fake.checks.keys()]).toEqual([]);
  world.fake.renewals = 1;
  await world.poke();
  expect([...world.fake.checks.keys()]).toEqual(told);
  expect(world.fake.comments.has(3)).toBe(true);
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
    await world.advance(RETRY_FIRST_MS);
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
