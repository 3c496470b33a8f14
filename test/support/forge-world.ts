// The forge's loop over a forge in memory, with a clock that the test moves.
// In: views that a test makes. Out: the loop, and all that it wrote, recorded and committed. Not
// here: the forge itself (fake-forge), GitHub's protocol (github/).

import { createForgeLoop } from '../../reconciler/forge-loop.ts';
import type { ForgeContext } from '../../reconciler/forge-context.ts';
import type { LoopState } from '../../reconciler/loop.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import type { CommitAsk, EdgeFailure } from '../../reconciler/ports.ts';
import type { PullRequest } from '../../schema/forge.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { CommitInfo } from '../../schema/source.ts';
import { createFakeForge } from './fake-forge.ts';
import { answerHistories, jobOf, ready, story, type Change, type Story } from './tree.ts';
import { aCopy, liveOf } from './world.ts';

export const WEB = 'jobs/shop/web.yaml';
export const BASE: Change = {
  'cluster.yaml': 'name: test\npolicies:\n  registries: [reg.example]\n',
  'nodes/n001.yaml': 'node: n001\n',
  'nodes/n002.yaml': 'node: n002\n',
  'nodes/n003.yaml': 'node: n003\n',
  [WEB]: 'image: reg.example/web:1\ncount: 3\n',
};

/** When a world begins, in ms since 1970. */
export const EPOCH = 1_700_000_000_000;

/** One commit or several, with three copies of the newest version, each with these facts. */
export const viewOf = (
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
  return { tree, desired, live, told: () => live, plan: made, violations: [], at: 0, stale: null };
};

export const createForgeWorld = (given: Pick<ForgeContext, 'environmentUrl'> = {}) => {
  const fake = createFakeForge();
  const clock = { now: 0, wake: () => {} };
  /** Of each whether it is over. */
  let sleeps: (() => boolean)[] = [];
  let state: LoopState = { view: null, failure: null, write: null, refused: null };
  const plans: string[] = [];
  const answer: {
    plan: (head: string, base: string) => PullPlan | Promise<PullPlan>;
    commits: Story;
  } = {
    commits: [],
    plan: (head, base) => ({ kind: 'untouched', head, base }),
  };
  const records: LedgerRecord[] = [];
  /** What keeps commits from the branch; null: nothing. */
  const closed: { branch: EdgeFailure | null } = { branch: null };
  const commits: CommitAsk[] = [];
  const offers: { readonly ask: CommitAsk; readonly branch: string }[] = [];
  let line: readonly CommitInfo[] = [];
  const quiet = () => undefined;
  const context: ForgeContext = {
    ...given,
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
      commit: async (ask) => {
        if (closed.branch !== null) throw closed.branch;
        return `made${commits.push(ask)}`;
      },
      complete: async (tree, asked) => answerHistories(answer.commits, tree, asked),
      listCommits: async (limit) => line.slice(0, limit),
      offer: async (ask, branch) => void offers.push({ ask, branch }),
    },
    clock: {
      now: () => clock.now,
      epochMs: () => EPOCH + clock.now,
      sleepUntil: (at, signal) =>
        new Promise<void>((resolve) => {
          const done = () => resolve();
          signal.addEventListener('abort', done, { once: true });
          if (signal.aborted) done();
          sleeps.push(() => {
            if (clock.now >= at) done();
            return clock.now >= at;
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
    closed,
    loop,
    settle,
    now: () => clock.now,
    /** The main loop made a pass. */
    see: async (view: LoopState['view'], more: Partial<Omit<LoopState, 'view'>> = {}) => {
      state = { failure: null, write: null, refused: null, ...more, view };
      const known = view?.tree.head;
      line = known === undefined ? [] : [known, ...line.filter(({ oid }) => oid !== known.oid)];
      clock.wake();
      await settle();
    },
    /** Commits that came with the next one in a push, newest first. */
    pushed: (commits: readonly CommitInfo[]) => {
      line = [...commits, ...line];
    },
    advance: async (ms: number) => {
      clock.now += ms;
      sleeps = sleeps.filter((isOver) => !isOver());
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

export const pull = (fields: Partial<PullRequest> = {}): PullRequest => ({
  number: 3,
  title: 'web 2',
  author: { login: 'ada', id: 1 },
  head: 'h1',
  headRef: 'web-2',
  fromFork: false,
  state: 'open',
  ...fields,
});
