// Reports of which half is known are read as those that are read whole, and what a node said last
// does not depend on who asked before (law: what was heard before changes how long a report takes,
// and nothing else). In: frames of a runner's own encoder, one after
// the other, with bytes changed, cut off and put in. Out: two answers. Not here: what must stand in a
// report (check-report.test.ts).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLastReport } from '../../reconciler/edge/last-report.ts';
import { parseJson } from '../../reconciler/edge/json-values.ts';
import { shortFrame, type ReadReport, reportReader } from '../../reconciler/edge/report-reader.ts';
import { checkReport } from '../../schema/check-report.ts';
import type { AllocationReport, NodeReport } from '../../schema/orders.ts';
import { encodeReport, type SentReports } from '../../schema/wire.ts';
import { aged } from '../../schema/wire-ages.ts';
import { body } from '../support/bodies.ts';

const FROM = { cluster: 'c', node: 'n1' };

const copy = (index: number, restarts: number): AllocationReport => {
  const of = body({ allocation: `${'a'.repeat(16)}-${index}-1` });
  const lastCheck = restarts === 0 ? null : 'no answer,"bodies":';
  return {
    allocation: of.allocation,
    body: of,
    phase: 'running',
    health: 'unproven',
    everHealthy: false,
    tasks: [
      {
        name: 'web',
        state: 'running',
        restarts,
        health: 'unproven',
        lastCheck,
        exit: null,
        pid: 1,
      },
    ],
    failure:
      restarts === 1
        ? { blame: 'version', kind: 'exit', task: 'web', message: 'ended,"usage":[', ageMs: 4 }
        : null,
    ports: [],
    address: null,
    usage: { cpuMilli: restarts, memoryBytes: 2 },
    acceptedForMs: 10,
    firstStartedForMs: 9,
    runningForMs: 9,
    healthyForMs: restarts === 2 ? 5 : null,
    firstHealthyForMs: null,
    deadForMs: null,
    ...(restarts > 0 && { wasHealthy: true }),
  };
};

const report = fc
  .record({ restarts: fc.array(fc.nat(2), { maxLength: 3 }), foreign: fc.nat(1) })
  .map(({ restarts, foreign }): NodeReport => {
    const allocations = restarts.map((count, index) => copy(index, count));
    return {
      ...FROM,
      acceptedGeneration: 3,
      acceptedCommit: '',
      acceptedHash: '',
      accepted: allocations.map(({ allocation }) => allocation),
      capacity: { cpuMilli: 4000, memoryBytes: 1024 ** 3 },
      attributes: [['node.arch', 'amd64']],
      address: '127.0.0.1',
      allocations,
      foreign,
      conditions: [{ kind: 'disk', message: 'almost full,"bodies":[' }],
      portsTaken: [],
    };
  });

const restarted = (of: NodeReport): NodeReport => ({
  ...of,
  allocations: of.allocations.map((one) => ({
    ...one,
    tasks: one.tasks.map((task) => ({ ...task, restarts: task.restarts + 1 })),
    runningForMs: 1,
  })),
});

/** What somebody might put between two bytes who knows how a frame is read. */
// oxfmt-ignore
const PIECES = [
  '{', '}', '[', ']', ',', '"', ' ', '0', '-1', '\\', '\u00e9', '\\u001b', '},{', '}}',
  ',"bodies":', ',"bodies":[]', ',"whole":true', ',"head":{"node":"n2"}', '"head":null,',
  '"usage":[]', ',"usage":', '"patches":{"facts":{},"tasks":{}},', ',"at":[0]', ',"task":[1]', '"tasks":[{"name":7}],', '"__proto__":{"head":1},', '{"x":{"y":1',
];

interface Edit {
  readonly at: number;
  readonly out: number;
  readonly piece: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(),
  out: fc.nat(3),
  piece: fc.oneof(fc.constantFrom('', ...PIECES), fc.string({ maxLength: 3 })),
});

const edited = (bytes: Buffer, { at, out, piece }: Edit): Buffer => {
  const place = at % (bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, place), Buffer.from(piece), bytes.subarray(place + out)]);
};

const EVERY_MS = 10;

/** As runners send them: of a copy that is as it was, its ages and its use alone are others. */
const framesOf = (reports: readonly NodeReport[]): readonly Buffer[] => {
  let sent: SentReports | null = null;
  return reports.map((one, index) => {
    const at = index * EVERY_MS;
    const allocations = one.allocations.map((each) => aged(each, at));
    const encoded = encodeReport(sent, { ...one, allocations }, at);
    sent = { ...encoded.sent, takesPatches: true };
    return Buffer.from(JSON.stringify(encoded.frame));
  });
};

/** Fields that no release knows yet are nobody's. */
const known = (read: ReturnType<ReadReport>): unknown => {
  if (!read.ok) return read;
  const frame = 'short' in read ? shortFrame(read.short) : read.frame;
  const { whole, head, bodies, changed, removed, patches, usage } = frame;
  return { whole, head, bodies, changed, removed, patches, usage };
};

