// Git's formats, addresses, and what is taken out of messages.
// In: values, many of them drawn. Out: tests.
// Not here: real repositories (test/contract).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redact } from '../../../../../reconciler/edge/git/failure.ts';
import type { TreeEntry } from '../../../../../reconciler/edge/git/format.ts';
import {
  formatCommit,
  formatTree,
  parseCommit,
} from '../../../../../reconciler/edge/git/format.ts';
import { parseTrailers, parseTree } from '../../../../../reconciler/edge/git/format.ts';
import { likeness, parseLike } from '../../../../../reconciler/edge/git/parsed-tree.ts';
import { placeOf } from '../../../../../reconciler/edge/git/remote.ts';
import { createMemory } from '../../../../../reconciler/edge/git/remember.ts';

const entry = fc.record({
  mode: fc.constantFrom('100644', '40000'),
  name: fc.stringMatching(/^[a-zé0-9.-]{1,6}$/),
  oid: fc.stringMatching(/^[0-9a-f]{40}$/),
});
const tree = fc
  .uniqueArray(entry, { selector: (one) => one.name, maxLength: 400 })
  .map((entries) => formatTree(entries));

describe('trees', () => {
  test('survive a round trip', () => {
    fc.assert(
      fc.property(tree, (raw) => {
        expect(formatTree(parseTree(raw)).equals(raw)).toBe(true);
      }),
    );
  });

  test('parsed by difference is parsed, with shared entries as the same objects', () => {
    fc.assert(
      fc.property(tree, fc.array(entry, { maxLength: 3 }), (raw, changes) => {
        const before = parseLike('a', raw, null);
        const names = new Map<string, TreeEntry>(before.entries.map((one) => [one.name, one]));
        for (const change of changes) names.set(change.name, change);
        const next = formatTree([...names.values()]);
        const after = parseLike('b', next, before);
        expect(after.entries).toEqual(parseTree(next));
        const { head, tail } = likeness(after.entries, before.entries);
        for (let at = 0; at < head; at += 1) {
          expect(after.entries[at]).toBe(before.entries[at]);
        }
        expect(head + tail).toBeLessThanOrEqual(after.entries.length);
      }),
    );
  });
});

describe('commits', () => {
  test('survive a round trip, and names cannot end their field', () => {
    const by = { name: 'A <x>\n', email: 'a@b', epochSeconds: 5 };
    const message = 'Subject\n\nBody.\n\nA: 1\nB: 2\n  more';
    const data = formatCommit({ tree: '1'.repeat(40), parents: ['2'.repeat(40)], by, message });
    expect(parseCommit('3'.repeat(40), data)).toMatchObject({
      tree: '1'.repeat(40),
      parent: '2'.repeat(40),
      author: { name: 'A x', email: 'a@b' },
      authoredAt: 5,
      trailers: [
        ['A', '1'],
        ['B', '2 more'],
      ],
    });
  });

  test('a subject is no trailer, nor is a paragraph of prose', () => {
    expect(parseTrailers('fix: it')).toEqual([]);
    expect(parseTrailers('s\n\nSee: this\nand that')).toEqual([]);
  });
});

test('addresses', () => {
  expect(placeOf('git@host:a/b.git').kind).toBe('ssh');
  expect(placeOf('ssh://host/a').kind).toBe('ssh');
  expect(placeOf('/srv/a').kind).toBe('path');
  expect(placeOf('./a:b').kind).toBe('path');
  expect(placeOf('file:///srv/a%20b')).toEqual({ kind: 'path', path: '/srv/a b' });
  expect(placeOf('https://bot:p%40ss@host/a.git')).toEqual({
    kind: 'http',
    url: 'https://host/a.git',
    auth: { kind: 'basic', user: 'bot', password: 'p@ss' },
  });
});

test('secrets are taken out of messages', () => {
  const text = 'fatal: https://bot:hunter22@host/x and hunter22 and ssh://git@host';
  expect(redact(text, ['hunter22'])).toBe('fatal: https://***@host/x and *** and ssh://***@host');
});

test('a memory forgets what was not asked for, never what is in use', () => {
  const memory = createMemory<number>(10);
  memory.set('kept', 1);
  memory.set('left', 2);
  for (let at = 0; at < 40; at += 1) {
    memory.set(`k${at}`, at);
    expect(memory.get('kept')).toBe(1);
  }
  expect(memory.get('left')).toBeUndefined();
});
