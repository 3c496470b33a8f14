// What of a copy that changed is sent: a few fields where that is enough, and the receiver takes them.

import { expect, test } from 'vitest';
import type { AllocationReport } from '../../../schema/orders.ts';
import { applyReport, encodeReport, TEXT_CHARS } from '../../../schema/wire.ts';
import { aged } from '../../../schema/wire-ages.ts';
import { patchesOf } from '../../../schema/wire-columns.ts';
import { withPatch } from '../../../schema/wire-patch.ts';
import { body, group, task } from '../../support/bodies.ts';
import { copyWith, reportWith } from '../../support/reports.ts';

const ID = `${'a'.repeat(16)}-0-1`;
const BODY = body({
  allocation: ID,
  spec: group({ tasks: [task(), task({ name: 'proxy' })] }),
});
const [WEB, PROXY] = copyWith(BODY).tasks;
if (WEB === undefined || PROXY === undefined) throw new Error('a copy without tasks');
/** Its fields in the order in which runners have them. */
const COPY = aged(
  copyWith(BODY, {
    wasHealthy: true,
    tasks: [WEB, { ...PROXY, log: ['last words'] }],
    usage: { cpuMilli: 1, memoryBytes: 2 },
    healthyForMs: 80,
  }),
  0,
);
const ELAPSED = 10;

const reportOf = (...allocations: readonly AllocationReport[]) =>
  reportWith({ node: 'n1', cluster: 'c', allocations });

/** What is sent of a copy ten milliseconds after it was sent as a whole, and what is made of it. */
const sentOf = (after: AllocationReport, takesPatches = true) => {
  const first = encodeReport(null, reportOf(COPY), 0);
  const { frame } = encodeReport({ ...first.sent, takesPatches }, reportOf(after), ELAPSED);
  const has = applyReport(null, 0, first.frame);
  if (!has.ok) throw new Error(has.why);
  return {
    frame,
    taken: applyReport(has.report, ELAPSED, JSON.parse(JSON.stringify(frame))),
  };
};

const older = aged(COPY, ELAPSED);
const [web, proxy] = older.tasks;
if (web === undefined || proxy === undefined) throw new Error('a copy without tasks');
const FAILURE = {
  blame: 'version',
  kind: 'exit',
  task: 'web',
  message: 'exit code 1',
  ageMs: 3,
} as const;

test.each<[string, AllocationReport, object]>([
  ['another use is told beside', { ...older, usage: { cpuMilli: 9, memoryBytes: 9 } }, {}],
  [
    'of one task what it says',
    { ...older, tasks: [web, { ...proxy, lastCheck: 'no answer' }] },
    { tasks: [{}, { lastCheck: 'no answer' }] },
  ],
  ['an age that began anew', { ...older, runningForMs: 2 }, { runningForMs: 2 }],
  ['an age that is none any more', { ...older, healthyForMs: null }, { healthyForMs: null }],
  ['a failure, as a whole', { ...older, failure: FAILURE }, { failure: FAILURE }],
  [
    'several fields',
    { ...older, phase: 'stopping', health: 'unhealthy', stopWaits: [] },
    { phase: 'stopping', health: 'unhealthy', stopWaits: [] },
  ],
])('a patch says %s', (_name, after, patch) => {
  const { frame, taken } = sentOf(after);
  expect(frame.changed).toEqual([]);
  const isSame = Object.keys(patch).length === 0;
  const patches = frame.patches && patchesOf(frame.patches, frame.head.accepted);
  expect(patches).toEqual(isSame ? undefined : [{ allocation: ID, ...patch }]);
  expect(taken).toEqual({ ok: true, report: reportOf(after) });
});

const { wasHealthy: _was, ...withoutOptional } = older;
const { log: _log, ...withoutLog } = proxy;
test.each<[string, AllocationReport, boolean?]>([
  ['under another body', { ...older, body: body({ allocation: ID, settled: true }) }],
  ['with a field less', withoutOptional],
  ['with a field of a task less', { ...older, tasks: [web, withoutLog] }],
  ['with a task less', { ...older, tasks: [web] }],
  ['with a task of another name', { ...older, tasks: [web, { ...proxy, name: 'cache' }] }],
  ['whose receiver takes no patches', { ...older, runningForMs: 2 }, false],
  [
    'with more text than a report takes',
    { ...older, tasks: [web, { ...proxy, lastCheck: 'x'.repeat(TEXT_CHARS + 1) }] },
  ],
])('a copy %s is sent as a whole', (_name, after, takesPatches = true) => {
  const { frame, taken } = sentOf(after, takesPatches);
  expect(frame.changed).toHaveLength(1);
  expect(frame.patches).toBeUndefined();
  expect(taken.ok).toBe(true);
});

test('of a newer runner only what is known is taken', () => {
  const task = { pid: 9, name: 'cache', later: 1 };
  const patch = { allocation: ID, tasks: [task, {}], usage: null, body: 7 };
  expect(withPatch(COPY, patch)).toEqual({ ...COPY, tasks: [{ ...WEB, pid: 9 }, COPY.tasks[1]] });
});
