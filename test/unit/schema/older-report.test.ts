// Reports in which nothing happened: what is read of them is what a report worked out at once would
// say, however many lie between two readings.

import { expect, test } from 'vitest';
import { isOlderReport, olderReport } from '../../../schema/older-report.ts';
import { aged } from '../../../schema/wire-ages.ts';
import { copyWith, reportWith } from '../../support/reports.ts';
import { testBody } from '../../support/runner-specs.ts';

const ID = `${'a'.repeat(16)}-0-1`;
const AGES = { runningForMs: 80, healthyForMs: 70, firstHealthyForMs: 60 };
const first = reportWith({
  node: 'n1',
  cluster: 'test',
  acceptedGeneration: 1,
  accepted: [ID],
  allocations: [copyWith(testBody(ID), { health: 'healthy', everHealthy: true, ...AGES })],
});
const { allocations, ...head } = first;
const [copy] = allocations;

test('ages add up over reports that nobody looked at, use is that of the last', () => {
  const second = olderReport(first, 5000, { head, usage: [[ID, 1, 2]] });
  const third = olderReport(second, 4000, { head, usage: [[ID, 3, 4]] });
  const used = { cpuMilli: 3, memoryBytes: 4 };
  expect(third.allocations).toEqual([copy && aged(copy, 9000, used)]);
  expect(second.allocations).toEqual([copy && aged(copy, 5000, { cpuMilli: 1, memoryBytes: 2 })]);
  expect(third.allocations).toBe(third.allocations);
});

test('what is made of one by spreading is a report as any other', () => {
  const older = olderReport(first, 5000, { head, usage: [] });
  expect({ ...older, foreign: 1 }).toEqual({
    ...head,
    foreign: 1,
    allocations: [copy && aged(copy, 5000, null)],
  });
  expect([first, older, { ...older }].map(isOlderReport)).toEqual([false, true, false]);
});
