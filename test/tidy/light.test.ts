// What a command loads before anybody has asked it for anything: `purser --help` loads them all.
// In: the imports of cli/, those that are for types and those that wait left out.

import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { filesUnder, read } from '../support/tree-of-files.ts';

/** Packages that take as long to load as a whole command, or longer. */
const LARGE = new Set([
  '@grpc/grpc-js',
  'ajv',
  'chokidar',
  'isomorphic-git',
  'js-yaml',
  'nice-grpc',
  'typebox',
]);

/** Imported at once: whole statements, which may go over several lines. */
const STATEMENT = /^(?:import|export) (?!type\b)(?<names>[^;]*?)from '(?<target>[^']+)';/gm;

const needs = (path: string): readonly string[] =>
  [...read(path).matchAll(STATEMENT)].flatMap(({ groups }) => {
    const { names = '', target = '' } = groups ?? {};
    const inBraces = /^\{(?<list>[\s\S]*)\}\s*$/.exec(names.trim())?.groups?.['list'];
    const isOfTypes = inBraces?.split(',').every((one) => /^\s*(type\b.*)?$/.test(one)) ?? false;
    if (isOfTypes) return [];
    return [target.startsWith('.') ? posix.join(path, '..', target) : target];
  });

const reached = (start: string): ReadonlyMap<string, string> => {
  const way = new Map([[start, start]]);
  for (const [path, steps] of way) {
    if (!path.endsWith('.ts')) continue;
    for (const target of needs(path)) {
      if (!way.has(target)) way.set(target, `${steps} → ${target}`);
    }
  }
  return way;
};

const largeIn = (path: string): readonly string[] =>
  [...reached(path)].flatMap(([target, way]) => (LARGE.has(target) ? [way] : []));

test('no command loads a large library before it runs', () => {
  const commands = filesUnder('cli').filter(
    (path) => / [a-z]+: CommandSpec = /.test(read(path)) || path === 'cli/main.ts',
  );
  expect(commands.length).toBeGreaterThan(15);
  expect(commands.flatMap(largeIn)).toEqual([]);
});

test('what is behind the door is found by this test', () => {
  expect(largeIn('cli/dial.ts')).not.toEqual([]);
  expect(largeIn('reconciler/preview.ts')).not.toEqual([]);
});
