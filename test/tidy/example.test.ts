// The example repository: every field of every document stands in it, and nothing in it is wrong.
// In: the schemas and example-repo/. Out: a failure that names the field or the problem.
// Fields that would do harm, or nothing today, stand there as comments of the form `# field:
// value`; they are put in before the file is read. Not here: whether the example runs (test/e2e).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { expect, test } from 'vitest';
import { schemas, type DocumentKind } from '../../schema/documents.ts';
import { parseDocument } from '../../schema/parse.ts';
import { filesUnder } from '../support/tree-of-files.ts';

const root = join(import.meta.dirname, '../..');
const FOLDER = 'example-repo/';
/** Folders of documents, and the kind of what lies in them. */
const KINDS: Readonly<Record<string, DocumentKind>> = {
  'cluster.yaml': 'cluster',
  nodes: 'node',
  namespaces: 'namespace',
  jobs: 'job',
  scale: 'scale',
};
/** The digest that `purser up` puts behind every image that it makes. */
const DIGEST = `@sha256:${'0'.repeat(64)}`;

interface Example {
  readonly path: string;
  readonly kind: DocumentKind;
  readonly text: string;
}

const examples: readonly Example[] = filesUnder('example-repo')
  .filter((path) => path.endsWith('.yaml'))
  .map((whole) => {
    const path = whole.slice(FOLDER.length);
    const kind = KINDS[path.split('/')[0] ?? ''];
    if (kind === undefined) throw new Error(`${whole} is no document`);
    const text = readFileSync(join(root, whole), 'utf8');
    return { path, kind, text: text.replaceAll(/(purser\.local\/\S+:[\d.]+)$/gm, `$1${DIGEST}`) };
  });

const uncommented = (text: string): string => text.replaceAll(/^( *)# (?=[a-z_]+: )/gm, '$1');

const parse = ({ kind, path, text }: Example, edited = text) =>
  parseDocument(kind, path, { kind: 'text', text: edited, blob: '' });

/**
 * Schemas of fields, each under the names that it has. A field that two levels share is one schema.
 */
type Fields = Map<object, string>;

const below = (schema: TSchema): readonly TSchema[] => {
  const { anyOf, items, patternProperties } = schema as {
    readonly anyOf?: readonly TSchema[];
    readonly items?: TSchema;
    readonly patternProperties?: Readonly<Record<string, TSchema>>;
  };
  return [
    ...(anyOf ?? []),
    ...(items === undefined ? [] : [items]),
    ...Object.values(patternProperties ?? {}),
  ];
};

const propertiesOf = (schema: TSchema): Readonly<Record<string, TSchema>> =>
  (schema as { readonly properties?: Readonly<Record<string, TSchema>> }).properties ?? {};

const fieldsOf = (schema: TSchema, at: string, found: Fields): Fields => {
  for (const one of below(schema)) fieldsOf(one, at, found);
  for (const [name, field] of Object.entries(propertiesOf(schema))) {
    if (found.has(field)) continue;
    found.set(field, `${at}/${name}`);
    fieldsOf(field, `${at}/${name}`, found);
  }
  return found;
};

/** Takes out of `missing` what the value says. */
const tick = (schema: TSchema, value: unknown, missing: Fields): void => {
  if (Array.isArray(value)) {
    for (const item of value) for (const one of below(schema)) tick(one, item, missing);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const { anyOf, patternProperties } = schema as {
    readonly anyOf?: readonly TSchema[];
    readonly patternProperties?: Readonly<Record<string, TSchema>>;
  };
  for (const one of anyOf ?? []) tick(one, value, missing);
  for (const [name, member] of Object.entries(value)) {
    const field = propertiesOf(schema)[name];
    if (field !== undefined) {
      missing.delete(field);
      tick(field, member, missing);
    } else for (const one of Object.values(patternProperties ?? {})) tick(one, member, missing);
  }
};

test.each(examples.map((example) => [example.path, example] as const))(
  '%s has no problem, not even a warning',
  (_path, example) => {
    expect(parse(example).problems).toEqual([]);
  },
);

test('the fields that are commented out are right too, but for their warnings', () => {
  const parsed = examples.map((example) => parse(example, uncommented(example.text)));
  const codes = parsed.flatMap(({ problems }) => problems.map(({ code }) => code));
  expect(new Set(codes)).toEqual(new Set(['no-effect-yet']));
});

test('every field of every document stands in example-repo', () => {
  const missing: Fields = new Map();
  for (const [kind, schema] of Object.entries(schemas)) fieldsOf(schema, kind, missing);
  expect(missing.size).toBeGreaterThan(100);
  for (const example of examples) {
    const { value } = parse(example, uncommented(example.text));
    tick(schemas[example.kind], value, missing);
  }
  expect([...missing.values()]).toEqual([]);
});

test('every document names its schema, relative to itself', () => {
  const wrong = examples.filter(({ path, kind, text }) => {
    const up = '../'.repeat(path.split('/').length - 1);
    const line = `# yaml-language-server: $schema=${up}.purser/schema/${kind}.schema.json\n`;
    return !text.startsWith(line);
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});
