// What the loop of the forge tells, in which order, how often, and what it does not tell twice: over a
// forge in memory, with a clock that the test moves.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createForgeLoop } from '../../../reconciler/forge-loop.ts';
import type { ForgeContext } from '../../../reconciler/forge-context.ts';
import type { LoopState } from '../../../reconciler/loop.ts';
import { REPLAN_MS } from '../../../reconciler/forge/pulls.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { CommitAsk, EdgeFailure } from '../../../reconciler/ports.ts';
import type { ForgeRequest, PullRequest } from '../../../schema/forge.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type { LiveAllocation } from '../../../schema/live.ts';
import type { PullPlan } from '../../../schema/pull-plan.ts';
import type { CommitInfo } from '../../../schema/source.ts';
import { createFakeForge } from '../../support/fake-forge.ts';
import { jobOf, ready, story, type Change } from '../../support/tree.ts';
import { aCopy, liveOf, STARTING } from '../../support/world.ts';

const WEB = 'jobs/shop/web.yaml';
const BASE: Change = {
  'cluster.yaml': 'name: test\npolicies:\n  registries: [reg.example]\n',
  'nodes/n001.yaml': 'node: n001\n',
  'nodes/n002.yaml': 'node: n002\n',
  'nodes/n003.yaml': 'node: n003\n',
  [WEB]: 'image: reg.example/web:1\ncount: 3\n',
};

/** One commit or several, with three copies of the newest version, each with these facts. */
const viewOf = (
  commits: readonly Change[],
  facts: Partial<LiveAllocation> | null = null,
  records: readonly LedgerRecord[] = [],
): NonNullable<LoopState['view']> => {
  const { tree, desired } = ready(story(...commits), { ledger: records });
  const job = jobOf(desired, 'shop/web');
  const copies = ['n001', 'n002', 'n003'].map((node, index) =>
    aCopy({ ...job, settled: facts === null }, { node, index, group: 'web' }, facts ?? {}),
  );
  const live = liveOf(copies);
  const made = plan(desired, live, 0);
  return { tree, desired, live, plan: made, violations: [], at: 0, stale: null };
};

const createWorld = () => {
  const fake = createFakeForge();
  const clock = { now: 0, wake: () => {} };
  const sleeps: (() => void)[] = [];
  let state: LoopState = { view: null, failure: null, write: null };
  const plans: string[] = [];
  const answer: { plan: (head: string, base: string) => PullPlan } = {
    plan: (head, base) => ({ kind: 'untouched', head, base }),
  };
  const records: LedgerRecord[] = [];
  const commits: CommitAsk[] = [];
  const offers: string[] = [];
  let line: readonly CommitInfo[] = [];
  const quiet = () => undefined;
  const context: ForgeContext = {
    forge: fake.port,
    plans: {
      plan: async ({ head, base }) => {
        plans.push(head);
        return answer.plan(head, base);
      },
      close: async () => {},
    },
    source: {
      record: async (written) => void records.push(...written),
      commit: async (ask) => `made${commits.push(ask)}`,
      complete: async (tree) => tree,
      listCommits: async (limit) => line.slice(0, limit),
      offer: async (_, branch) => void offers.push(branch),
    },
    clock: {
      now: () => clock.now,
      epochMs: () => 1_700_000_000_000 + clock.now,
      sleepUntil: (at, signal) =>
        new Promise<void>((resolve) => {
          const done = () => resolve();
          signal.addEventListener('abort', done, { once: true });
          if (signal.aborted) done();
          sleeps.push(() => {
            if (clock.now >= at) done();
          });
        }),
    },
    log: { info: quiet, warn: quiet, error: quiet },
    loop: { state: () => state, wake: () => {}, watch: (listener) => watch(() => listener(state)) },
  };
  const watch = (wake: () => void) => {
    clock.wake = wake;
    return () => true;
  };
  const loop = createForgeLoop(context);
  const stop = new AbortController();
  const running = loop.run(stop.signal);

  /** Until the loop has nothing more to do at this instant. */
  const settle = async () => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    fake,
    plans,
    answer,
    records,
    commits,
    offers,
    loop,
    /** The main loop made a pass. */
    see: async (view: LoopState['view'], write: LoopState['write'] = null) => {
      state = { view, failure: null, write };
      const known = view?.tree.head;
      line = known === undefined ? [] : [known, ...line.filter(({ oid }) => oid !== known.oid)];
      clock.wake();
      await settle();
    },
    advance: async (ms: number) => {
      clock.now += ms;
      for (const due of sleeps.splice(0)) due();
      await settle();
    },
    poke: async () => {
      fake.wake();
      await settle();
    },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
};

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.stop());

const pull = (fields: Partial<PullRequest> = {}): PullRequest => ({
  number: 3,
  title: 'web 2',
  author: { login: 'ada', id: 1 },
  head: 'h1',
  headRef: 'web-2',
  fromFork: false,
  state: 'open',
  ...fields,
});

const checkWrites = () => world.fake.writes.filter((line) => line.startsWith('check'));

describe('commits', () => {
  test('a commit is told while it rolls out, and as a deployment', async () => {
    const view = viewOf([BASE], STARTING);
    await world.see(view);
    const head = view.tree.head.oid;
    expect(world.fake.checks.get(`sync/${head}`)?.status).toBe('in_progress');
    expect(world.fake.deployments.map(({ state }) => state)).toEqual(['in_progress']);
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
    const again = createWorld();
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

describe('pull requests', () => {
  test('one is planned and told, with a comment; nothing is done twice', async () => {
    world.fake.pulls = [pull()];
    await world.see(viewOf([BASE]));
    for (let turn = 0; turn < 5; turn += 1) await world.poke();
    expect(world.plans).toEqual(['h1']);
    expect(world.fake.checks.get('plan/h1')?.conclusion).toBe('success');
    expect(world.fake.writes.filter((line) => line === 'comment #3')).toHaveLength(1);
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
