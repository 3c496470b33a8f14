// A cluster driven with a token only, on real containerd: commit statuses in place of checks, one
// comment with the details, `/purser approve` by people who may write, also whose token it is.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import { startGitHubCluster, type GitHubCluster } from '../support/github-cluster.ts';

const FILE = 'jobs/shop/web.yaml';
const web = (version: string) => appJob({ image: '%APP%', version, count: 3 });
/** GitHub is asked every ten seconds. */
const SOON = { timeout: 120_000, interval: 200 };

let world: GitHubCluster;
beforeAll(async () => {
  world = await startGitHubCluster({
    nodes: 1,
    files: {
      [FILE]: web('1'),
      'jobs/shop/old.yaml': appJob({ image: '%APP%', version: 'old', count: 3 }),
    },
    tokenOf: 'grace',
  });
  await world.cluster.settled('shop/web', 60_000);
  await world.cluster.settled('shop/old', 60_000);
});
afterAll(() => world?.close());

/** The newest status of this context on the commit, as `state: description`. */
const statusOf = (context: string, commit: string): string => {
  const found = world.hub.statuses(commit).findLast((one) => one.context === context);
  return found === undefined ? 'none' : `${found.state}: ${found.description}`;
};

test('a pull request and its commit are told by statuses and one comment', async () => {
  const { hub, propose, merge } = world;
  const { head, number } = await propose('web-2', { [FILE]: web('2') });
  await expect.poll(() => statusOf('plan/e2e', head), SOON).toMatch(/^success: 3 start, 3 stop/);
  await expect.poll(() => hub.comments(number).length, SOON).toBe(1);
  const [comment, ...others] = hub.comments(number);
  expect(others).toEqual([]);
  expect(comment?.author.login).toBe('grace');
  expect(comment?.body).toContain('<details><summary><code>shop/web</code> changes');
  expect(comment?.body).not.toContain('in the check');
  const merged = await merge(number);
  await expect.poll(() => statusOf('sync/e2e', merged), SOON).toMatch(/^success: In sync: 2 jobs/);
  await expect.poll(() => hub.comments(number)[0]?.minimized, SOON).toBeTruthy();
  expect(hub.checks()).toEqual([]);
});

test('a removal waits for the word of somebody who may write, whose token it may be', async () => {
  const { hub, propose, merge } = world;
  const { head, number } = await propose('no-old', { 'jobs/shop/old.yaml': null });
  await expect.poll(() => statusOf('plan/e2e', head), SOON).toMatch(/^failure: .*once approved/);
  // GitHub tells whole seconds, and what was asked before the plan stood there counts not.
  await new Promise((done) => setTimeout(done, 1100));
  hub.comment(number, 'mallory', '/purser approve');
  const reactions = (login: string) =>
    hub
      .comments(number)
      .find(({ author, body }) => author.login === login && body.startsWith('/purser'))
      ?.reactions.map(({ content }) => content);
  await expect.poll(() => reactions('mallory'), SOON).toEqual(['confused']);
  hub.comment(number, 'grace', '/purser approve');
  await expect.poll(() => reactions('grace'), SOON).toEqual(['+1']);
  await expect.poll(() => statusOf('plan/e2e', head), SOON).toMatch(/^success: 3 stop/);
  const merged = await merge(number);
  await expect.poll(() => statusOf('sync/e2e', merged), SOON).toMatch(/^success: In sync: 1 job,/);
});

test('every description fits', () => {
  const lengths = world.hub.statuses().map(({ description }) => description?.length ?? 0);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(140);
});