test('whatever was read before, a frame says what it says when it is read whole', () => {
  const answers = { yes: 0, no: 0, quiet: 0, patched: 0 };
  const frames = fc
    .array(report, { minLength: 1, maxLength: 3 })
    .map((reports) => {
      const last = reports.slice(-1);
      return framesOf([...reports, ...last, ...last.map(restarted)]);
    })
    .chain((good) =>
      fc.tuple(
        fc.constant(good),
        fc.array(fc.tuple(fc.nat(good.length - 1), edit), { maxLength: 4 }),
      ),
    )
    // Each good one first: what follows it then has its first half, or nearly.
    .map(([good, edits]) =>
      good.flatMap((bytes, at) => [
        bytes,
        ...edits.flatMap(([of, change]) => (of === at ? [edited(bytes, change)] : [])),
      ]),
    );
  fc.assert(
    fc.property(frames, (sequence) => {
      const read = reportReader(FROM);
      for (const bytes of sequence) {
        const whole = checkReport(parseJson(bytes), { ...FROM, bytes: bytes.length });
        answers[whole.ok ? 'yes' : 'no'] += 1;
        const quick = read(bytes);
        if (quick.ok && 'short' in quick)
          answers[quick.short.patches === null ? 'quiet' : 'patched'] += 1;
        expect(known(quick)).toEqual(known(whole));
      }
    }),
    { numRuns: 400 },
  );
  expect(Math.min(...Object.values(answers))).toBeGreaterThan(100);
});

test('whether it is asked after each report or seldom, a node said the same', () => {
  let quiet = 0;
  let still = 0;
  const sequence = fc.array(
    fc.record({ next: fc.option(report, { freq: 2 }), asked: fc.boolean(), anew: fc.nat(9) }),
    { minLength: 2, maxLength: 8 },
  );
  const [first] = fc.sample(report, { numRuns: 1, seed: 1 });
  if (first === undefined) throw new Error('no sample');
  fc.assert(
    fc.property(sequence, (steps) => {
      const often = createLastReport(FROM);
      const seldom = createLastReport(FROM);
      let reports = [first];
      for (const [index, { next, asked, anew }] of steps.entries()) {
        // Sometimes the link was cut, and a session begins.
        if (anew === 0) reports = reports.slice(-1);
        if (anew === 0) for (const each of [often, seldom]) each.begin();
        const frame = framesOf(reports).at(-1) ?? Buffer.alloc(0);
        const taken = often.take(frame, index * EVERY_MS);
        expect(seldom.take(frame, index * EVERY_MS)).toEqual(taken);
        if ('isNews' in taken && !taken.isNews) quiet += 1;
        const said = often.said();
        if (asked || index === steps.length - 1) {
          const { unchanged, ...rest } = seldom.said() ?? {};
          expect(rest).toEqual({ report: said?.report, receivedAt: said?.receivedAt });
          // Who asks seldom is told less often that a copy is as it was, and never wrongly.
          for (const [id, { report: before, receivedAt }] of unchanged ?? []) {
            const since = index * EVERY_MS - receivedAt;
            const now = said?.report.allocations.find(({ allocation }) => allocation === id);
            expect(now).toEqual(aged(before, since, now?.usage ?? null));
            still += 1;
          }
        }
        const age = (reports.length - 1) * EVERY_MS;
        const last = reports.at(-1);
        const allocations = last?.allocations.map((each) => aged(each, age));
        expect(said?.report).toEqual({ ...last, allocations });
        reports = [...reports, next ?? last ?? first];
      }
    }),
    { numRuns: 200 },
  );
  expect(Math.min(quiet, still)).toBeGreaterThan(100);
});

test('forty reports of which each says a little, and that nobody asks for, add up', () => {
  const [one] = fc.sample(report, { numRuns: 1, seed: 1 });
  if (one === undefined) throw new Error('no sample');
  const reports = Array.from({ length: 40 }, (_, at): NodeReport => {
    const [left, right] = [copy(0, 3 + Math.floor(at / 2)), copy(1, 3 + Math.ceil(at / 2))];
    return { ...one, allocations: [left, right] };
  });
  const last = createLastReport(FROM);
  for (const [index, frame] of framesOf(reports).entries()) {
    expect(last.take(frame, index * EVERY_MS)).toEqual({ isNews: true });
  }
  const allocations = reports.at(-1)?.allocations.map((each) => aged(each, 39 * EVERY_MS));
  expect(last.said()?.report).toEqual({ ...reports.at(-1), allocations });
});

test('of a node that says the same of itself again, that half is the same object', () => {
  const [first, ...later] = framesOf(
    Array.from({ length: 4 }, (_, use): NodeReport => {
      const [one] = fc.sample(report, { numRuns: 1, seed: 1 });
      if (one === undefined) throw new Error('no sample');
      const usage = { cpuMilli: use, memoryBytes: use };
      return { ...one, allocations: [{ ...copy(0, 1), usage }] };
    }),
  );
  const read = reportReader(FROM);
  const heads = [first, ...later].map((bytes) => {
    const one = read(bytes ?? Buffer.alloc(0));
    if (!one.ok) return null;
    return 'short' in one ? one.short.head : one.frame.head;
  });
  expect(heads.every((head) => head !== null)).toBe(true);
  expect(heads[2]).toBe(heads[1]);
  expect(heads[3]).toBe(heads[1]);
});

test.each([
  ['another node', '"node":"n1"', '"node":"n2"'],
  ['a list of another form', '"removed":[]', '"removed":[7]'],
  ['an end that is none', ']]}', ']]]'],
  ['the head said again', '"removed":[]', '"removed":[],"head":{"node":"n2"}'],
])('%s is refused behind a half that is known', (_name, from, to) => {
  const [one] = fc.sample(report, { numRuns: 1, seed: 1 });
  const [, good] = framesOf(one === undefined ? [] : [one, one]);
  const read = reportReader(FROM);
  expect(good?.toString()).toContain(from);
  expect(good && read(good).ok).toBe(true);
  expect(good && read(Buffer.from(good.toString().replace(from, to))).ok).toBe(false);
});
