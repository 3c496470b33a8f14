// Laws of YAML: written values are read back, an edit changes what it says and nothing else, any
// text has an answer.
// In: any value, style and edit; the library's own reader is the second opinion.
// Not here: examples (test/unit/schema/yaml-edit.test.ts).

import fc from 'fast-check';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { canonical, type Json } from '../../schema/hash.ts';
import { pathOf, pointerOf } from '../../schema/places.ts';
import { editYaml } from '../../schema/yaml-edit.ts';
import { writeBlock, writeInline } from '../../schema/yaml-write.ts';
import { readYaml, resolvePlain, valueOf } from '../../schema/yaml.ts';

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('yes', '1.10', '0x1f', '1e3', '-', '- a', 'a: b', '#', '&a', '*a', '12:30', '~'),
);
const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0),
);
const key = fc.oneof(
  fc.stringMatching(/^[a-z][a-z_]{0,5}$/),
  text.filter((name) => name !== '__proto__'),
);
const { value } = fc.letrec<{ value: Json; map: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    tie('map'),
  ),
  map: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
}));
const map = fc.dictionary(key, value, { minKeys: 1, maxKeys: 5, noNullPrototype: true });

const read = (source: string): Json => {
  const result = readYaml(source);
  if (result.kind === 'failed') throw new Error(`${result.fault.message}\n${source}`);
  expect(result.faults).toEqual([]);
  return valueOf(result.root);
};

/** Block or flow at every member of the root, comments and empty lines between them. */
const styled = fc.tuple(map, fc.array(fc.constantFrom('flow', 'block', 'comment', 'note')));

const render = ([members, styles]: readonly [Record<string, Json>, readonly string[]]): string =>
  Object.entries(members)
    .map(([name, member], index) => {
      const style = styles[index % Math.max(1, styles.length)] ?? 'block';
      const one = { [name]: member };
      if (style === 'flow') return `${writeInline(one).slice(1, -1)}\n`;
      if (style === 'note') return `${writeInline(one).slice(1, -1)}   # note\n`;
      const block = `${writeBlock(one).join('\n')}\n`;
      return style === 'comment' ? `\n# about ${index}\n${block}` : block;
    })
    .join('');

const pointersOf = (from: Json, path: readonly string[] = []): readonly string[] =>
  from === null || typeof from !== 'object'
    ? [pointerOf(path)]
    : [
        pointerOf(path),
        ...Object.entries(from).flatMap(([name, member]) =>
          member === undefined ? [] : pointersOf(member, [...path, name]),
        ),
      ];

test('written values are read back as the same, also by the library itself', () => {
  fc.assert(
    fc.property(styled, (document) => {
      const source = render(document);
      expect(canonical(read(source))).toBe(canonical(document[0]));
      expect(canonical(load(source))).toBe(canonical(document[0]));
    }),
    { numRuns: 400 },
  );
});

const change = (from: Json, path: readonly string[], to: Json | undefined): Json => {
  const [name = '', ...rest] = path;
  if (Array.isArray(from)) {
    const index = Number(name);
    if (rest.length > 0) return from.with(index, change(from[index] ?? null, rest, to));
    return to === undefined ? from.toSpliced(index, 1) : from.toSpliced(index, 1, to);
  }
  const members = { ...(from as Record<string, Json>) };
  if (rest.length > 0) members[name] = change(members[name] ?? null, rest, to);
  else if (to === undefined) delete members[name];
  else members[name] = to;
  return members;
};

test('edit then parse equals the edited value, and lines elsewhere stay', () => {
  fc.assert(
    fc.property(styled, fc.nat(), fc.option(value, { nil: undefined }), (document, pick, to) => {
      const source = render(document);
      const pointers = pointersOf(document[0]).slice(1);
      const pointer = pointers[pick % pointers.length] ?? '';
      const result = editYaml(source, [{ pointer, value: to }]);
      if (result.kind === 'failed') throw new Error(`${result.why}\n${pointer}\n${source}`);
      expect(canonical(read(result.text))).toBe(
        canonical(change(document[0], pathOf(pointer), to)),
      );
      expectUntouched(document, pathOf(pointer)[0] ?? '', result.text);
    }),
    { numRuns: 2000 },
  );
});

/** Every member of the root but the edited one is written as before. */
const expectUntouched = (
  [members, styles]: readonly [Record<string, Json>, readonly string[]],
  name: string,
  edited: string,
): void => {
  const names = Object.keys(members);
  const index = names.indexOf(name);
  const whole = render([members, styles]);
  const upTo = (count: number): string => {
    const part = Object.fromEntries(Object.entries(members).slice(0, count));
    return render([part, styles]);
  };
  if (names.length === 1) return;
  expect(edited.startsWith(upTo(index))).toBe(true);
  expect(edited.endsWith(whole.slice(upTo(index + 1).length))).toBe(true);
};

test('a new member keeps every line that was there', () => {
  fc.assert(
    fc.property(styled, value, (document, added) => {
      const source = render(document);
      const result = editYaml(source, [{ pointer: '/zz_new', value: added }]);
      if (result.kind === 'failed') throw new Error(`${result.why}\n${source}`);
      expect(result.text.startsWith(source)).toBe(true);
      expect(canonical(read(result.text))).toBe(canonical({ ...document[0], zz_new: added }));
    }),
    { numRuns: 400 },
  );
});

test('any text is read or refused, never anything else', () => {
  const yamlish = fc.array(
    fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '- ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '&x ',
      '*x',
      '#',
      '|',
      '>',
      '\t',
      '? ',
      '!t ',
      '---',
      '1',
      '%',
    ),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        yamlish.map((parts) => parts.join('')),
      ),
      (source) => {
        const result = readYaml(source);
        if (result.kind === 'failed') {
          expect(result.fault.offset).toBeGreaterThanOrEqual(0);
          expect(result.fault.offset).toBeLessThanOrEqual(source.length);
          return;
        }
        if (result.faults.length > 0) return;
        const value = valueOf(result.root);
        // Keys keep their source text with us; the library reads `~` as null and writes "null".
        if (keysOf(value).some((key) => String(resolvePlain(key)) !== key)) return;
        expect(canonical(value)).toBe(canonical(load(source)));
      },
    ),
    { numRuns: 3000 },
  );
});

const keysOf = (value: Json): readonly string[] => {
  if (value === null || typeof value !== 'object') return [];
  const nested = Object.values(value).flatMap((one) => keysOf(one ?? null));
  return Array.isArray(value) ? nested : [...Object.keys(value), ...nested];
};
