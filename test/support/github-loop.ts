// The loop of the forge and the edge of GitHub, both the product's, against the local GitHub, with a
// clock that a test moves. In: views of a cluster in which many jobs change. Out: what stands on
// GitHub. Not here: the cluster itself (e2e), tests.

import { expect } from 'vitest';
import { createGitHub } from '../../reconciler/edge/forge/github.ts';
import { createForgeLoop } from '../../reconciler/forge-loop.ts';
import type { LoopState } from '../../reconciler/loop.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import type { ClockPort, PullPlansPort } from '../../reconciler/ports.ts';
import type { DesiredJob } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { World } from './github-edge.ts';
import { ready, settledMark, story } from './tree.ts';
import { aCopy, aFailure, DEAD, liveOf, settledBefore, STARTING } from './world.ts';

export type View = NonNullable<LoopState['view']>;

const nodes = ['n001', 'n002', 'n003'];

/** All jobs settled at their first version, and a commit that changes each. */
const changedJobs = (count: number) => {
  const names = Array.from({ length: count }, (_, index) => `j${String(index).padStart(3, '0')}`);
  const files = (tag: number) =>
    Object.fromEntries(
      names.map((name) => [`jobs/shop/${name}.yaml`, `image: reg.example/app:${tag}\ncount: 1\n`]),
    );
  const base = {
    'cluster.yaml': 'name: test\npolicies:\n  registries: [reg.example]\n',
    ...Object.fromEntries(nodes.map((node) => [`nodes/${node}.yaml`, `node: ${node}\n`])),
    ...files(1),
  };
  const marks = ready(story(base)).desired.jobs.map(settledMark);
  return ready(story(base, files(2)), { ledger: marks });
};

/** How a job is on its way: five at once, and one in ten dies once. */
const copyOf = (job: DesiredJob, index: number, done: number) => {
  const at = { node: nodes[index % nodes.length] ?? '', index: 0, group: job.spec.job };
  if (index < done) return aCopy({ ...job, settled: true }, at);
  if (index >= done + 5) return aCopy(settledBefore(job), at);
  const isDown = index % 10 === 2 && index === done;
  return aCopy(job, at, isDown ? { ...DEAD, failure: aFailure() } : STARTING);
};

/** Views of a rollout: of which commit, and how many jobs are done; what is synced by then. */
export const rolloutOf = (count: number) => {
  const { tree, desired } = changedJobs(count);
  return (oid: string, done: number, ledger: readonly LedgerRecord[]): View => {
    const commit = { ...desired.commit, oid };
    const jobs = desired.jobs.map((job) => ({ ...job, commit }));
    const copies = jobs.map((job, index) => copyOf(job, index, done));
    const live = liveOf(copies);
    const wanted = { ...desired, jobs, commit };
    const made = plan(wanted, live, 0);
    const head = { ...tree.head, oid };
    const all = { ...tree, head, ledger: [...tree.ledger, ...ledger] };
    const rest = { told: () => live, violations: [], at: 0, stale: null };
    return { tree: all, desired: wanted, live, plan: made, ...rest };
  };
};

/** A clock that the test moves; `isIdle` once whoever uses it waits. */
const movedClock = (time: { readonly now: number }, epochMs: number) => {
  const waiting = new Set<() => void>();
  const port: ClockPort = {
    now: () => time.now,
    epochMs: () => epochMs + time.now,
    sleepUntil: (at, signal) =>
      new Promise((resolve) => {
        const look = () => {
          if (time.now < at && !signal.aborted) return;
          waiting.delete(look);
          signal.removeEventListener('abort', look);
          resolve();
        };
        waiting.add(look);
        signal.addEventListener('abort', look, { once: true });
        look();
      }),
  };
  return {
    port,
    look: () => {
      for (const one of waiting) one();
    },
    isIdle: () => waiting.size > 0,
  };
};

export interface LoopAsk {
  /** Read now and then; `advance` moves it. */
  readonly time: { now: number };
  readonly epochMs: number;
  /** In place of the App: the token in this file, and no webhook. */
  readonly tokenFile?: string;
  /** Default: every pull request leaves the cluster as it is. */
  readonly plans?: PullPlansPort;
}

const UNTOUCHED: PullPlansPort = {
  plan: async (ask) => ({ kind: 'untouched', ...ask }),
  close: async () => undefined,
};

export const startLoop = async (
  at: World,
  { time, epochMs, tokenFile, plans = UNTOUCHED }: LoopAsk,
) => {
  const { hub, folder } = at;
  const lines: string[] = [];
  const [own, edge] = [movedClock(time, epochMs), movedClock(time, epochMs)];
  const note = (_: object, words: string) => void lines.push(words);
  const log = { info: note, warn: note, error: note };
  const github = createGitHub({
    config: {
      kind: 'github',
      apiUrl: hub.api,
      owner: hub.owner,
      repo: hub.name,
      credentials:
        tokenFile === undefined
          ? {
              kind: 'app',
              appId: hub.app.id,
              installation: hub.app.installationId,
              privateKeyFile: `${folder}/key.pem`,
            }
          : { kind: 'token', tokenFile },
      webhook:
        tokenFile === undefined
          ? { address: '127.0.0.1:0', path: '/webhook', secretFile: `${folder}/secret` }
          : null,
      comments: true,
    },
    cluster: 'test',
    branch: 'main',
    clock: edge.port,
    log,
  });
  const address = await github.listen();
  hub.hook(address === null ? null : `http://${address}/webhook`);
  let state: LoopState = { view: null, failure: null, write: null, refused: null };
  const line: View['tree']['head'][] = [];
  const wakes = new Set<() => void>();
  const loop = createForgeLoop({
    forge: github,
    plans,
    source: {
      commit: () => expect.fail('nothing is committed'),
      record: () => expect.fail('nothing is recorded'),
      offer: () => expect.fail('nothing is offered'),
      complete: async (tree) => tree,
      listCommits: async () => line,
    },
    clock: own.port,
    log,
    loop: {
      state: () => state,
      wake: () => undefined,
      watch: (listener) => {
        const wake = () => listener(state);
        wakes.add(wake);
        return () => wakes.delete(wake);
      },
    },
  });
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  const idle = async () => {
    do await new Promise((done) => setTimeout(done, 2));
    while (!own.isIdle());
  };
  return {
    failure: loop.failure,
    notice: github.notice,
    /** What was logged. */
    lines,
    stop: async () => {
      stop.abort();
      await running;
      await github.close();
    },
    see: async (view: View) => {
      state = { ...state, view };
      if (line[0]?.oid !== view.tree.head.oid) line.unshift(view.tree.head);
      for (const wake of wakes) wake();
      await idle();
    },
    advance: async (ms: number) => {
      time.now += ms;
      own.look();
      edge.look();
      await idle();
    },
  };
};
