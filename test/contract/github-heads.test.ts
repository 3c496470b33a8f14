// Heads and bases that move while a plan of them is made: force-pushed, deleted with their branch or
// their fork, retargeted, closed and opened again. The forge's loop, its plans and the edges of GitHub
// and Git, all the product's, against the local GitHub with real Git. In: plans that wait until a test
// lets them go on. Out: that each check is closed, that the new head is planned, and nothing is said
// twice. Not here: what a plan says (pull-plans), that containers stay (e2e/github-trouble).

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPullReader } from '../../reconciler/edge/git/pulls.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { createPullPlanner } from '../../reconciler/pull-plan.ts';
import type { PullPlansPort } from '../../reconciler/ports.ts';
import * as changes from '../support/github/changes.ts';
import { gitIn } from '../support/github/git.ts';
import { endWorlds, world } from '../support/github-edge.ts';
import { rolloutOf, startLoop } from '../support/github-loop.ts';
import { liveOf } from '../support/world.ts';

const EPOCH_MS = Date.parse('2026-11-22T08:00:00Z');
const STEP_MS = 10_000;
/** Each look takes a moment of real time, for real Git. */
const LOOKS_MAX = 60;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const IMAGE = `image: reg.example/app:1@sha256:${'a'.repeat(64)}`;

const ends: (() => Promise<void> | void)[] = [];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(EPOCH_MS);
});
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
  await endWorlds();
  vi.useRealTimers();
});

const time = {
  get now() {
    return Date.now() - EPOCH_MS;
  },
  set now(ms: number) {
    vi.setSystemTime(EPOCH_MS + ms);
  },
};

/** Plans as the product makes them, from the local GitHub's repository; held until they may go on. */
const plansOf = async (repository: string, cacheDir: string) => {
  const place = {
    repository,
    branch: 'main',
    directory: '',
    cluster: 'test',
    cacheDir,
    log: quiet,
  };
  const source = createGitSource(place);
  await source.read();
  source.close();
  const reader = createPullReader(place);
  ends.push(() => reader.close());
  const registry = { resolve: () => expect.fail('its digest is known') };
  const now = () => performance.now();
  const planner = createPullPlanner({ reader, registry, anonymous: registry, now });
  const asked: Parameters<PullPlansPort['plan']>[0][] = [];
  let gate: Promise<void> = Promise.resolve();
  const port: PullPlansPort = {
    plan: async (ask) => {
      asked.push(ask);
      await gate;
      return planner({ ...ask, live: liveOf([], {}, ['n001']) });
    },
    close: async () => undefined,
  };
  const hold = (): (() => void) => {
    let release = () => undefined as void;
    gate = new Promise((done) => (release = done));
    return release;
  };
  return { port, asked, hold };
};

const started = async () => {
  const at = await world();
  const { hub, git, folder } = at;
  const write = async (files: Readonly<Record<string, string>>): Promise<string> => {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, 'work', name), text);
    }
    await git('add', '.');
    await git('commit', '-qm', Object.keys(files).join());
    return git('rev-parse', 'HEAD');
  };
  const push = async (...words: readonly string[]): Promise<void> => {
    await git('push', '-q', hub.pushUrl('ada'), ...words);
    await hub.settled();
  };
  const onto = async (branch: string, from: string, count: number): Promise<string> => {
    await git('checkout', '-q', '-B', branch, from);
    return write({ 'jobs/shop/web.yaml': `${IMAGE}\ncount: ${count}\n` });
  };
  mkdirSync(join(folder, 'work/jobs/shop'), { recursive: true });
  mkdirSync(join(folder, 'work/nodes'), { recursive: true });
  await write({
    'cluster.yaml': 'name: test\npolicies: { registries: [reg.example] }\n',
    'nodes/n001.yaml': 'node: n001\n',
  });
  const base = await onto('main', 'HEAD', 1);
  await push('main');
  const plans = await plansOf(hub.pushUrl(null), join(folder, 'cache'));
  const loop = await startLoop(at, { time, epochMs: EPOCH_MS, plans: plans.port });
  ends.push(loop.stop);
  const viewAt = rolloutOf(1);
  const see = (commit: string) => loop.see(viewAt(commit, 1, [{ kind: 'synced', commit }]));
  await see(base);
  /** Looks again until this holds. */
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (let look = 0; !holds(); look += 1) {
      if (look === LOOKS_MAX) {
        const told = hub.checks().map(({ sha, status, output }) => [sha, status, output.title]);
        expect.fail(`${what}: ${loop.failure()} ${JSON.stringify(told)}`);
      }
      await loop.advance(STEP_MS);
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  const planOf = (commit: string) => hub.checks(commit).filter(({ name }) => name === 'plan/test');
  const isPlanned = (commit: string) => planOf(commit)[0]?.status === 'completed';
  return { ...at, ...loop, ...plans, base, onto, push, see, until, planOf, isPlanned };
};

type Started = Awaited<ReturnType<typeof started>>;

/** What must hold in the end, whatever came. */
const isInOrder = async ({ hub, failure, until }: Started): Promise<void> => {
  await until('all is told', () => failure() === null);
  const open = hub.checks().filter(({ status }) => status !== 'completed');
  expect(open, 'a check that nobody closes').toEqual([]);
  const twice = new Set(hub.checks().map(({ name, sha }) => `${name} ${sha}`));
  expect(twice.size, 'one check of each').toBe(hub.checks().length);
  for (const { number } of hub.pulls()) {
    expect(hub.comments(number).length).toBeLessThanOrEqual(1);
  }
};

/** Nothing of it is kept on the server. */
const prune = async (folder: string): Promise<void> => {
  await gitIn(folder, ['reflog', 'expire', '--expire=now', '--all']);
  await gitIn(folder, ['gc', '--quiet', '--prune=now']);
};

