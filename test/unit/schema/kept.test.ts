// A document that was kept as JSON is the document that its text gives: value, problems, places.

import { expect, test } from 'vitest';
import type { DocumentKind } from '../../../schema/documents.ts';
import {
  askedPositions,
  keptDocument,
  parsedFrom,
  type KeptDocument,
} from '../../../schema/kept.ts';
import { parseDocument } from '../../../schema/parse.ts';

const WHERE = { path: 'jobs/shop/web.yaml', blob: 'b' };

const JOB = `# the shop
image: registry.example/web:1
count: 3 # of them
ports: { http: 8080 }
`;
const BROKEN = 'image: registry.example/web:1\ncuont: 3\nresources: { cpu: 10x }\n';

const read = (kind: DocumentKind, text: string) => {
  const parsed = parseDocument(kind, WHERE.path, { kind: 'text', blob: 'b', text });
  return { ...parsed, ...askedPositions(parsed.positions) };
};

const throughJson = (kept: KeptDocument | null): KeptDocument => {
  if (kept === null) throw new Error('it cannot be kept');
  return JSON.parse(JSON.stringify(kept)) as KeptDocument;
};

const POINTERS = ['', '/image', '/count', '/ports/http', '/cuont', '/resources/cpu', '/no/such'];

test.each([
  ['valid', JOB],
  ['with problems', BROKEN],
  ['not YAML', 'image: [\n'],
  ['empty', ''],
])('a file that is %s comes back as it was', (_, text) => {
  const source = read('job', text);
  source.positions('/image');
  source.positions('/count');
  const back = parsedFrom<'job'>(throughJson(keptDocument(WHERE, source)), text);
  expect(back.value).toEqual(source.value);
  expect(back.problems).toEqual(source.problems);
  expect([...back.asked.keys()]).toEqual(['/image', '/count']);
  for (const pointer of POINTERS) {
    expect(back.positions(pointer)).toEqual(read('job', text).positions(pointer));
  }
});

test('places that were asked are not looked up in the text again', () => {
  const source = read('job', JOB);
  const place = source.positions('/image');
  const back = parsedFrom(throughJson(keptDocument(WHERE, source)), 'another text\n');
  expect(back.positions('/image')).toEqual(place);
  expect(back.positions('/count').key).toEqual({ line: 1, column: 1 });
});

test.each([Number.POSITIVE_INFINITY, Number.NaN, -0])(
  '%d is not kept: JSON has no such number',
  (n) => {
    const source = { ...read('job', JOB), value: { meta: [{ n }] } as never };
    expect(keptDocument(WHERE, source)).toBeNull();
  },
);
