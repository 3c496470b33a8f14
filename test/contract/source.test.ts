// The Git edge against real repositories: local with and without a work tree, http with a login,
// ssh.
// Each passes the suite that all sources pass; then what only a real repository can have.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { GitSource } from '../../reconciler/edge/git/source.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import type { GitSourceOptions } from '../../reconciler/edge/git/options.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { startGitServer } from '../support/git-server.ts';
import { startSshServer } from '../support/ssh-server.ts';
import type { PersonFiles, SourceWorld } from './source-suite.ts';
import { AUTHOR, failureOf, sourceSuite } from './source-suite.ts';

const QUIET = { info: () => {}, warn: () => {}, error: () => {} };

interface Setting {
  readonly repository: string;
  readonly local: boolean;
  readonly options?: Partial<GitSourceOptions>;
  /** Where persons work, and how their commits get to the repository. */
  readonly workTree: string;
  readonly push: boolean;
  readonly close: () => Promise<void>;
}

const worldOf = (root: string, setting: Setting): SourceWorld => {
  const { workTree } = setting;
  const sources: GitSource[] = [];
  const open = (): GitSource => {
    const source = createGitSource({
      repository: setting.repository,
      branch: 'main',
      directory: '',
      cluster: 'ship',
      log: QUIET,
      cacheDir: path.join(root, `cache-${sources.length}`),
      pollMs: 200,
      ...setting.options,
    });
    sources.push(source);
    return source;
  };
  const push = () => {
    if (setting.push) git(workTree, 'push', '--quiet', '--force', 'origin', 'main');
  };
  const pull = () => {
    if (!setting.push) return;
    git(workTree, 'fetch', '--quiet', 'origin', 'main');
    git(workTree, 'reset', '--quiet', '--hard', 'FETCH_HEAD');
  };
  const commit = (files: PersonFiles, message: string) => {
    pull();
    const oid = commitFiles(workTree, files, message);
    push();
    return Promise.resolve(oid);
  };
  return {
    source: open(),
    local: setting.local,
    commit,
    rewrite: (to, files) => {
      git(workTree, 'reset', '--quiet', '--hard', to);
      const oid = commitFiles(workTree, files, 'rewritten');
      push();
      return Promise.resolve(oid);
    },
    another: () => Promise.resolve(open()),
    close: async () => {
      for (const source of sources) source.close();
      await setting.close();
      fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
};

const start = (name: string) => {
  const root = tempFolder(name);
  const workTree = initRepository(path.join(root, 'work'));
  commitFiles(workTree, { 'cluster.yaml': 'name: ship\n' }, 'first');
  return { root, workTree };
};

const bareBeside = (root: string, workTree: string): string => {
  const bare = path.join(root, 'served', 'ship.git');
  git(root, 'clone', '--quiet', '--bare', workTree, bare);
  git(workTree, 'remote', 'add', 'origin', bare);
  return bare;
};

const nothing = () => Promise.resolve();

sourceSuite('local, with a work tree', async () => {
  const { root, workTree } = start('local');
  return worldOf(root, {
    repository: workTree,
    local: true,
    workTree,
    push: false,
    close: nothing,
  });
});

sourceSuite('local, bare', async () => {
  const { root, workTree } = start('bare');
  const repository = bareBeside(root, workTree);
  return worldOf(root, { repository, local: true, workTree, push: true, close: nothing });
});

sourceSuite('http with a login', async () => {
  const { root, workTree } = start('http');
  bareBeside(root, workTree);
  const server = await startGitServer({
    root: path.join(root, 'served'),
    login: 'bot:s3cret-token',
  });
  return worldOf(root, {
    repository: `${server.url}/ship.git`,
    local: false,
    options: { auth: { kind: 'token', user: 'bot', token: 's3cret-token' } },
    workTree,
    push: true,
    close: server.close,
  });
});

/** In place of ssh: runs what ssh would run on the other side, here. */
const SSH_SCRIPT = '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n';

sourceSuite('ssh', async () => {
  const { root, workTree } = start('ssh');
  const bare = bareBeside(root, workTree);
  const sshCommand = path.join(root, 'ssh.sh');
  fs.writeFileSync(sshCommand, SSH_SCRIPT, { mode: 0o755 });
  execFileSync('chmod', ['+x', sshCommand]);
  return worldOf(root, {
    repository: `ssh://git@ship.example${bare}`,
    local: false,
    options: { sshCommand },
    workTree,
    push: true,
    close: nothing,
  });
});

// The suite above runs what ssh would run; here a real one lets us in. Each login takes half a second.
test('ssh, a real sshd: read, recorded, committed, pushed past', async () => {
  const { root, workTree } = start('sshd');
  const bare = bareBeside(root, workTree);
  const server = await startSshServer(path.join(root, 'sshd'));
  const world = worldOf(root, {
    repository: `${server.url}${bare}`,
    local: false,
    options: { sshCommand: server.command, pollMs: 60_000 },
    workTree,
    push: true,
    close: server.close,
  });
  try {
    const tree = await world.source.read();
    expect(tree.files.get('cluster.yaml')).toMatchObject({ text: 'name: ship\n' });
    await world.source.record([{ kind: 'synced', commit: tree.head.oid }]);
    const theirs = await world.commit({ 'jobs/a/db.yaml': 'theirs' }, 'a person was first');
    const edits = [{ path: 'jobs/a/web.yaml', content: 'ours', base: null }];
    const ask = { head: tree.head.oid, edits, message: 'Ours', author: AUTHOR };
    const made = await world.source.commit(ask);
    expect(git(bare, 'rev-parse', 'main', 'main^')).toBe(`${made}\n${theirs}`);
    const other = await (await world.another()).read();
    expect(other.head.oid).toBe(made);
    expect(other.lastSynced?.commit).toBe(tree.head.oid);
  } finally {
    await world.close();
  }
});

test('ssh: a key nobody let in, a host nobody knows, no repository', async () => {
  const { root, workTree } = start('sshd-refused');
  const bare = bareBeside(root, workTree);
  const server = await startSshServer(path.join(root, 'sshd'));
  const failing = async (repository: string, sshCommand: string): Promise<string> => {
    const cacheDir = path.join(root, 'cache');
    const about = { branch: 'main', directory: '', cluster: 'ship', log: QUIET };
    const source = createGitSource({ ...about, repository, cacheDir, sshCommand });
    const failure = await failureOf(source.read());
    source.close();
    expect(failure.consequence).toBe('broken');
    return failure.message;
  };
  try {
    const url = `${server.url}${bare}`;
    expect(await failing(url, server.strangerCommand)).toContain('Check the ssh key');
    expect(await failing(url, server.newcomerCommand)).toContain('Connect once by hand');
    expect(await failing(`${server.url}/nowhere.git`, server.command)).toContain('Check the URL');
  } finally {
    await server.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  }
});
