// The built `purser` as a person runs it, and a live `up` of one node for it to speak to.
// In: words. Out: exit code and texts. The cluster is in a root of its own, with a registry on
// loopback; `close` ends all.

import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { commitFiles, git, initRepository } from './git-repo.ts';
import { pushApp } from './cluster.ts';
import { testRegistry } from './registry.ts';
import { appJob } from './app.ts';

const HERE = resolve(import.meta.dirname, '../..');
const PURSER = join(HERE, 'purser');

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string;
  /** Told everything that it has printed, each time that there is more. */
  readonly onOut?: (out: string) => void;
  /** The same of its errors and remarks. */
  readonly onErr?: (err: string) => void;
  /** Ends it then, as Ctrl-C does. */
  readonly interrupt?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
}

/** A command that hangs fails its test with what it said so far. */
const RUN_LIMIT_MS = 110_000;

export const run = async (
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> => {
  const child = spawn(command, [...args], {
    cwd: options.cwd ?? HERE,
    env: { ...process.env, ...options.env },
  });
  const [out, err] = [textOf(child, 'stdout'), textOf(child, 'stderr')];
  child.stdout.on('data', () => options.onOut?.(out()));
  child.stderr.on('data', () => options.onErr?.(err()));
  child.stdin.on('error', () => undefined); // it did not want to read
  child.stdin.end(options.input ?? '');
  options.interrupt?.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code: code ?? -1, out: out(), err: err() };
};

const textOf = (child: ChildProcess, stream: 'stdout' | 'stderr'): (() => string) => {
  const parts: Buffer[] = [];
  child[stream]?.on('data', (data: Buffer) => parts.push(data));
  return () => Buffer.concat(parts).toString('utf8');
};

export interface UpCluster {
  readonly root: string;
  readonly repository: string;
  /** `127.0.0.1:port/app`, with tags 1 and 2. */
  readonly image: string;
  readonly purser: (args: readonly string[], options?: RunOptions) => Promise<Ran>;
  /** What `up` has printed. */
  readonly said: () => string;
  readonly close: () => Promise<void>;
}

const UP_LIMIT_MS = 110_000;

/** Two jobs: `shop/web` with two copies, `shop/store` with a named volume. */
export const startUp = async (): Promise<UpCluster> => {
  execFileSync(PURSER, ['--version'], { stdio: 'ignore' }); // builds dist/ where it is old
  const root = mkdtempSync(join(tmpdir(), 'pc-'));
  const registry = await testRegistry();
  await pushApp(registry, '1');
  await pushApp(registry, '2', 'second');
  const image = `${registry.host}/app`;
  const repository = initRepository(mkdtempSync(join(tmpdir(), 'pcr-')));
  git(repository, 'config', 'user.name', 'Ada');
  git(repository, 'config', 'user.email', 'ada@example.org');
  const yaml = [
    'name: cli',
    'guards: { own_approval: true }',
    'policies:',
    `  registries: ["${registry.host}"]`,
  ];
  const job = (more: readonly string[] = []) => appJob({ image: `${image}:1`, version: '1', more });
  const store = job(['volumes: ["data:/data"]']).replace(/^count: 2/m, 'count: 1');
  commitFiles(
    repository,
    {
      'cluster.yaml': `${yaml.join('\n')}\n`,
      'jobs/shop/web.yaml': job(),
      'jobs/shop/store.yaml': store,
    },
    'A shop',
  );
  const args = ['up', repository, '--root', root, '--insecure-registry', registry.host];
  const child = spawn(PURSER, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = [textOf(child, 'stdout'), textOf(child, 'stderr')];
  const said = () => out() + err();
  const purser: UpCluster['purser'] = (words, options = {}) =>
    run(PURSER, words, { ...options, env: { PURSER_ROOT: root, ...options.env } });
  const ended = once(child, 'exit');
  const close = async () => {
    await run(PURSER, ['down', '--volumes', '--root', root]);
    child.kill('SIGKILL');
    await ended;
    await registry.close();
    rmSync(repository, { recursive: true, force: true, maxRetries: 5 });
    rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  };
  const until = performance.now() + UP_LIMIT_MS;
  while (!said().includes('Ctrl-C stops Purser')) {
    if (child.exitCode !== null || performance.now() > until) {
      await close();
      throw new Error(`up did not come up:\n${said()}`);
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  return { root, repository, image, purser, said, close };
};
