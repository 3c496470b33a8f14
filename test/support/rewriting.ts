// A real reconciler, as a process of its own, that follows a repository which people rewrite: on the
// local GitHub over http, or on this machine. In: nothing. Out: pushes by force, what status, the
// sync check and the log say. There are no nodes: what counts is which commit is followed. Not here:
// tests.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '../../cli/client.ts';
import type { StateAnswer } from '../../schema/control.ts';
import { program, type Program } from './cluster-process.ts';
import { commitFiles, git, initRepository, type FileSet } from './git-repo.ts';
import { forgeWords } from './github-cluster.ts';
import { startGitHub, type GitHub } from './github/github.ts';
import { freePort } from './registry.ts';
import { signWith, sshKey, type SshKey } from './signing.ts';

/** Whoever has this, and no forge, is who owns. */
export const GRACE = 'grace@example.org';

const exec = promisify(execFile);
const HERE = resolve(import.meta.dirname, '../..');
const MAIN = join(HERE, 'dist/main.js');
const LIMIT_MS = 100_000;
const STEP_MS = 50;

export interface Rewriting {
  readonly root: string;
  /** Where people commit; for a reconciler on this machine also what it follows. */
  readonly work: string;
  /** The repository that is followed. */
  readonly served: string;
  readonly hub: GitHub | null;
  readonly reconciler: Program;
  readonly ada: SshKey;
  /** As `signers/allowed_signers` names Purser's own key. */
  readonly signer: () => Promise<string>;
  readonly git: (...args: readonly string[]) => string;
  /** A commit on what is checked out; by nobody: unsigned. */
  readonly commit: (files: FileSet, by?: SshKey | null) => string;
  /** The same by a clock that runs so many seconds ahead. */
  readonly commitAt: (aheadS: number, files: FileSet, by: SshKey) => string;
  /** The same by somebody of this address. */
  readonly commitAs: (email: string, files: FileSet) => string;
  /** What is checked out becomes the branch, by force. */
  readonly push: () => Promise<string>;
  readonly state: () => Promise<StateAnswer>;
  readonly until: (what: string, holds: (state: StateAnswer) => boolean) => Promise<StateAnswer>;
  /** This commit is followed, and in sync. */
  readonly follows: (commit: string) => Promise<void>;
  readonly purser: (...args: readonly string[]) => Promise<string>;
  /** Status and log say all of these words. */
  readonly says: (...words: readonly string[]) => Promise<void>;
  /** What the sync check of that commit says, once it says all of these words. */
  readonly check: (commit: string, ...words: readonly string[]) => Promise<string>;
  /** The server throws away at once whatever no branch holds. */
  readonly collect: () => void;
  /** Killed; before it starts again, this happens. */
  readonly restart: (meanwhile: () => void | Promise<unknown>) => Promise<void>;
  readonly close: () => Promise<void>;
}

export const startRewriting = async (where: 'remote' | 'local'): Promise<Rewriting> => {
  execFileSync(join(HERE, 'purser'), ['--version'], { stdio: 'ignore' }); // builds dist/ where it is old
  const root = mkdtempSync(join(tmpdir(), 'pw-'));
  const work = initRepository(join(root, 'work'));
  git(work, 'config', 'user.name', 'Ada');
  git(work, 'config', 'user.email', 'ada@example.org');
  commitFiles(work, { 'cluster.yaml': CLUSTER, [WEB]: job(0) }, 'First');
  const hub = where === 'remote' ? await startGitHub() : null;
  hub?.person('ada', 'write');
  await hub?.push(work, null, 'main');
  const port = await freePort();
  const words = hub === null ? [] : forgeWords(hub, root, port);
  hub?.hook(`http://127.0.0.1:${port}/webhook`);
  mkdirSync(join(root, 'logs'));
  const repository = hub?.cloneUrl ?? work;
  const named = ['--root', root, '--cluster', 'shop', '--repository', repository];
  const log = join(root, 'logs/reconciler.log');
  const reconciler = program({
    name: 'the reconciler',
    args: () => [MAIN, 'reconciler', ...named, ...words, '--end-with-stdin'],
    log,
    netns: null,
    env: {},
  });
  reconciler.start();
  const close = async () => {
    await reconciler.end('SIGTERM');
    rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    await hub?.close();
  };
  const served = hub?.folder ?? work;
  const at = { root, work, served, hub, reconciler, ada: sshKey(root, 'ada') };
  return { ...at, close, ...actsOn(at, () => readFileSync(log, 'utf8')) };
};

export const CLUSTER = 'name: shop\npolicies: { registries: [docker.io] }\n';
export const WEB = 'jobs/shop/web.yaml';

/** A job file that no registry is asked for. */
export const job = (remark: number): string =>
  `# ${remark}\nimage: docker.io/library/web@sha256:${'a'.repeat(64)}\n`;

