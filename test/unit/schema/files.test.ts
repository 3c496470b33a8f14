// Files with some of them changed read as if all had been copied, whichever way they are read.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withFiles } from '../../../schema/files.ts';
import { compareText } from '../../../schema/ids.ts';
import type { Files, SourceFile } from '../../../schema/source.ts';

const fileOf = (text: string): SourceFile => ({ kind: 'text', blob: text, text });
const path = fc.constantFrom('a', 'a/b', 'a-b', 'b', 'c/d', 'e');
const entries = fc.array(fc.tuple(path, fc.constantFrom('1', '2').map(fileOf)));
const edits = fc.array(fc.tuple(path, fc.option(fc.constantFrom('2', '3').map(fileOf))));

const sorted = (files: Iterable<readonly [string, SourceFile]>): Files =>
  new Map([...files].toSorted(([a], [b]) => compareText(a, b)));

it('reads as a copy does', () => {
  fc.assert(
    fc.property(entries, edits, (first, changes) => {
      const base = sorted(first);
      const copy = new Map(base);
      for (const [name, file] of changes) {
        if (file === null) copy.delete(name);
        else copy.set(name, file);
      }
      const files = withFiles(base, new Map(changes));
      const plain = sorted(copy);
      expect(files.size).toBe(plain.size);
      for (const name of ['a', 'a/b', 'a-b', 'b', 'c/d', 'e', 'none']) {
        expect(files.get(name)).toBe(plain.get(name));
        expect(files.has(name)).toBe(plain.has(name));
      }
      expect([...files]).toEqual([...plain]);
      expect([...files.keys()]).toEqual([...plain.keys()]);
      expect([...files.values()]).toEqual([...plain.values()]);
      const seen: string[] = [];
      files.forEach((_file, name) => seen.push(name));
      expect(seen).toEqual([...plain.keys()]);
    }),
    { seed: 41 },
  );
});
