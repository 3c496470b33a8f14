// What a runner sends is checked before it is believed: sizes, words, ids, whose it is.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { makeBody } from '../../../reconciler/plan/body.ts';
import { checkHello, checkPatches, checkReport } from '../../../schema/check-report.ts';
import { HELD_ALLOCATIONS } from '../../../schema/wire.ts';
import type { AllocationReport, NodeReport } from '../../../schema/orders.ts';
import { applyReport, encodeReport } from '../../../schema/wire.ts';
import { body } from '../../support/bodies.ts';
import { filesUnder } from '../../support/tree-of-files.ts';
import { digestOf, ready, story } from '../../support/tree.ts';

const FROM = { cluster: 'c', node: 'n1', bytes: 500_000 };
const ID = 'aaaaaaaaaaaaaaaa-0-1';

const copy = (of = body()): AllocationReport => ({
  allocation: of.allocation,
  body: of,
  phase: 'dead',
  health: 'unhealthy',
  everHealthy: false,
  tasks: [
    {
      name: 'web',
      state: 'dead',
      restarts: 2,
      health: 'unhealthy',
      lastCheck: 'no answer',
      exit: { code: 7, signal: null, outOfMemory: false, status: 'known', cause: 'self' },
      pid: null,
    },
  ],
  failure: { blame: 'version', kind: 'exit', task: 'web', message: 'exit code 7', ageMs: 5.5 },
  ports: [{ name: 'http', port: 80, host: 20_000 }],
  address: '127.0.0.1',
  usage: { cpuMilli: 1, memoryBytes: 2 },
  acceptedForMs: 10,
  firstStartedForMs: 9,
  runningForMs: null,
  healthyForMs: null,
  firstHealthyForMs: null,
  deadForMs: 1,
});

const report = (allocations: readonly AllocationReport[] = [copy()]): NodeReport => ({
  node: 'n1',
  cluster: 'c',
  acceptedGeneration: 3,
  acceptedCommit: 'e'.repeat(40),
  acceptedHash: 'f'.repeat(32),
  accepted: [ID],
  capacity: { cpuMilli: 4000, memoryBytes: 1024 ** 3 },
  attributes: [['node.arch', 'amd64']],
  address: '127.0.0.1',
  allocations,
  foreign: 0,
  conditions: [{ kind: 'disk', message: 'disk almost full' }],
  portsTaken: [22],
  volumes: ['default.web.web.0.data'],
});

const sent = (allocations?: readonly AllocationReport[]): unknown =>
  JSON.parse(JSON.stringify(encodeReport(null, report(allocations), 0).frame));

type Path = readonly (string | number)[];

/** The value with one place of it changed. */
const changedAt = (value: unknown, [key, ...rest]: Path, to: unknown): unknown => {
  if (key === undefined) return to;
  const copied = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as {
    [name: string | number]: unknown;
  };
  copied[key] = changedAt(copied[key], rest, to);
  return copied;
};

