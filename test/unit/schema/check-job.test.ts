// Mistakes of meaning in one job: each row is a job and the codes that it must be answered with.
// In: rows of text. Out: line and code of every problem.
// Not here: the words of the messages (parse.test.ts).

import { expect, test } from 'vitest';
import { parseDocument } from '../../../schema/parse.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** `line code` of every problem of a job with an image. */
const codes = (text: string): readonly string[] => {
  const source = `image: registry.example/web@${DIGEST}\n${text}`;
  const file = { kind: 'text', blob: 'b', text: source } as const;
  return parseDocument('job', 'jobs/shop/web.yaml', file).problems.map(
    (problem) => `${problem.line} ${problem.code}`,
  );
};

test.each<[string, string, readonly string[]]>([
  ['names that agree', 'job: web\nnamespace: shop\n', []],
  ['names that do not', 'job: api\nnamespace: x\n', ['2 identity-mismatch', '3 identity-mismatch']],
  ['min over max', 'count: {min: 3, max: 2}\n', ['2 limits-disagree']],
  ['ports without a network', 'network: {mode: none}\nports: {a: 1}\n', ['3 limits-disagree']],
  [
    'host network',
    'network: {mode: host}\nports: {a: {port: 1, host: 2}}\n',
    ['3 limits-disagree'],
  ],
  ['deadlines', 'update: {healthy_deadline: 5m, progress_deadline: 5m}\n', ['2 limits-disagree']],
  ['deadline written alone', 'update: {progress_deadline: 1s}\n', []],
  ['healthy time', 'update: {healthy_deadline: 5s, min_healthy_time: 5s}\n', ['2 limits-disagree']],
  ['constraints', 'constraints: ["node.pool = web", "node.zone != a"]\n', []],
  ['later operator', 'constraints: ["node.memory >= 8GiB"]\n', ['2 not-supported']],
  [
    'no constraint',
    'constraints: ["pool = web", "node.pool ="]\n',
    ['2 constraint-form', '2 constraint-form'],
  ],
  ['spread', 'spread: [{attribute: zone}]\n', ['2 constraint-form']],
  ['affinities', 'affinities: [{rule: "node.zone = a"}]\n', ['2 no-effect-yet']],
  ['service', 'ports: {http: 80}\nservices: [{name: site, port: http, tags: [v2]}]\n', []],
  ['service of the only port', 'ports: {http: 80}\nservices: [{}]\n', []],
  ['service of which port', 'ports: {a: 1, b: 2}\nservices: [{}]\n', ['3 port-unknown']],
  ['service of no port', 'services:\n  - name: x\n', ['3 port-unknown']],
  ['service of another port', 'ports: {a: 1}\nservices: [{port: b}]\n', ['3 port-unknown']],
  ['a service twice', 'ports: {a: 1}\nservices: [{}, {name: web}]\n', ['3 service-twice']],
  ['service without a network', 'network: {mode: none}\nservices: [{}]\n', ['3 limits-disagree']],
  ['services as a map', 'ports: {a: 1}\nservices: {web: {port: a}}\n', ['3 value-type']],
  ['tag', 'ports: {a: 1}\nservices: [{tags: ["a,b"]}]\n', ['3 value-form']],
  ['name of a service', 'ports: {a: 1}\nservices: [{name: Web_1}]\n', ['3 name-invalid']],
  ['reschedule', 'reschedule: {delay: 2h, max_delay: 1h}\n', ['2 limits-disagree']],
  ['canary with volume', 'volumes: ["data:/x"]\nupdate: {canary: 1}\n', ['3 canary-with-volume']],
  ['host path with canary', 'volumes: ["/data:/x"]\nupdate: {canary: 1}\n', []],
  [
    'volume start-first',
    'volumes: ["data:/x"]\nupdate: {order: start-first}\n',
    ['3 order-forced'],
  ],
  ['two at one path', 'volumes: ["data:/x", "/srv:/x"]\n', ['2 volume-twice']],
  ['file at a volume', 'files: {/x: configs/a}\nvolumes: ["data:/x"]\n', ['3 volume-twice']],
  ['bad volume name', 'volumes: ["Data:/x"]\n', ['2 value-form']],
  [
    'on_loss twice',
    'volumes: ["d:/x", {name: d, path: /y, on_loss: recreate}]\n',
    ['2 volume-twice'],
  ],
  ['a task alone with a kind', 'lifecycle: prestart\n', ['2 lifecycle-no-main']],
  ['no such kind', 'lifecycle: main\n', ['2 value-range']],
  ['a task alone that waits', 'depends_on: [db]\n', ['2 depends-on-unknown']],
  ['a task that waits for itself', 'depends_on: [web]\n', ['2 depends-on-cycle']],
  ['singleton alone', 'singleton: true\n', ['2 singleton-needs']],
  ['singleton', 'singleton: true\nstop_after: 10s\n', []],
  [
    'files outside',
    'files: {/a: ../x, /b: /etc/x}\nenv_file: a//b\n',
    ['2 value-form', '2 value-form', '3 value-form'],
  ],
  ['reserved name', 'environment: {PURSER_NODE: x}\n', ['2 name-invalid']],
  [
    'limits of resources',
    'resources: {cpu: "2", cpu_max: "1", memory: 2MiB}\n',
    ['2 limits-disagree', '2 value-range'],
  ],
  ['check without kind', 'healthcheck: {interval: 5s}\n', ['2 check-kind']],
  ['check with two kinds', 'ports: {a: 1}\nhealthcheck: {http: /, tcp: a}\n', ['3 check-kind']],
  ['check of the only port', 'ports: {a: 1}\nhealthcheck: {http: /}\n', []],
  ['check of which port', 'ports: {a: 1, b: 2}\nhealthcheck: {http: /}\n', ['3 port-unknown']],
  ['check of no port', 'healthcheck: {tcp: http}\n', ['2 port-unknown']],
  ['port with exec', 'healthcheck: {exec: [x], port: a}\n', ['2 check-kind']],
  [
    'zero interval',
    'healthcheck: {exec: [x], interval: 0s, timeout: 0s}\n',
    ['2 value-range', '2 value-range'],
  ],
  ['both forms', 'healthcheck: {exec: [x]}\nchecks: {live: {exec: [x]}}\n', ['2 limits-disagree']],
  ['startup beside short form', 'healthcheck: {exec: [x]}\nchecks: {startup: {exec: [x]}}\n', []],
  ['signal', 'kill_signal: SIGTREM\n', ['2 value-range']],
  ['groups and fields above', 'groups: {web: {}}\n', ['1 field-misplaced', '2 field-missing']],
  ['no groups', 'groups: {}\n', ['1 field-misplaced', '2 field-missing']],
  ['tasks and fields above', 'tasks: {a: {}}\n', ['1 field-misplaced', '2 field-missing']],
])('%s', (_name, text, expected) => {
  expect(codes(text).toSorted()).toEqual([...expected].toSorted());
});

