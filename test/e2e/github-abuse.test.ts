// Bad input and abuse by pull requests, comments and programs, on real containerd: what strangers
// send is said in their check, and nowhere else; rollouts go on meanwhile, memory stays bounded, and
// nothing leaks. In: the local GitHub. Out: tests. Not here: deliveries (contract/github-webhooks),
// GitHub's own answers (contract/github-abuse), outages and storms (github-trouble).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { marked } from 'marked';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PERMISSIONS } from '../../reconciler/edge/forge/permissions.ts';
import { appJob } from '../support/app.ts';
import { liveCopies, pidsOf } from '../support/cluster.ts';
import { git } from '../support/git-repo.ts';
import { startGitHubCluster, type GitHubCluster } from '../support/github-cluster.ts';
import { commitTree, type HostileCommit, type TreeItem } from '../support/hostile-tree.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const PLAN = 'plan/e2e';
const SYNC = 'sync/e2e';
/** Of a variable that is secret by its name; the program prints it. */
const SECRET = 'blue-horse-swordfish';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 2, ...changes });
const SOON = { timeout: 90_000, interval: 200 };

let at: GitHubCluster;
beforeAll(async () => {
  at = await startGitHubCluster({
    nodes: 1,
    files: {
      [FILE]: web('1'),
      'jobs/shop/old.yaml': web('old', { count: 3 }),
      'namespaces/shop.yaml': 'namespace: shop\nevidence: logs\n',
    },
  });
  await at.cluster.settled(WEB, 60_000);
});
afterAll(() => at?.close());

const proposeTree = async (commit: HostileCommit) => {
  const { cluster, hub, follow } = at;
  follow();
  const head = commitTree(cluster.repository, commit);
  await hub.push(cluster.repository, 'ada', commit.branch);
  const { number } = await hub.openPull({ head: commit.branch, by: 'ada' });
  await hub.settled();
  return { head, number };
};

const textOf = ({ output }: Awaited<ReturnType<GitHubCluster['checkOf']>>): string =>
  `${output.title}\n${output.summary}\n${output.text}`;

/** Everything that GitHub, the log and the notes hold by now. */
const allTold = (): string => {
  const { cluster, hub } = at;
  const checks = hub.checks().map(textOf);
  const comments = hub
    .pulls()
    .flatMap(({ number }) => hub.comments(number).map(({ body }) => body));
  const pulls = hub.pulls().map(({ title, body }) => `${title} ${body}`);
  const ended = hub.deployments().map(({ description }) => description);
  const log = readFileSync(join(cluster.root, 'logs/reconciler.log'), 'utf8');
  const notes = git(hub.folder, 'log', '--all', '--format=%B%n%N', '--notes=*');
  return [...checks, ...comments, ...pulls, ...ended, log, notes].join('\n');
};

/** The longest that the reconciler kept somebody waiting, until it is asked for. */
const patience = () => {
  let worstMs = 0;
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      const began = performance.now();
      await at.cluster.call('state').catch(() => undefined); // the test has ended without it
      worstMs = Math.max(worstMs, performance.now() - began);
      await sleep(20);
    }
  })();
  return async (): Promise<number> => {
    isOver = true;
    await asking;
    return Math.round(worstMs);
  };
};

const HOSTILE = '@everyone <img src=x onerror=alert(1)> [x](http://evil.example) #123';

