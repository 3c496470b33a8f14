// Which commits a source hands out, by real repositories and real signatures: everything that
// docs/SIGNATURES.md promises of squash, rebase, merge commit and the very first commit.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPullReader } from '../../reconciler/edge/git/pulls.ts';
import { planCheck } from '../../reconciler/render/plan-check.ts';
import type { GitSource } from '../../reconciler/edge/git/source.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import type { GitSourceOptions } from '../../reconciler/edge/git/options.ts';
import { createLedgerMark } from '../../reconciler/edge/git/ledger-mark.ts';
import { allowedSignerLine, openSigningKey } from '../../reconciler/edge/git/signing-key.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { refusedEach } from '../../schema/refused-words.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import {
  gpgCommit,
  gpgKey,
  signedCommit,
  signWith,
  sshKey,
  type SshKey,
} from '../support/signing.ts';

let folder: string;
let work: string;
let ada: SshKey;
let bob: SshKey;
let web: SshKey;
let opened: GitSource[] = [];

beforeEach(() => {
  folder = tempFolder('acceptance');
  work = initRepository(path.join(folder, 'work'));
  [ada, bob, web] = [sshKey(folder, 'ada'), sshKey(folder, 'bob'), sshKey(folder, 'web')];
});
afterEach(() => {
  for (const source of opened) source.close();
  opened = [];
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

const open = (options: Partial<GitSourceOptions> = {}): GitSource => {
  const source = createGitSource({
    repository: work,
    branch: 'main',
    directory: '',
    cluster: 'shop',
    log,
    cacheDir: path.join(folder, 'cache'),
    ...options,
  });
  opened.push(source);
  return source;
};

const cluster = (verify: string): string => `name: shop\nsignatures: { verify: ${verify} }\n`;

const allow = (...lines: readonly string[]): Record<string, string> => ({
  'signers/allowed_signers': lines.map((line) => `${line}\n`).join(''),
});

/** A first commit without a policy, and one that turns it on; both without signature. */
const turnedOn = (verify: 'head' | 'strict', ...lines: readonly string[]): string => {
  commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
  const files = { 'cluster.yaml': cluster(verify), ...allow(...lines) };
  return commitFiles(work, files, 'Turn it on');
};

let count = 0;
const news = () => {
  count += 1;
  return { files: { 'jobs/shop/web.yaml': `# ${count}\n` }, message: `Change ${count}` };
};
const plainCommit = () => commitFiles(work, news().files, 'Unsigned');

/** What is acted on, and why not more. */
const seen = async (source: GitSource) => {
  const { head, refused } = await source.read();
  return [head.oid, refused?.cause.oid ?? null, refused?.reason.kind ?? null] as const;
};

const record = (source: GitSource, one: LedgerRecord) => source.record([one]);

describe('without a policy', () => {
  test('every commit is acted on, signed or not', async () => {
    commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
    const source = open();
    expect(await seen(source)).toEqual([git(work, 'rev-parse', 'HEAD'), null, null]);
    for (const make of [plainCommit, () => signedCommit(work, bob, news())]) {
      const commit = make();
      expect(await seen(source)).toEqual([commit, null, null]);
    }
  });
});

describe('who is behind a commit, as Git knows it', () => {
  test('the person whose verified signature it bears, by the list of the commit before it', async () => {
    turnedOn('strict', `ada@example.org,ada ${ada.line}`, `web-flow ${web.line}`);
    const signed = signedCommit(work, ada, news());
    const source = open();
    await source.read();
    expect(await source.signedBy(signed)).toEqual(['ada@example.org', 'ada']);
    const parent = git(work, 'rev-parse', 'HEAD^');
    expect(await source.signedBy(parent)).toEqual([]);
    const host = signedCommit(work, web, news());
    expect(await source.signedBy(host)).toEqual([]);
  });

  test('a merge: its second parent, and whether its files are just what both give', async () => {
    commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
    git(work, 'checkout', '--quiet', '-b', 'topic');
    const topic = commitFiles(work, { 'jobs/shop/web.yaml': '# a\n' }, 'Topic');
    git(work, 'checkout', '--quiet', 'main');
    const main = commitFiles(work, { 'jobs/shop/db.yaml': '# b\n' }, 'Main');
    const merge = (): string => {
      git(work, 'merge', '--quiet', '--no-ff', '-m', 'Merge', 'topic');
      return git(work, 'rev-parse', 'HEAD');
    };
    const exact = merge();
    const source = open();
    await source.read();
    expect(await source.mergeOf(main)).toBeNull();
    expect(await source.mergeOf(exact)).toEqual({ theirs: topic, isExact: true });
    git(work, 'reset', '--quiet', '--hard', main);
    merge();
    fs.writeFileSync(path.join(work, 'jobs/shop/web.yaml'), '# other\n');
    git(work, 'commit', '--quiet', '--all', '--amend', '--no-edit');
    const other = git(work, 'rev-parse', 'HEAD');
    expect(await source.mergeOf(other)).toEqual({ theirs: topic, isExact: false });
  });
});

describe('several refused commits of one push', () => {
  test('strict: each that is refused by itself, and those that only build on one', async () => {
    turnedOn('strict', `ada ${ada.line}`);
    const [first, second] = [plainCommit(), plainCommit()];
    const third = signedCommit(work, ada, news());
    const { refused } = await open().read();
    expect(refused?.each?.map(({ commit, reason }) => [commit.oid, reason?.kind ?? null])).toEqual([
      [third, null],
      [second, 'unsigned'],
      [first, 'unsigned'],
    ]);
    const told = refusedEach(refused ?? expect.fail('nothing is refused'));
    expect(told.map(({ title }) => title)).toEqual([
      `Not accepted: ${first.slice(0, 12)} below it is not signed`,
      'Not accepted: it is not signed',
      'Not accepted: it is not signed',
    ]);
    expect(told[0]?.message).toContain('nor what builds on it (2 commits)');
    expect(told[1]?.message).toContain(`purser resume --at ${second}`);
  });

  test('of very many the newest are told, and the one that stands in the way', async () => {
    turnedOn('strict', `ada ${ada.line}`);
    const all = Array.from({ length: 25 }, () => plainCommit());
    const { refused } = await open().read();
    const told = refused?.each?.map(({ commit }) => commit.oid) ?? [];
    expect(told).toEqual([...all.slice(-20).toReversed(), all[0]]);
  });
});

describe('strict', () => {
  test('turning it on is judged by the commit before; then every commit is judged', async () => {
    const source = open();
    const on = turnedOn('strict', `ada ${ada.line}`);
    expect(await seen(source)).toEqual([on, null, null]);
    const good = signedCommit(work, ada, news());
    expect(await seen(source)).toEqual([good, null, null]);
    const bad = plainCommit();
    expect(await seen(source)).toEqual([good, bad, 'unsigned']);
    const { refused, files } = await source.read();
    expect(refused).toMatchObject({ verify: 'strict', newest: { oid: bad }, commits: [bad] });
    expect(files.get('jobs/shop/web.yaml')).toMatchObject({ text: `# ${count - 1}\n` });
    // A good one on top changes nothing: the bad one stands in the way.
    const top = signedCommit(work, ada, news());
    expect(await seen(source)).toEqual([good, bad, 'unsigned']);
    expect((await source.read()).refused?.commits).toEqual([top, bad]);
    // Nor does a fresh start.
    expect(await seen(open())).toEqual([good, bad, 'unsigned']);
    await record(source, { kind: 'resume', commit: bad, by: 'ada', at: '2026-11-22T00:00:00Z' });
    expect(await seen(source)).toEqual([top, null, null]);
    expect(await seen(open())).toEqual([top, null, null]);
  });

  test('signed and amended, it is accepted', async () => {
    const source = open();
    turnedOn('strict', `ada ${ada.line}`);
    const good = signedCommit(work, ada, news());
    const bad = plainCommit();
    expect(await seen(source)).toEqual([good, bad, 'unsigned']);
    git(work, ...signWith(ada), 'commit', '--quiet', '--amend', '--no-edit');
    expect(await seen(source)).toEqual([git(work, 'rev-parse', 'HEAD'), null, null]);
  });

  test('a commit cannot admit its own author, nor switch the policy off', async () => {
    const source = open();
    const on = turnedOn('strict', `ada ${ada.line}`);
    const lines = [`ada ${ada.line}`, `bob ${bob.line}`];
    const own = signedCommit(work, bob, { files: allow(...lines), message: 'Admit me' });
    expect(await seen(source)).toEqual([on, own, 'unknown-key']);
    // Not by a second commit either, which the first one's list would admit.
    signedCommit(work, bob, news());
    expect(await seen(source)).toEqual([on, own, 'unknown-key']);
    git(work, 'reset', '--quiet', '--hard', on);
    const off = commitFiles(work, { 'cluster.yaml': cluster('none') }, 'Off');
    commitFiles(work, news().files, 'After it is off');
    expect(await seen(source)).toEqual([on, off, 'unsigned']);
    git(work, 'reset', '--quiet', '--hard', on);
    const gone = commitFiles(work, { 'cluster.yaml': null }, 'Gone');
    expect(await seen(source)).toEqual([on, gone, 'unsigned']);
    // A signer admits another, who may commit from then on; and switches it off.
    git(work, 'reset', '--quiet', '--hard', on);
    signedCommit(work, ada, { files: allow(...lines), message: 'Admit bob' });
    const his = signedCommit(work, bob, news());
    expect(await seen(source)).toEqual([his, null, null]);
    signedCommit(work, bob, { files: { 'cluster.yaml': cluster('none') }, message: 'Off' });
    const after = plainCommit();
    expect(await seen(source)).toEqual([after, null, null]);
  });

  test('a broken cluster.yaml keeps the policy; a missing list admits nobody', async () => {
    const source = open();
    turnedOn('strict', `ada ${ada.line}`);
    const files = { 'cluster.yaml': 'name: [' };
    const broken = signedCommit(work, ada, { files, message: 'Broken' });
    expect(await seen(source)).toEqual([broken, null, null]);
    const bad = plainCommit();
    expect(await seen(source)).toEqual([broken, bad, 'unsigned']);
    expect(await seen(open())).toEqual([broken, bad, 'unsigned']);
    git(work, 'reset', '--quiet', '--hard', broken);
    const mended = { 'cluster.yaml': cluster('strict'), 'signers/allowed_signers': null };
    const without = signedCommit(work, ada, { files: mended, message: 'Nobody' });
    expect(await seen(source)).toEqual([without, null, null]);
    const locked = signedCommit(work, ada, news());
    expect(await seen(source)).toEqual([without, locked, 'unknown-key']);
  });

  test('a key past its time, also with a date from before', async () => {
    const source = open();
    const on = turnedOn('strict', `ada ${ada.line}`, `bob valid-before="20200101" ${bob.line}`);
    const late = signedCommit(work, bob, news());
    expect(await seen(source)).toEqual([on, late, 'expired']);
    git(work, 'reset', '--quiet', '--hard', on);
    commitFiles(work, news().files, 'Backdated');
    execFileSync('git', [...signWith(bob), 'commit', '--amend', '--no-edit'], {
      cwd: work,
      stdio: 'ignore',
      env: {
        ...process.env,
        GIT_COMMITTER_NAME: 'bob',
        GIT_COMMITTER_EMAIL: 'bob@example.org',
        GIT_COMMITTER_DATE: '2019-01-01T00:00:00Z',
      },
    });
    const old = git(work, 'rev-parse', 'HEAD');
    expect(await seen(source)).toEqual([on, old, 'expired']);
  });

  test('OpenPGP keys beside the list', async () => {
    const home = path.join(folder, 'g');
    const key = gpgKey(home, 'grace');
    try {
      const source = open();
      commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
      const on = {
        'cluster.yaml': cluster('strict'),
        'signers/grace@example.org.asc': key.armored,
      };
      commitFiles(work, on, 'On');
      const good = gpgCommit(work, { home, name: 'grace' }, news());
      expect(await seen(source)).toEqual([good, null, null]);
      const bad = plainCommit();
      expect(await seen(source)).toEqual([good, bad, 'unsigned']);
    } finally {
      key.close();
    }
  });
});

describe('head', () => {
  test('only the newest commit is asked; a signed one on top admits those below', async () => {
    const source = open();
    const on = turnedOn('head', `ada ${ada.line}`);
    const bad = plainCommit();
    expect(await seen(source)).toEqual([on, bad, 'unsigned']);
    const top = signedCommit(work, ada, news());
    expect(await seen(source)).toEqual([top, null, null]);
  });

  test('what was not accepted admits nobody', async () => {
    const source = open();
    const on = turnedOn('head', `ada ${ada.line}`);
    commitFiles(work, allow(`bob ${bob.line}`), 'Admit bob');
    const his = signedCommit(work, bob, news());
    expect(await seen(source)).toEqual([on, his, 'unknown-key']);
    commitFiles(work, { 'cluster.yaml': cluster('none') }, 'Off');
    const after = plainCommit();
    expect(await seen(source)).toEqual([on, after, 'unsigned']);
  });
});

/** Judged by the newest accepted commit: what stands where the line forks may know no policy. */
describe('a line that does not lead back to what was accepted last', () => {
  /** The first commit, before there was a policy, and the newest one, which is in sync. */
  const standing = async (verify: 'head' | 'strict' = 'strict') => {
    turnedOn(verify, `ada ${ada.line}`);
    const last = signedCommit(work, ada, news());
    const source = open();
    await source.read();
    await record(source, { kind: 'synced', commit: last });
    return { source, last, old: git(work, 'rev-parse', 'HEAD~2') };
  };
  const merge = (...sign: readonly string[]): string => {
    const how = ['--quiet', '--no-ff', '--no-edit', '--strategy', 'ours'];
    git(work, ...sign, 'merge', ...how, 'theirs');
    return git(work, 'rev-parse', 'HEAD');
  };
  const forkAt = (old: string): void => {
    git(work, 'branch', '--force', 'theirs', 'main');
    git(work, 'reset', '--quiet', '--hard', old);
  };
  const resume = (source: GitSource, commit: string) =>
    record(source, { kind: 'resume', commit, by: 'ada', at: '2026-11-22T00:00:00Z' });

  test.each(['head', 'strict'] as const)('%s: a merge with swapped parents', async (verify) => {
    const { source, last, old } = await standing(verify);
    forkAt(old);
    const evil = plainCommit();
    const top = merge();
    const cause = verify === 'head' ? top : evil;
    for (const one of [source, open()]) {
      expect(await seen(one)).toEqual([last, cause, 'unsigned']);
      expect((await one.read()).refused?.commits).toEqual([top, evil]);
    }
    // Nor where an old record lies at the fork.
    await resume(source, old);
    await record(source, { kind: 'synced', commit: git(work, 'rev-parse', 'theirs~1') });
    await record(source, { kind: 'synced', commit: last });
    for (const one of [source, open()]) expect(await seen(one)).toEqual([last, cause, 'unsigned']);
    await resume(source, top);
    expect(await seen(source)).toEqual([top, null, null]);
  });

  test('one whose commits listed people signed is accepted', async () => {
    const { source, old } = await standing();
    forkAt(old);
    signedCommit(work, ada, news());
    const top = merge(...signWith(ada));
    expect(await seen(open())).toEqual([top, null, null]);
    expect(await seen(source)).toEqual([top, null, null]);
  });

  test('rewritten by force: all of it is signed, or nothing of it is accepted', async () => {
    const { source, last, old } = await standing();
    forkAt(old);
    const good = signedCommit(work, ada, news());
    const bad = plainCommit();
    for (const one of [source, open()]) expect(await seen(one)).toEqual([last, bad, 'unsigned']);
    git(work, 'reset', '--quiet', '--hard', good);
    for (const one of [source, open()]) expect(await seen(one)).toEqual([good, null, null]);
  });

  test('what was signed long ago is not brought back, nor the branch set back', async () => {
    const { source, last, old } = await standing();
    forkAt(old);
    commitFiles(work, news().files, 'Abandoned');
    const abandoned = ['commit', '--quiet', '--amend', '--no-edit'];
    const env = { ...process.env, GIT_COMMITTER_DATE: '2019-01-01T00:00:00Z' };
    const who = { GIT_COMMITTER_NAME: 'ada', GIT_COMMITTER_EMAIL: 'ada@example.org' };
    execFileSync('git', [...signWith(ada), ...abandoned], { cwd: work, env: { ...env, ...who } });
    for (const back of [git(work, 'rev-parse', 'HEAD'), old]) {
      git(work, 'reset', '--quiet', '--hard', back);
      for (const one of [source, open()]) {
        expect(await seen(one)).toEqual([last, back, 'went-back']);
      }
    }
    // A person may go back.
    await resume(source, old);
    expect(await seen(open())).toEqual([old, null, null]);
    expect(await seen(source)).toEqual([old, null, null]);
  });

  test('a history of its own', async () => {
    const { source, last } = await standing();
    git(work, 'checkout', '--quiet', '--orphan', 'other');
    const root = commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'Another');
    git(work, 'branch', '--quiet', '--force', 'main', root);
    for (const one of [source, open()]) expect(await seen(one)).toEqual([last, root, 'unsigned']);
  });
});

describe('the very first commit', () => {
  const first = (lines: readonly string[]) => ({
    files: { 'cluster.yaml': cluster('strict'), ...allow(...lines) },
    message: 'First',
  });

  test('is judged by its own files', async () => {
    const good = signedCommit(work, ada, first([`ada ${ada.line}`]));
    expect(await seen(open())).toEqual([good, null, null]);
    const next = signedCommit(work, ada, news());
    expect(await seen(open())).toEqual([next, null, null]);
  });

  test('unsigned, nothing is done at all, until the reconciler is told whom to trust', async () => {
    const bad = commitFiles(work, first([`ada ${ada.line}`]).files, 'First');
    const good = signedCommit(work, ada, news());
    await expect(open().read()).rejects.toThrow(
      `nothing of the branch can be acted on: commit ${bad.slice(0, 12)} by ada@example.org is not signed`,
    );
    expect(await seen(open({ trusted: bad }))).toEqual([good, null, null]);
    await expect(open({ trusted: 'f'.repeat(40) }).read()).rejects.toThrow(
      'the branch does not contain ffff',
    );
  });
});

/** Branches of a pull request, and the three ways in which GitHub merges it. */
describe('merged by the host', () => {
  const listed = () => [`ada ${ada.line}`, `web-flow ${web.line}`];

  /** A branch of two commits by those keys; null: unsigned. */
  const pull = (keys: readonly (SshKey | null)[]) => {
    git(work, 'checkout', '--quiet', '-b', 'pull');
    for (const [at, key] of keys.entries()) {
      const change = { files: { [`jobs/shop/p${at}.yaml`]: `# ${at}\n` }, message: `Pull ${at}` };
      if (key === null) commitFiles(work, change.files, change.message);
      else signedCommit(work, key, change);
    }
    git(work, 'checkout', '--quiet', 'main');
  };
  const button = (...args: readonly string[]): string => {
    git(work, ...signWith(web), ...args);
    return git(work, 'rev-parse', 'HEAD');
  };
  const mergeButton = () => button('merge', '--quiet', '--no-ff', '--no-edit', '-S', 'pull');

  test('merge commit: accepted where every commit that it brings in is signed', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    signedCommit(work, ada, news());
    pull([ada, ada]);
    const merge = mergeButton();
    expect(await seen(source)).toEqual([merge, null, null]);
    expect(await seen(open())).toEqual([merge, null, null]);
  });

  test('merge commit: one unsigned commit in it, and it is not accepted', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    const before = signedCommit(work, ada, news());
    pull([null, ada]);
    const merge = mergeButton();
    expect(await seen(source)).toEqual([before, merge, 'brought-in']);
    expect((await source.read()).refused?.reason).toMatchObject({ reason: { kind: 'unsigned' } });
  });

  test('merge commit: with `head` the newest commit that it brings in vouches', async () => {
    const source = open();
    turnedOn('head', ...listed());
    const before = git(work, 'rev-parse', 'HEAD');
    pull([null, ada]);
    const merge = mergeButton();
    expect(await seen(source)).toEqual([merge, null, null]);
    git(work, 'reset', '--quiet', '--hard', before);
    git(work, 'branch', '--quiet', '-D', 'pull');
    pull([ada, null]);
    const other = mergeButton();
    // Who accepted the first merge stays at it; who never saw it begins below.
    expect(await seen(source)).toEqual([merge, other, 'brought-in']);
    expect(await seen(open())).toEqual([before, other, 'brought-in']);
  });

  test('merge commit: a branch that the host brought up to date first', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    signedCommit(work, ada, news());
    pull([ada]);
    signedCommit(work, ada, news());
    git(work, 'checkout', '--quiet', 'pull');
    button('merge', '--quiet', '--no-ff', '--no-edit', '-S', 'main');
    git(work, 'checkout', '--quiet', 'main');
    const merge = mergeButton();
    expect(await seen(source)).toEqual([merge, null, null]);
    // The same with `head`.
    git(work, 'reset', '--quiet', '--hard', 'HEAD~1');
    signedCommit(work, ada, { files: { 'cluster.yaml': cluster('head') }, message: 'head' });
    const again = mergeButton();
    expect(await seen(source)).toEqual([again, null, null]);
  });

  test('merge commit: other files than its parents give are nobody’s signed work', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    const before = signedCommit(work, ada, news());
    pull([ada]);
    mergeButton();
    fs.writeFileSync(path.join(work, 'jobs/shop/p0.yaml'), '# edited in the browser\n');
    git(work, 'add', '--all');
    const merge = button('commit', '--quiet', '--amend', '--no-edit');
    expect(await seen(source)).toEqual([before, merge, 'merge-differs']);
  });

  test('merge commit: lines of one file, which both sides changed, as Git puts them together', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    const change = (text: string) => ({ files: { 'jobs/shop/p.yaml': text }, message: 'Lines' });
    signedCommit(work, ada, change('# 1\n# 2\n# 3\n# 4\n# 5\n'));
    git(work, 'checkout', '--quiet', '-b', 'pull');
    signedCommit(work, ada, change('# 1\n# 2\n# 3\n# 4\n# five\n'));
    git(work, 'checkout', '--quiet', 'main');
    const before = signedCommit(work, ada, change('# one\n# 2\n# 3\n# 4\n# 5\n'));
    const merge = mergeButton();
    expect(await seen(source)).toEqual([merge, null, null]);
    git(work, 'reset', '--quiet', '--hard', before);
    mergeButton();
    fs.appendFileSync(path.join(work, 'jobs/shop/p.yaml'), '# edited in the browser\n');
    git(work, 'add', '--all');
    const other = button('commit', '--quiet', '--amend', '--no-edit');
    expect(await seen(open())).toEqual([before, other, 'merge-differs']);
  });

  test('merge commit by a person: her signature is enough', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    pull([null]);
    git(work, ...signWith(ada), 'merge', '--quiet', '--no-ff', '--no-edit', '-S', 'pull');
    expect(await seen(source)).toEqual([git(work, 'rev-parse', 'HEAD'), null, null]);
  });

  test('squash: signed by the host alone, not accepted', async () => {
    const source = open();
    const before = turnedOn('strict', ...listed());
    pull([ada, ada]);
    git(work, 'merge', '--quiet', '--squash', 'pull');
    const squash = button('commit', '--quiet', '--message', 'Squashed (#1)');
    expect(await seen(source)).toEqual([before, squash, 'web-flow']);
  });

  test('rebase: the host writes the commits anew, without a signature', async () => {
    const source = open();
    turnedOn('strict', ...listed());
    const before = signedCommit(work, ada, news());
    pull([ada, ada]);
    git(work, 'checkout', '--quiet', 'pull');
    git(work, 'rebase', '--quiet', '--force-rebase', 'main');
    git(work, 'checkout', '--quiet', 'main');
    git(work, 'merge', '--quiet', '--ff-only', 'pull');
    expect(await seen(source)).toEqual([before, git(work, 'rev-parse', 'HEAD~1'), 'unsigned']);
  });
});

