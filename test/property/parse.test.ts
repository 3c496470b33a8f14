// Laws of parsing: any file has an answer, and how a job is laid out does not change what it says.
// In: a job with every field, and mutations of it. Out: problems with places inside the file, or
// the same value.
// Not here: golden messages (test/unit/schema/parse.test.ts).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jobClasses } from '../../schema/documents/job.ts';
import { canonical, type Json } from '../../schema/hash.ts';
import { parseDocument } from '../../schema/parse.ts';
import { problemCodes } from '../../schema/problem-codes.ts';
import { editYaml } from '../../schema/yaml-edit.ts';
import { writeBlock } from '../../schema/yaml-write.ts';
import { readYaml, valueOf } from '../../schema/yaml.ts';

const LONG_FORM = `# every level written out
$schema: ../../schema/json/job.schema.json
job: web
namespace: shop
type: service
priority: 60
stopped: false
restarted_at: "2026-11-21T20:00:00Z"
update:
  max_parallel: 25%
  order: start-first
  canary: 0
  auto_promote: false
  auto_revert: true
  min_healthy_time: 10s
  healthy_deadline: 5m
  progress_deadline: 10m
  max_failures: 2
  paused: false
  promote: 0123456789ab
groups:
  web:
    count: {min: 2, max: 20}
    network: { mode: bridge }
    ports:
      http: 8080
      admin: { port: 9090, host: 9090 }
    constraints: ["node.pool = web", "node.zone != b"]
    affinities: [{ rule: "node.zone = a", weight: 50 }]
    spread: [{ attribute: node.zone, weight: 100 }]
    restart: { attempts: 2, interval: 30m, delay: 15s, mode: fail }
    reschedule: { delay: 30s, delay_function: exponential, max_delay: 1h, unlimited: true, attempts: 0 }
    stop_after: 0s
    singleton: false
    labels: { team: shop }
    services: [{ name: web, port: http, tags: [v1] }]
    tasks:
      server:
        image: registry.example/web:1.4.2@sha256:${'0'.repeat(64)}
        entrypoint: [/bin/server]
        command: [--port, "8080"]
        environment: { LOG_LEVEL: info, VERSION: 1.10, NODE: "\${node.name}" }
        env_file: configs/web.env
        files: { /etc/web/app.toml: configs/web.toml }
        volumes: ["/srv/shared:/shared:ro"]
        resources: { cpu: 250m, cpu_max: "1", memory: 128MiB, memory_max: 256MiB }
        checks:
          startup: { exec: [/bin/true] }
          ready: { http: /healthz, port: http, interval: 10s, timeout: 2s, retries: 3 }
          live: { tcp: http, interval: 30s }
        kill_signal: SIGTERM
        kill_timeout: 10s
        user: 1000
        working_dir: /
        read_only: true
        tmpfs: [/tmp]
        pids: 100
        cap_add: [NET_ADMIN]
        cap_drop: [ALL]
      store:
        image: registry.example/store@sha256:${'1'.repeat(64)}
        volumes: ["data:/a", {name: logs, path: /logs, on_loss: recreate, read_only: false}]
        healthcheck: { tcp: admin }
      migrate:
        lifecycle: prestart
        depends_on: [proxy]
        image: registry.example/migrate@sha256:${'2'.repeat(64)}
      proxy:
        lifecycle: sidecar
        image: registry.example/proxy@sha256:${'3'.repeat(64)}
    shutdown_delay: 2s
`;

const parse = (text: string) =>
  parseDocument('job', 'jobs/shop/web.yaml', { kind: 'text', blob: 'b', text });

const root = (text: string): Json => {
  const read = readYaml(text);
  if (read.kind === 'failed') throw new Error(read.fault.message);
  return valueOf(read.root);
};

test('the long form is a job, and says every field', () => {
  const { value, problems } = parse(LONG_FORM);
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  expect(value).not.toBeNull();
  const missing = Object.keys(jobClasses).filter((field) => !LONG_FORM.includes(`${field}:`));
  expect(missing).toEqual([]);
});

const paths = (value: Json, at = ''): readonly string[] => [
  at,
  ...(value !== null && typeof value === 'object'
    ? Object.entries(value).flatMap(([name, member]) =>
        paths(member ?? null, `${at}/${name.replaceAll('/', '~1')}`),
      )
    : []),
];
const pointers = paths(root(LONG_FORM)).slice(1);

test('any value anywhere has an answer: problems in the file, or a value, never an exception', () => {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.parse(JSON.stringify(json)) as Json),
    fc.constantFrom<Json>('', '0s', '10', -1, 0, 1e9, 'a b', [], {}, null, { min: 1 }, ['x']),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...pointers),
      fc.option(value, { nil: undefined }),
      (pointer, to) => {
        const edited = editYaml(LONG_FORM, [{ pointer, value: to }]);
        if (edited.kind === 'failed') throw new Error(edited.why);
        const { value: job, problems } = parse(edited.text);
        const errors = problems.filter(({ severity }) => severity === 'error');
        expect(job === null).toBe(errors.length > 0);
        const lines = edited.text.split('\n');
        for (const { line, column, code, message, advice } of problems) {
          expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1);
          expect(Object.keys(problemCodes)).toContain(code);
          expect(message).toMatch(/\.$/);
          expect(advice).not.toBe('');
        }
        // One mistake is answered by few messages: a union must not flood.
        if (to === null || typeof to !== 'object') expect(errors.length).toBeLessThanOrEqual(4);
      },
    ),
    { numRuns: 400 },
  );
});

test('layout, comments and the order of keys do not change the value', () => {
  const shuffled = (value: Json, seed: number): Json => {
    if (Array.isArray(value)) return value.map((item: Json) => shuffled(item, seed));
    if (value === null || typeof value !== 'object') return value;
    const entries = Object.entries(value).toSorted(([a], [b]) =>
      (a.length * seed) % 7 === (b.length * seed) % 7
        ? a < b
          ? 1
          : -1
        : ((a.length * seed) % 7) - ((b.length * seed) % 7),
    );
    return Object.fromEntries(
      entries.map(([name, member]) => [name, shuffled(member ?? null, seed)]),
    );
  };
  const wanted = canonical(parse(LONG_FORM).value);
  fc.assert(
    fc.property(fc.nat(100), fc.boolean(), (seed, flow) => {
      const written: Json = JSON.parse(canonical(parse(LONG_FORM).value));
      const other = shuffled(written, seed);
      const text = flow
        ? JSON.stringify(other)
        : `# other\n${writeBlock(other).join('\n\n# note\n')}`;
      expect(canonical(parse(text).value)).toBe(wanted);
    }),
    { numRuns: 100 },
  );
});
