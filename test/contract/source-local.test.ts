// What only a repository on this machine can have: a person's work tree in the way, files that are
// no text, packed refs, ledgers of others. In: real repositories. Out: tests. Not here: the
// behaviours of all sources (source-suite).

import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GitSourceOptions } from '../../reconciler/edge/git/options.ts';
import type { GitSource } from '../../reconciler/edge/git/source.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { AUTHOR, createWaiter, edit, failureOf } from './source-suite.ts';

describe('a local repository', () => {
  let root = '';
  let repository = '';
  const opened: GitSource[] = [];
  const warnings: string[] = [];
  const log = {
    info: () => {},
    warn: (_: object, message: string) => void warnings.push(message),
    error: () => {},
  };
  const open = (options: Partial<GitSourceOptions> = {}): GitSource => {
    const source = createGitSource({
      repository,
      branch: 'main',
      directory: '',
      cluster: 'ship',
      log,
      cacheDir: path.join(root, 'cache'),
      ...options,
    });
    opened.push(source);
    return source;
  };

  beforeEach(() => {
    root = tempFolder('local');
    repository = initRepository(path.join(root, 'work'));
    commitFiles(repository, { 'cluster.yaml': 'name: ship\n', 'jobs/a/web.yaml': 'v2\n' }, 'first');
    warnings.length = 0;
  });
  afterEach(() => {
    for (const source of opened.splice(0)) source.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  });

  const revert = async (source: GitSource): Promise<string> => {
    const tree = await source.read();
    const edits = [edit(tree, 'jobs/a/web.yaml', 'v1\n')];
    return source.commit({ head: tree.head.oid, edits, message: 'Revert web', author: AUTHOR });
  };
  const fileText = (name: string) => fs.readFileSync(path.join(repository, name), 'utf8');

  test('a shallow clone is refused with the command that makes it whole', async () => {
    commitFiles(repository, { 'jobs/a/web.yaml': 'v3\n' }, 'second');
    const shallow = path.join(root, 'shallow clone');
    git(root, 'clone', '--quiet', '--depth', '1', `file://${repository}`, shallow);
    const source = open({ repository: shallow });
    expect((await failureOf(source.read())).message).toContain(
      `is a shallow clone, and Purser reads the history of the files. Fetch the rest: ` +
        `git -C '${shallow}' fetch --unshallow`,
    );
    git(shallow, 'fetch', '--quiet', '--unshallow');
    expect((await source.read()).files.get('jobs/a/web.yaml')).toMatchObject({ text: 'v3\n' });
  });

  test('a merged branch is one commit: the first-parent line counts (rules 1.1)', async () => {
    const file = 'jobs/a/web.yaml';
    const first = git(repository, 'rev-parse', 'HEAD');
    git(repository, 'checkout', '--quiet', '-b', 'topic');
    const one = commitFiles(repository, { [file]: 'topic 1\n' }, 'topic 1');
    const two = commitFiles(
      repository,
      { [file]: 'topic 2\n', 'jobs/a/new.yaml': 'n\n' },
      'topic 2',
    );
    git(repository, 'checkout', '--quiet', 'main');
    const beside = commitFiles(repository, { 'jobs/a/db.yaml': 'db\n' }, 'beside');
    git(repository, 'merge', '--quiet', '--no-ff', '--message', 'merge topic', 'topic');
    const merge = git(repository, 'rev-parse', 'HEAD');
    const source = open({ readOnly: true });
    const histories = [
      { path: file, with: [] },
      { path: 'jobs/a/db.yaml', with: [] },
    ];
    const tree = await source.complete(await source.read(), {
      digests: [],
      histories,
      changes: [merge],
    });
    expect(tree.head).toMatchObject({ oid: merge, parent: beside });
    const oids = (path: string) =>
      tree.histories.get(path)?.entries.map(({ commit }) => commit.oid);
    expect(oids(file)).toEqual([merge, first]);
    expect(oids('jobs/a/db.yaml')).toEqual([beside]);
    const line = await source.listCommits(10);
    expect(line.map(({ oid }) => oid)).toEqual([merge, beside, first]);
    for (const oid of [one, two]) expect(git(repository, 'log', '--format=%H')).toContain(oid);
    const changed = tree.changes?.get(merge)?.files?.map(({ path }) => path);
    expect(changed).toEqual(['jobs/a/new.yaml', file]);
  });

  test('files that are no text are refused, each with its reason, and stop nothing', async () => {
    fs.mkdirSync(path.join(repository, 'configs'), { recursive: true });
    fs.symlinkSync('/etc/passwd', path.join(repository, 'configs/link'));
    git(repository, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},configs/sub`);
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n';
    fs.writeFileSync(path.join(repository, 'configs/lfs'), pointer);
    fs.writeFileSync(path.join(repository, 'configs/large'), 'x'.repeat(3_000_000));
    fs.writeFileSync(path.join(repository, 'configs/binary'), Buffer.from([0xff, 0xfe, 0x80]));
    git(repository, 'add', 'configs/link', 'configs/lfs', 'configs/large', 'configs/binary');
    git(repository, 'commit', '--quiet', '--message', 'odd');
    for (const packed of [false, true]) {
      if (packed) git(repository, 'gc', '--quiet');
      const { files } = await open({ readOnly: true }).read();
      const why = [...files].map(([name, file]) => [name, file.kind === 'text' ? '' : file.why]);
      expect(why).toEqual([
        ['cluster.yaml', ''],
        ['configs/binary', 'not-utf8'],
        ['configs/large', 'too-large'],
        ['configs/lfs', 'lfs-pointer'],
        ['configs/link', 'symlink'],
        ['configs/sub', 'submodule'],
        ['jobs/a/web.yaml', ''],
      ]);
      expect(files.get('configs/large')).toMatchObject({ size: 3_000_000 });
    }
  });

  test('a cluster in a directory sees that directory only', async () => {
    const files = { 'clusters/eu/cluster.yaml': 'name: eu\n', 'clusters/eu/jobs/b/db.yaml': 'x' };
    const head = commitFiles(repository, files, 'eu');
    const source = open({ directory: './clusters/eu/', cluster: 'eu' });
    const tree = await source.read();
    expect([...tree.files.keys()]).toEqual(['cluster.yaml', 'jobs/b/db.yaml']);
    const edits = [edit(tree, 'jobs/b/db.yaml', 'y')];
    await source.commit({ head, edits, message: 'x', author: AUTHOR });
    expect(fileText('clusters/eu/jobs/b/db.yaml')).toBe('y');
    expect(await source.readFile('cluster.yaml')).toBe('name: eu\n');
  });

  test('the work tree follows a machine commit, and other work of the person stays', async () => {
    fs.writeFileSync(path.join(repository, 'notes.txt'), 'mine');
    fs.writeFileSync(path.join(repository, 'staged.txt'), 'mine too');
    git(repository, 'add', 'staged.txt');
    const made = await revert(open());
    expect(git(repository, 'rev-parse', 'HEAD')).toBe(made);
    expect(fileText('jobs/a/web.yaml')).toBe('v1\n');
    expect(git(repository, 'status', '--porcelain')).toBe('A  staged.txt\n?? notes.txt');
    expect(git(repository, 'reflog', '-1')).toContain('purser: Revert web');
    expect(git(repository, 'fsck', '--strict', '--no-dangling')).toBe('');
  });

  /**
   * A reconciler was killed while it moved from `from` to `to`; its pid belongs to nobody any more.
   */
  const cutOff = (): { readonly from: string; readonly to: string } => {
    const from = git(repository, 'rev-parse', 'HEAD');
    const files = { 'jobs/a/web.yaml': 'machine\n', 'configs/new': 'new\n' };
    const to = commitFiles(repository, files, 'of the machine');
    git(repository, 'reset', '--hard', '--quiet', from);
    fs.writeFileSync(path.join(repository, 'staged.txt'), 'mine');
    git(repository, 'add', 'staged.txt');
    fs.writeFileSync(path.join(repository, '.git/index.lock'), 'purser 1 0@another-boot\n');
    fs.writeFileSync(
      path.join(repository, '.git/purser-commit'),
      `refs/heads/main ${from} ${to}\n`,
    );
    fs.mkdirSync(path.join(repository, 'configs'), { recursive: true });
    return { from, to };
  };

  test.each([0, 1, 2])(
    'killed before the branch moved, %i files on: all goes back',
    async (moved) => {
      const { from } = cutOff();
      if (moved > 0) fs.writeFileSync(path.join(repository, 'configs/new'), 'new\n');
      if (moved > 1) fs.writeFileSync(path.join(repository, 'jobs/a/web.yaml'), 'machine\n');
      await open().read();
      expect(git(repository, 'rev-parse', 'HEAD')).toBe(from);
      expect(git(repository, 'status', '--porcelain')).toBe('A  staged.txt');
      expect(fs.readdirSync(path.join(repository, '.git')).join()).not.toMatch(
        /purser-|index.lock/,
      );
    },
  );

  test('killed after the branch moved: the index follows', async () => {
    const { to } = cutOff();
    fs.writeFileSync(path.join(repository, 'configs/new'), 'new\n');
    fs.writeFileSync(path.join(repository, 'jobs/a/web.yaml'), 'machine\n');
    fs.writeFileSync(path.join(repository, '.git/refs/heads/main'), `${to}\n`);
    await open().read();
    expect(git(repository, 'rev-parse', 'HEAD')).toBe(to);
    expect(git(repository, 'status', '--porcelain')).toBe('A  staged.txt');
    expect(fileText('jobs/a/web.yaml')).toBe('machine\n');
  });

  test('killed, and a person is at work: it is undone when they are through', async () => {
    const { from } = cutOff();
    fs.writeFileSync(path.join(repository, 'configs/new'), 'new\n');
    write('.git/index.lock', '');
    const source = open();
    for (const status of ['A  staged.txt\n?? configs/', 'A  staged.txt']) {
      await source.read();
      expect(git(repository, 'rev-parse', 'HEAD')).toBe(from);
      expect(git(repository, 'status', '--porcelain')).toBe(status);
      fs.rmSync(path.join(repository, '.git/index.lock'), { force: true });
    }
  });

  test('killed with everything done but the locks given back: git goes on', async () => {
    const left = ['index.lock', 'refs/heads/main.lock', 'refs/purser/ship/ledger.lock'];
    const gits = path.join(repository, '.git/refs/heads/other.lock');
    await open().read();
    for (const name of left) write(`.git/${name}`, 'purser 1 0@another-boot\n');
    fs.writeFileSync(gits, '');
    expect(() => commitFiles(repository, { 'notes.txt': 'x' }, 'a person')).toThrow('index.lock');
    await open().read();
    commitFiles(repository, { 'notes.txt': 'x' }, 'a person');
    for (const name of left) expect(fs.existsSync(path.join(repository, '.git', name))).toBe(false);
    expect(fs.existsSync(gits)).toBe(true); // git's own: somebody may be at work
    fs.rmSync(gits);
  });

  const inTheWay: readonly (readonly [string, () => void, string])[] = [
    ['changed', () => write('jobs/a/web.yaml', 'mine'), 'stash push --include-untracked'],
    ['staged', () => stage('jobs/a/web.yaml', 'mine'), 'stash push --include-untracked'],
    ['merging', () => write('.git/MERGE_HEAD', '1'.repeat(40)), 'merge --continue'],
    ['rebasing', () => fs.mkdirSync(path.join(repository, '.git/rebase-merge')), 'rebase --cont'],
    ['index held', () => write('.git/index.lock', ''), 'rm -f'],
    ['another branch', () => git(repository, 'switch', '-q', '-c', 'other'), 'switch main'],
    ['detached', () => git(repository, 'switch', '-q', '--detach'), 'switch main'],
  ];
  const write = (name: string, text: string) => fs.writeFileSync(path.join(repository, name), text);
  const stage = (name: string, text: string) => {
    write(name, text);
    git(repository, 'add', name);
  };

  test.each(inTheWay)(
    '%s: nothing moves, and the command is named',
    async (_, arrange, command) => {
      const source = open();
      await source.read();
      const head = git(repository, 'rev-parse', 'main');
      arrange();
      const before = fileText('jobs/a/web.yaml');
      const failure = await failureOf(revert(source));
      expect(failure.consequence).toBe('broken');
      expect(failure.message).toContain(command);
      expect(git(repository, 'rev-parse', 'main')).toBe(head);
      expect(fileText('jobs/a/web.yaml')).toBe(before);
      const left = fs.readdirSync(path.join(repository, '.git'));
      expect(left.filter((name) => name.startsWith('purser-index'))).toEqual([]);
    },
  );

  test('packed refs and objects are read, and a commit after that too', async () => {
    const source = open();
    await source.read();
    git(repository, 'gc', '--quiet', '--prune=now');
    const fresh = open();
    expect((await fresh.read()).files.size).toBe(2);
    commitFiles(repository, { 'jobs/a/db.yaml': 'x' }, 'more');
    for (const one of [source, fresh]) expect((await one.read()).files.size).toBe(3);
  });

  test('no branch, no repository, no commit: each says what to do', async () => {
    const noBranch = await failureOf(open({ branch: 'prod', readOnly: true }).read());
    expect(noBranch).toMatchObject({ consequence: 'broken' });
    expect(noBranch.message).toMatch(/no branch prod \(it has main\)/);
    const folder = await failureOf(open({ repository: root, readOnly: true }).read());
    expect(folder.message).toContain('git init');
    const absent = await failureOf(open({ repository: `${root}/none`, readOnly: true }).read());
    expect(absent.message).toContain('does not exist');
    const empty = initRepository(path.join(root, 'empty'));
    const unborn = await failureOf(open({ repository: empty, readOnly: true }).read());
    expect(unborn.message).toContain('it has none yet');
  });

  test("another cluster's ledger is refused; a ledger on a branch is one", async () => {
    await open().read();
    const moved = await failureOf(open({ directory: 'clusters/eu' }).read());
    expect(moved.consequence).toBe('broken');
    expect(moved.message).toContain('another name');
    await open({ ledger: 'branch' }).read();
    expect(git(repository, 'show', 'purser/ship/ledger:cluster.jsonl')).toContain(
      '"cluster":"ship"',
    );
  });

  test('a source that only reads writes nothing', async () => {
    const before = git(repository, 'for-each-ref');
    await open({ readOnly: true }).read();
    expect(git(repository, 'for-each-ref')).toBe(before);
  });

  test('a ledger that cannot be written is told at the start', async () => {
    fs.writeFileSync(path.join(repository, '.git/refs/purser'), 'in the way');
    expect((await failureOf(open().read())).consequence).toBe('broken');
  });

  test('records survive as compact lines: what a newer one replaces goes', async () => {
    const source = open();
    const { head } = await source.read();
    const digest = (value: string): LedgerRecord => ({
      kind: 'digest',
      job: 'a/web',
      group: 'web',
      task: 'web',
      reference: 'app:1',
      commit: head.oid,
      digest: value,
    });
    await source.record([digest('sha256:1'), { kind: 'synced', commit: head.oid }]);
    await source.record([digest('sha256:2'), { kind: 'synced', commit: head.oid }]);
    const lines = git(repository, 'show', 'refs/purser/ship/ledger:jobs/a/web.jsonl').split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('sha256:2');
    expect(git(repository, 'fsck', '--strict', '--no-dangling')).toBe('');
  });

  test('a commit is noticed by itself, not when it is time to look', async () => {
    const source = open({ lookAgainMs: 600_000 });
    await source.read();
    const woken = createWaiter();
    const stop = source.watch(woken.wake);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const from = git(repository, 'rev-parse', 'main');
    const tree = git(repository, 'rev-parse', 'main^{tree}');
    const next = git(repository, 'commit-tree', tree, '-p', from, '-m', 'next');
    const ref = path.join(repository, '.git/refs/heads/main');
    fs.writeFileSync(`${ref}.lock`, `${next}\n`);
    const began = performance.now();
    fs.renameSync(`${ref}.lock`, ref);
    await woken.wait();
    expect(performance.now() - began).toBeLessThan(NOTICED_MS);
    await stop();
  });

  test('a rewritten branch is followed with a warning', async () => {
    const source = open();
    await source.read();
    git(repository, 'commit', '--quiet', '--amend', '--message', 'rewritten');
    await source.read();
    expect(warnings.join()).toContain('rewritten');
  });

  test('commits are listed, all or those of a path', async () => {
    const source = open();
    commitFiles(repository, { 'README.md': 'x' }, 'readme');
    const all = await source.listCommits(10);
    expect(all.map((one) => one.message.trim())).toEqual(['readme', 'first']);
    const some = await source.listCommits(10, 'jobs/a/web.yaml');
    expect(some.map((one) => one.message.trim())).toEqual(['first']);
    expect(await source.listCommits(1)).toHaveLength(1);
  });
});

/** Some 5 ms on an idle machine; the rest is for busy ones. Far less than the timer that looks too. */
const NOTICED_MS = 5000;