describe("Purser's own commits", () => {
  const own = () => openSigningKey(path.join(folder, 'signing-key'), true);
  const author = { name: 'Purser', email: 'purser@localhost' };

  const edit = async (source: GitSource, content: string) => {
    const { head, files } = await source.read();
    const base = files.get('jobs/shop/web.yaml')?.blob ?? null;
    const edits = [{ path: 'jobs/shop/web.yaml', content, base }];
    return source.commit({ head: head.oid, edits, message: 'By the machine', author });
  };

  test('are signed, accepted, and good in the eyes of git', async () => {
    const key = own();
    const source = open({ signingKey: key });
    turnedOn('strict', `ada ${ada.line}`, allowedSignerLine(key));
    const made = await edit(source, '# machine\n');
    expect(await seen(source)).toEqual([made, null, null]);
    const [listed, nobody] = [signedCommit(work, ada, news()), plainCommit()];
    const answers = [made, listed, nobody].map((one) => source.isOwn(one));
    expect(await Promise.all(answers)).toEqual([true, false, false]);
    expect(await open().isOwn(made)).toBe(false);
    git(work, 'reset', '--quiet', '--hard', made);
    const allowed = path.join(work, 'signers/allowed_signers');
    const show = (ref: string) =>
      git(
        work,
        '-c',
        `gpg.ssh.allowedSignersFile=${allowed}`,
        'log',
        '-1',
        '--show-signature',
        ref,
      );
    expect(show('main')).toMatch(/^Good "git" signature for purser with ED25519 key/m);
    expect(show('refs/purser/shop/ledger')).toMatch(/^Good "git" signature for purser/m);
    git(work, 'fsck', '--strict');
  });

  test('are not made where the list lacks the key, and the line to add is said', async () => {
    const key = own();
    const source = open({ signingKey: key });
    const on = turnedOn('strict', `ada ${ada.line}`);
    await expect(edit(source, '# machine\n')).rejects.toThrow(
      `add this line to signers/allowed_signers: ${allowedSignerLine(key)}`,
    );
    expect(git(work, 'rev-parse', 'HEAD')).toBe(on);
  });

  test('are never made on top of what is not accepted', async () => {
    const key = own();
    const source = open({ signingKey: key });
    turnedOn('head', `ada ${ada.line}`, allowedSignerLine(key));
    await source.read();
    const bad = plainCommit();
    await expect(edit(source, '# machine\n')).rejects.toThrow(
      `nothing is committed on top of what is not accepted: commit ${bad.slice(0, 12)}`,
    );
  });
});