type Standing = Pick<Rewriting, 'root' | 'work' | 'served' | 'hub' | 'ada' | 'reconciler'>;

const actsOn = ({ root, work, served, hub, reconciler }: Standing, log: () => string) => {
  const state = async (): Promise<StateAnswer> => {
    const control = await connect(join(root, 'control.sock'));
    try {
      return await control.call<StateAnswer>('state');
    } finally {
      control.close();
    }
  };
  const waited = async <Value>(what: string, ask: () => Promise<Value | null>): Promise<Value> => {
    const end = performance.now() + LIMIT_MS;
    let last: unknown = null;
    while (performance.now() < end) {
      const found = await ask().catch((error: unknown) => {
        last = error;
        return null;
      });
      if (found !== null) return found;
      await sleep(STEP_MS);
    }
    const { view, failure } = await state();
    const shown = { head: view?.desired.commit.oid, refused: view?.desired.refused, failure };
    const told = JSON.stringify(shown, null, 2);
    throw new Error(`never: ${what} (${String(last)})\n${told}\n${reconciler.tail(20)}`);
  };
  const until: Rewriting['until'] = (what, holds) =>
    waited(what, async () => {
      const now = await state();
      return holds(now) ? now : null;
    });
  const call = (...args: readonly string[]): string => git(work, ...args);
  const purser = async (...args: readonly string[]): Promise<string> => {
    const words = [MAIN, ...args, '--root', root];
    return exec(process.execPath, words).then(
      ({ stdout, stderr }) => stdout + stderr,
      // What it says is what is asked for, also where it ends with 1.
      (error: unknown) => String(error),
    );
  };
  return {
    git: call,
    state,
    until,
    signer: async () => (await until('a signer', ({ signer }) => signer !== null)).signer ?? '',
    commit: (files: FileSet, by: SshKey | null = null): string => {
      commitFiles(work, files, `Change ${Object.keys(files).join(' ')}`);
      if (by !== null) call(...signWith(by), 'commit', '--quiet', '--amend', '--no-edit');
      return call('rev-parse', 'HEAD');
    },
    commitAt: (aheadS: number, files: FileSet, by: SshKey): string => {
      const date = String(Math.floor(Date.now() / 1000) + aheadS);
      commitWith(work, files, {
        sign: signWith(by),
        env: { GIT_COMMITTER_DATE: `@${date} +0000` },
      });
      return call('rev-parse', 'HEAD');
    },
    commitAs: (email: string, files: FileSet): string => {
      const env = { GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_EMAIL: email };
      commitWith(work, files, { sign: [], env });
      return call('rev-parse', 'HEAD');
    },
    push: async (): Promise<string> => {
      await hub?.push(work, null, '--force', 'HEAD:main');
      return call('rev-parse', 'HEAD');
    },
    follows: async (commit: string): Promise<void> => {
      await until(`${commit} is followed`, ({ view, failure }) => {
        const { oid } = view?.desired.commit ?? {};
        return oid === commit && failure === null && view?.desired.refused === undefined;
      });
    },
    purser,
    says: async (...words: readonly string[]): Promise<void> =>
      waited(`it says ${words.join(', ')}`, async () => {
        const told = { status: await purser('status'), log: log() };
        for (const [where, text] of Object.entries(told)) {
          const missing = words.find((word) => !text.includes(word));
          if (missing !== undefined) throw new Error(`${where} lacks "${missing}": ${text}`);
        }
      }),
    collect: (): void => {
      git(served, 'reflog', 'expire', '--expire=now', '--all');
      git(served, 'gc', '--quiet', '--prune=now');
    },
    restart: async (meanwhile: () => void | Promise<unknown>): Promise<void> => {
      await reconciler.end('SIGKILL');
      await meanwhile();
      reconciler.start();
    },
    check: (commit: string, ...words: readonly string[]): Promise<string> =>
      waited(`the check of ${commit} says ${words.join(', ')}`, async () => {
        const one = hub?.checks(commit).find(({ name }) => name === 'sync/shop');
        const said = `${one?.conclusion}: ${one?.output.title}\n${one?.output.summary}`;
        if (words.every((word) => said.includes(word))) return said;
        throw new Error(said);
      }),
  };
};

interface How {
  readonly sign: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const commitWith = (work: string, files: FileSet, { sign, env }: How): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(work, name), text ?? '');
  const who = { GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.org' };
  const by = { GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.org' };
  const none = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  for (const words of [
    ['add', '--all'],
    [...sign, 'commit', '--quiet', '--message', 'Change'],
  ]) {
    const all = { PATH: process.env['PATH'], ...none, ...who, ...by, ...env };
    execFileSync('git', words, { cwd: work, env: all });
  }
};
