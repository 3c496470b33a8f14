// 120 jobs changed by one merged pull request, on real containerd behind the local GitHub. In: three
// nodes, containers without network, one job that crashes and one that is removed. Out: tests that
// all of it is told within GitHub's limits, and in few writes. Not here: ten minutes of it with a
// clock that is moved (contract/github-writes).

import { setPriority } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RECONCILER_PRIORITY } from '../../cli/up/children.ts';
import type { ReadyState } from '../../cli/state.ts';
import { git } from '../support/git-repo.ts';
import { startGitHubCluster, type GitHubCluster } from '../support/github-cluster.ts';
import type { Write } from '../support/github/state.ts';

const JOBS = 120;
const names = Array.from({ length: JOBS }, (_, index) => `j${String(index).padStart(3, '0')}`);
/** One of the first to start: most others are on their way when it fails. */
const CRASHES = 'shop/j003';
/** The last one by name, to be read first. */
const REMOVED = `shop/${names.at(-1)}`;
const PLAN = 'plan/e2e';
const SYNC = 'sync/e2e';
const GITHUB_TEXT_LIMIT = 65_535;
/** One check, one comment. */
const PLAN_WRITES = 2;
/** Of ten minutes; this takes one. */
const WRITES_MAX = 20;
const SOON = { timeout: 90_000, interval: 200 };

const fileOf = (job: string): string => `jobs/${job}.yaml`;
const job = (version: string, fails = false): string =>
  [
    'image: %APP%',
    'network: { mode: none }',
    'entrypoint: [/bin/sh, -c]',
    `command: ['[ "$FAIL" = crash ] && exit 7; trap "exit 0" TERM; sleep 1000 & wait']`,
    `environment: { VERSION: "${version}"${fails ? ', FAIL: crash' : ''} }`,
    'update: { min_healthy_time: 0s, max_failures: 1 }',
    'restart: { attempts: 0 }',
    'resources: { cpu: 10m, memory: 8MiB }',
    '',
  ].join('\n');

let at: GitHubCluster;
beforeAll(async () => {
  const files = names.map((name) => [fileOf(`shop/${name}`), job('1')]);
  at = await startGitHubCluster({
    nodes: 3,
    files: Object.fromEntries(files),
    memory: '2GiB',
    settings: ['lost_after: 30s'],
  });
  const { cluster, checkOf, follow } = at;
  await cluster.until('all jobs run', (state) => allRun(state, JOBS), 120_000);
  await checkOf(SYNC, follow());
  // GitHub is another machine: its Git does not wait behind the containers of this one.
  setPriority(RECONCILER_PRIORITY);
});
afterAll(async () => {
  setPriority(0);
  await at?.close();
});

/** Copies that run, by job: version and allocation. */
const running = ({ view }: ReadyState): ReadonlyMap<string, { version: string; id: string }> =>
  new Map(
    view.live.nodes.flatMap(({ allocations }) =>
      allocations.flatMap(({ body, allocation, phase, health, stopping }) => {
        if (phase !== 'running' || health !== 'healthy' || stopping) return [];
        const version = /VERSION[^a-z\d]+(\d)/.exec(JSON.stringify(body.spec))?.[1] ?? '';
        return [[`${body.namespace}/${body.job}`, { version, id: allocation }] as const];
      }),
    ),
  );

const allRun = (state: ReadyState, count: number): true | string => {
  const now = running(state).size;
  return now === count && state.view.plan.steps.length === 0 ? true : `${now} of ${count} run`;
};