describe('a report', () => {
  it('of a runner is taken as it is', () => {
    const frame = sent();
    expect(checkReport(frame, FROM)).toEqual({ ok: true, frame });
  });

  it('may have fields of a newer release', () => {
    expect(checkReport(changedAt(sent(), ['head', 'later'], 1), FROM).ok).toBe(true);
  });

  it.each<[string, Path, unknown, string]>([
    ['nothing', [], null, 'the whole: must be object'],
    ['a list', [], [], 'the whole: must be object'],
    ['no head', ['head'], undefined, 'the whole: must have required property'],
    ['an unknown phase', ['changed', 0, 'phase'], 'asleep', 'changed/0/phase: must be equal to'],
    ['an unknown blame', ['changed', 0, 'failure', 'blame'], 'moon', 'changed/0/failure'],
    ['an id of another form', ['changed', 0, 'allocation'], '../x', 'changed/0/allocation: must'],
    ['an accepted id of another form', ['head', 'accepted', 0], 'x', 'head/accepted/0: must'],
    ['a name with a control character', ['bodies', 0, 'job'], 'a\u001b[2Jb', 'bodies/0/job: must'],
    ['a negative age', ['changed', 0, 'acceptedForMs'], -1, 'acceptedForMs: must be >= 0'],
    ['an age that is none', ['changed', 0, 'deadForMs'], '1', 'changed/0/deadForMs: must'],
    ['a port beyond all ports', ['head', 'portsTaken', 0], 70_000, 'head/portsTaken/0: must'],
    ['half an amount', ['head', 'capacity'], { cpuMilli: 1 }, 'head/capacity: must have'],
    ['a folder that leads out', ['head', 'volumes', 0], '../../etc', 'head/volumes/0: must match'],
    [
      'a sentence too long',
      ['head', 'conditions', 0, 'message'],
      'x'.repeat(5_000),
      'message: must',
    ],
    [
      'a group without tasks',
      ['bodies', 0, 'spec', 'tasks'],
      [],
      'spec/tasks: must NOT have fewer',
    ],
    ['another node', ['head', 'node'], 'n2', 'it speaks for n2'],
    ['a body of another node', ['bodies', 0, 'node'], 'n2', 'it speaks for n2'],
    ['another cluster', ['head', 'cluster'], 'd', 'another cluster'],
    ['a body too large', ['bodies', 0, 'commit2'], 'x'.repeat(300_000), 'is larger than 256KiB'],
    [
      'too many copies',
      ['removed'],
      Array.from({ length: HELD_ALLOCATIONS + 1 }, () => ID),
      'removed: must NOT have more than 4000 items',
    ],
  ])('with %s is refused, with the place', (_name, path, to, why) => {
    const checked = checkReport(changedAt(sent(), path, to), FROM);
    expect(checked).toMatchObject({ ok: false, why: expect.stringContaining(why) });
    expect(JSON.stringify(checked)).not.toContain('\\u001b');
  });

  it('with a copy twice, or under the body of another, is refused', () => {
    const twice = changedAt(sent(), ['changed', 1], (sent() as { changed: unknown[] }).changed[0]);
    expect(checkReport(twice, FROM)).toMatchObject({
      ok: false,
      why: expect.stringContaining('twice') as string,
    });
    const other = changedAt(sent(), ['changed', 0, 'allocation'], 'bbbbbbbbbbbbbbbb-0-1');
    const checked = checkReport(other, FROM);
    const applied = checked.ok ? applyReport(null, 0, checked.frame) : checked;
    expect(applied).toMatchObject({
      ok: false,
      why: 'bbbbbbbbbbbbbbbb-0-1 has the body of aaaaaaaaaaaaaaaa-0-1',
    });
  });

  it.each<[string, object, string]>([
    [
      'an unknown phase',
      { facts: { phase: { is: ['asleep'] } } },
      'facts/phase/is/0: must be equal',
    ],
    [
      'a task of another form',
      { tasks: { restarts: { is: [-1] } } },
      'patches/tasks/restarts/is/0: must',
    ],
    ['an age that is none', { facts: { healthyForMs: { is: ['1'] } } }, 'healthyForMs/is/0: must'],
    [
      'a log that a terminal obeys',
      { tasks: { log: { is: [['\u001b[2J']] } } },
      'log/is/0/0: must',
    ],
    ['another id', { copies: ['../x'] }, 'patches/copies/0: must match pattern'],
    ['a place that is none', { tasks: { pid: { at: [-1], is: [1] } } }, 'tasks/pid/at/0: must'],
    ['a task that is none', { tasks: { pid: { task: [0.5], is: [1] } } }, 'tasks/pid/task/0: must'],
    ['a field without values', { facts: { phase: { at: [0] } } }, 'facts/phase: must have'],
    ['a list in place of columns', { facts: undefined }, 'patches: must have'],
  ])('with a patch of %s is refused', (_name, columns, why) => {
    const patches = { facts: {}, tasks: {}, ...columns };
    const checked = checkReport(changedAt(sent(), ['patches'], patches), FROM);
    expect(checked).toMatchObject({ ok: false, why: expect.stringContaining(why) });
    expect(checkPatches(JSON.parse(JSON.stringify(patches)))).toBeNull();
  });

  it('has patches without control characters', () => {
    const failure = { blame: 'version', kind: 'exit', task: null, message: 'a\rb', ageMs: 1 };
    const patches = (message: string, lastCheck: string) => ({
      facts: { failure: { is: [null, { ...failure, message }] } },
      tasks: { lastCheck: { is: [lastCheck, null] }, pid: { is: [1, 2] } },
    });
    expect(checkPatches(patches('a\rb', 'c\u0007d'))).toEqual(patches('a b', 'c d'));
    expect(checkPatches(patches('a b', 'c\u0007d'))).toEqual(patches('a b', 'c d'));
    expect(checkPatches(patches('a\rb', 'c d'))).toEqual(patches('a b', 'c d'));
  });

  it('has no control characters in its sentences', () => {
    const path = ['changed', 0, 'tasks', 0, 'lastCheck'];
    const checked = checkReport(changedAt(sent(), path, 'a\u001b[31mb\r\n\u0007c'), FROM);
    const task = checked.ok ? checked.frame.changed[0]?.tasks[0] : null;
    expect(task?.lastCheck).toBe('a [31mb c');
  });

  it('whatever is put in whatever place, is refused or taken in, and nothing is thrown', () => {
    const places: Path[] = [];
    const walk = (value: unknown, path: Path): void => {
      places.push(path);
      if (typeof value !== 'object' || value === null) return;
      for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
    };
    walk(sent(), []);
    const anything = fc.oneof(fc.jsonValue(), fc.constant(undefined), fc.constant(-1e308));
    const oneChange = fc.tuple(fc.constantFrom(...places), anything);
    const all = fc.property(oneChange, ([place, value]) => {
      const checked = checkReport(changedAt(sent(), place, value), FROM);
      if (checked.ok) applyReport(null, 0, checked.frame);
    });
    fc.assert(all, { numRuns: 2_000 });
  });
});

test('whatever the reconciler may order, a runner may report', () => {
  const pinned = `@${digestOf('one')}`;
  const files = filesUnder('example-repo')
    .filter((path) => /\.(yaml|env|txt)$/.test(path))
    .map((path) => {
      const text = readFileSync(path, 'utf8');
      const usable = text.replaceAll(/(purser\.local\/\S+:[\d.]+)$/gm, `$1${pinned}`);
      return [path.slice('example-repo/'.length), usable] as const;
    });
  const { desired } = ready(story(Object.fromEntries(files)));
  expect(desired.jobs.length).toBeGreaterThan(1);
  for (const job of desired.jobs) {
    const version = { cluster: 'c', spec: job.spec, deployment: job.deployment, settled: true };
    const bodies = job.spec.groups.map((group) =>
      makeBody({ ...version, commit: job.commit.oid }, group, {
        index: 0,
        attempt: 1,
        node: 'n1',
        attributes: [['node.zone', 'a']],
      }),
    );
    expect(checkReport(sent(bodies.map((one) => copy(one))), FROM)).toMatchObject({ ok: true });
  }
});

test('who a runner says it is', () => {
  expect(checkHello({ cluster: 'c', node: 'n1.example.org' })).toBeNull();
  expect(checkHello({ cluster: 'c', node: '../n1' })).toContain('node: must match');
  expect(checkHello({ cluster: '', node: 'n1' })).toContain('cluster: must');
});
