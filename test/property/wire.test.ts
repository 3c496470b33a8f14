// Reports survive the wire: whatever happened between two of them, the other end has the same (law:
// round trip).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AllocationReport, NodeReport } from '../../schema/orders.ts';
import { applyReport, encodeReport, type SentReports } from '../../schema/wire.ts';
import { aged } from '../../schema/wire-ages.ts';
import { body } from '../support/bodies.ts';

const age = fc.nat(100_000);
const maybe = fc.option(age);

const allocation = (id: string) =>
  fc
    .record({
      phase: fc.constantFrom('pending', 'running', 'stopping', 'dead'),
      health: fc.constantFrom('healthy', 'unhealthy', 'unproven'),
      everHealthy: fc.boolean(),
      restarts: fc.nat(5),
      ages: fc.tuple(age, maybe, maybe, maybe, maybe, maybe),
      failed: fc.boolean(),
      usage: fc.option(fc.record({ cpuMilli: fc.nat(1000), memoryBytes: fc.nat(1e9) })),
      attempt: fc.nat(3),
      wasHealthy: fc.boolean(),
      waits: fc.boolean(),
    })
    .map(
      ({
        phase,
        health,
        everHealthy,
        restarts,
        ages,
        failed,
        usage,
        attempt,
        wasHealthy,
        waits,
      }): AllocationReport => ({
        allocation: id,
        body: body({ allocation: id, attempt }),
        phase,
        health,
        everHealthy,
        tasks: [
          { name: 't', state: 'running', restarts, health, lastCheck: null, exit: null, pid: 7 },
        ],
        failure: failed
          ? { blame: 'version', kind: 'exit', task: 't', message: 'exit code 1', ageMs: ages[0] }
          : null,
        ports: [{ name: 'http', port: 80, host: 20_000 }],
        address: '10.0.0.2',
        usage,
        acceptedForMs: ages[0],
        firstStartedForMs: ages[1],
        runningForMs: ages[2],
        healthyForMs: ages[3],
        firstHealthyForMs: ages[4],
        deadForMs: ages[5],
        ...(wasHealthy && { wasHealthy }),
        ...(waits && { stopWaits: [{ repository: 'r', digest: 'd' }] }),
      }),
    );

const report = fc
  .tuple(...['a', 'b', 'c', 'd'].map((id) => fc.option(allocation(id))), fc.nat(9))
  .map((parts): NodeReport => {
    const allocations = parts.filter(
      (part): part is AllocationReport => typeof part === 'object' && part !== null,
    );
    return {
      node: 'n1',
      cluster: 'c',
      acceptedGeneration: Number(parts[4]),
      acceptedCommit: 'x',
      acceptedHash: 'y',
      accepted: allocations.map((one) => one.allocation),
      capacity: { cpuMilli: 1000, memoryBytes: 1e9 },
      attributes: [],
      address: '127.0.0.1',
      allocations,
      foreign: 0,
      conditions: [],
      portsTaken: [],
    };
  });

/**
 * Sends each report 10 ms after the one before, as JSON, and returns what the receiver has in the
 * end.
 */
const exchange = (reports: readonly NodeReport[], takesPatches = false): NodeReport | null => {
  let sent: SentReports | null = null;
  let has: NodeReport | null = null;
  for (const [index, next] of reports.entries()) {
    const encoded = encodeReport(sent, next, index * 10);
    sent = { ...encoded.sent, takesPatches };
    const applied = applyReport(has, 10, JSON.parse(JSON.stringify(encoded.frame)));
    if (!applied.ok) throw new Error(applied.why);
    has = applied.report;
  }
  return has;
};

describe('reports on the wire', () => {
  test('the receiver has what the sender meant, after any sequence', () => {
    fc.assert(
      fc.property(
        fc.array(report, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (reports, takesPatches) => {
          expect(exchange(reports, takesPatches)).toEqual(reports.at(-1));
        },
      ),
    );
  });

  test('an unchanged allocation is not sent again; its ages advance at the receiver', () => {
    fc.assert(
      fc.property(report, (first) => {
        const later = { ...first, allocations: first.allocations.map((one) => aged(one, 10)) };
        const sent = encodeReport(null, first, 0).sent;
        expect(encodeReport(sent, later, 10).frame.changed).toEqual([]);
        expect(exchange([first, later])).toEqual(later);
      }),
    );
  });

  test('a streak of health that began anew between two reports is sent', () => {
    const [one] = fc.sample(allocation('a'), 1);
    if (one === undefined) throw new Error('no sample');
    const healthy = { ...one, healthyForMs: 60_000 };
    const first = { ...sampleReport(), allocations: [healthy] };
    const second = { ...first, allocations: [{ ...aged(healthy, 10), healthyForMs: 3 }] };
    expect(exchange([first, second])?.allocations[0]?.healthyForMs).toBe(3);
  });

  test('a runner of an earlier release does not say the hashes of its bodies', () => {
    fc.assert(
      fc.property(report, (first) => {
        const { frame } = encodeReport(null, first, 0);
        const older = JSON.parse(JSON.stringify({ ...frame, bodyHashes: undefined }));
        const applied = applyReport(null, 0, older);
        expect(applied).toEqual({ ok: true, report: first });
      }),
    );
  });

  test('a body that was never sent is refused with a reason', () => {
    const { frame } = encodeReport(
      null,
      { ...sampleReport(), allocations: fc.sample(allocation('a'), 1) },
      0,
    );
    expect(applyReport(null, 0, { ...frame, bodies: [] })).toMatchObject({ ok: false });
  });
});

const sampleReport = (): NodeReport => {
  const [sample] = fc.sample(report, 1);
  if (sample === undefined) throw new Error('no sample');
  return sample;
};
