// The cluster driven from GitHub alone, on real containerd: a pull request is opened, its plan is
// read, it is merged, rolled out and told; a broken version goes back by a commit; a button of a
// check and an approval do what they say.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import { git } from '../support/git-repo.ts';
import { startGitHubCluster, type GitHubCluster } from '../support/github-cluster.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 3, ...changes });

let at: GitHubCluster;
beforeAll(async () => {
  at = await startGitHubCluster({
    nodes: 3,
    files: {
      [FILE]: web('1'),
      'jobs/shop/old.yaml': appJob({ image: '%APP%', version: 'old', count: 3 }),
    },
  });
  await at.cluster.settled(WEB, 60_000);
  await at.cluster.settled('shop/old', 60_000);
});
afterAll(() => at?.close());

test('a pull request shows its plan, is merged and rolled out, and its commit says so', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const { head, number } = await propose('web-2', { [FILE]: web('2') });
  const plan = await checkOf('plan/e2e', head);
  expect(plan.conclusion).toBe('success');
  expect(plan.output.title, `${plan.output.summary}${plan.output.text}`).toMatch(/3 start, 3 stop/);
  expect(plan.output.summary).toContain(WEB);
  await expect.poll(() => hub.comments(number).length).toBe(1);

  const merged = await merge(number);
  const sync = await checkOf('sync/e2e', merged);
  expect(sync.conclusion).toBe('success');
  await cluster.settled(WEB);
  await expect.poll(() => hub.comments(number)[0]?.minimized).toBeTruthy();
  expect(hub.comments(number)).toHaveLength(1);
  const deployments = () => hub.deployments().filter(({ sha }) => sha === merged);
  const states = () => deployments().map(({ statuses }) => statuses.at(-1)?.state);
  await expect.poll(states).toEqual(['success']); // told behind the check
  expect(deployments()).toMatchObject([{ environment: 'e2e' }]);
  const urls = deployments().flatMap(({ statuses }) => statuses.map((one) => one.environmentUrl));
  expect(new Set(urls)).toEqual(new Set(['https://shop.example']));
});

test('a broken version fails its check, and the revert is a commit with a check of its own', async () => {
  const { cluster, checkOf, propose, follow, merge } = at;
  const { number } = await propose('web-bad', { [FILE]: web('3', { fail: 'crash' }) });
  const bad = await merge(number);
  const failed = await checkOf('sync/e2e', bad, ({ conclusion }) => conclusion === 'failure');
  expect(failed.output.summary).toMatch(/exit code 7/);
  expect(`${failed.output.summary}${failed.output.text}`).not.toContain('told to crash');
  await cluster.until('the revert is HEAD', ({ view }) => view.desired.commit.oid !== bad, 60_000);
  const revert = follow();
  expect(git(cluster.repository, 'log', '-1', '--format=%B')).toContain(`Purser-Reverts: ${bad}`);
  expect((await checkOf('sync/e2e', revert)).conclusion).toBe('success');
});

test('the button of a check reverts its commit', async () => {
  const { cluster, hub, checkOf, propose, follow, merge } = at;
  const { number } = await propose('web-4', { [FILE]: web('4') });
  const merged = await merge(number);
  const check = await checkOf('sync/e2e', merged);
  expect(check.actions.map(({ identifier }) => identifier)).toContain('rollback');
  hub.click({ check: 'sync/e2e', commit: merged, button: 'rollback', by: 'mallory' });
  hub.click({ check: 'sync/e2e', commit: merged, button: 'rollback', by: 'grace' });
  await cluster.until('the rollback is HEAD', ({ view }) => view.desired.commit.oid !== merged);
  const back = follow();
  const message = git(cluster.repository, 'log', '-1', '--format=%an%n%B');
  expect(message).toMatch(/^grace\n/);
  expect(message).toContain(`Purser-Reverts: ${merged}`);
  expect((await checkOf('sync/e2e', back)).conclusion).toBe('success');
  expect(git(cluster.repository, 'rev-parse', 'HEAD~1')).toBe(merged);
});

test('a change that removes a job waits for somebody else who approves', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const { head, number } = await propose('remove-old', { 'jobs/shop/old.yaml': null });
  const asks = await checkOf('plan/e2e', head);
  expect(asks.conclusion).toBe('action_required');
  // Named by what it lets go: a click on what a person saw counts for that alone.
  const [button = ''] = asks.actions.map(({ identifier }) => identifier);
  expect(button).toMatch(/^approve-[0-9a-f]{12}$/);
  expect(asks.actions.map(({ label }) => label)).toEqual(['Approve']);
  hub.click({ check: 'plan/e2e', commit: head, button, by: 'mallory' });
  hub.click({ check: 'plan/e2e', commit: head, button, by: 'grace' });
  await checkOf('plan/e2e', head, ({ conclusion }) => conclusion === 'success');
  const merged = await merge(number);
  expect((await checkOf('sync/e2e', merged)).conclusion).toBe('success');
  // In sync once nothing waits; the last copies take their time to stop.
  await cluster.until('the removed job is gone', ({ view }) => {
    const jobs = view.desired.jobs.map(({ id }) => id);
    return jobs.join() === WEB || jobs.join();
  });
});

test('an invalid file and a change elsewhere each get their check', async () => {
  const { checkOf, propose } = at;
  const invalid = await propose('invalid', { [FILE]: 'image: x\ncuont: 3\n' });
  const bad = await checkOf('plan/e2e', invalid.head);
  expect(bad.conclusion).toBe('failure');
  expect(bad.annotations).toMatchObject([{ path: FILE, start_line: 2 }]);

  const elsewhere = await propose('readme', { 'README.md': '# The shop\n' });
  const untouched = await checkOf('plan/e2e', elsewhere.head);
  expect(untouched.conclusion).toBe('success');
});