const NASTY: readonly (TreeItem & { readonly says?: string })[] = [
  { path: 'jobs/shop/big.yaml', data: Buffer.alloc(50 * 2 ** 20, 'a: b\n'), says: 'is too large' },
  { path: 'jobs/shop/link.yaml', data: '/etc/passwd', kind: 'link', says: 'is a symbolic link' },
  { path: 'jobs/lib', data: '1'.repeat(40), kind: 'submodule', says: 'is a submodule' },
  { path: 'jobs/etc', data: '/etc', kind: 'link', says: 'is a symbolic link, not a folder' },
  { path: 'CODEOWNERS', data: '/etc/passwd', kind: 'link' },
  { path: 'jobs/shop/bytes.yaml', data: Buffer.from([255, 254, 1]), says: 'is not valid UTF-8' },
  { path: 'jobs/shop/keys.yaml', data: 'a: 1\n'.repeat(100_000), says: 'over 20000 values' },
  { path: 'jobs/shop/deep.yaml', data: '['.repeat(400_000), says: 'nesting exceeded' },
  { path: 'jobs/shop/key.yaml', data: `${'k'.repeat(900_000)}: 1\n`, says: 'is no field of a job' },
  { path: 'jobs/shop/merge.yaml', data: '<<: { image: x }\n', says: 'YAML 1.2 has no merge key' },
  { path: `jobs/shop/${HOSTILE.replaceAll('/', '')}.yaml`, data: 'x' },
  { path: 'jobs/shop/two\nlines.yaml', data: 'x' },
  { path: 'jobs/shop/\u202eturned\u001b[31m.yaml', data: 'x' },
  { path: `jobs/shop/${'n'.repeat(4000)}.yaml`, data: 'x' },
  { path: 'jobs/@org/team.yaml', data: 'x' },
  { path: 'jobs/shop/long.yaml', data: `image: x\ncommand: ["${'a'.repeat(900_000)}"]\n` },
];

test('a pull request of everything at once: each is said in its check, and a rollout goes on', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const memory = cluster.reconciler.memoryBytes() ?? 0;
  const { number: good } = await propose('good', { [FILE]: web('2') });
  const { head, number } = await proposeTree({
    branch: 'a/<b>@everyone',
    items: NASTY,
    message: `Fixes #1 ${HOSTILE}\n\n\`\`\`\n@org/team`,
    author: '@everyone',
  });
  const waited = patience();
  const began = performance.now();
  const merged = await merge(good);
  await cluster.settled(WEB);
  const rolledMs = performance.now() - began;
  const check = await checkOf(PLAN, head);
  expect((await checkOf(SYNC, merged)).conclusion).toBe('success');
  const text = textOf(check);
  expect(check.conclusion).toBe('failure');
  for (const { says } of NASTY) if (says !== undefined) expect(text).toContain(says);
  const html = String(marked.parse(text, { async: false }));
  const bare = html.replaceAll(/<(code|pre)\b[^>]*>[\s\S]*?<\/\1>/g, '');
  expect(bare).not.toMatch(/@\w|<img|<a |#123|root:x:0/);
  for (const hidden of ['\u001b', '\u202e']) expect(text).not.toContain(hidden);
  expect(text.length).toBeLessThan(8000);
  await expect.poll(() => hub.comments(number).length, SOON).toBe(1);
  const grown = (cluster.reconciler.memoryBytes() ?? 0) - memory;
  console.log(
    `rolled out in ${Math.round(rolledMs)} ms meanwhile; asked for state: at most ` +
      `${await waited()} ms; memory grew by ${Math.round(grown / 2 ** 20)} MiB`,
  );
  expect(grown).toBeLessThan(400 * 2 ** 20);
  await hub.closePull(number, 'ada');
});

test('ten thousand files: planned within limits, and nobody waits long', async () => {
  const { cluster, hub, checkOf } = at;
  const memory = cluster.reconciler.memoryBytes() ?? 0;
  const items = Array.from({ length: 10_000 }, (_, index) => ({
    path: `jobs/shop/j${index}.yaml`,
    data: index % 50 > 0 ? `imag: ${index}\n` : `image: ${cluster.image}\ncount: 1\n`,
  }));
  const { head, number } = await proposeTree({ branch: 'many', items });
  const waited = patience();
  const began = performance.now();
  const check = await checkOf(PLAN, head);
  const worstMs = await waited();
  const tookMs = performance.now() - began;
  const grown = (cluster.reconciler.memoryBytes() ?? 0) - memory;
  console.log(
    `10,000 files: ${Math.round(tookMs)} ms, asked for state: at most ` +
      `${worstMs} ms, memory grew by ${Math.round(grown / 2 ** 20)} MiB`,
  );
  expect(check.conclusion).toBe('failure');
  expect(check.output.title).toMatch(/9800 errors/);
  // Whoever waited for the plan would have waited for all of it.
  expect(worstMs).toBeLessThan(Math.max(3000, tookMs / 2));
  expect(grown).toBeLessThan(1024 * 2 ** 20);
  await hub.closePull(number, 'ada');
});

