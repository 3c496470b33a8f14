// GitHub is away for an hour, and clocks and tokens go wrong in mid-rollout: the forge's loop and the
// edge of GitHub, both the product's, against the local GitHub. In: a clock that the test moves, for
// this machine, octokit and GitHub alike. Out: how often it is asked meanwhile, and that afterwards
// each thing is told once. Not here: containers, which do not notice (e2e/github-trouble).

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AWAY_LONGEST_MS } from '../../reconciler/edge/forge/away.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { endWorlds, world, type World } from '../support/github-edge.ts';
import { rolloutOf, startLoop } from '../support/github-loop.ts';
import type { Fault } from '../support/github/limits.ts';
import type { Write } from '../support/github/state.ts';

const EPOCH_MS = Date.parse('2026-11-22T08:00:00Z');
const MINUTE_MS = 60_000;
const STEP_MS = 10_000;
const JOBS = 6;
/** One request each AWAY_LONGEST_MS, and those that find out that it is away and wait less at first. */
const ATTEMPTS_MAX = (60 * MINUTE_MS) / AWAY_LONGEST_MS + 20;

const stops: (() => Promise<void>)[] = [];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(EPOCH_MS);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await endWorlds();
  vi.useRealTimers();
});

/** octokit looks at the date, and GitHub too. */
const time = {
  get now() {
    return Date.now() - EPOCH_MS;
  },
  set now(ms: number) {
    vi.setSystemTime(EPOCH_MS + ms);
  },
};

const started = async (at: World) => {
  const loop = await startLoop(at, { time, epochMs: EPOCH_MS });
  stops.push(loop.stop);
  const until = async (minute: number, failure: RegExp | null) => {
    while (time.now < minute * MINUTE_MS) {
      await loop.advance(STEP_MS);
      if (failure === null) expect(loop.failure()).toBeNull();
    }
    if (failure !== null) expect(loop.failure()).toMatch(failure);
  };
  return { ...loop, until };
};

const synced = (commit: string): LedgerRecord => ({ kind: 'synced', commit });

