// The local GitHub with a repository on it, and the reconciler's edge of it, for contract tests.
// In: options of the local GitHub. Out: a hub, edges of it, a person's Git. Not here: tests.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ForgeConfig } from '../../reconciler/config.ts';
import { createClock } from '../../reconciler/edge/clock.ts';
import type { ClockPort } from '../../reconciler/ports.ts';
import { createGitHub } from '../../reconciler/edge/forge/github.ts';
import type { GitHub } from '../../reconciler/edge/forge/options.ts';
import type { CheckReport } from '../../schema/forge.ts';
import { startGitHub, type GitHub as Hub } from './github/github.ts';

const ends: (() => Promise<void> | void)[] = [];

/** Ends what was started; to be called after each test. */
export const endWorlds = async (): Promise<void> => {
  for (const end of ends.splice(0).toReversed()) await end();
};

export interface World {
  readonly hub: Hub;
  readonly folder: string;
  readonly lines: string[];
  /** A reconciler's forge; each call is a new process that has lost its disk. */
  readonly forge: (change?: Partial<ForgeConfig>, clock?: ClockPort) => GitHub;
  readonly git: (...args: readonly string[]) => Promise<string>;
  readonly main: string;
  /** A commit on a branch of its own, and a pull request of it. */
  readonly pull: (branch: string, by?: string) => Promise<{ number: number; head: string }>;
}

export const world = async (options: Parameters<typeof startGitHub>[0] = {}): Promise<World> => {
  const hub = await startGitHub(options);
  const folder = mkdtempSync(join(tmpdir(), 'purser-forge-'));
  ends.push(() => hub.close());
  ends.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const work = join(folder, 'work');
  // Never synchronously: the server that answers Git is in this process.
  const run = promisify(execFile);
  const git = async (...args: readonly string[]): Promise<string> => {
    const as = ['-C', work, '-c', 'user.name=Ada', '-c', 'user.email=a@b'];
    return (await run('git', [...as, ...args])).stdout.trim();
  };
  await run('git', ['init', '-q', '-b', 'main', work]);
  const write = async (name: string): Promise<string> => {
    writeFileSync(join(work, name), `${name}\n`);
    await git('add', '.');
    await git('commit', '-qm', name);
    return git('rev-parse', 'HEAD');
  };
  const main = await write('first');
  await git('push', '-q', hub.pushUrl('ada'), 'main');
  await hub.settled();
  writeFileSync(join(folder, 'key.pem'), hub.app.privateKey);
  writeFileSync(join(folder, 'secret'), hub.app.webhookSecret);
  const lines: string[] = [];
  const note = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const forge: World['forge'] = (change = {}, clock = createClock()) => {
    const config: ForgeConfig = {
      kind: 'github',
      apiUrl: hub.api,
      owner: hub.owner,
      repo: hub.name,
      credentials: {
        kind: 'app',
        appId: hub.app.id,
        installation: hub.app.installationId,
        privateKeyFile: join(folder, 'key.pem'),
      },
      webhook: null,
      comments: true,
      ...change,
    };
    const log = { info: note, warn: note, error: note };
    const made = createGitHub({
      config,
      cluster: 'test',
      branch: 'main',
      clock,
      log,
    });
    ends.push(() => made.close());
    return made;
  };
  const pull: World['pull'] = async (branch, by = 'ada') => {
    await git('checkout', '-qb', branch, main);
    const head = await write(branch);
    await git('push', '-q', hub.pushUrl(by), branch);
    await hub.settled();
    const { number } = await hub.openPull({ head: branch, by });
    return { number, head };
  };
  return { hub, folder, lines, forge, git, main, pull };
};

export const report = (commit: string, change: Partial<CheckReport> = {}): CheckReport => ({
  kind: 'plan',
  commit,
  status: 'completed',
  conclusion: 'action_required',
  title: '3 start, 3 stop',
  summary: 'Three copies go.',
  text: '<details><summary>web</summary>\n\nmore\n\n</details>',
  annotations: [],
  buttons: [{ id: 'approve', label: 'Approve', description: 'Three copies may go' }],
  ...change,
});
