// What notes say of plans, text by text, and what stays of others' words.
// `npx vitest run --project fast test/unit/render -u` writes the golden files anew: read them then.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { noteWith, planNote, syncNote } from '../../../reconciler/render/note.ts';
import { visibilityOf, type Visibility } from '../../../reconciler/render/visibility.ts';
import { desiredOf } from '../../support/world.ts';
import { pullScenes } from '../../support/forge-scenes.ts';
import { endNotes } from '../../support/forge-texts.ts';

const scenes = await pullScenes();
const GOLDEN = ['rollout', 'removal', 'does-not-fit', 'problems', 'drain', 'hostile-value'];

const noteOf = (name: string, visibility?: Visibility): string => {
  const plan = scenes.find(([scene]) => scene === name)?.[1];
  if (plan?.kind !== 'planned') throw new Error(`there is no scene ${name}`);
  return planNote('shop', { summary: plan.summary, isCut: false }, visibility);
};

test.each(GOLDEN)('golden: %s', async (name) => {
  await expect(`${noteOf(name)}\n`).toMatchFileSnapshot(`./golden/note-${name}.txt`);
});

test.each([...endNotes()])('golden: %s', async (name, note) => {
  await expect(`${note}\n`).toMatchFileSnapshot(`./golden/${name}.txt`);
});

test('a plan of a thousand jobs and a thousand failures are counted, and fit into a note', () => {
  const plan = noteOf('many-jobs');
  expect(plan).toMatch(
    /^plan\/shop: 1000 start\n {2}bulk\/job-0000 new job.*\n[^]* {2}… and 9\d\d more$/,
  );
  const many = Array.from({ length: 1000 }, (_, at) => `shop/job-${at}`);
  const sync = syncNote({
    cluster: 'shop',
    jobs: new Map(many.map((job) => [job, { starts: 1, stops: 2, updates: 3 }])),
    end: { kind: 'failed', reasons: new Map(many.map((job) => [job, 'x'.repeat(1000)])) },
    tookMs: 0,
    at: '2026-01-01T00:00:00Z',
    isPartial: true,
  });
  const note = noteWith(null, { cluster: 'shop', plan, sync, isPartial: false }) ?? '';
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(8192);
});

test('a note shows the jobs that plan_visibility shows, and counts the rest', () => {
  const { cluster } = desiredOf([]);
  const visibility = visibilityOf({
    cluster: { ...cluster, planVisibility: 'namespace' },
    namespaces: [
      { name: 'open', protected: false, quota: null, evidence: 'logs', planVisibility: 'full' },
    ],
  });
  const [shown, full] = [noteOf('removal', visibility), noteOf('removal')];
  expect(full).toContain('shop/');
  expect(shown.split('\n')).toEqual([
    full.split('\n')[0],
    '  2 jobs not shown here: see plan_visibility',
  ]);
  const counts = { starts: 1, stops: 0, updates: 0 };
  const sync = syncNote({
    cluster: 'shop',
    jobs: new Map(['open/web', 'shop/web', 'shop/db'].map((job) => [job, counts])),
    end: {
      kind: 'failed',
      reasons: new Map([
        ['shop/db', 'secret'],
        ['open/web', 'code 3'],
      ]),
    },
    tookMs: 0,
    at: 'now',
    isPartial: false,
    visibility,
  });
  expect(sync.split('\n')).toEqual([
    'sync/shop: failed at now, after 1s',
    '  open/web failed: code 3',
    '  open/web: 1 started',
    '  2 jobs not shown here: see plan_visibility',
  ]);
});

test('words of others stay whatever they are, and ours stand once', () => {
  const parts = { cluster: 'shop', plan: noteOf('rollout'), isPartial: false };
  const sync = (end: 'in sync' | 'failed') => `sync/shop: ${end} at 2026-01-01T00:00:00Z, after 1s`;
  const line = fc.constantFrom(
    'words',
    '',
    'plan/other: x',
    '- a list',
    'sync of mine',
    '\tx',
    '  in',
  );
  const words = fc.array(line, { minLength: 1, maxLength: 8 }).map((lines) => lines.join('\n'));
  fc.assert(
    fc.property(words, (theirs) => {
      const others = theirs.trim();
      const first = noteWith(theirs, { ...parts, sync: sync('failed') }) ?? '';
      const second = noteWith(first, { ...parts, sync: sync('in sync') }) ?? '';
      const whole = [parts.plan, sync('in sync'), others].filter((part) => part !== '');
      expect(second).toBe(`${whole.join('\n')}\n`);
      expect(noteWith(second, { ...parts, sync: sync('in sync') })).toBe(null);
      expect(noteWith(second, { ...parts, sync: 'sync/shop: under way at now' })).toBe(null);
    }),
  );
});