test('who lost the right to write may approve nothing; quotations and edits neither', async () => {
  const { cluster, hub, checkOf, propose } = at;
  const before = pidsOf(await cluster.state(), 'shop/old');
  const { head, number } = await propose('no-old', { 'jobs/shop/old.yaml': null });
  expect((await checkOf(PLAN, head)).conclusion).toBe('action_required');
  await sleep(1100); // GitHub's times are whole seconds
  hub.person('grace', 'read');
  hub.comment(number, 'grace', '/purser approve');
  hub.comment(number, 'renovate[bot]', '/purser approve');
  for (const body of ['> /purser approve', '    /purser approve', '```\n/purser approve\n```']) {
    hub.person('heidi', 'write');
    hub.comment(number, 'heidi', body);
  }
  const reactions = (login: string) =>
    hub
      .comments(number)
      .filter(({ author }) => author.login === login)
      .flatMap((one) => one.reactions.map(({ content }) => content));
  await expect.poll(() => reactions('grace'), SOON).toEqual(['confused']);
  await expect.poll(() => reactions('renovate[bot]'), SOON).toEqual(['confused']);
  expect(reactions('heidi')).toEqual([]);
  expect((await checkOf(PLAN, head)).conclusion).toBe('action_required');
  expect(pidsOf(await cluster.state(), 'shop/old')).toEqual(before);
  hub.person('grace', 'write');
  await hub.closePull(number, 'ada');
});

test('a failed version that prints its secret: the report shows the line’s absence, and nothing leaks', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const version = `\\e[31m@everyone </details> Fixes #12 ${SECRET}`;
  const text = web(version, { fail: 'sick' }).replace(
    'environment:',
    `environment:\n  API_TOKEN: ${SECRET}`,
  );
  const { number } = await propose('sick', { [FILE]: text });
  const bad = await merge(number);
  const failed = await checkOf(SYNC, bad, ({ conclusion }) => conclusion === 'failure');
  expect(textOf(failed)).toContain('this line may hold a secret');
  await cluster.until('a revert', () => at.follow() !== bad);
  const revert = git(cluster.repository, 'log', '-1', '--format=%B');
  expect(revert).toContain(`Purser-Reverts: ${bad}`);
  expect(revert).toContain('this line may hold a secret');
  expect(liveCopies(await cluster.settled(WEB), WEB)).toHaveLength(2);
  await expect
    .poll(() => hub.checks(at.follow()).map(({ conclusion }) => conclusion), SOON)
    .toEqual(['success']);
  const told = allTold().replaceAll(text, '');
  expect(told).not.toContain(SECRET);
  expect(told).not.toContain('root:x:0');
  for (const secret of [hub.app.webhookSecret, 'PRIVATE KEY', ...hub.hub.tokens.keys()]) {
    expect(told).not.toContain(secret);
  }
});

test('an App that loses its rights, is suspended, or is gone in mid-rollout: it goes on, and all is told after', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const { number } = await propose('rights', { [FILE]: web('3', { maxParallel: 2 }) });
  const merged = await merge(number);
  const without = (...names: readonly string[]) =>
    Object.fromEntries(Object.entries(PERMISSIONS).filter(([name]) => !names.includes(name)));
  hub.permit(without('checks'));
  const status = () => cluster.purser('status');
  await expect.poll(status, SOON).toMatch(/lacks «Checks: Read and write»/);
  await cluster.until('it is rolled out all the same', (state) => {
    const copies = liveCopies(state, WEB).filter(({ health }) => health === 'healthy');
    const isNew = copies.filter(({ body }) => JSON.stringify(body.spec).includes('"3"'));
    return isNew.length === 2 || `${isNew.length} of ${copies.length}`;
  });
  hub.permit(PERMISSIONS);
  const body = 'This installation has been suspended';
  const mend = hub.fault({ kind: { status: 403, body } });
  await expect.poll(status, SOON).toMatch(/GitHub App is suspended .*settings\/installations/);
  mend();
  expect((await checkOf(SYNC, merged)).conclusion).toBe('success');
  await expect.poll(status, SOON).not.toContain('The forge is not told');
  expect(hub.checks(merged)).toHaveLength(1);
});
