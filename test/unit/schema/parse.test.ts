// Golden messages: what a person reads, word for word, with line and column.
// In: files as read from Git. Out: problems as they are printed.
// Not here: checks of meaning one by one (check-job.test.ts).

import { expect, test } from 'vitest';
import { parseDocument } from '../../../schema/parse.ts';
import type { DocumentKind } from '../../../schema/documents.ts';
import type { SourceFile } from '../../../schema/source.ts';

const file = (text: string): SourceFile => ({ kind: 'text', blob: 'b', text });

/** Problems as they are printed, warnings marked. */
const problems = (text: string | SourceFile, kind: DocumentKind = 'job'): readonly string[] => {
  const path = { job: 'jobs/shop/web.yaml', cluster: 'cluster.yaml', node: 'nodes/n1.yaml' };
  const at = kind in path ? path[kind as 'job'] : `${kind}.yaml`;
  const parsed = parseDocument(kind, at, typeof text === 'string' ? file(text) : text);
  const errors = parsed.problems.filter((problem) => problem.severity === 'error');
  expect(parsed.value === null).toBe(errors.length > 0);
  return parsed.problems.map((problem) => {
    expect(problem.file).toBe(at);
    const { line, column, code, severity, message, advice } = problem;
    const mark = severity === 'warning' ? ' (warning)' : '';
    return `${line}:${column}  ${code}${mark}  ${message}  ${advice}`;
  });
};

const DIGEST = `sha256:${'0'.repeat(64)}`;
const image = `image: registry.example/web:1.4.2@${DIGEST}\n`;

test('a field that is spelled nearly right', () => {
  expect(problems(`${image}heathcheck: {}\n`)).toEqual([
    '2:1  field-unknown  `heathcheck` is no field of a job.  Did you mean `healthcheck`?',
  ]);
});

test('args is no field, and what to write instead', () => {
  expect(problems(`${image}args: [--port]\n`)).toEqual([
    '2:1  field-unknown  `args` is no field of a job.  Write `entrypoint` and `command`: they mean what they mean in Compose. `args` is `command`.',
  ]);
});

test('a field of another level', () => {
  const text = `groups:\n  web:\n    tasks:\n      server:\n        ${image}        count: 3\n        priority: 3\n`;
  expect(problems(text)).toEqual([
    '6:9  field-unknown  `count` is no field of task `server`.  `count` is a field of the group: move it up.',
    '7:9  field-unknown  `priority` is no field of task `server`.  `priority` is a field of the job: move it to the top level.',
  ]);
});

test('wrong units', () => {
  const text = `${image}kill_timeout: 10\nresources: {cpu: 250M, memory: 128, memory_max: 256M}\nstop_after: soon\n`;
  expect(problems(text)).toEqual([
    '2:15  value-unit  `kill_timeout` must be a duration, not 10.  Write the unit: `10s` for seconds, `10ms`, `10m`.',
    '3:18  value-unit  `cpu` must be an amount of CPU; "250M" is none.  Write thousandths of a core such as `250m`, or cores such as `0.5` or `"1"`.',
    '3:32  value-unit  `memory` must be an amount of memory, not 128.  Write the unit in full: `128MiB`.',
    '3:49  value-unit  `memory_max` must be an amount of memory; "256M" is none.  Write the unit in full: `256MiB`.',
    '4:13  value-unit  `stop_after` must be a duration; "soon" is none.  Write a duration such as `500ms`, `30s`, `10m`, `1h30m`.',
  ]);
});

test('wrong types and values', () => {
  const text = `${image}priority: "60"\nread_only: yes\ncommand: npm start 80\nupdate: {order: start-frist, max_parallel: 0}\n`;
  expect(problems(text)).toEqual([
    '2:11  value-type  `priority` must be a whole number, not "60".  Write it without quotes: `60`.',
    '3:12  value-type  `read_only` must be `true` or `false`, not "yes".  Write `true`.',
    '4:10  value-type  `command` must be a list, not "npm start 80".  Write a list: `[npm, start, "80"]`.',
    '5:17  value-range  `order` must be `stop-first` or `start-first`, not "start-frist".  Did you mean `start-first`?',
    '5:44  value-range  `max_parallel` must be at least 1; it is 0.  Choose a value that the field allows.',
  ]);
});

test('a union answers with one message', () => {
  const text = `${image}count: three\nports: {http: [80], admin: {port: 9090, hots: 1}}\nvolumes: [{name: x}]\n`;
  expect(problems(text)).toEqual([
    '2:8  value-type  `count` must be a whole number or a map with min and max, not "three".  Copies. `{min: 2, max: 20}`: a machine owns the count, in the scale file (rules 7).',
    '3:15  value-type  `http` must be a whole number or a map with port and host, not a list.  Write a value of the type that the field wants.',
    '3:41  field-unknown  `hots` is no field of `admin`.  Fields here: port, host.',
    '4:11  field-missing  `path` is missing in an item of `volumes`.  Add `path: …`.',
  ]);
});