test.each([
  ['stays with the server', false],
  ['is gone from the server', true],
])('force-pushed in mid-plan, and the old head %s', async (_, isGone) => {
  const at = await started();
  const { hub, base, onto, push, hold, until, asked, planOf, isPlanned } = at;
  const old = await onto('topic', base, 2);
  await push('topic');
  const release = hold();
  const { number } = await hub.openPull({ head: 'topic', by: 'ada' });
  await until('its plan is begun', () => asked.some(({ head }) => head === old));
  const head = await onto('topic', base, 3);
  await push('+topic');
  if (isGone) await prune(hub.folder);
  release();
  await until('the new head is planned', () => isPlanned(head));
  await isInOrder(at);
  expect(planOf(head)).toMatchObject([{ conclusion: 'success' }]);
  expect(planOf(old).every(({ status }) => status === 'completed')).toBe(true);
  await until(
    'its comment is of it',
    () => hub.comments(number)[0]?.body.includes(head.slice(0, 12)) === true,
  );
});

test('its branch is deleted in mid-plan: it is closed, and what was told is ended', async () => {
  const at = await started();
  const { hub, base, onto, push, hold, until, asked, isPlanned } = at;
  const head = await onto('topic', base, 2);
  await push('topic');
  const release = hold();
  const { number } = await hub.openPull({ head: 'topic', by: 'ada' });
  await until('its plan is begun', () => asked.length > 0);
  await push(':topic');
  expect(hub.pulls()[0]?.state).toBe('closed');
  release();
  const other = await onto('other', base, 4);
  await push('other');
  await hub.openPull({ head: 'other', by: 'ada' });
  await until('others are planned', () => isPlanned(other));
  await isInOrder(at);
  await until('no comment is open', () =>
    hub.comments(number).every(({ minimized }) => minimized !== null),
  );
  expect(at.planOf(head).every(({ conclusion }) => conclusion !== 'action_required')).toBe(true);
});

test('its fork is deleted in mid-plan: GitHub keeps the head, and it is planned', async () => {
  const at = await started();
  const { hub, git, base, onto, hold, until, asked, planOf, isPlanned } = at;
  hub.person('mallory', 'none');
  const head = await onto('theirs', base, 2);
  await git('push', '-q', hub.fork('mallory'), 'theirs');
  await hub.settled();
  const release = hold();
  const { number } = await hub.openPull({ head: 'theirs', by: 'mallory', fromFork: true });
  await until('its plan is begun', () => asked.some((one) => one.head === head));
  changes.deleteFork(hub, 'mallory');
  release();
  await until('it is planned', () => isPlanned(head));
  await isInOrder(at);
  expect(asked.every(({ fromFork }) => fromFork)).toBe(true);
  expect(planOf(head)).toMatchObject([{ conclusion: 'success' }]);
  await until('its comment is there', () => hub.comments(number).length === 1);
});

test('the branch moves in mid-plan: what counts in the end is the plan onto its newest commit', async () => {
  const at = await started();
  const { hub, base, onto, push, hold, see, until, asked, planOf } = at;
  const head = await onto('topic', base, 2);
  await push('topic');
  const release = hold();
  const { number } = await hub.openPull({ head: 'topic', by: 'ada' });
  await until('its plan is begun', () => asked.length > 0);
  const conflicting = await onto('main', base, 5);
  await push('main');
  await see(conflicting);
  release();
  await until('it conflicts', () => planOf(head)[0]?.conclusion === 'failure');
  await isInOrder(at);
  expect(planOf(head)[0]?.output.title).toMatch(/conflict/i);
  const back = await onto('main', conflicting, 1);
  await push('main');
  await see(back);
  await until('it fits again', () => planOf(head)[0]?.conclusion === 'success');
  await isInOrder(at);
  await until('its comment is there', () => hub.comments(number).length === 1);
});

test('retargeted and back, closed and reopened, a draft and ready: told once, and no more', async () => {
  const at = await started();
  const { hub, base, onto, push, until, advance, planOf, isPlanned } = at;
  const head = await onto('topic', base, 2);
  await push('topic', 'main:release');
  const { number } = await hub.openPull({ head: 'topic', by: 'ada' });
  await until('it is planned', () => isPlanned(head) && hub.comments(number).length === 1);
  await isInOrder(at);
  const body = hub.comments(number)[0]?.body;
  let writes = hub.writes().length;
  const looked = async (): Promise<number> => {
    await hub.settled();
    for (let look = 0; look < 8; look += 1) {
      await advance(STEP_MS);
      await new Promise((done) => setTimeout(done, 20));
    }
    const count = hub.writes().length - writes;
    writes += count;
    return count;
  };
  await changes.setDraft(hub, number, true);
  expect(await looked(), 'a draft is planned as any other').toBe(0);
  await changes.setDraft(hub, number, false);
  expect(await looked()).toBe(0);
  await changes.retarget(hub, number, 'release');
  expect(await looked(), 'another branch is nobody’s business').toBe(0);
  await changes.retarget(hub, number, 'main');
  expect(await looked(), 'the same is not said again').toBe(0);
  await hub.closePull(number, 'ada');
  // The fold, and its words.
  expect(await looked()).toBe(2);
  expect(hub.comments(number)).toMatchObject([{ minimized: 'RESOLVED' }]);
  await hub.reopenPull(number, 'ada');
  expect(await looked()).toBe(2);
  expect(hub.comments(number)).toMatchObject([{ minimized: null, body }]);
  expect(planOf(head)).toMatchObject([{ conclusion: 'success' }]);
  await isInOrder(at);
});