describe('the ledger', () => {
  const LEDGER = 'refs/purser/shop/ledger';
  const settled = (specHash: string): LedgerRecord => ({
    kind: 'settled',
    job: 'shop/web',
    specHash,
    deployment: 'd',
    commit: 'c',
    digests: [],
  });
  const hashes = async (source: GitSource) =>
    (await source.read()).ledger.flatMap((one) => (one.kind === 'settled' ? [one.specHash] : []));

  /** Somebody who may push writes a record of their own on top. */
  const forge = (specHash: string, ...config: readonly string[]): string => {
    const text = `${git(work, 'show', `${LEDGER}:jobs/shop/web.jsonl`)}\n${JSON.stringify(settled(specHash))}\n`;
    const clone = path.join(folder, `forge-${specHash}`);
    git(folder, 'clone', '--quiet', '--no-checkout', work, clone);
    git(clone, 'fetch', '--quiet', 'origin', LEDGER);
    git(clone, 'checkout', '--quiet', 'FETCH_HEAD');
    commitFiles(clone, { 'jobs/shop/web.jsonl': text }, 'ledger: 1 settled');
    if (config.length > 0) git(clone, ...config, 'commit', '--quiet', '--amend', '--no-edit');
    git(clone, 'push', '--quiet', 'origin', `HEAD:${LEDGER}`);
    return git(clone, 'rev-parse', 'HEAD');
  };

  test('records of others on top of signed ones are ignored, shown, and written over', async () => {
    commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
    const key = openSigningKey(path.join(folder, 'signing-key'), true);
    const source = open({ signingKey: key });
    await source.read();
    await record(source, settled('one'));
    const unsigned = forge('unsigned');
    const other = forge('other', ...signWith(bob));
    expect(await hashes(source)).toEqual(['one']);
    expect((await source.read()).foreign).toMatchObject([
      { commit: other, reason: { kind: 'unknown-key' }, author: { email: 'ada@example.org' } },
      { commit: unsigned, reason: { kind: 'unsigned' } },
    ]);
    const again = open({ signingKey: key });
    expect(await hashes(again)).toEqual(['one']);
    await record(source, settled('two'));
    expect(await hashes(source)).toEqual(['one', 'two']);
    expect(git(work, 'show', `${LEDGER}:jobs/shop/web.jsonl`)).not.toContain('unsigned');
    expect(git(work, 'log', '--format=%H', LEDGER)).toContain(other);
  });

  test('what was written before there was a key stays', async () => {
    commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
    const before = open();
    await before.read();
    await record(before, settled('old'));
    const key = openSigningKey(path.join(folder, 'signing-key'), true);
    const source = open({ signingKey: key });
    expect(await hashes(source)).toEqual(['old']);
    await record(source, settled('new'));
    expect(await hashes(open({ signingKey: key }))).toEqual(['old', 'new']);
  });

  /** The ledger in another history: of a commit that accepts `resumed`. */
  const replace = (resumed: string, ...sign: readonly string[]): string => {
    const other = initRepository(path.join(folder, `other-${count}`));
    const line = { kind: 'resume', commit: resumed, by: 'ada', at: '2026-11-22T00:00:00Z' };
    const made = commitFiles(other, { 'cluster.jsonl': `${JSON.stringify(line)}\n` }, 'ledger');
    git(work, 'fetch', '--quiet', other, made);
    const args = sign.length === 0 ? [] : ['-S'];
    const tip = git(work, ...sign, 'commit-tree', ...args, '-m', 'ledger', `${made}^{tree}`);
    git(work, 'update-ref', LEDGER, tip);
    return tip;
  };
  const REPLACED = /no commit of the ledger refs\/purser\/shop\/ledger is signed by Purser/;

  test('one that was replaced as a whole is known by the disk, and accepted by the key', async () => {
    const first = commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
    const file = path.join(folder, 'signing-key');
    const signingKey = openSigningKey(file, true);
    const markOf = (about: readonly string[], key = signingKey) =>
      createLedgerMark(`${file}.ledger`, { about, key, log });
    const withMark = (key = signingKey) => ({
      signingKey: key,
      ledgerMark: markOf(['shop', work], key),
    });
    const source = open(withMark());
    await source.read();
    await record(source, settled('one'));
    await source.read();
    const good = git(work, 'rev-parse', LEDGER);
    const bad = replace(first);
    await expect(open(withMark()).read()).rejects.toThrow(REPLACED);
    await expect(open(withMark()).record([settled('two')])).rejects.toThrow(REPLACED);
    expect(git(work, 'rev-parse', LEDGER)).toBe(bad);
    git(work, 'update-ref', LEDGER, good);
    expect(await hashes(open(withMark()))).toEqual(['one']);
    git(work, 'update-ref', LEDGER, bad);
    const accepting = open(withMark());
    await expect(accepting.acceptLedger(good)).rejects.toThrow(`stands at ${bad}`);
    await accepting.acceptLedger(bad);
    for (const one of [accepting, open(withMark())]) {
      const { ledger } = await one.read();
      expect(ledger).toContainEqual(expect.objectContaining({ kind: 'resume', commit: first }));
    }
    // Another repository, or a key of its own, knows nothing of it.
    expect(markOf(['shop', 'elsewhere']).wasSigned()).toBe(false);
    const another = openSigningKey(path.join(folder, 'another-key'), true);
    expect(markOf(['shop', work], another).wasSigned()).toBe(false);
    git(work, 'update-ref', LEDGER, good);
    expect(await hashes(open(withMark(another)))).toEqual(['one']);
  });

  test('one that was set back is known by the disk; a person goes on from it, or puts it back', async () => {
    commitFiles(work, { 'cluster.yaml': 'name: shop\n' }, 'First');
    const file = path.join(folder, 'signing-key');
    const signingKey = openSigningKey(file, true);
    const withMark = () => {
      const about = ['shop', work];
      return {
        signingKey,
        ledgerMark: createLedgerMark(`${file}.ledger`, { about, key: signingKey, log }),
      };
    };
    const source = open(withMark());
    await source.read();
    await record(source, settled('one'));
    const older = git(work, 'rev-parse', LEDGER);
    await record(source, settled('two'));
    const newest = git(work, 'rev-parse', LEDGER);
    git(work, 'update-ref', LEDGER, older);
    const BACK = `stands at ${older.slice(0, 12)} and lacks ${newest.slice(0, 12)}, which Purser wrote`;
    // It notices by itself, and after a start; nothing is written on top.
    for (const one of [source, open(withMark())]) {
      await expect(one.read()).rejects.toThrow(BACK);
      await expect(one.record([settled('three')])).rejects.toThrow(
        `purser resume --ledger ${older}`,
      );
    }
    expect(git(work, 'rev-parse', LEDGER)).toBe(older);
    git(work, 'update-ref', LEDGER, newest);
    for (const one of [source, open(withMark())]) expect(await hashes(one)).toEqual(['one', 'two']);
    git(work, 'update-ref', LEDGER, older);
    await source.acceptLedger(older);
    await record(source, settled('four'));
    for (const one of [source, open(withMark())])
      expect(await hashes(one)).toEqual(['one', 'four']);
    // Deleted, it begins anew, as ever; with the disk lost nobody knows.
    git(work, 'update-ref', '-d', LEDGER);
    await record(source, settled('five'));
    for (const one of [source, open(withMark())]) expect(await hashes(one)).toEqual(['five']);
    git(work, 'update-ref', LEDGER, newest);
    fs.rmSync(`${file}.ledger`);
    expect(await hashes(open(withMark()))).toEqual(['one', 'two']);
  });

  test('a folder that cannot be written forgets it, and says so once', () => {
    const warned: string[] = [];
    const warn = (_: unknown, words: string) => void warned.push(words);
    // A file where its folder should be: root may write everywhere else.
    fs.writeFileSync(path.join(folder, 'file'), '');
    const key = openSigningKey(path.join(folder, 'signing-key'), true);
    const file = path.join(folder, 'file', 'key.ledger');
    const mark = createLedgerMark(file, { about: ['shop'], key, log: { warn } });
    mark.keep('a');
    mark.keep('b');
    expect(mark.newest()).toBe('b');
    expect(warned).toEqual([expect.stringContaining('cannot be remembered')]);
  });

  test('a branch whose first commit is refused says it too, and no resume of that ledger helps', async () => {
    const signingKey = openSigningKey(path.join(folder, 'signing-key'), true);
    const files = {
      'cluster.yaml': cluster('strict'),
      ...allow(`ada ${ada.line}`, allowedSignerLine(signingKey)),
    };
    const first = commitFiles(work, files, 'First');
    const evil = plainCommit();
    for (const resumed of [first, evil]) {
      replace(resumed);
      await expect(open({ signingKey }).read()).rejects.toThrow(REPLACED);
    }
  });

  test('nor does what cannot be judged for another reason', async () => {
    const signingKey = openSigningKey(path.join(folder, 'signing-key'), true);
    const first = turnedOn('strict', `ada ${ada.line}`, allowedSignerLine(signingKey));
    const evil = plainCommit();
    replace(evil);
    const trusted = 'f'.repeat(40);
    expect(first).not.toBe(trusted);
    await expect(open({ signingKey, trusted }).read()).rejects.toThrow('does not contain ffff');
  });

  test('with the disk lost the branch says it, whatever that ledger accepts', async () => {
    const key = openSigningKey(path.join(folder, 'signing-key'), true);
    turnedOn('strict', `ada ${ada.line}`, allowedSignerLine(key));
    const source = open({ signingKey: key });
    await source.read();
    await record(source, settled('one'));
    const good = git(work, 'rev-parse', LEDGER);
    // A stranger's commit lists a stranger's key as Purser's, and a ledger of that key accepts it.
    const list = allow(`eve ${bob.line}`, `purser ${bob.line}`);
    const evil = signedCommit(work, bob, { files: list, message: 'Mine' });
    const lost = openSigningKey(path.join(folder, 'new-key'), true);
    for (const sign of [[], signWith(bob)]) {
      replace(evil, ...sign);
      await expect(open({ signingKey: lost }).read()).rejects.toThrow(REPLACED);
    }
    git(work, 'update-ref', LEDGER, good);
    const { refused } = await open({ signingKey: lost }).read();
    expect(refused?.cause.oid).toBe(evil);
  });

  test('a resume that somebody else wrote accepts nothing', async () => {
    const key = openSigningKey(path.join(folder, 'signing-key'), true);
    const source = open({ signingKey: key });
    const on = turnedOn('strict', `ada ${ada.line}`, allowedSignerLine(key));
    await source.read();
    await record(source, settled('one'));
    const bad = plainCommit();
    const clone = path.join(folder, 'forger');
    git(folder, 'clone', '--quiet', '--no-checkout', work, clone);
    git(clone, 'fetch', '--quiet', 'origin', LEDGER);
    git(clone, 'checkout', '--quiet', 'FETCH_HEAD');
    const resume = { kind: 'resume', commit: bad, by: 'eve', at: '2026-11-22T00:00:00Z' };
    const text = fs.readFileSync(path.join(clone, 'cluster.jsonl'), 'utf8');
    commitFiles(clone, { 'cluster.jsonl': `${text}${JSON.stringify(resume)}\n` }, 'resume');
    git(clone, 'push', '--quiet', 'origin', `HEAD:${LEDGER}`);
    expect(await seen(source)).toEqual([on, bad, 'unsigned']);
    expect(await seen(open({ signingKey: key }))).toEqual([on, bad, 'unsigned']);
  });

  test('a new key counts the records of the old one where the list names both', async () => {
    const old = openSigningKey(path.join(folder, 'old-key'), true);
    const key = openSigningKey(path.join(folder, 'new-key'), true);
    turnedOn('strict', `ada ${ada.line}`, allowedSignerLine(old), allowedSignerLine(key));
    const before = open({ signingKey: old });
    await before.read();
    await record(before, settled('by the old key'));
    const source = open({ signingKey: key });
    await source.read();
    await record(source, settled('by the new key'));
    await record(before, settled('by the old key again'));
    expect(await hashes(source)).toEqual([
      'by the old key',
      'by the new key',
      'by the old key again',
    ]);
    expect((await source.read()).foreign).toBeUndefined();
  });
});