test('ports twice', () => {
  const text = `${image}ports:\n  http: 8080\n  web: 8080\n  a: {port: 1, host: 80}\n  b: {port: 2, host: 80}\n`;
  expect(problems(text)).toEqual([
    '4:8  port-twice  Port 8080 in the container is taken twice: by `http` and by `web`.  Give each port a number of its own.',
    '6:22  port-twice  Port 80 on the host is taken twice: by `a` and by `b`.  Give each port a number of its own.',
  ]);
});

test('types that this release does not run', () => {
  expect(problems(`type: batch\n${image}`)).toEqual([
    '1:7  type-unsupported  Jobs of type `batch` do not run in this release.  Write `type: service`, or leave `type` out.',
  ]);
});

test.each([
  [
    'a: [1\n',
    '2:1  yaml-syntax  A bracket or a quote is opened and not closed before this line.  Correct the line that is shown, or the one before it.',
  ],
  [
    'image: a: b\n',
    '1:9  yaml-syntax  A text with `: ` in it needs quotes around it.  Correct the line that is shown, or the one before it.',
  ],
  [
    'update:\n\tcanary: 1\n',
    '2:1  yaml-tab  The line is indented with a tab.  Indent with spaces: YAML does not allow tabs there.',
  ],
  ['', '1:1  yaml-empty  The file is empty.  Write the document, or remove the file.'],
  ['# nothing\n', '1:1  yaml-empty  The file is empty.  Write the document, or remove the file.'],
  [
    'count: 1\n---\ncount: 2\n',
    '2:1  yaml-many-documents  The file holds 2 YAML documents.  Put each document into a file of its own: the path is its identity.',
  ],
  [
    'labels: &a {x: *a}\n',
    '1:16  yaml-alias  `*a` stands inside the value that it names.  Write the value out instead of `*name`.',
  ],
  [
    'hello\n',
    '1:1  value-type  The file must be a map, not "hello".  Write a value of the type that the field wants.',
  ],
])('not YAML, or no document: %j', (text, problem) => {
  expect(problems(text)).toContain(problem);
});

test('faults that leave a tree are reported beside the rest', () => {
  expect(problems(`${image}count: 99999999999999999999\ncount: 2\nargs: []\n`)).toEqual([
    '2:8  yaml-number  The number 99999999999999999999 cannot be kept exactly.  Put quotes around it if it is a text, such as an id or a digest.',
    '3:1  yaml-duplicate-key  The key `count` stands here a second time; the first is in line 2.  Keep one of the two.',
    '4:1  field-unknown  `args` is no field of a job.  Write `entrypoint` and `command`: they mean what they mean in Compose. `args` is `command`.',
  ]);
});

test('an alias bomb is measured, not unfolded', () => {
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 10; i += 1) bomb.push(`a${i}: &a${i} [${`*a${i - 1}, `.repeat(5)}]`);
  expect(problems(bomb.join('\n'))).toEqual([
    '2:10  yaml-alias-limit  With all aliases followed the file has over 20000 values.  Write the values out instead of using anchors and aliases.',
  ]);
  const many = `a: &a 1\nb: [${'*a, '.repeat(51)}]\n`;
  expect(problems(many).join('\n')).toContain(
    'yaml-alias-limit  The file uses more than 50 aliases.',
  );
});

test.each([
  [
    'symlink',
    null,
    'jobs/shop/web.yaml is a symbolic link.  Commit the file itself: links are not followed.',
  ],
  ['not-utf8', null, 'jobs/shop/web.yaml is not valid UTF-8.  Save the file as UTF-8.'],
  [
    'lfs-pointer',
    null,
    'jobs/shop/web.yaml is a pointer of Git LFS, not the file.  Take the path out of .gitattributes and commit the file itself.',
  ],
  [
    'too-large',
    3_000_000,
    'jobs/shop/web.yaml is too large (3000000 bytes).  Make the file smaller: documents are read up to 1 MiB.',
  ],
  [
    'submodule',
    null,
    'jobs/shop/web.yaml is a submodule.  Commit the file itself: submodules are not read.',
  ],
] as const)('refused: %s', (why, size, text) => {
  expect(problems({ kind: 'refused', blob: 'b', why, size })).toEqual([
    `1:1  file-refused  ${text}`,
  ]);
});