test('an hour without GitHub: asked seldom, and afterwards each thing is told once', async () => {
  const at = await world();
  const { hub, main, git } = at;
  const viewAt = rolloutOf(JOBS);
  const { see, until, failure, advance } = await started(at);
  const one = await at.pull('one');
  await see(viewAt(main, JOBS, [synced(main)]));
  await until(2, null);
  expect(hub.comments(one.number)).toHaveLength(1);
  expect(hub.checks(main)).toMatchObject([{ conclusion: 'success' }]);
  const before = hub.writes().length;
  const asked = () => hub.requests().filter((line) => line.includes(' /api/')).length;
  const first = asked();
  /** A commit of the branch: Git is there, as people push. */
  const push = async (name: string): Promise<string> => {
    await git('checkout', '-q', 'main');
    await git('commit', '-q', '--allow-empty', '-m', name);
    await git('push', '-q', hub.pushUrl('ada'), 'main');
    await hub.settled();
    return git('rev-parse', 'HEAD');
  };

  let mend = hub.fault({ kind: { status: 502 } });
  const become = (kind: Fault['kind']) => {
    mend();
    mend = hub.fault({ kind });
  };
  await until(6, /does not answer well \(502\).*asked again at 08:0\d:\d\d UTC/);
  const a = await push('a');
  await see(viewAt(a, 2, [synced(main)]));
  await until(8, /502/);
  const settled = viewAt(a, JOBS, [synced(main)]).desired.jobs.map(
    ({ id, deployment, spec }): LedgerRecord => ({
      kind: 'settled',
      job: id,
      deployment,
      specHash: spec.specHash,
      commit: a,
      digests: [],
    }),
  );
  const ledger = [synced(main), ...settled, synced(a)];
  await see(viewAt(a, JOBS, ledger));
  const two = await at.pull('two');
  await until(15, /502/);
  const b = await push('b');
  await see(viewAt(b, 3, ledger));
  become({ reset: true });
  await until(30, /cannot be reached/);
  const three = await at.pull('three');
  await hub.closePull(three.number, 'ada');
  const c = await hub.merge({ pull: one.number, by: 'ada' });
  await hub.settled();
  await see(viewAt(c, 1, ledger));
  await until(42, /cannot be reached/);
  become({ secondary: { retryAfterS: 600 } });
  await until(
    55,
    /GitHub asks to wait until 0[89]:\d\d:\d\d UTC: its limit of requests is reached/,
  );
  await see(viewAt(c, JOBS, [...ledger, synced(c)]));
  await until(62, /GitHub asks to wait/);
  expect(hub.writes().length, 'nothing got through').toBe(before);
  const attempts = asked() - first;
  expect(attempts).toBeLessThanOrEqual(ATTEMPTS_MAX);

  mend();
  const back = time.now;
  while (failure() !== null) await advance(STEP_MS);
  await advance(STEP_MS);
  const backMs = time.now - back;
  await until(80, null);
  const writes = hub.writes().slice(before);
  console.log(`${attempts} attempts; told within ${backMs} ms: ${kindsOf(writes)}`);
  // What GitHub has asked to wait for is waited for.
  expect(backMs).toBeLessThanOrEqual(600_000);
  const ends = [a, b, c].map((commit) =>
    hub.checks(commit).map(({ name, status, conclusion }) => [name, status, conclusion]),
  );
  expect(ends).toEqual([
    [['sync/test', 'completed', 'success']],
    [['sync/test', 'completed', 'cancelled']],
    [['sync/test', 'completed', 'success']],
  ]);
  expect(hub.checks(two.head)).toMatchObject([{ name: 'plan/test', conclusion: 'success' }]);
  expect(hub.checks(one.head)).toHaveLength(1);
  expect(hub.comments(one.number).map(({ minimized }) => minimized)).toEqual(['RESOLVED']);
  expect(hub.comments(two.number)).toHaveLength(1);
  expect([hub.comments(three.number), hub.checks(three.head)]).toEqual([[], []]);
  const deployed = hub
    .deployments()
    .map(({ sha, statuses }) => [sha, statuses.map(({ state }) => state).join()]);
  // In the order of the branch; b never ran, and was never told to be on its way.
  expect(deployed).toEqual([
    [main, 'success,inactive'],
    [a, 'success,inactive'],
    [c, 'success'],
  ]);
  // Of each commit a check, of those that ran a deployment and its state, and of the one before that
  // it was in sync; a plan and its comment; a fold and its words.
  expect(kindsOf(writes)).toBe('check-runs 5, comments 2, deployments 4, graphql 1');
  const logins = hub.requests().filter((line) => line.endsWith('/access_tokens')).length;
  expect(logins, 'the token of before ended meanwhile').toBeGreaterThanOrEqual(2);
});

test('a token that ends at GitHub before it does here, in mid-rollout: nobody notices', async () => {
  const AHEAD_MS = 90_000;
  const at = await world({ now: () => Date.now() + AHEAD_MS });
  const { hub, main } = at;
  const viewAt = rolloutOf(JOBS);
  const { see, advance, failure, notice } = await started(at);
  let refused = 0;
  for (let minute = 0; minute < 70; minute += 1) {
    await see(viewAt(main, minute % JOBS, []));
    for (let ms = 0; ms < MINUTE_MS; ms += STEP_MS) await advance(STEP_MS);
    if (failure() !== null) refused += 1;
  }
  expect(refused).toBe(0);
  expect(notice()).toMatch(/^the clock of this machine is 1m(30|29)s behind GitHub's/);
  await see(viewAt(main, JOBS, [synced(main)]));
  await advance(STEP_MS);
  expect(hub.checks(main)).toMatchObject([{ conclusion: 'success' }]);
  const logins = hub.requests().filter((line) => line.endsWith('/access_tokens')).length;
  expect(logins).toBe(2);
});

/** `check-runs 4, comments 2`. */
const kindsOf = (writes: readonly Write[]): string => {
  const kinds = writes.map(
    ({ path }) => /check-runs|deployments|comments|graphql/.exec(path)?.[0] ?? path,
  );
  return [...new Set(kinds)]
    .toSorted()
    .map((kind) => `${kind} ${kinds.filter((one) => one === kind).length}`)
    .join(', ');
};
