// The cluster driven from GitHub alone, on real containerd: a pull request is opened, its plan is
// read, it is merged, rolled out and told; a broken version goes back by a commit; a button of a
// check and an approval do what they say.

import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { git } from '../support/git-repo.ts';
import { startGitHub, type GitHub } from '../support/github/github.ts';
import type { CheckRun } from '../support/github/state.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 3, ...changes });

let cluster: Cluster;
let hub: GitHub;
beforeAll(async () => {
  hub = await startGitHub();
  const port = await freePort();
  hub.hook(`http://127.0.0.1:${port}/webhook`);
  hub.person('ada', 'write');
  hub.person('grace', 'write');
  hub.person('mallory', 'read');
  cluster = await startCluster({
    nodes: 3,
    files: {
      [FILE]: web('1'),
      'jobs/shop/old.yaml': appJob({ image: '%APP%', version: 'old', count: 3 }),
    },
    settings: ['lost_after: 8s'],
    url: async (workTree) => {
      await hub.push(workTree, null, 'main');
      return hub.cloneUrl;
    },
    words: (root) => forgeWords(root, port),
  });
  await cluster.settled(WEB, 60_000);
  await cluster.settled('shop/old', 60_000);
});
afterAll(async () => {
  await cluster?.close();
  await hub?.close();
});

const forgeWords = (root: string, port: number): readonly string[] => {
  const file = (name: string, text: string) => {
    writeFileSync(join(root, name), text, { mode: 0o600 });
    return name;
  };
  file('app.pem', hub.app.privateKey);
  file('webhook-secret', hub.app.webhookSecret);
  const forge = {
    repository: `${hub.owner}/${hub.name}`,
    github: hub.url,
    app: { id: hub.app.id, installation: hub.app.installationId, private_key_file: 'app.pem' },
    webhook: { listen: `127.0.0.1:${port}`, secret_file: 'webhook-secret' },
  };
  file('forge.yaml', JSON.stringify(forge, null, 2));
  return ['--forge', join(root, 'forge.yaml')];
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const LIMIT_MS = 60_000;

/** The newest check of this name on the commit, once it is as wanted. */
const checkOf = async (
  name: string,
  commit: string,
  holds: (check: CheckRun) => boolean = ({ status }) => status === 'completed',
): Promise<CheckRun> => {
  const end = performance.now() + LIMIT_MS;
  let last: CheckRun | undefined;
  while (performance.now() < end) {
    const all = hub.checks(commit).filter((check) => check.name === name);
    expect(all.length, 'never a second check').toBeLessThanOrEqual(1);
    last = all[0];
    if (last !== undefined && holds(last)) return last;
    await sleep(100);
  }
  const status = await cluster.purser('status').catch(String);
  throw new Error(`${name} of ${commit}: ${JSON.stringify(last, null, 2)}\n${status}`);
};

/** Edits on a branch of their own, pushed and opened by ada. */
const propose = async (branch: string, files: Readonly<Record<string, string | null>>) => {
  follow();
  git(cluster.repository, 'checkout', '--quiet', '-b', branch);
  const head = cluster.commit(files, branch);
  await hub.push(cluster.repository, 'ada', branch);
  git(cluster.repository, 'checkout', '--quiet', 'main');
  const { number } = await hub.openPull({ head: branch, by: 'ada' });
  await hub.settled();
  return { head, number };
};

/** The work tree stands where GitHub's branch stands. */
const follow = (): string => {
  git(cluster.repository, 'fetch', '--quiet', hub.folder, 'main');
  git(cluster.repository, 'reset', '--quiet', '--hard', 'FETCH_HEAD');
  return git(cluster.repository, 'rev-parse', 'HEAD');
};

const merge = async (pull: number): Promise<string> => {
  await hub.merge({ pull, by: 'grace' });
  await hub.settled();
  return follow();
};

test('a pull request shows its plan, is merged and rolled out, and its commit says so', async () => {
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
  await expect.poll(() => hub.comments(number)[0]?.minimized, { timeout: 20_000 }).toBeTruthy();
  expect(hub.comments(number)).toHaveLength(1);
  expect(hub.deployments().some(({ sha }) => sha === merged)).toBe(true);
});

test('a broken version fails its check, and the revert is a commit with a check of its own', async () => {
  const { number } = await propose('web-bad', { [FILE]: web('3', { fail: 'crash' }) });
  const bad = await merge(number);
  const failed = await checkOf('sync/e2e', bad, ({ conclusion }) => conclusion === 'failure');
  expect(failed.output.summary).toMatch(/exit code 7/);
  expect(`${failed.output.summary}${failed.output.text}`).not.toContain('told to crash');
  await cluster.until(
    'the revert is HEAD',
    ({ view }) => view.desired.commit.oid !== bad,
    LIMIT_MS,
  );
  const revert = follow();
  expect(git(cluster.repository, 'log', '-1', '--format=%B')).toContain(`Purser-Reverts: ${bad}`);
  expect((await checkOf('sync/e2e', revert)).conclusion).toBe('success');
});

test('the button of a check reverts its commit', async () => {
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
  const { head, number } = await propose('remove-old', { 'jobs/shop/old.yaml': null });
  const asks = await checkOf('plan/e2e', head);
  expect(asks.conclusion).toBe('action_required');
  expect(asks.actions.map(({ identifier }) => identifier)).toEqual(['approve']);
  hub.click({ check: 'plan/e2e', commit: head, button: 'approve', by: 'mallory' });
  hub.click({ check: 'plan/e2e', commit: head, button: 'approve', by: 'grace' });
  await checkOf('plan/e2e', head, ({ conclusion }) => conclusion === 'success');
  const merged = await merge(number);
  expect((await checkOf('sync/e2e', merged)).conclusion).toBe('success');
  // In sync once nothing waits; the last copies take their time to stop.
  await cluster.until('the removed job is gone', ({ view }) => {
    const jobs = view.desired.jobs.map(({ id }) => id);
    return jobs.join() === WEB || jobs.join();
  });
});

test('a conflict, an invalid file and a fork each get their check', async () => {
  const invalid = await propose('invalid', { [FILE]: 'image: x\ncuont: 3\n' });
  const bad = await checkOf('plan/e2e', invalid.head);
  expect(bad.conclusion).toBe('failure');
  expect(bad.annotations).toMatchObject([{ path: FILE, start_line: 2 }]);

  const elsewhere = await propose('readme', { 'README.md': '# The shop\n' });
  const untouched = await checkOf('plan/e2e', elsewhere.head);
  expect(untouched.conclusion).toBe('success');
});