test('texts keep their source text, other scalars are numbers and booleans', () => {
  const text = `${image}environment: {VERSION: 1.10, ON: yes, N: null, E: , MODE: 0755, Q: "1.10"}
command: [--port, 8080]
user: 1000
labels: {build: 007}
resources: {cpu: 0.50}
update: {promote: 1234567e8901}
count: 2
stopped: false
`;
  const { value } = parseDocument('job', 'jobs/shop/web.yaml', file(text));
  expect(value).toMatchObject({
    environment: { VERSION: '1.10', ON: 'yes', N: 'null', E: '', MODE: '0755', Q: '1.10' },
    command: ['--port', '8080'],
    user: '1000',
    labels: { build: '007' },
    resources: { cpu: '0.50' },
    update: { promote: '1234567e8901' },
    count: 2,
    stopped: false,
  });
});

test('cluster, node and scale files', () => {
  const cluster =
    'name: x\nlost_after: 1s\npolicies: {registries: ["https://x"], host_paths: [/a/../b]}\n';
  expect(problems(cluster, 'cluster')).toEqual([
    '2:13  value-range  `lost_after` must be at least 5s; it is 1s.  Choose a value that the field allows.',
    '3:25  value-form  "https://x" is no registry.  Write the host, and the port if there is one: `registry.example:5000`.',
    '3:52  value-form  "/a/../b" has `.` or `..` in it.  Write the path without them.',
  ]);
  expect(problems('{}\n', 'cluster')).toEqual([
    '1:1  field-missing  `name` is missing in cluster.yaml.  Add `name: …`.',
  ]);
  expect(problems('node: n2\ndrain: {volumes: stop}\n', 'node')).toEqual([
    '1:7  identity-mismatch  `node` is `n2`, but the path says `n1`.  Leave `node` out, or write `node: n1`.',
  ]);
  const scale = parseDocument('scale', 'scale/shop/web.yaml', file('$schema: x\nweb: 3\n'));
  expect(scale.value).toEqual({ web: 3 });
});

test('positions point at keys and values, also through aliases and for pointers that lead nowhere', () => {
  const text = `${image}groups: {}\nlabels: &l\n  a: b\nx: *l\n`;
  const { positions } = parseDocument('job', 'jobs/shop/web.yaml', file(text));
  expect(positions('/labels/a')).toEqual({
    key: { line: 4, column: 3 },
    value: { line: 4, column: 6 },
  });
  expect(positions('/x')).toEqual({ key: { line: 5, column: 1 }, value: { line: 5, column: 4 } });
  expect(positions('/groups/web/count').key).toEqual({ line: 2, column: 1 });
  expect(parseDocument('job', 'x', file('[')).positions('/a').key).toEqual({ line: 1, column: 1 });
});

test('every kind has a schema that compiles, and its smallest document', () => {
  const smallest = {
    cluster: 'name: prod\n',
    node: '{}\n',
    namespace: 'protected: true\nquota: {cpu: "4", memory: 8GiB}\nevidence: logs\n',
    job: image,
    scale: '{}\n',
  } as const;
  for (const kind of ['cluster', 'node', 'namespace', 'job', 'scale'] as const) {
    const parsed = parseDocument(kind, `${kind}.yaml`, file(smallest[kind]));
    expect(parsed.problems).toEqual([]);
    expect(parsed.value).not.toBeNull();
  }
});

test('a key without a value', () => {
  expect(problems(`${image}environment:\n`)).toEqual([
    '2:13  value-type  `environment` must be a map, not nothing.  Write a value, or take the key out.',
  ]);
});

test('a file that names one key for ever is refused at once, and a key of a megabyte is not said again', () => {
  const began = performance.now();
  expect(problems('a: 1\n'.repeat(200_000))).toEqual([
    '1:1  yaml-too-many  The file has over 20000 values.  Make the file smaller: what a program needs so much of goes into a mounted file.',
  ]);
  const twice = problems('a: 1\n'.repeat(5000));
  expect(twice.length).toBeLessThanOrEqual(200);
  expect(twice[1]).toMatch(/stands here a second time; the first is in line 1\./);
  for (const text of [
    `${'k'.repeat(900_000)}: 1\n`,
    `image: x\nresources: { memory: ${'9'.repeat(900_000)} }\n`,
    `image: x\nkill_timeout: ${'9'.repeat(900_000)}\n`,
    `image: !${'t'.repeat(900_000)} x\n`,
    `image: *${'a'.repeat(900_000)}\n`,
    `${'k'.repeat(400_000)}: 1\n${'k'.repeat(400_000)}: 2\n`,
  ]) {
    expect(problems(text).join('\n').length).toBeLessThan(3000);
  }
  // What is looked at again from each letter takes hours.
  expect(performance.now() - began).toBeLessThan(50_000);
});
