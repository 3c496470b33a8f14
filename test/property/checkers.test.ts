// The quick checkers and ajv say the same of any document: a file that the one lets through the
// other would too. In: the example's documents, with values in them replaced, taken out and added.
// Out: two answers. Not here: what is said about a mistake (test/property/parse.test.ts).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DocumentKind } from '../../schema/documents.ts';
import { schemas } from '../../schema/documents.ts';
import { checkers } from '../../schema/generated/checkers.ts';
import type { Json } from '../../schema/hash.ts';
import { kindOf } from '../../schema/paths.ts';
import { schemaErrors } from '../../schema/schema-errors.ts';
import { readYaml, valueOf } from '../../schema/yaml.ts';
import { filesUnder, read } from '../support/tree-of-files.ts';

type Doc = { readonly kind: DocumentKind; readonly value: Json };

const documents: readonly Doc[] = filesUnder('example-repo').flatMap((file) => {
  const kind = kindOf(file.replace('example-repo/', ''));
  const tree = kind === null ? null : readYaml(read(file));
  return kind === null || tree?.kind !== 'tree' ? [] : [{ kind, value: valueOf(tree.root) }];
});

/** Values that schemas draw lines between. */
// oxfmt-ignore
const edges: readonly Json[] = [
  '', '0s', '10', '5m', '1h30m', '1.5GiB', '12XiB', '250m', '25%', '0%', 'a b', '/x', 'a:/b', '$',
  'SIGTERM', 'node.zone = a', '0123456789ab', 'A'.repeat(600), '𝒳'.repeat(512),
  -101, -1, 0, 0.5, 1, 50, 100, 65_536, 1e9, true, false, null,
  [], {}, ['x'], [''], [1], { min: 1 }, { min: 1, max: 2 }, { port: 80 }, { name: 'x' },
];

const places = (value: Json): readonly (readonly string[])[] =>
  value === null || typeof value !== 'object'
    ? [[]]
    : [
        [],
        ...Object.entries(value).flatMap(([name, below]) =>
          places(below ?? null).map((place) => [name, ...place]),
        ),
      ];

/** The value with something else at a place; undefined takes the place out. */
const replaced = (
  value: Json,
  [name, ...rest]: readonly string[],
  to: Json | undefined,
): Json | undefined => {
  if (name === undefined || value === null || typeof value !== 'object') return to;
  if (Array.isArray(value)) {
    const items: readonly Json[] = value;
    return items.flatMap((item, at) => {
      if (String(at) !== name) return [item];
      const other = replaced(item, rest, to);
      return other === undefined ? [] : [other];
    });
  }
  const fields = value as { readonly [key: string]: Json };
  return { ...fields, [name]: replaced(fields[name] ?? null, rest, to) };
};

const plain = (value: Json | undefined): Json => JSON.parse(JSON.stringify(value ?? null));

test('there is a document of every kind, and all of them fit', () => {
  expect(new Set(documents.map(({ kind }) => kind))).toEqual(new Set(Object.keys(schemas)));
  for (const { kind, value } of documents) {
    expect([kind, checkers[kind](value), schemaErrors(kind, value)]).toEqual([kind, true, []]);
  }
});

test('with one or two changes anywhere, both say yes or both say no', () => {
  const answers = { yes: 0, no: 0 };
  const json = fc.jsonValue({ maxDepth: 2 }).map((value) => value as Json);
  const to = fc.option(fc.oneof(json, fc.constantFrom(...edges)), { nil: undefined });
  const place = (value: Json) =>
    fc.tuple(fc.constantFrom(...places(value)), fc.option(fc.string(), { freq: 8 }));
  const changed = fc.constantFrom(...documents).chain(({ kind, value }) =>
    fc.array(fc.tuple(place(value), to), { minLength: 1, maxLength: 2 }).map((changes): Doc => ({
      kind,
      value: changes.reduce<Json>((now, [[path, added], other]) => {
        const where = added === null ? path : [...path.slice(0, -1), added];
        return plain(replaced(now, where, other));
      }, value),
    })),
  );
  fc.assert(
    fc.property(changed, ({ kind, value }) => {
      const fits = schemaErrors(kind, value).length === 0;
      answers[fits ? 'yes' : 'no'] += 1;
      expect(checkers[kind](value)).toBe(fits);
    }),
    { numRuns: 3000 },
  );
  expect(Math.min(answers.yes, answers.no)).toBeGreaterThan(200);
});