test('a tag alone is a warning on its line, and the job can be used', () => {
  const file = { kind: 'text', blob: 'b', text: 'count: 1\nimage: web:1.2\n' } as const;
  const { value, problems } = parseDocument('job', 'jobs/shop/web.yaml', file);
  expect(value).toEqual({ count: 1, image: 'web:1.2' });
  expect(problems).toMatchObject([{ line: 2, column: 8, code: 'image-tag', severity: 'warning' }]);
});

/** Tasks by name, each a line: what it says beside its image. */
const taskProblems = (tasks: Readonly<Record<string, string>>): readonly string[] => {
  const lines = Object.entries(tasks).map(
    ([name, more]) => `  ${name}: {image: registry.example/x@${DIGEST}, ${more}}`,
  );
  const file = { kind: 'text', blob: 'b', text: `tasks:\n${lines.join('\n')}\n` } as const;
  return parseDocument('job', 'jobs/shop/web.yaml', file).problems.map(
    ({ line, column, code, message, advice }) => {
      const before = lines[line - 2]?.slice(0, column - 1) ?? '';
      expect(before, 'the problem stands behind the image').toContain(DIGEST);
      return `${line} ${code} ${message} ${advice}`;
    },
  );
};

test.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
  [
    'an order that can be kept',
    {
      clean: 'lifecycle: poststop, depends_on: [flush]',
      flush: 'lifecycle: poststop',
      init: 'lifecycle: prestart, depends_on: [proxy]',
      proxy: 'lifecycle: sidecar',
      server: 'depends_on: [init, cache]',
      cache: 'healthcheck: {exec: [x]}',
      warm: 'lifecycle: poststart, depends_on: [server]',
    },
    [],
  ],
  [
    'a name that is nearly right',
    { init: 'lifecycle: prestart', web: 'depends_on: [int]' },
    [
      '3 depends-on-unknown Task `web` waits for `int`, which the group does not have. Did you mean `init`?',
    ],
  ],
  [
    'a name that is not there',
    { init: 'lifecycle: prestart', web: 'depends_on: [init, database]' },
    [
      '3 depends-on-unknown Task `web` waits for `database`, which the group does not have. Tasks of the group: init.',
    ],
  ],
  [
    'a circle',
    { a: 'depends_on: [b]', b: 'depends_on: [c]', c: 'depends_on: [a]', d: 'depends_on: [a]' },
    [
      '4 depends-on-cycle These tasks wait for each other: `a` → `b` → `c` → `a`. Take one of the names out of `depends_on`.',
    ],
  ],
  [
    'a main task that waits for the end',
    { clean: 'lifecycle: poststop', web: 'depends_on: [clean]' },
    [
      '3 depends-on-order Task `web` is a main task and cannot wait for `clean`: a poststop task starts when all others have ended. Take the name out of `depends_on`, or change the `lifecycle` of one of the two.',
    ],
  ],
  [
    'a sidecar that waits for a main task',
    { proxy: 'lifecycle: sidecar, depends_on: [web]', web: 'user: "1"' },
    [
      '2 depends-on-order Task `proxy` is a sidecar task and cannot wait for `web`: a main task starts later, or has ended by then. Take the name out of `depends_on`, or change the `lifecycle` of one of the two.',
    ],
  ],
  [
    'checks of what runs to its end',
    { init: 'lifecycle: prestart, healthcheck: {exec: [x]}', web: 'user: "1"' },
    [
      '2 lifecycle-checks Task `init` is a prestart task and runs to its end: `healthcheck` would ask nobody. Leave them out: its exit code says whether it succeeded.',
    ],
  ],
  [
    'nothing but kinds',
    { init: 'lifecycle: prestart', proxy: 'lifecycle: sidecar' },
    [
      '2 lifecycle-no-main All tasks of the group have a `lifecycle`: there is none that they are there for. Leave `lifecycle` out of the task that the group is there for.',
    ],
  ],
])('tasks in order: %s', (_, tasks, expected) => {
  expect(taskProblems(tasks)).toEqual(expected);
});

test('tasks in order: more than a person oversees are refused, quickly', () => {
  const names = Array.from({ length: 300 }, (_, index) => `t${index}`);
  const all = names.map((name, index) => [name, `depends_on: [t${(index + 1) % 300}]`] as const);
  expect(taskProblems(Object.fromEntries(all))).toEqual([
    '2 value-range The group has 300 tasks: with an order it may have 100. Leave `lifecycle` and `depends_on` out, or make several groups of it.',
  ]);
});
