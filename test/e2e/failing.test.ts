// Versions that fail, and registries that do: what is the version's fault stops and goes back by a
// commit; what is
// the platform's is tried again and reverts nothing (rules 6.1).

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import type { ReadyState } from '../../cli/state.ts';
import type { Cluster } from '../support/cluster.ts';
import {
  deploymentOf,
  liveCopies,
  pidsOf,
  pushApp,
  startCluster,
  urlsOf,
} from '../support/cluster.ts';
import { get, traffic } from '../support/traffic.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 3, healthyDeadline: '15s', ...changes });

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, files: { [FILE]: web('1') } });
  await cluster.settled(WEB);
});
afterAll(() => cluster?.close());

interface Failing {
  readonly name: string;
  readonly text: () => string;
  readonly reason: RegExp;
}

const image = (text: string, written: string) => text.replace('image: %APP%', `image: ${written}`);

const FAILING: readonly Failing[] = [
  { name: 'crashes', text: () => web('c', { fail: 'crash' }), reason: /exit code 7/ },
  {
    name: 'is never healthy',
    text: () => web('s', { fail: 'sick' }),
    reason: /healthy_deadline|not healthy|healthz/,
  },
  {
    name: 'has a command that is not in the image',
    text: () => web('n', { more: ['entrypoint: [/bin/absent]'] }),
    reason: /\/bin\/absent/,
  },
  {
    name: 'names a tag that the registry does not have',
    text: () => image(web('m'), `${cluster.proxy.host}/app:absent`),
    reason: /absent/,
  },
];

test.each(FAILING)('a version that $name goes back by a commit', async ({ name, text, reason }) => {
  const before = pidsOf(await cluster.settled(WEB), WEB);
  const good = readFileSync(join(cluster.repository, FILE), 'utf8');
  const client = await traffic(cluster.socket, WEB);
  const bad = cluster.commit({ [FILE]: text() }, `a version that ${name}`);
  await cluster.until('a revert commit', () => cluster.git('rev-parse', 'HEAD~1') === bad, 60_000);
  const after = await cluster.settled(WEB);
  const seen = await client.stop();
  expect(seen.failures).toEqual([]);
  expect(seen.answers).toEqual(['1']);
  const message = cluster.git('log', '-1', '--format=%B');
  expect(message).toMatch(reason);
  expect(message).not.toMatch(/told to crash|last lines of its log/);
  expect(message).toContain(`Purser-Reverts: ${bad}`);
  expect(message).toContain('Purser-Cluster: e2e');
  expect(message).toContain(`Purser-Job: ${WEB}`);
  expect(message).toMatch(/^Purser-Deployment: [0-9a-f]{16}$/m);
  expect(message).toMatch(/^Purser-Reason: .+/m);
  expect(cluster.git('log', '-1', '--format=%an <%ae>')).toBe('Purser <purser@localhost>');
  expect(readFileSync(join(cluster.repository, FILE), 'utf8')).toBe(good);
  expect(cluster.git('status', '--porcelain')).toBe('');
  const kept = Object.entries(pidsOf(after, WEB)).filter(([id, pid]) => before[id] === pid);
  expect(kept.length).toBeGreaterThanOrEqual(2); // max_parallel 1: the others were never touched
  await bearsItsOwnMark();
});

/** Rules 2.3: a version that came back is the deployment of the commit that brought it. */
const bearsItsOwnMark = async (): Promise<void> => {
  const head = cluster.git('rev-parse', 'HEAD');
  const ledger = () => cluster.git('show', 'refs/purser/e2e/ledger:jobs/shop/web.jsonl');
  await cluster.until('a mark of the revert commit', () =>
    ledger()
      .split('\n')
      .some((line) => line.includes('"kind":"settled"') && line.includes(`"commit":"${head}"`)),
  );
  const state = await cluster.state();
  const found = deploymentOf(state, WEB);
  expect(found).toMatchObject({
    commit: { oid: head },
    isRollback: true,
    sameAs: cluster.git('rev-list', '--max-parents=0', 'HEAD'),
  });
  const label = `"purser.deployment": "${found?.deployment}"`;
  for (const { node, allocation } of liveCopies(state, WEB)) {
    expect(await cluster.ctr(node, 'containers', 'info', `${allocation}.web`)).toContain(label);
  }
};

