// How often GitHub is written to while 300 jobs roll out for ten minutes: the forge's loop and the
// edge of GitHub, both the product's, against the local GitHub, whose limits are GitHub's. In: a
// clock that the test moves, views of a rollout. Out: counts. Not here: the cluster itself (e2e).

import { afterEach, expect, test } from 'vitest';
import { createGitHub } from '../../reconciler/edge/forge/github.ts';
import { createForgeLoop } from '../../reconciler/forge-loop.ts';
import type { LoopState } from '../../reconciler/loop.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import type { ClockPort } from '../../reconciler/ports.ts';
import type { DesiredJob } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { endWorlds, world } from '../support/github-edge.ts';
import { ready, settledMark, story } from '../support/tree.ts';
import { aCopy, aFailure, DEAD, liveOf, settledBefore, STARTING } from '../support/world.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await endWorlds();
});

const JOBS = 300;
const ROLLOUT_MS = 600_000;
const STEP_MS = 5000;
/** Everything counted: checks, deployment, comment. */
const WRITES_MAX = 20;

type View = NonNullable<LoopState['view']>;

const names = Array.from({ length: JOBS }, (_, index) => `j${String(index).padStart(3, '0')}`);
const nodes = ['n001', 'n002', 'n003'];

/** All jobs settled at their first version, and a commit that changes each. */
const changedJobs = () => {
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

/** A clock that the test moves; `isIdle` once whoever uses it waits. */
const movedClock = (time: { now: number }) => {
  const waiting = new Set<() => void>();
  const port: ClockPort = {
    now: () => time.now,
    epochMs: () => EPOCH_MS + time.now,
    sleepUntil: (at, signal) =>
      new Promise((resolve) => {
        const look = () => {
          if (time.now < at && !signal.aborted) return;
          waiting.delete(look);
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
const EPOCH_MS = Date.parse('2026-11-22T08:00:00Z');

const started = async () => {
  const time = { now: 0 };
  const at = await world({ now: () => EPOCH_MS + time.now });
  const { hub, folder, main } = at;
  const [own, edge] = [movedClock(time), movedClock(time)];
  const { number } = await at.pull('change');
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const github = createGitHub({
    config: {
      kind: 'github',
      apiUrl: hub.api,
      owner: hub.owner,
      repo: hub.name,
      credentials: {
        kind: 'app',
        appId: hub.app.id,
        installation: hub.app.installationId,
        privateKeyFile: `${folder}/key.pem`,
      },
      webhook: { address: '127.0.0.1:0', path: '/webhook', secretFile: `${folder}/secret` },
      comments: true,
    },
    cluster: 'test',
    branch: 'main',
    clock: edge.port,
    log: quiet,
  });
  hub.hook(`http://${await github.listen()}/webhook`);
  let state: LoopState = { view: null, failure: null, write: null, refused: null };
  const line: View['tree']['head'][] = [];
  const wakes = new Set<() => void>();
  const loop = createForgeLoop({
    forge: github,
    plans: { plan: async (ask) => ({ kind: 'untouched', ...ask }), close: async () => undefined },
    source: {
      commit: () => expect.fail('nothing is committed'),
      record: () => expect.fail('nothing is recorded'),
      offer: () => expect.fail('nothing is offered'),
      complete: async (tree) => tree,
      listCommits: async () => line,
    },
    clock: own.port,
    log: quiet,
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
  stops.push(async () => {
    stop.abort();
    await running;
    await github.close();
  });
  const idle = async () => {
    do await new Promise((done) => setTimeout(done, 2));
    while (!own.isIdle());
  };
  return {
    hub,
    number,
    main,
    failure: loop.failure,
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

test('300 jobs in ten minutes, one in ten stumbles: at most 20 writes, everything counted', async () => {
  const { tree, desired } = changedJobs();
  const { hub, number, main, failure, see, advance } = await started();
  const viewAt = (oid: string, done: number, ledger: readonly LedgerRecord[]): View => {
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
  const synced = (commit: string): LedgerRecord => ({ kind: 'synced', commit });
  await see(viewAt(main, JOBS, [synced(main)]));
  await advance(120_000);
  expect(hub.comments(number)).toHaveLength(1);
  const before = hub.writes().length;

  const merged = await hub.merge({ pull: number, by: 'ada' });
  await hub.settled();
  for (let ms = 0; ms < ROLLOUT_MS; ms += STEP_MS) {
    await see(viewAt(merged, Math.floor((ms / ROLLOUT_MS) * JOBS), [synced(main)]));
    await advance(STEP_MS);
    expect(failure()).toBeNull();
  }
  const [during] = hub.checks(merged);
  expect(during).toMatchObject({ status: 'in_progress' });
  await see(viewAt(merged, JOBS, [synced(main), synced(merged)]));
  await advance(120_000);
  const writes = hub.writes().slice(before);
  console.log(`${writes.length} writes: ${countsOf(writes.map(({ path }) => kindOf(path)))}`);
  expect(hub.checks(merged)).toMatchObject([{ status: 'completed', conclusion: 'success' }]);
  expect(hub.comments(number).map(({ minimized }) => minimized)).toEqual(['RESOLVED']);
  expect(hub.deployments()).toHaveLength(2);
  expect(writes.length).toBeLessThanOrEqual(WRITES_MAX);
});

const kindOf = (path: string): string =>
  /check-runs|deployments|comments|graphql/.exec(path)?.[0] ?? path;

const countsOf = (kinds: readonly string[]): string =>
  [...new Set(kinds)]
    .map((kind) => `${kind} ${kinds.filter((one) => one === kind).length}`)
    .join(', ');
