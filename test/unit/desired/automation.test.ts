// Programs that commit: what one wrote is held when it writes again after the revert (rules 6.6).

import { describe, expect, it } from 'vitest';
import { isAutomation } from '../../../reconciler/desired/automation.ts';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import {
  digestOf,
  jobOf,
  ready,
  settledMark,
  story,
  type CommitInit,
  type Story,
} from '../../support/tree.ts';

const CLUSTER =
  'name: home\npolicies: {registries: [r.example]}\nautomation: ["images-*@example.org"]\n';
const WEB = 'jobs/shop/web.yaml';
const image = (word: string, rest = '') =>
  `image: r.example/web:${word}@${digestOf(word)}\n${rest}`;
const BOT = { name: 'renovate[bot]', email: '29139614+renovate[bot]@users.noreply.github.com' };
const UPDATER = { name: 'Images', email: 'images-1@example.org' };
const PURSER = { name: 'Purser', email: 'purser@localhost' };

const by = (author: CommitInit['author'], content: string, more: Partial<CommitInit> = {}) => ({
  files: { [WEB]: content },
  ...(author === undefined ? {} : { author }),
  ...more,
});
const ADA = undefined;
const first = { 'cluster.yaml': CLUSTER, [WEB]: image('1') };

/** The story, and the machine's revert of its newest commit, back to version 1. */
const reverted = (...commits: readonly CommitInit[]): Story => {
  const before = story(first, ...commits);
  return story(first, ...commits, revertOf(before));
};

const revertOf = (before: Story, trailer = 'Purser-Reverts'): CommitInit => {
  const oid = before.at(-1)?.commit.oid ?? '';
  const trailers = [
    [trailer, oid],
    ['Purser-Deployment', 'd'],
  ] as const;
  return { files: { [WEB]: image('1') }, author: PURSER, trailers };
};

const settledFirst = (): readonly LedgerRecord[] => [
  settledMark(jobOf(ready(story(first)).desired, 'shop/web')),
];

const webOf = (commits: Story, ledger = settledFirst()) =>
  jobOf(ready(commits, { ledger }).desired, 'shop/web');

const after = (base: Story, next: CommitInit): Story => [
  ...base,
  ...story(Object.fromEntries(base.at(-1)?.files ?? []), next).slice(1),
];

