// When what was read is kept: in a quiet moment, where enough of it is new, and not too often.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { View } from '../../../reconciler/cycle.ts';
import { createReader, createReadMemo } from '../../../reconciler/desired/read.ts';
import { createKeeping } from '../../../reconciler/keeping.ts';
import { NOTHING_KEPT, type Kept, type KeptDocument } from '../../../schema/kept.ts';
import type { SourceFile } from '../../../schema/source.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const rows = (count: number, from = 0): ReadonlyMap<string, SourceFile> =>
  new Map(
    Array.from({ length: count }, (_, at) => [
      `jobs/shop/j${from + at}.yaml`,
      { kind: 'text' as const, blob: `b${from + at}`, text: `image: r.example/a:${at}\n` },
    ]),
  );
const viewOf = (files: ReadonlyMap<string, SourceFile>) => ({ tree: { files } }) as unknown as View;
const textsOf = (files: ReadonlyMap<string, SourceFile>): Kept['texts'] =>
  new Map([...files.values()].map((file) => [file.blob, file.kind === 'text' ? file.text : '']));

const start = (kept: Kept = NOTHING_KEPT) => {
  const reads = createReadMemo();
  const written: { texts: number; documents: readonly KeptDocument[] }[] = [];
  let files = rows(0);
  const keeping = createKeeping(kept, {
    reads,
    texts: () => textsOf(files),
    keep: async (texts, documents) => {
      written.push({ texts: texts.size, documents: [...documents] });
    },
  });
  const read = createReader(reads);
  const show = (next: ReadonlyMap<string, SourceFile>): readonly unknown[] => {
    files = next;
    const values = [...files].map(([path, file]) => read('job', path, file).value);
    keeping.offer(viewOf(files));
    return values;
  };
  return { keeping, show, written };
};

test('all that was read is written once it is quiet, and not on the way', async () => {
  const { show, written } = start();
  show(rows(40));
  await vi.advanceTimersByTimeAsync(1900);
  expect(written).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(written.map(({ texts, documents }) => [texts, documents.length])).toEqual([[40, 40]]);
});

test('a few new files are no reason to write; many are, a minute later at the soonest', async () => {
  const { show, written } = start();
  show(rows(40));
  await vi.advanceTimersByTimeAsync(2100);
  show(rows(50));
  await vi.advanceTimersByTimeAsync(120_000);
  expect(written.length).toBe(1);
  show(rows(90));
  await vi.advanceTimersByTimeAsync(2100);
  show(rows(140));
  await vi.advanceTimersByTimeAsync(50_000);
  expect(written.length).toBe(2);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(written.map(({ texts }) => texts)).toEqual([40, 90, 140]);
});

test('what was kept is used in place of reading, for the first view alone', async () => {
  const first = start();
  first.show(rows(40));
  await vi.advanceTimersByTimeAsync(2100);
  // Another value than the text has, to tell what is used.
  const documents = (first.written[0]?.documents ?? []).map((one) => ({ ...one, value: null }));
  const second = start({ texts: textsOf(rows(40)), documents });
  expect(second.keeping.known('b3')).toBe('image: r.example/a:3\n');
  expect(second.show(rows(39))).toEqual(Array.from({ length: 39 }, () => null));
  expect(second.keeping.known('b3')).toBeUndefined();
  expect(second.show(rows(1, 39))).toEqual([{ image: 'r.example/a:0' }]);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(second.written).toEqual([]);
});

test('nothing is written once it is closed', async () => {
  const { keeping, show, written } = start();
  show(rows(40));
  keeping.close();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(written).toEqual([]);
});