describe('a pull request', () => {
  const refusalsOf = async (base: string, head: string) => {
    const names = { branch: 'main', directory: '', cluster: 'shop' };
    const cacheDir = path.join(folder, 'cache');
    const reader = createPullReader({ repository: work, cacheDir, log, ...names });
    try {
      const { kind, refusals = [] } = await reader.read({ base, head });
      return [kind, ...refusals.map(({ commit, reason }) => `${reason.kind} ${commit}`)];
    } finally {
      reader.close();
    }
  };

  test('its commits that would not be accepted are known before it is merged', async () => {
    const base = turnedOn('strict', `ada ${ada.line}`);
    git(work, 'checkout', '--quiet', '-b', 'pull');
    const files = (at: number) => ({ [`jobs/shop/p${at}.yaml`]: `# ${at}\n` });
    const one = commitFiles(work, files(1), 'One');
    const two = signedCommit(work, bob, { files: files(2), message: 'Two' });
    const three = signedCommit(work, ada, { files: files(3), message: 'Three' });
    const found = ['merged', `unsigned ${one}`, `unknown-key ${two}`];
    expect(await refusalsOf(base, three)).toEqual(found);
    // No file of the cluster, but a commit of the branch all the same.
    git(work, 'checkout', '--quiet', '-b', 'readme', base);
    const readme = commitFiles(work, { 'README.md': 'x' }, 'Readme');
    expect(await refusalsOf(base, readme)).toEqual(['untouched', `unsigned ${readme}`]);
    git(work, 'checkout', '--quiet', 'main');
    const verify = { files: { 'cluster.yaml': cluster('head') }, message: 'head' };
    const head = signedCommit(work, ada, verify);
    expect(await refusalsOf(head, three)).toEqual(['merged']);
    expect(await refusalsOf(head, two)).toEqual(['merged', `unknown-key ${two}`]);
    const none = { files: { 'cluster.yaml': cluster('none') }, message: 'none' };
    expect(await refusalsOf(signedCommit(work, ada, none), two)).toEqual(['merged']);
  });

  test('the check says so, and fails', () => {
    const author = { name: 'Eve', email: 'eve@example.org' };
    const refusals = [{ commit: 'a'.repeat(40), author, reason: { kind: 'unsigned' } as const }];
    const context = { cluster: 'shop', directory: '', approved: new Set<string>() };
    const plan = { kind: 'untouched', base: 'b', head: 'c', refusals } as const;
    const check = planCheck(plan, context);
    expect([check.conclusion, check.title]).toEqual(['failure', '1 commit would not be accepted']);
    expect(check.summary).toMatch(/by eve.*example\.org is not signed/);
    expect(check.summary).toContain('git commit --amend -S');
    expect(planCheck({ ...plan, refusals: [] }, context).conclusion).toBe('success');
  });
});