describe('after the revert of what it wrote', () => {
  const bad = by(BOT, image('2'));

  it.each([
    ['the same again', image('2')],
    ['the next version', image('3')],
  ])('%s is held at what the revert put there', (_, content) => {
    const commits = after(reverted(bad), by(BOT, content));
    const web = webOf(commits);
    const ids = commits.map(({ commit }) => commit.oid);
    expect(web.automation).toEqual({ name: BOT.name, commit: ids[3], revert: ids[2] });
    expect(web.standing).toMatchObject({
      kind: 'held',
      why: expect.stringContaining(`${BOT.name} wrote it again`),
    });
    expect(web.spec.groups[0]?.tasks[0]?.image.digest).toBe(digestOf('1'));
    expect(web.settled).toBe(true);
    expect(web.revert.kind).toBe('impossible');
    const { desired } = ready(commits, { ledger: settledFirst() });
    expect(desired.problems).toEqual([
      expect.objectContaining({ code: 'automation-paused', file: WEB, severity: 'warning' }),
    ]);
  });

  it('what it writes after that is held too', () => {
    const commits = after(after(reverted(bad), by(BOT, image('3'))), by(BOT, image('4')));
    expect(webOf(commits).automation).toBeDefined();
  });

  it('another program may write, since nothing of it was reverted', () => {
    expect(webOf(after(reverted(bad), by(UPDATER, image('3')))).standing.kind).toBe('head');
  });

  it('a person may write, and ends it for the program', () => {
    const commits = after(reverted(bad), by(ADA, image('3')));
    expect(webOf(commits).standing.kind).toBe('head');
    const resumed = after(
      after(reverted(bad), by(BOT, image('3'))),
      by(ADA, image('3', 'update: {paused: false}\n')),
    );
    expect(webOf(resumed)).toMatchObject({ standing: { kind: 'head' } });
    expect(webOf(after(resumed, by(BOT, image('4')))).standing.kind).toBe('head');
  });

  it('the machine’s own revert of what another program wrote is nobody’s look', () => {
    const other = after(reverted(bad), by(UPDATER, image('3')));
    const commits = after(after(other, revertOf(other)), by(BOT, image('2')));
    expect(webOf(commits).automation?.name).toBe(BOT.name);
  });

  it('a person’s revert counts, by `git revert` and by `purser rollback`', () => {
    const before = story(first, bad);
    const oid = before.at(-1)?.commit.oid ?? '';
    const plain = by(ADA, image('1'), { message: `Revert\n\nThis reverts commit ${oid}.\n` });
    const command = by(ADA, image('1'), { trailers: [['Purser-Rolls-Back', oid]] });
    for (const revert of [plain, command]) {
      const commits = after(story(first, bad, revert), by(BOT, image('2')));
      expect(webOf(commits).automation).toBeDefined();
    }
  });

  it('the revert of a person’s change pauses nobody', () => {
    const commits = after(reverted(by(ADA, image('2'))), by(BOT, image('3')));
    expect(webOf(commits).standing.kind).toBe('head');
  });

  it('a change of another file by a person resumes nothing', () => {
    const other: CommitInit = { files: { 'cluster.yaml': `${CLUSTER}# more\n` } };
    const commits = after(after(reverted(bad), by(BOT, image('2'))), other);
    expect(webOf(commits).automation).toBeDefined();
  });

  describe('also where it was a file that the job mounts', () => {
    const CONF = 'configs/web.conf';
    const mounts = image('1', `files: {/a: ${CONF}}\n`);
    const start = { 'cluster.yaml': CLUSTER, [WEB]: mounts, [CONF]: 'port 1' };
    const wrote = (author: CommitInit['author'], content: string): CommitInit => ({
      files: { [CONF]: content },
      ...(author === undefined ? {} : { author }),
    });
    const bad2 = wrote(BOT, 'port 2');
    const before = story(start, bad2);
    const trailers = [['Purser-Reverts', before.at(-1)?.commit.oid ?? '']] as const;
    const back: CommitInit = { files: { [CONF]: 'port 1' }, author: PURSER, trailers };
    const marks = [settledMark(jobOf(ready(story(start)).desired, 'shop/web'))];
    const seen = (...more: readonly CommitInit[]) =>
      webOf(story(start, bad2, back, ...more), marks);

    it('holds what the program writes again, and lets a person’s change of it through', () => {
      const held = seen(bad2);
      expect([held.automation?.name, held.standing.kind, held.settled]).toEqual([
        BOT.name,
        'held',
        true,
      ]);
      expect(seen(wrote(BOT, 'port 3')).automation).toBeDefined();
      expect(seen(wrote(ADA, 'port 3')).automation).toBeUndefined();
      expect(seen(bad2, wrote(ADA, 'port 4')).standing.kind).toBe('head');
      expect(seen(by(BOT, image('2', `files: {/a: ${CONF}}\n`))).automation).toBeDefined();
    });
  });

  it('holds a version too that had settled before it was taken back', () => {
    const two = story(first, bad);
    const marks = [settledMark(jobOf(ready(two).desired, 'shop/web')), ...settledFirst()];
    const commits = after(reverted(bad), by(BOT, image('2')));
    expect(webOf(commits, marks).automation).toBeDefined();
    const memo = createMemo();
    ready(commits.slice(0, 3), { ledger: marks, memo });
    const again = ready(commits, { ledger: marks, memo }).desired;
    expect(jobOf(again, 'shop/web')).toEqual(webOf(commits, marks));
  });
});

describe('who is automation', () => {
  it.each([
    [BOT, true],
    [UPDATER, true],
    [{ name: 'dependabot', email: '49699333+dependabot[bot]@users.noreply.github.com' }, true],
    [{ name: 'Images', email: 'IMAGES-9@EXAMPLE.ORG' }, true],
    [{ name: 'Images', email: 'images-9@example.org.evil' }, false],
    [{ name: 'Ada', email: 'ada@example.org' }, false],
    [PURSER, false],
  ])('%o: %s', (author, said) => {
    expect(isAutomation(author, ['images-*@example.org'])).toBe(said);
  });

  it('a star stands for any characters, also none', () => {
    const author = { name: 'x', email: 'ab@c' };
    for (const pattern of ['*', 'ab@c', 'a*b@c', '*@*', 'ab*@c']) {
      expect(isAutomation(author, [pattern])).toBe(true);
    }
    for (const pattern of ['a', '*b', 'ab@c*d', 'ab@*@c', 'a*ab@c']) {
      expect(isAutomation(author, [pattern])).toBe(false);
    }
  });
});
