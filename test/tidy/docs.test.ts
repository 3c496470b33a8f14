// The documents agree with the tree: what they name exists.
// In: README.md, docs/, package.json. Out: a failure that names the line. Not here: whether a
// sentence is true.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allCommands } from '../../cli/commands.ts';
import pack from '../../package.json' with { type: 'json' };
import { filesUnder, read, ROOT } from '../support/tree-of-files.ts';

const commands = await allCommands();

const DOCUMENTS = ['README.md', 'CHANGELOG.md', ...filesUnder('docs')].filter((path) =>
  path.endsWith('.md'),
);
const text = (path: string): string => (existsSync(join(ROOT, path)) ? read(path) : '');

const matches = (pattern: RegExp): readonly (readonly [string, string])[] =>
  DOCUMENTS.flatMap((path) =>
    [...text(path).matchAll(pattern)].map((match) => [path, match[1] ?? ''] as const),
  );

describe('documents', () => {
  test('name only files that exist', () => {
    const top = 'schema|reconciler|node-runner|cli|test|bench|example-repo|docs';
    const named = matches(new RegExp(`[\`(]((?:${top})/[\\w./-]*[\\w/])[\`)]`, 'g'));
    expect(named.length).toBeGreaterThan(30);
    const wrong = named.filter(([, path]) => !existsSync(join(ROOT, path)));
    expect(wrong).toEqual([]);
  });

  test('link only to pages that exist', () => {
    const links = matches(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g);
    expect(links.length).toBeGreaterThan(5);
    const wrong = links.filter(([from, to]) => !existsSync(join(ROOT, from, '..', to)));
    expect(wrong).toEqual([]);
  });

  test('name only tests that exist', () => {
    const tests = filesUnder('test').map(read).join('\n').replaceAll(/\s+/g, ' ');
    const quoted = [...text('docs/ARCHITECTURE.md').matchAll(/\*Tests?: (?<line>.*)\*$/gm)]
      .map(({ groups }) => groups?.['line'] ?? '')
      .flatMap((line) => [...line.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? ''));
    expect(quoted.length).toBeGreaterThan(8);
    expect(quoted.filter((name) => !tests.includes(name))).toEqual([]);
  });

  test('name a test for each attack, and only tests that exist', () => {
    const tests = filesUnder('test').map(read).join('\n').replaceAll(/\s+/g, ' ');
    const rows = [
      ...text('docs/OPERATIONS.md').matchAll(/\| tried by \|\n\|[-|]+\n(?<rows>(\|.*\n)+)/g),
    ]
      .flatMap(({ groups }) => (groups?.['rows'] ?? '').trim().split('\n'))
      .map((row) => row.split(' | ').at(-1) ?? '');
    expect(rows.length).toBeGreaterThan(30);
    const named = rows.map((cell) => [...cell.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name));
    expect(named.filter((names) => names.length === 0)).toEqual([]);
    expect(named.flat().filter((name) => !tests.includes(name))).toEqual([]);
  });

  test('name only commands that exist', () => {
    const known = new Set(commands.map(({ usage }) => usage.split(' ')[0] ?? ''));
    const plans = new Set(['docs/SCOPE.md']);
    const wrong = matches(/`(?:\.\/)?purser ([a-z]+)\b/g).filter(
      ([path, command]) => !plans.has(path) && !known.has(command) && command !== 'complete',
    );
    expect(wrong).toEqual([]);
  });
});

test('every dependency has its line in docs/decisions/dependencies.md, and no other has one', () => {
  const rows = text('docs/decisions/dependencies.md')
    .split('\n')
    .filter((line) => /^\| [@a-z]/.test(line) && !line.startsWith('| package'))
    .flatMap((line) => (line.split('|')[1] ?? '').split(',').map((name) => name.trim()));
  const { dependencies, optionalDependencies, devDependencies } = pack;
  const wanted = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies });
  expect(rows.toSorted()).toEqual(wanted.toSorted());
});
