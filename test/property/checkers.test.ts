// The quick checkers and ajv say the same of any document and any report: what the one lets through
// the other would too. In: the example's documents and a report, with values in them replaced, taken
// out and added. Out: two answers. Not here: what is said about a mistake (parse.test.ts).

import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { schemas } from '../../schema/documents.ts';
import { checkers } from '../../schema/generated/checkers.ts';
import { checkers as reportCheckers } from '../../schema/generated/report-checkers.ts';
import type { Json } from '../../schema/hash.ts';
import { kindOf } from '../../schema/paths.ts';
import { reportForm } from '../../schema/report-form.ts';
import { schemaErrors } from '../../schema/schema-errors.ts';
import { readYaml, valueOf } from '../../schema/yaml.ts';
import { encodeReport } from '../../schema/wire.ts';
import { body } from '../support/bodies.ts';
import { filesUnder, read } from '../support/tree-of-files.ts';

interface Doc {
  readonly kind: string;
  readonly value: Json;
  readonly quick: (value: unknown) => boolean;
  readonly exact: (value: unknown) => boolean;
}

const documents: readonly Doc[] = filesUnder('example-repo').flatMap((file) => {
  const kind = kindOf(file.replace('example-repo/', ''));
  const tree = kind === null ? null : readYaml(read(file));
  if (kind === null || tree?.kind !== 'tree') return [];
  const exact = (value: unknown) => schemaErrors(kind, value).length === 0;
  return [{ kind, value: valueOf(tree.root), quick: checkers[kind], exact }];
});

const task = { name: 't', state: 'running', restarts: 0, health: 'healthy', pid: 7 } as const;
const facts = { phase: 'running', health: 'healthy', everHealthy: true, address: null } as const;
const ages = { acceptedForMs: 5, firstStartedForMs: 4, runningForMs: 3, healthyForMs: null };
const failure = { blame: 'version', kind: 'exit', task: 't', message: 'code 1', ageMs: 3 } as const;

const frame = encodeReport(
  null,
  {
    node: 'n1',
    cluster: 'c',
    address: '10.0.0.1',
    foreign: 0,
    portsTaken: [22],
    acceptedGeneration: 3,
    acceptedCommit: 'e'.repeat(40),
    acceptedHash: 'f'.repeat(32),
    accepted: [body().allocation],
    capacity: { cpuMilli: 1000, memoryBytes: 1e9 },
    attributes: [['node.arch', 'amd64']],
    conditions: [{ kind: 'disk', message: 'full' }],
    allocations: [
      {
        ...facts,
        ...ages,
        firstHealthyForMs: 2,
        deadForMs: null,
        failure,
        allocation: body().allocation,
        body: body(),
        tasks: [{ ...task, lastCheck: null, exit: null }],
        ports: [{ name: 'http', port: 80, host: 20_000 }],
        usage: { cpuMilli: 1, memoryBytes: 2 },
      },
    ],
  },
  0,
).frame;
const exactly = new Ajv({ strict: true }).compile(JSON.parse(JSON.stringify(reportForm)));
const report: Doc = {
  kind: 'report',
  value: JSON.parse(JSON.stringify(frame)),
  quick: reportCheckers.report,
  exact: (value) => exactly(value),
};
const all: readonly Doc[] = [...documents, report];

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
  for (const { kind, value, quick, exact } of all) {
    expect([kind, quick(value), exact(value)]).toEqual([kind, true, true]);
  }
});

test('with one or two changes anywhere, both say yes or both say no', () => {
  const answers = { yes: 0, no: 0 };
  const json = fc.jsonValue({ maxDepth: 2 }).map((value) => value as Json);
  const to = fc.option(fc.oneof(json, fc.constantFrom(...edges)), { nil: undefined });
  const place = (value: Json) =>
    fc.tuple(fc.constantFrom(...places(value)), fc.option(fc.string(), { freq: 8 }));
  const changed = fc.constantFrom(...all, report).chain((doc) =>
    fc.array(fc.tuple(place(doc.value), to), { minLength: 1, maxLength: 2 }).map((changes) => {
      const value = changes.reduce<Json>((now, [[path, added], other]) => {
        const where = added === null ? path : [...path.slice(0, -1), added];
        return plain(replaced(now, where, other));
      }, doc.value);
      return { ...doc, value };
    }),
  );
  fc.assert(
    fc.property(changed, ({ value, quick, exact }) => {
      const fits = exact(value);
      answers[fits ? 'yes' : 'no'] += 1;
      expect(quick(value)).toBe(fits);
    }),
    { numRuns: 3000 },
  );
  expect(Math.min(answers.yes, answers.no)).toBeGreaterThan(200);
});
