// How often GitHub is written to while 300 jobs roll out for ten minutes: the forge's loop and the
// edge of GitHub, both the product's, against the local GitHub, whose limits are GitHub's. In: a
// clock that the test moves, views of a rollout. Out: counts. Not here: the cluster itself (e2e).

import { afterEach, expect, test } from 'vitest';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { endWorlds, world } from '../support/github-edge.ts';
import { rolloutOf, startLoop } from '../support/github-loop.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await endWorlds();
});

const EPOCH_MS = Date.parse('2026-11-22T08:00:00Z');
const JOBS = 300;
const ROLLOUT_MS = 600_000;
const STEP_MS = 5000;
/** Everything counted: checks, deployment, comment. */
const WRITES_MAX = 20;

test('300 jobs in ten minutes, one in ten stumbles: at most 20 writes, everything counted', async () => {
  const viewAt = rolloutOf(JOBS);
  const time = { now: 0 };
  const at = await world({ now: () => EPOCH_MS + time.now });
  const { hub, main } = at;
  const { number } = await at.pull('change');
  const { failure, see, advance, stop } = await startLoop(at, { time, epochMs: EPOCH_MS });
  stops.push(stop);
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