test(`${JOBS} changed jobs, one removed, one crashing: told in few writes, and the others go on`, async () => {
  const { cluster, hub, checkOf, propose, merge, follow } = at;
  const changed = names.map((name) => {
    const id = `shop/${name}`;
    return [fileOf(id), id === REMOVED ? null : job('2', id === CRASHES)];
  });
  const { head, number } = await propose('all', Object.fromEntries(changed));
  const plan = await checkOf(PLAN, head);
  expect(plan.conclusion).toBe('success');
  expect(plan.output.title).toBe(`${JOBS - 1} start, ${JOBS} stop, 1 job removed`);
  expect(plan.annotations).toEqual([]);
  expectReadable(plan.output.summary ?? '', 'job');
  expectReadable(plan.output.text ?? '', 'fold');
  await expect.poll(() => hub.comments(number).map(({ body }) => body), SOON).toHaveLength(1);
  const [comment] = hub.comments(number);
  expectReadable(comment?.body ?? '', 'job');
  const planWrites = hub.writes().filter(({ path }) => /check-runs|issues/.test(path)).length;
  expect(planWrites, 'sync of the first commit aside').toBeLessThanOrEqual(PLAN_WRITES + 4);

  const written = hub.writes().length;
  const merged = await merge(number);
  const mergedAt = Date.now();
  const failed = await checkOf(SYNC, merged, ({ conclusion }) => conclusion === 'failure');
  expect(failed.output.title).toContain(`${CRASHES} failed`);
  expect(failed.output.summary).toContain('exit code 7');
  const midway = await cluster.until(
    'the revert is HEAD',
    ({ view }) => view.desired.commit.oid !== merged,
    60_000,
  );
  const revertedAt = Date.now();
  const revert = follow();
  expect(git(cluster.repository, 'log', '-1', '--format=%B')).toContain(
    `Purser-Reverts: ${merged}`,
  );
  expect(git(cluster.repository, 'diff', '--name-only', merged, revert)).toBe(fileOf(CRASHES));
  const done = await checkOf(SYNC, revert);
  expect(done.conclusion).toBe('success');
  expect(done.output.title).toBe(`In sync: ${JOBS - 1} jobs, ${JOBS - 1} copies healthy`);
  const doneAt = Date.now();

  const end = await cluster.until('all that is left runs', (state) => allRun(state, JOBS - 1));
  const now = running(end);
  const stale = [...now].filter(([id, { version }]) => version !== (id === CRASHES ? '1' : '2'));
  expect(stale).toEqual([]);
  expect(now.has(REMOVED)).toBe(false);
  // The revert of one job touches none of the others.
  const before = [...running(midway)].filter(([, { version }]) => version === '2');
  const moved = before.filter(([id, { id: allocation }]) => now.get(id)?.id !== allocation);
  expect(moved).toEqual([]);
  await expect.poll(() => hub.checks(merged)[0]?.output.title, SOON).toMatch(/taken back$/);
  expect(hub.checks(merged)[0]).toMatchObject({ status: 'completed', conclusion: 'failure' });
  await expect
    .poll(
      () =>
        hub
          .deployments()
          .slice(-2)
          .map(({ statuses }) => statuses.at(-1)?.state),
      SOON,
    )
    .toEqual(['failure', 'success']);

  const writes = hub.writes().slice(written);
  const counts = countsOf(writes);
  console.log(
    `${writes.length} writes in ${doneAt - mergedAt} ms, reverted after ${revertedAt - mergedAt} ms ` +
      `with ${before.length} of ${JOBS - 1} there: ${JSON.stringify(counts)}`,
  );
  expect(writes.length).toBeLessThanOrEqual(WRITES_MAX);
  expect(counts).toMatchObject({ comments: 1, graphql: 1 });
  const states = hub
    .deployments()
    .map(({ sha, statuses }) => ({ sha, states: statesOf(statuses) }));
  // What comes and goes between two looks at the commit is not told.
  expect(states.find(({ sha }) => sha === merged)?.states).toMatch(
    /^(queued )?(in_progress )?failure$/,
  );
  expect(states.find(({ sha }) => sha === revert)?.states).toMatch(
    /^(queued )?(in_progress )?success$/,
  );
  // Two deployments, and their states.
  expect(counts['deployments']).toBeLessThanOrEqual(8);
  expect(Object.keys(counts).toSorted()).toEqual([
    'check-runs',
    'comments',
    'deployments',
    'graphql',
  ]);
  const ids = [merged, revert].map((commit) => String(hub.checks(commit)[0]?.id));
  const [one, two] = ids.map((id) => writes.filter(({ path }) => path.endsWith(`/${id}`)));
  const made = writes.filter(
    ({ method, path }) => method === 'POST' && path.endsWith('/check-runs'),
  );
  expect(made).toHaveLength(2);
  const [first, second] = made;
  // That it failed, and that it was taken back, are two ends.
  expect(one?.length).toBeLessThanOrEqual(toldMost(first, one) + 1);
  expect(two?.length).toBeLessThanOrEqual(toldMost(second, two));
});

const statesOf = (statuses: readonly { readonly state: string }[]): string =>
  statuses.map(({ state }) => state).join(' ');

/** From when the first write is decided until it has arrived: the time until the next runs from there. */
const ARRIVES_MS = 5000;

/** Changes of a check in that time by docs/GITHUB.md: progress, and the end. */
const toldMost = (made: Write | undefined, changes: readonly Write[] = []): number => {
  const last = changes.at(-1);
  if (last === undefined || made === undefined) return 0;
  const ms = last.atMs - made.atMs + ARRIVES_MS;
  const [first, rest] = [Math.min(ms, 60_000), Math.max(0, ms - 60_000)];
  return Math.floor(first / 15_000) + Math.floor(rest / 60_000) + 1;
};

/** By kind: `check-runs`, `deployments`, `comments`, `graphql`; by path what is none of them. */
const countsOf = (writes: readonly Write[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { path } of writes) {
    const kind = /check-runs|deployments|comments|graphql/.exec(path)?.[0] ?? path;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
};

/** Within GitHub's limits, nothing half, what goes for good in front, and what is left out is counted. */
const expectReadable = (text: string, kind: 'job' | 'fold'): void => {
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(GITHUB_TEXT_LIMIT);
  expect(text.split('<details>').length).toBe(text.split('</details>').length);
  const shown = text.split('\n').filter((line) => (kind === 'job' ? JOB_ROW : JOB_FOLD).test(line));
  expect(shown[0]).toContain(REMOVED);
  const left = Number(/_… and (\d+) more jobs\._/.exec(text)?.[1] ?? 0);
  expect(shown.length + left).toBe(JOBS);
};

const JOB_ROW = /^\| `shop\/j\d+` (\| [^|]*){5}\|$/;
const JOB_FOLD = /^<details><summary><code>shop\/j\d+<\/code>/;
