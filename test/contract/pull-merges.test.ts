// What a pull request's merge would be, beside what `git merge-tree` makes of it, for changes at
// random: lines, files and folders that come, go and move, and branches merged into each other.
// In: repositories made by git. Out: tests. Not here: what is read from the merge (pulls).

import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { objectId } from '../../reconciler/edge/git/objects.ts';
import { createPullReader } from '../../reconciler/edge/git/pulls.ts';
import type { Files } from '../../schema/source.ts';
import { git, initRepository, tempFolder } from '../support/git-repo.ts';

type Content = ReadonlyMap<string, string>;
type Edit = (content: Content) => Content;

const file = fc
  .tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y'))
  .map(([folder, name]) => `jobs/${folder}/${name}.yaml`);
const line = fc.constantFrom('a\n', 'b\n', 'c\n', 'd\n', 'e\n');
const text = fc.array(line, { minLength: 3, maxLength: 12 });
const content: fc.Arbitrary<Content> = fc
  .array(fc.tuple(file, text), { minLength: 1, maxLength: 4 })
  .map((entries) => new Map(entries.map(([name, lines]) => [name, lines.join('')])));

const spliced = fc
  .record({ file, at: fc.nat(12), gone: fc.nat(2), come: fc.array(line, { maxLength: 2 }) })
  .map(({ file: name, at, gone, come }): Edit => (before) => {
    const now = before.get(name);
    const lines = now?.split(/(?<=\n)/);
    lines?.splice(at, gone, ...come);
    return lines === undefined ? before : new Map([...before, [name, lines.join('')]]);
  });
const put = fc.tuple(file, text).map(
  ([name, lines]): Edit =>
    (before) =>
      new Map([...before, [name, lines.join('')]]),
);
const removed = file.map(
  (name): Edit =>
    (before) =>
      new Map([...before].filter(([other]) => other !== name)),
);
/** A file, or with a folder's name all in it. */
const moved = fc
  .tuple(fc.oneof(file, fc.constant('jobs/a/')), file)
  .map(([from, to]): Edit => (before) => {
    const target = from.endsWith('/') ? to.slice(0, from.length) : to;
    return new Map(
      [...before].map(([name, now]) => [
        name.startsWith(from) ? target + name.slice(from.length) : name,
        now,
      ]),
    );
  });
const edits = fc.array(
  fc.oneof({ weight: 3, arbitrary: spliced }, put, removed, { weight: 2, arbitrary: moved }),
  { maxLength: 3 },
);
const asEdit =
  (list: readonly Edit[]): Edit =>
  (before) =>
    list.reduce((now, edit) => edit(now), before);
const fork = fc.record({
  start: content,
  ours: edits.map(asEdit),
  theirs: edits.map(asEdit),
  /** Each branch has the other's first commit merged into it: they have two common ancestors. */
  cross: fc.option(fc.tuple(edits.map(asEdit), edits.map(asEdit)), { freq: 5 }),
});

const commitOf = (name: string, now: Content, parents: readonly string[]): string => {
  const [from, ...merged] = parents.map((parent) => `refs/heads/${parent}\n`);
  const files = [...now].map(
    ([file, words]) => `M 100644 inline ${file}\ndata ${words.length}\n${words}\n`,
  );
  return [
    `commit refs/heads/${name}\ncommitter a <a@example.org> 1700000000 +0000\n`,
    `data ${name.length}\n${name}\n`,
    from === undefined ? '' : `from ${from}`,
    ...merged.map((parent) => `merge ${parent}`),
    'deleteall\n',
    ...files,
    '\n',
  ].join('');
};

/** null: a conflict. */
const mergedByGit = (folder: string, base: string, head: string): string | null => {
  const args = ['merge-tree', '--write-tree', '--no-messages', base, head];
  const { status, stdout } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
  expect([0, 1]).toContain(status);
  return status === 0 ? stdout.trim() : null;
};

const LISTED = '--format=%(objectname) %(path)';

const idsOf = (files: Files): string =>
  [...files]
    .map(([name, found]) => {
      if (found.kind !== 'text') throw new Error(`${name} is no text`);
      return `${objectId({ type: 'blob', data: Buffer.from(found.text) })} ${name}`;
    })
    .join('\n');

test('a merge is clean where Git calls it so, and has the tree that Git gives it', async () => {
  const root = tempFolder('merges');
  const work = initRepository(path.join(root, 'work'));
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const names = { branch: 'main', directory: '', cluster: 'ship', log };
  const reader = createPullReader({ repository: work, cacheDir: root, ...names });
  let runs = 0;
  const real = { merged: 0, conflict: 0 };
  try {
    await fc.assert(
      fc.asyncProperty(fork, async ({ start, ours, theirs, cross }) => {
        runs += 1;
        const [s, a, b] = ['start', 'ours', 'theirs'].map((name) => `${name}-${runs}`) as [
          string,
          string,
          string,
        ];
        const [left, right] = [ours(start), theirs(start)];
        const [x, y] = [`${a}-x`, `${b}-x`];
        const commits = [
          commitOf(s, start, []),
          commitOf(a, left, [s]),
          commitOf(b, right, [s]),
          cross === null ? '' : commitOf(x, cross[0](left), [a, b]),
          cross === null ? '' : commitOf(y, cross[1](right), [b, a]),
        ];
        execFileSync('git', ['fast-import', '--quiet'], { cwd: work, input: commits.join('') });
        const tips = cross === null ? [a, b] : [x, y];
        const [base = '', head = ''] = git(work, 'rev-parse', ...tips).split('\n');
        const found = await reader.read({ base, head });
        const tree = mergedByGit(work, base, head);
        if (tree === null) {
          real.conflict += 1;
          expect(found.kind).toBe('conflict');
        } else if (found.kind === 'merged') {
          real.merged += 1;
          expect(idsOf(found.files)).toBe(git(work, 'ls-tree', '-r', LISTED, tree));
        } else {
          expect(found.kind).toBe('untouched');
          expect(git(work, 'rev-parse', `${base}^{tree}`)).toBe(tree);
        }
      }),
      { numRuns: 100 },
    );
    expect(Math.min(real.merged, real.conflict)).toBeGreaterThan(2);
  } finally {
    reader.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  }
});
