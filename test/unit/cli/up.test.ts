// What `purser up` and `purser init` decide before they start anything.

import { expect, test } from 'vitest';
import { makeFolder } from '../../../cli/make-folder.ts';
import { nodeCount } from '../../../cli/up/count.ts';
import { layoutOf, nodeLayout } from '../../../cli/up/layout.ts';
import { shellWord } from '../../../schema/paths.ts';

const before = (count: number) => ({
  nodes: Array.from({ length: count }, (_, index) =>
    nodeLayout(layoutOf('/r'), `n${index + 1}`, count === 1 ? null : `netns-${index + 1}`),
  ),
});

test.each([
  { asked: null, had: null, count: 1 },
  { asked: null, had: 3, count: 3 },
  { asked: '3', had: null, count: 3 },
  { asked: '3', had: 3, count: 3 },
  { asked: '5', had: 3, count: 5 },
  { asked: '1', had: 3, error: 'this cluster has 3 nodes, and those left out would go on' },
  { asked: '3', had: 1, error: 'this cluster has 1 node, and its one node lives in the network' },
  { asked: 'many', had: null, error: '--nodes takes a whole number from 1 to 50' },
  { asked: '0', had: null, error: '--nodes takes a whole number from 1 to 50' },
])('up --nodes $asked where there were $had', ({ asked, had, count, error }) => {
  const decide = () => nodeCount(asked, had === null ? null : before(had));
  if (error === undefined) expect(decide()).toBe(count);
  else expect(decide).toThrow(error);
});

test('a folder that nobody can make is an error, and no endless search', async () => {
  await expect(makeFolder('/proc/x/y')).rejects.toThrow('/proc/x cannot be made: no such file');
});

test('a path is printed as one word of a shell', () => {
  expect(shellWord('/srv/shop')).toBe('/srv/shop');
  expect(shellWord("/srv/Ada's shop")).toBe(`'/srv/Ada'\\''s shop'`);
});
