// More open pull requests than GitHub takes writes for in a minute: the forge's loop and the edge of
// GitHub, both the product's, against the local GitHub, whose limits are GitHub's. In: a clock that
// the test moves. Out: tests that each gets its check, and that a push is answered before the rest.
// Not here: a thousand of them, and the order (unit/reconciler/forge-many).

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { endWorlds, world } from '../support/github-edge.ts';
import { rolloutOf, startLoop } from '../support/github-loop.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await endWorlds();
});

const EPOCH_MS = Date.parse('2026-11-22T08:00:00Z');
const MINUTE_MS = 60_000;
const OPEN = 60;
const PLAN = 'plan/test';

test('60 open pull requests: each gets its check, and a later push to one is answered first', async () => {
  const time = { now: 0 };
  const at = await world({ now: () => EPOCH_MS + time.now });
  const { hub, main, folder } = at;
  const work = join(folder, 'work');
  const commitOn = (name: string): string =>
    execFileSync('git', [
      '-C',
      work,
      ...AS,
      'commit-tree',
      `${main}^{tree}`,
      '-p',
      main,
      '-m',
      name,
    ])
      .toString()
      .trim();
  const names = Array.from({ length: OPEN }, (_, index) => `topic-${index}`);
  const heads = names.map(commitOn);
  await hub.push(work, 'ada', ...names.map((name, index) => `${heads[index]}:refs/heads/${name}`));
  const numbers: number[] = [];
  for (const head of names) numbers.push((await hub.openPull({ head, by: 'ada' })).number);
  await hub.settled();

  const { failure, notice, see, advance, stop } = await startLoop(at, {
    time,
    epochMs: EPOCH_MS,
  });
  stops.push(stop);
  const told = (commits: readonly string[]): number =>
    commits.filter((commit) => hub.checks(commit).some(({ name }) => name === PLAN)).length;
  await see(rolloutOf(3)(main, 3, [{ kind: 'synced', commit: main }]));
  await advance(1000);
  // GitHub's limit of a minute is used up, but for what is kept.
  const first = told(heads);
  expect(first).toBeGreaterThanOrEqual(40);
  expect(first).toBeLessThan(60);

  const pushed = commitOn('pushed');
  expect(told(heads.slice(0, 1)), 'it is not told yet').toBe(0);
  await hub.push(work, 'ada', `+${pushed}:refs/heads/topic-0`);
  await hub.settled();
  await advance(1000);
  expect(told([pushed])).toBe(1);
  expect(told(heads)).toBe(first);
  expect(failure()).toBeNull();

  const open = [pushed, ...heads.slice(1)];
  for (let minute = 0; minute < 3; minute += 1) await advance(MINUTE_MS);
  expect(told(open)).toBe(OPEN);
  for (const number of numbers) expect(hub.comments(number)).toHaveLength(1);
  expect(hub.checks(pushed).map(({ conclusion }) => conclusion)).toEqual(['success']);
  expect([failure(), notice()]).toEqual([null, null]);
});

const AS = ['-c', 'user.name=Ada', '-c', 'user.email=a@b'];