test('log lines stand in the message where the namespace allows them, and nowhere else', async () => {
  cluster.commit({ 'namespaces/shop.yaml': 'evidence: logs\n' }, 'logs are evidence');
  await cluster.settled(WEB);
  const bad = cluster.commit({ [FILE]: web('e', { fail: 'crash' }) }, 'crashes and says why');
  await cluster.until('a revert commit', () => cluster.git('rev-parse', 'HEAD~1') === bad, 60_000);
  await cluster.settled(WEB);
  const message = cluster.git('log', '-1', '--format=%B');
  expect(message).toMatch(/ {2}last lines of its log:\n {4}\| told to crash\n/);
  expect(message).toContain(`Purser-Reverts: ${bad}`);
  for (const program of [cluster.reconciler, ...cluster.nodes.map(({ runner }) => runner)]) {
    expect(program.tail(100_000)).not.toContain('told to crash');
  }
  const sick = cluster.commit({ [FILE]: web('h', { fail: 'sick' }) }, 'is never healthy');
  await cluster.until('a revert commit', () => cluster.git('rev-parse', 'HEAD~1') === sick, 60_000);
  await cluster.settled(WEB);
  const why = cluster.git('log', '-1', '--format=%B');
  expect(why).toMatch(/, task web: .*404.* \(\d+ s after its first start\)\n/);
  expect(why).toMatch(/ {2}last lines of its log:\n(?: {4}\| .*\n)* {4}\| serving h\n/);
  cluster.commit({ 'namespaces/shop.yaml': 'evidence: codes\n' }, 'logs are none any more');
  await cluster.settled(WEB);
});

test('a commit with Purser-Atomic: true goes back as a whole', async () => {
  const words = 'configs/words.txt';
  cluster.commit({ [words]: 'before\n' }, 'words');
  await cluster.settled(WEB);
  const good = readFileSync(join(cluster.repository, FILE), 'utf8');
  const bad = cluster.commit(
    { [FILE]: web('a', { fail: 'crash', count: 4 }), [words]: 'after\n', 'README.md': 'new\n' },
    'a change of many files\n\nPurser-Atomic: true',
  );
  await cluster.until('a revert commit', () => cluster.git('rev-parse', 'HEAD~1') === bad, 60_000);
  await cluster.settled(WEB);
  expect(cluster.git('diff', `${bad}~1`, 'HEAD', '--stat')).toBe('');
  expect(readFileSync(join(cluster.repository, FILE), 'utf8')).toBe(good);
  const message = cluster.git('log', '-1', '--format=%B');
  expect(message).toContain('All that it changed goes back');
  expect(message).toContain(`Purser-Reverts: ${bad}`);
  expect(cluster.git('status', '--porcelain')).toBe('');
});

const unresolved = ({ view }: ReadyState, message: RegExp): true | string =>
  view.plan.problems.some((one) => one.code === 'image-unresolved' && message.test(one.message)) ||
  JSON.stringify(view.plan.problems);

test('people may commit in between: their words stay, the failed version goes', async () => {
  const bad = cluster.commit({ [FILE]: web('c2', { fail: 'crash' }) }, 'crashes again');
  const later = cluster.commit({ 'notes.txt': 'words\n' }, 'something else');
  await cluster.until(
    'a revert commit',
    () => cluster.git('rev-parse', 'HEAD~1') === later,
    60_000,
  );
  expect(cluster.git('log', '-1', '--format=%B')).toContain(`Purser-Reverts: ${bad}`);
  await cluster.settled(WEB);
  expect(cluster.git('show', 'HEAD:notes.txt')).toBe('words');
});

test('a registry that is down reverts nothing, and the rollout goes on when it is back', async () => {
  await pushApp(cluster.registry, '2');
  cluster.proxy.meet((_request, response) => {
    response.writeHead(503).end();
    return 'done';
  });
  const text = image(web('r'), `${cluster.proxy.host}/app:2`);
  const commit = cluster.commit({ [FILE]: text }, 'while the registry is down');
  await cluster.until('the trouble is shown', (state) => unresolved(state, /503/));
  await new Promise((done) => setTimeout(done, 17_000)); // longer than healthy_deadline
  expect(cluster.git('rev-parse', 'HEAD')).toBe(commit);
  expect(deploymentOf(await cluster.state(), WEB)?.status).not.toBe('failed');
  cluster.proxy.meet(() => 'pass');
  await cluster.settled(WEB, 60_000);
  expect(cluster.git('rev-parse', 'HEAD')).toBe(commit);
  expect(await Promise.all(urlsOf(await cluster.state(), WEB).map(get))).toEqual(['r', 'r', 'r']);
});

test('a registry that wants a login waits for it, reads it anew, and then pulls', async () => {
  const login = `Basic ${Buffer.from('ada:secret').toString('base64')}`;
  cluster.proxy.meet((request, response) => {
    if (request.headers.authorization === login) return 'pass';
    response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
    return 'done';
  });
  await pushApp(cluster.registry, '3');
  const text = image(web('l'), `${cluster.proxy.host}/app:3`);
  const commit = cluster.commit({ [FILE]: text }, 'an image behind a login');
  await cluster.until('the missing login is shown', (state) => unresolved(state, /wants a login/));
  const auths = { [cluster.proxy.host]: { auth: Buffer.from('ada:secret').toString('base64') } };
  writeFileSync(cluster.logins, JSON.stringify({ auths }));
  const state = await cluster.settled(WEB, 60_000);
  expect(cluster.git('rev-parse', 'HEAD')).toBe(commit);
  expect(liveCopies(state, WEB)).toHaveLength(3);
  cluster.proxy.meet(() => 'pass');
});