describe('the place of the ledger', () => {
  test('only an accepted commit moves it, also at a start', async () => {
    const source = open();
    const on = turnedOn('strict', `ada ${ada.line}`);
    await source.read();
    await record(source, { kind: 'synced', commit: on });
    const ledgers = () => git(work, 'for-each-ref', '--format=%(refname)', '**/ledger').split('\n');
    const [REF, BRANCH] = ['refs/purser/shop/ledger', 'refs/heads/purser/shop/ledger'];
    const says = (place: string) => ({
      files: { 'cluster.yaml': `${cluster('strict')}ledger: ${place}\n` },
      message: `To ${place}`,
    });
    const bad = commitFiles(work, says('branch').files, 'Unsigned');
    for (const one of [source, open()]) {
      expect(await seen(one)).toEqual([on, bad, 'unsigned']);
      expect(ledgers()).toEqual([REF]);
    }
    git(work, 'reset', '--quiet', '--hard', on);
    const moved = signedCommit(work, ada, says('branch'));
    expect(await seen(source)).toEqual([moved, null, null]);
    expect(ledgers()).toEqual([BRANCH, REF]);
    await record(source, { kind: 'synced', commit: moved });
    // A policy that ends in the same commit does not help it: the ledger says who judges.
    const off = { 'cluster.yaml': 'name: shop\nledger: ref\n' };
    const refused = commitFiles(work, off, 'Unsigned');
    const standing = git(work, 'rev-parse', BRANCH);
    git(work, 'update-ref', '-d', REF);
    for (const one of [source, open()]) {
      expect(await seen(one)).toEqual([moved, refused, 'unsigned']);
      expect(ledgers()).toEqual([BRANCH]);
    }
    expect(git(work, 'merge-base', BRANCH, standing)).toBe(standing);
  });
});
