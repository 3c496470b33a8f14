// Who may change what, on real containerd: an owner's review lets a pull request through, a push
// past it is held until the owner approves, and a program that writes again what was reverted waits
// for a person.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import { git } from '../support/git-repo.ts';
import { startGitHubCluster, type GitHubCluster } from '../support/github-cluster.ts';

const WEB = 'jobs/shop/web.yaml';
const API = 'jobs/shop/api.yaml';
const app = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 1, ...changes });

let at: GitHubCluster;
beforeAll(async () => {
  at = await startGitHubCluster({
    nodes: 1,
    files: { [WEB]: app('1'), [API]: app('1') },
    settings: ['owners: |', '  /cluster.yaml @ada', '  /jobs/shop/web.yaml @grace'],
  });
  await at.cluster.settled('shop/web', 60_000);
  await at.cluster.settled('shop/api', 60_000);
});
afterAll(() => at?.close());

/** Straight to the branch, past every pull request. */
const push = async (files: Record<string, string>, message: string): Promise<string> => {
  const { hub, cluster, follow } = at;
  follow();
  const commit = cluster.commit(files, message);
  await hub.push(cluster.repository, 'ada', 'main');
  await hub.settled();
  return commit;
};

const standingOf = (job: string) => async () => {
  const { view } = await at.cluster.state();
  return view.desired.jobs.find(({ id }) => id === job)?.standing.kind;
};

test('a pull request waits for its owner’s review, and counts once it is merged', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const { head, number } = await propose('web-2', { [WEB]: app('2') });
  const waits = await checkOf('plan/e2e', head);
  expect(waits.conclusion).toBe('action_required');
  expect(waits.output.title).toContain('waits for @grace');
  expect(waits.output.summary).toContain('`shop/web` needs an approval of `@grace`');
  hub.review(number, 'grace', 'APPROVE');
  await checkOf('plan/e2e', head, ({ conclusion }) => conclusion === 'success');
  const merged = await merge(number);
  await checkOf('sync/e2e', merged, ({ conclusion }) => conclusion === 'success');
  await cluster.settled('shop/web');
});

test('a push past the owner is held at what ran before, until the owner approves', async () => {
  const { cluster, hub, checkOf } = at;
  const pushed = await push({ [WEB]: app('3') }, 'web 3');
  const isHeld = ({ conclusion }: { conclusion: string | null }) =>
    conclusion === 'action_required';
  const held = await checkOf('sync/e2e', pushed, isHeld);
  expect(held.output.title).toBe('1 file waits for @grace');
  const [button = ''] = held.actions.map(({ identifier }) => identifier);
  expect(button).toMatch(/^approve-[0-9a-f]{12}$/);
  expect(held.output.summary).toContain('shop/web waits for an approval of');
  expect(await cluster.purser('status')).toMatch(/shop\/web waits for an approval of @grace/);
  const deployed = async () => {
    const { view } = await cluster.state();
    return view.desired.jobs.find(({ id }) => id === 'shop/web')?.commit.oid;
  };
  expect(await deployed()).not.toBe(pushed);
  hub.click({ check: 'sync/e2e', commit: pushed, button, by: 'ada' });
  hub.click({ check: 'sync/e2e', commit: pushed, button, by: 'grace' });
  await expect
    .poll(deployed)
    .toBe(pushed)
    .catch(() => {
      throw new Error(hub.checks(pushed)[0]?.output.summary ?? 'no check');
    });
  await cluster.settled('shop/web');
  await checkOf('sync/e2e', pushed, ({ conclusion }) => conclusion === 'success');
});

test('a program that writes again what was reverted waits for a person', async () => {
  const { cluster, follow } = at;
  const bot = '--author=images[bot] <7+images[bot]@example.org>';
  const write = async (files: Record<string, string>, message: string) => {
    follow();
    cluster.commit(files, message);
    git(cluster.repository, 'commit', '--quiet', '--amend', '--no-edit', bot);
    const commit = git(cluster.repository, 'rev-parse', 'HEAD');
    await at.hub.push(cluster.repository, 'ada', 'main');
    await at.hub.settled();
    return commit;
  };
  const bad = await write({ [API]: app('2', { fail: 'crash' }) }, 'images: api 2');
  await cluster.until(
    'it is reverted',
    ({ view }) => {
      const { subject, oid } = view.desired.commit;
      return (oid !== bad && subject.includes('shop/api')) || `${oid} ${subject}`;
    },
    60_000,
  );
  follow();
  await cluster.settled('shop/api');
  await write({ [API]: app('2', { fail: 'crash' }) }, 'images: api 2 again');
  await expect.poll(standingOf('shop/api')).toBe('held');
  expect(await cluster.purser('status')).toMatch(/images\[bot\] wrote (it|this) again/);
  const third = await write({ [API]: app('3') }, 'images: api 3');
  // Held it is already: a person resumes what was read, not what is being read.
  const isRead = ({ view }: Awaited<ReturnType<typeof cluster.state>>) =>
    view.desired.commit.oid === third || view.desired.commit.oid;
  await cluster.until('the third version is read', isRead);
  expect(await standingOf('shop/api')()).toBe('held');
  await cluster.purser('resume', 'shop/api');
  await expect.poll(standingOf('shop/api')).toBe('head');
  follow();
  await cluster.settled('shop/api');
});
