// Pull requests read from real repositories: what a merge would be, beside what Git makes of it;
// fetching from a real server; and what strangers send. In: repositories made by git. Out: tests.
// Not here: the plans made of them (pull-plans), merges at random (pull-merges).

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PullReader, PullTrees } from '../../reconciler/edge/git/pulls.ts';
import { createPullReader, type PullReaderOptions } from '../../reconciler/edge/git/pulls.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import type { Files } from '../../schema/source.ts';
import { startGitServer, type GitServer } from '../support/git-server.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';

const log = { info: () => {}, warn: () => {}, error: () => {} };
const BASE = { 'cluster.yaml': 'name: ship\n', 'jobs/a/web.yaml': 'one\ntwo\nthree\nfour\nfive\n' };

const merged = (found: PullTrees): Extract<PullTrees, { kind: 'merged' }> => {
  if (found.kind !== 'merged') throw new Error(`it is ${found.kind}`);
  return found;
};

const textsOf = (files: Files): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...files].map(([name, file]) => [name, file.kind === 'text' ? file.text : file.why]),
  );

describe('the merge of a pull request, in memory', () => {
  let root = '';
  let work = '';
  const opened: PullReader[] = [];
  const open = (options: Partial<PullReaderOptions> = {}): PullReader => {
    const names = { branch: 'main', directory: '', cluster: 'ship', log };
    const reader = createPullReader({ repository: work, cacheDir: root, ...names, ...options });
    opened.push(reader);
    return reader;
  };
  const branch = (name: string, from: string): void => {
    git(work, 'checkout', '--quiet', '-B', name, from);
  };
  const commit = (files: Parameters<typeof commitFiles>[1], message = 'a change'): string =>
    commitFiles(work, files, message);

  beforeEach(() => {
    root = tempFolder('pulls');
    work = initRepository(path.join(root, 'work'));
  });
  afterEach(() => {
    for (const reader of opened.splice(0)) reader.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  });

  /** Two branches from one start. */
  const fork = (ours: Parameters<typeof commitFiles>[1], theirs: typeof ours) => {
    const start = commit(BASE, 'start');
    const base = commit(ours);
    branch('pull', start);
    const head = commit(theirs, 'the change\n\nwith a body');
    return { base, head };
  };

  test('is what git merge, squash and rebase make; refs, index and work tree stay', async () => {
    const { base, head } = fork(
      { 'jobs/a/web.yaml': 'ONE\ntwo\nthree\nfour\nfive\n', 'jobs/b/ours.yaml': 'o' },
      { 'jobs/a/web.yaml': 'one\ntwo\nthree\nfour\nFIVE\n', 'jobs/c/theirs.yaml': 't' },
    );
    const before = [git(work, 'for-each-ref'), git(work, 'status', '--porcelain')];
    const objects = git(work, 'count-objects', '-v');
    const reader = open();
    const found = merged(await reader.read({ base, head }));
    expect(git(work, 'count-objects', '-v')).toBe(objects);
    expect([git(work, 'for-each-ref'), git(work, 'status', '--porcelain')]).toEqual(before);
    expect(textsOf(found.files)).toMatchObject({
      'jobs/a/web.yaml': 'ONE\ntwo\nthree\nfour\nFIVE\n',
      'jobs/b/ours.yaml': 'o',
      'jobs/c/theirs.yaml': 't',
    });
    expect(found.head).toMatchObject({ parent: base, message: 'the change\n\nwith a body\n' });
    expect(found.base.head.oid).toBe(base);
    for (const [how, args] of [
      ['merge', ['merge', '--quiet', '--no-edit', head]],
      ['squash', ['merge', '--quiet', '--squash', head]],
      ['rebase', ['cherry-pick', head]],
    ] as const) {
      branch(how, base);
      git(work, ...args);
      if (how === 'squash') git(work, 'commit', '--quiet', '-m', how);
      const other = merged(await reader.read({ base, head: git(work, 'rev-parse', 'HEAD') }));
      expect(textsOf(other.files), how).toEqual(textsOf(found.files));
    }
  });

  test('its history begins with the merge and goes on with the base', async () => {
    const { base, head } = fork({ 'jobs/b/x.yaml': 'ours' }, { 'jobs/a/web.yaml': 'theirs\n' });
    const reader = open();
    const found = merged(await reader.read({ base, head }));
    const tree = { ...found.base, head: found.head, files: found.files, histories: new Map() };
    const asked = [{ path: 'jobs/a/web.yaml', with: [] }];
    const { histories } = await reader.complete(tree, { digests: [], histories: asked });
    const entries = histories.get('jobs/a/web.yaml')?.entries ?? [];
    expect(entries.map((entry) => entry.commit.oid)).toEqual([
      found.head.oid,
      git(work, 'rev-parse', `${base}^`),
    ]);
    expect(found.differences[0]?.paths).toEqual(new Set(['jobs/a/web.yaml']));
  });

  test('a head on top of the base, behind it, equal, or only in other files', async () => {
    const first = commit(BASE, 'first');
    const reader = open();
    const second = commit({ 'jobs/a/web.yaml': 'new\n' });
    const found = merged(await reader.read({ base: first, head: second }));
    expect(textsOf(found.files)['jobs/a/web.yaml']).toBe('new\n');
    expect(await reader.read({ base: second, head: first })).toEqual({ kind: 'untouched' });
    expect(await reader.read({ base: second, head: second })).toEqual({ kind: 'untouched' });
    const words = commit({ 'README.md': 'words', 'docs/jobs/x.yaml': 'x' });
    expect(await reader.read({ base: second, head: words })).toEqual({ kind: 'untouched' });
    const back = commit({ 'jobs/a/web.yaml': BASE['jobs/a/web.yaml'] });
    const gone = merged(await reader.read({ base: words, head: back }));
    expect(gone.differences[0]?.paths).toEqual(new Set(['jobs/a/web.yaml']));
  });

  test('histories without a common commit are said to be so', async () => {
    const base = commit(BASE, 'first');
    git(work, 'checkout', '--quiet', '--orphan', 'other');
    const head = commit({ ...BASE, 'jobs/a/web.yaml': 'alien' }, 'another first');
    expect(await open().read({ base, head })).toEqual({ kind: 'unrelated' });
  });

  test('a file that one side renamed and the other edited is merged as Git does', async () => {
    const lines = Array.from({ length: 40 }, (_, at) => `line ${at}\n`);
    const text = lines.join('');
    const edited = text.replace('line 20', 'LINE 20');
    commit({ 'jobs/a/api.yaml': text });
    const { base, head } = fork(
      { 'jobs/a/api.yaml': null, 'jobs/b/api.yaml': text },
      { 'jobs/a/api.yaml': edited, 'jobs/a/web.yaml': null, 'jobs/a/site.yaml': 'new\n' },
    );
    // Nothing of the repository's own settings is run.
    git(work, 'config', 'merge.evil.driver', `touch ${root}/evil`);
    fs.writeFileSync(path.join(work, '.git/info/attributes'), '* merge=evil\n');
    const before = [git(work, 'for-each-ref'), git(work, 'count-objects', '-v')];
    const reader = open();
    const found = merged(await reader.read({ base, head }));
    expect(textsOf(found.files)).toMatchObject({ 'jobs/b/api.yaml': edited });
    expect(found.files.has('jobs/a/api.yaml')).toBe(false);
    expect(found.head.parent).toBe(base);
    expect(fs.existsSync(path.join(root, 'evil'))).toBe(false);
    expect([git(work, 'for-each-ref'), git(work, 'count-objects', '-v')]).toEqual(before);
    const histories = { digests: [], histories: [{ path: 'jobs/b/api.yaml', with: [] }] };
    const tree = { ...found.base, head: found.head, files: found.files };
    const past = (await reader.complete(tree, histories)).histories.get('jobs/b/api.yaml');
    expect(past?.entries.map((entry) => entry.commit.oid)).toEqual([found.head.oid, base]);
    branch('by-hand', base);
    git(work, 'config', '--unset', 'merge.evil.driver');
    fs.rmSync(path.join(work, '.git/info/attributes'));
    git(work, 'merge', '--quiet', '--no-edit', head);
    const theirs = merged(await open().read({ base, head: git(work, 'rev-parse', 'HEAD') }));
    expect(textsOf(theirs.files)).toEqual(textsOf(found.files));
  });

  test('a file in the way of what a renamed folder would take along is a conflict, as in Git', async () => {
    const text = 'a\nb\nc\n';
    commit({ 'jobs/a/x.yaml': text, 'jobs/b/x.yaml': text, 'jobs/c/y.yaml': text });
    const start = git(work, 'rev-parse', 'HEAD');
    const base = commit({ 'jobs/c/y.yaml': null, 'jobs/b/y.yaml': text });
    branch('pull', start);
    const head = commit({ 'jobs/a/x.yaml': null, 'jobs/c/x.yaml': text });
    expect(() => git(work, 'merge-tree', '--write-tree', base, head)).toThrow();
    expect(await open().read({ base, head })).toEqual({
      kind: 'conflict',
      files: ['jobs/b/x.yaml', 'jobs/c/x.yaml'],
    });
  });

  test('conflicts name their files below the directory; those outside are of no concern', async () => {
    const start = commit({
      'c/cluster.yaml': 'x',
      'c/jobs/a/w.yaml': 'a\n',
      'c/jobs/a/v.yaml': 'v\n',
      out: 'a',
    });
    const base = commit({
      'c/jobs/a/w.yaml': 'b\n',
      'c/jobs/a/v.yaml': null,
      'c/jobs/n.yaml': 'n',
      out: 'b',
    });
    branch('pull', start);
    const head = commit({
      'c/jobs/a/w.yaml': 'c\n',
      'c/jobs/a/v.yaml': 'w\n',
      'c/jobs/n.yaml': 'm',
      out: 'c',
    });
    expect(await open({ directory: 'c' }).read({ base, head })).toEqual({
      kind: 'conflict',
      files: ['jobs/a/v.yaml', 'jobs/a/w.yaml', 'jobs/n.yaml'],
    });
    branch('outside', start);
    const fine = commit({ 'c/jobs/a/new.yaml': 'new', out: 'c' });
    const found = merged(await open({ directory: 'c' }).read({ base, head: fine }));
    expect([...found.files.keys()]).toEqual([
      'cluster.yaml',
      'jobs/a/new.yaml',
      'jobs/a/w.yaml',
      'jobs/n.yaml',
    ]);
  });

  test('removals and whole folders go and come; branches merged into each other', async () => {
    const start = commit({ ...BASE, 'jobs/gone/a.yaml': 'a', 'jobs/gone/b.yaml': 'b' });
    const ours = commit({ 'jobs/a/web.yaml': 'ours\n' });
    branch('pull', start);
    commit({ 'jobs/gone/a.yaml': null, 'jobs/gone/b.yaml': null, 'jobs/new/deep/c.yaml': 'c' });
    git(work, 'merge', '--quiet', '--no-edit', ours);
    const head = commit({ 'jobs/d.yaml': 'd' });
    branch('line', ours);
    git(work, 'merge', '--quiet', '--no-edit', `${head}~2`);
    const base = commit({ 'jobs/e.yaml': 'e' });
    const found = merged(await open().read({ base, head }));
    branch('real', base);
    git(work, 'merge', '--quiet', '--no-edit', head);
    const real = git(work, 'ls-tree', '-r', '--name-only', 'HEAD').split('\n');
    expect([...found.files.keys()]).toEqual(real);
    expect(textsOf(found.files)['jobs/a/web.yaml']).toBe('ours\n');
  });

  test('what strangers send is refused file by file, as on the branch', async () => {
    const base = commit(BASE, 'first');
    branch('pull', base);
    fs.symlinkSync('/etc/passwd', path.join(work, 'jobs/a/link.yaml'));
    git(work, 'update-index', '--add', '--cacheinfo', `160000,${base},jobs/sub`);
    const files = {
      'jobs/a/large.yaml': 'x'.repeat(50 * 1024 * 1024),
      'jobs/a/bin.yaml': Buffer.from([255, 254]),
    };
    for (const [name, content] of Object.entries(files))
      fs.writeFileSync(path.join(work, name), content);
    git(work, 'add', 'jobs/a');
    git(work, 'commit', '--quiet', '-m', 'nasty');
    const found = merged(await open().read({ base, head: git(work, 'rev-parse', 'HEAD') }));
    expect(textsOf(found.files)).toEqual({
      ...BASE,
      'jobs/a/bin.yaml': 'not-utf8',
      'jobs/a/large.yaml': 'too-large',
      'jobs/a/link.yaml': 'symlink',
      'jobs/sub': 'submodule',
    });
  });

  describe('of a remote', () => {
    let server: GitServer;
    let url = '';
    let bare = '';
    const auth = () => Promise.resolve({ kind: 'token', token: 'SECRET-1', user: 'bot' } as const);
    const mirror = async () => {
      const source = createGitSource({
        repository: url,
        branch: 'main',
        directory: '',
        cluster: 'ship',
        log,
        cacheDir: root,
        auth,
      });
      const { head } = await source.read();
      source.close();
      return head.oid;
    };
    beforeEach(async () => {
      commit(BASE, 'first');
      bare = path.join(root, 'served/ship.git');
      git(root, 'clone', '--quiet', '--bare', work, bare);
      server = await startGitServer({ root: path.join(root, 'served'), login: 'bot:SECRET-1' });
      url = `${server.url}/ship.git`;
    });
    afterEach(() => server.close());
    const pull = (number: number): string => {
      git(work, 'push', '--quiet', bare, `HEAD:refs/pull/${number}/head`);
      return git(work, 'rev-parse', 'HEAD');
    };

    test('it is fetched by id into the mirror, whose refs stay', async () => {
      const base = await mirror();
      const [folder = ''] = fs.readdirSync(root).filter((name) => name.endsWith('.git'));
      const before = git(path.join(root, folder), 'for-each-ref');
      branch('pull', base);
      commit({ 'jobs/a/web.yaml': 'pulled\n' });
      const head = pull(7);
      const reader = open({ repository: url, auth });
      const found = merged(await reader.read({ base, head }));
      expect(textsOf(found.files)['jobs/a/web.yaml']).toBe('pulled\n');
      expect(found.base.local).toBe(false);
      expect(git(path.join(root, folder), 'for-each-ref')).toBe(before);
      const asked = server.requests.length;
      await reader.read({ base, head });
      expect(server.requests.length).toBe(asked);
    });

    test('one that is gone, too large or too slow is said to be so, without the login', async () => {
      const base = await mirror();
      const reader = open({ repository: url, auth, maxBytes: 1024 * 1024 });
      await expect(reader.read({ base, head: '1'.repeat(40) })).rejects.toThrow(/moved on/);
      branch('pull', base);
      commit({ 'jobs/a/large.yaml': randomBytes(3 * 1024 * 1024) });
      await expect(reader.read({ base, head: pull(8) })).rejects.toThrow(
        /brings more than 1MiB, which is not read/,
      );
      branch('slow', base);
      commit({ 'jobs/a/small.yaml': 'x' });
      const head = pull(9);
      server.misbehave({ kind: 'hang' });
      const hasty = open({ repository: url, auth, timeoutMs: 1000 });
      await expect(hasty.read({ base, head })).rejects.toThrow(/no answer within 1 s/);
      server.misbehave({ kind: 'status', status: 401 });
      const words = await reader.read({ base, head }).catch(String);
      expect(words).toMatch(/cannot be fetched/);
      const [folder = ''] = fs.readdirSync(root).filter((name) => name.endsWith('.git'));
      expect(fs.readdirSync(path.join(root, folder)).join(' ')).not.toContain('pull-');
      expect(words).not.toContain('SECRET-1');
      expect(words).not.toContain(Buffer.from('bot:SECRET-1').toString('base64'));
    });
  });
});
