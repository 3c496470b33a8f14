// Signatures end to end: a signed commit rolls out, an unsigned one is refused in words and changes
// nothing, and what Purser commits itself is accepted by the very policy that it obeys.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import { pidsOf, startCluster, type Cluster } from '../support/cluster.ts';
import { gitSaysGood, sshKey } from '../support/signing.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 2, ...changes });

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, files: { [FILE]: web('1') } });
  await cluster.settled(WEB);
});
afterAll(() => cluster?.close());

const signing = (on: boolean) => cluster.git('config', 'commit.gpgsign', String(on));
const statusText = () => cluster.purser('status');

test('strict: signed rolls out, unsigned is refused, the revert of a crash is signed', async () => {
  const ada = sshKey(cluster.root, 'ada');
  cluster.git('config', 'gpg.format', 'ssh');
  cluster.git('config', 'user.signingkey', ada.file);
  const { signer } = JSON.parse(await cluster.purser('status', '--json')) as { signer: string };
  expect(signer).toMatch(/^purser namespaces="git" ssh-ed25519 /);
  const before = readFileSync(join(cluster.repository, 'cluster.yaml'), 'utf8');
  const on = {
    'cluster.yaml': `${before.trimEnd()}\nsignatures: { verify: strict }\n`,
    'signers/allowed_signers': `ada@example.org ${ada.line}\n${signer}\n`,
  };
  cluster.commit(on, 'only signed commits from here on');

  signing(true);
  const good = cluster.commit({ [FILE]: web('2') }, 'signed');
  const settled = await cluster.settled(WEB);
  expect(settled.view.desired.commit.oid).toBe(good);
  const pids = pidsOf(settled, WEB);

  signing(false);
  const bad = cluster.commit({ [FILE]: web('3') }, 'unsigned');
  const isRefused = (state: Parameters<Parameters<Cluster['until']>[1]>[0]) =>
    state.view.desired.refused?.newest.oid === bad || 'nothing is refused';
  await cluster.until('the unsigned commit is refused', isRefused);
  const words = `commit ${bad.slice(0, 12)} by ada@example.org is not signed: it is not acted on`;
  expect(await statusText()).toContain(words);
  expect(await statusText()).toContain(`purser resume --at ${bad}`);
  await expect(cluster.purser('scale', 'web=3')).rejects.toThrow(/not accepted/);
  await cluster.reconciler.end('SIGKILL');
  cluster.reconciler.start();
  const again = await cluster.until('it is refused after a start too', isRefused);
  expect(again.view.desired.commit.oid).toBe(good);
  const heard = await cluster.until('the node is heard again', ({ view }) =>
    cluster.nodes.every(({ name }) =>
      view.live.nodes.some((one) => one.name === name && one.connected),
    ),
  );
  expect(pidsOf(heard, WEB)).toEqual(pids);

  signing(true);
  cluster.git('reset', '--quiet', '--hard', good);
  const crash = cluster.commit({ [FILE]: web('4', { fail: 'crash' }) }, 'signed, and crashes');
  const isBack = () => cluster.git('log', '-1', '--format=%P') === crash;
  await cluster.until('a revert commit', isBack, 60_000);
  const revert = cluster.git('rev-parse', 'HEAD');
  const after = await cluster.settled(WEB);
  expect(after.view.desired.commit.oid).toBe(revert);
  expect(after.view.desired.refused).toBeUndefined();
  const allowed = join(cluster.repository, 'signers/allowed_signers');
  expect(gitSaysGood(cluster.repository, revert, allowed)).toBe(true);
  expect(gitSaysGood(cluster.repository, 'refs/purser/e2e/ledger', allowed)).toBe(true);
}, 120_000);
