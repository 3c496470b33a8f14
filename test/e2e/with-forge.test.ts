// `npm start -- --with-forge` as the README shows it, behind the set-up of packages: a push opens a
// pull request, its page shows the check, its buttons are pressed in the page's own forms, and the
// rollout follows. In: the program, on real containerd. Out: tests that it does, and that nothing is
// left afterwards. Not here: what checks say (github), the pages' safety (local-github-pages).

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hubName, netnsName } from '../../cli/up/networks.ts';
import { namesFor } from '../../node-runner/edge/network/names.ts';
import { cgroupParent, networkIdentity } from '../../node-runner/main.ts';
import { leftForGood } from '../support/cluster-leftovers.ts';
import { run } from '../support/command-line.ts';
import { git } from '../support/git-repo.ts';

const HERE = resolve(import.meta.dirname, '../..');
const PURSER = join(HERE, 'purser');
const LIMIT_MS = 120_000;
const SOON = { timeout: LIMIT_MS, interval: 250 };

let root: string;
let program: ChildProcess;
let said = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'pf-'));
  const main = join(HERE, 'test/support/github/main.ts');
  // Two nodes have a network each: the example's fixed port is in nobody's way there.
  const words = ['--import', 'tsx', main, '--root', root, '--nodes', '2'];
  program = spawn(process.execPath, words, { cwd: HERE, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [program.stdout, program.stderr]) {
    stream?.on('data', (data: Buffer) => (said += data.toString()));
  }
});
afterAll(async () => {
  if (program.exitCode === null) program.kill('SIGKILL');
  await run(PURSER, ['down', '--volumes', '--root', root]).catch(() => undefined);
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});

const page = async (path: string): Promise<string> => {
  const [, url = ''] = /A local GitHub is at (\S+)/.exec(said) ?? [];
  const answer = await fetch(`${url}${path}`);
  return answer.ok ? answer.text() : `${answer.status} ${await answer.text()}`;
};

/** Presses the button of this name in the form that the page shows. */
const press = async (path: string, name: string): Promise<void> => {
  const [, url = ''] = /A local GitHub is at (\S+)/.exec(said) ?? [];
  const text = await page(path);
  const form = text
    .split('<form ')
    .slice(1)
    .find((one) => new RegExp(`<button[^>]*>\\s*${name}\\s*</button`).test(one));
  const [, action = ''] = /action="([^"]+)"/.exec(form ?? '') ?? [];
  const button = new RegExp(`<button name="(\\w+)" value="([\\w-]+)"[^>]*>\\s*${name}`);
  const [, field = 'button', value = ''] = button.exec(form ?? '') ?? [];
  const answer = await fetch(`${url}${action}`, {
    method: 'POST',
    body: new URLSearchParams({ as: 'you', [field]: value }),
  });
  expect(answer.status, `${name}: ${text}`).toBe(200);
};

const purser = async (...words: readonly string[]): Promise<string> =>
  (await run(PURSER, [...words, '--root', root])).out;

test('a push, its page, Approve, Merge, the rollout; then it ends, and nothing is left', async () => {
  await expect
    .poll(() => (program.exitCode === null ? said : `it has ended:\n${said}`), SOON)
    .toContain('Ctrl-C stops Purser');
  const work = join(root, 'repository');
  expect(said).toContain(`Your working copy is ${work}`);
  git(work, 'switch', '--quiet', '--create', 'more-copies');
  const file = join(work, 'jobs/shop/web.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^count:.*/m, 'count: 4'));
  git(work, 'rm', '--quiet', 'jobs/shop/store.yaml');
  git(work, 'commit', '--quiet', '--all', '--message', 'web: four copies, and no store');
  const pushing = spawn('git', ['-C', work, 'push', '--quiet', 'origin', 'more-copies']);
  expect(await once(pushing, 'close')).toEqual([0, null]);
  await expect.poll(() => page('/shop/cluster'), SOON).toContain('/shop/cluster/pull/1');
  await expect.poll(() => page('/shop/cluster/pull/1'), SOON).toContain('value="approve-');
  const shown = await page('/shop/cluster/pull/1');
  expect(shown).toContain('plan/shop');
  expect(shown).toContain('shop/store');
  await press('/shop/cluster/pull/1', 'Approve');
  await expect.poll(() => page('/shop/cluster/pull/1'), SOON).not.toContain('value="approve-');
  await press('/shop/cluster/pull/1', 'Merge');
  await expect.poll(() => page('/shop/cluster/pull/1'), SOON).toMatch(/<b>merged<\/b>/);
  const commit = git(work, 'ls-remote', 'origin', 'main').split('\t')[0] ?? '';
  await expect.poll(() => page(`/shop/cluster/commit/${commit}`), SOON).toContain('In sync');
  expect(await purser('status')).toMatch(/shop\/web +.*4/);
  // In sync once nothing waits: what was removed takes its time to stop.
  await expect.poll(() => purser('status'), SOON).not.toContain('shop/store');

  program.kill('SIGTERM');
  await once(program, 'close');
  expect(program.exitCode, said).toBe(0);
  expect(said).not.toContain('local GitHub:');
  await purser('down', '--volumes');
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  const nodes = ['n1', 'n2'].map((node) => ({ root: join(root, 'nodes', node), node }));
  const names = nodes.map((node) => namesFor(networkIdentity(node)));
  const left = await leftForGood({
    root,
    links: [
      hubName(root),
      netnsName(root, ''),
      ...names.flatMap(({ bridge, linkPrefix }) => [bridge, linkPrefix]),
    ],
    cgroups: nodes.map((node) => cgroupParent(node).slice(1)),
  });
  expect(left).toEqual([]);
});
