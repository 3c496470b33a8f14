// Nodes that are silent, lost together, or back again; attempts; singletons. Rules 9.1 to 9.3, 10.2.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob, DesiredState } from '../../../schema/desired.ts';
import type { LiveAllocation, LiveState } from '../../../schema/live.ts';
import {
  aCopy,
  aJob,
  aNode,
  desiredOf,
  liveOf,
  nodeNames,
  settledBefore,
  STARTING,
} from '../../support/world.ts';

const SILENT = { connected: false, silentForMs: 60_000 };
const silentNodes = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, SILENT]));

describe('many nodes lost at once (9.1)', () => {
  const job = aJob({ count: 2 }, { settled: true });
  const lossOf = (all: number, lost: number, drained = 0) => {
    const names = nodeNames(all);
    const nodes = names.map((name, at) => aNode(name, at < drained ? { drain: 'yes' } : {}));
    const live = liveOf([], silentNodes(names.slice(0, lost)), names);
    return plan(desiredOf([job], { nodes }), live, 0).massLoss?.length ?? 0;
  };

  it('are at least three, and more than 30 % of those that are expected', () => {
    expect(lossOf(4, 2)).toBe(0);
    expect(lossOf(4, 3)).toBe(3);
    expect(lossOf(10, 3)).toBe(0);
    expect(lossOf(9, 3)).toBe(3);
  });

  it('drained ones count neither as lost nor as expected', () => {
    expect(lossOf(5, 3, 1)).toBe(0);
    expect(lossOf(11, 4, 1)).toBe(0);
    expect(lossOf(12, 6, 3)).toBe(3);
  });
});

describe('a silent node', () => {
  const job = aJob({ count: 1 }, { settled: true });
  const copy = aCopy(job, { node: 'n001', index: 0 });
  const after = (upForMs: number, silentForMs: number) => {
    const live: LiveState = { ...liveOf([copy], { n001: { connected: false, silentForMs } }) };
    return plan(desiredOf([job]), { ...live, upForMs }, 0).steps;
  };

  it('is lost after lost_after, counted from the start of the reconciler at the earliest (9.1)', () => {
    expect(after(3_600_000, 29_999)).toEqual([]);
    expect(after(3_600_000, 30_000)).toMatchObject([{ kind: 'start', reason: 'node-lost' }]);
    expect(after(29_999, 3_600_000)).toEqual([]);
    expect(after(30_000, 3_600_000)).toHaveLength(1);
  });

  it('leaves its attempt behind: what follows is another allocation (10.2)', () => {
    const again = aCopy(job, { node: 'n001', index: 0, attempt: 7 });
    const live = liveOf([again], { n001: SILENT });
    const [step] = plan(desiredOf([job]), live, 0).steps;
    expect(step?.kind === 'start' && step.body.attempt).toBe(8);
  });
});

describe('a node that is back', () => {
  const stopsOf = (job: DesiredJob, copies: readonly LiveAllocation[]) =>
    plan(desiredOf([job]), liveOf(copies), 0).steps.map((one) => `${one.kind} ${one.node}`);
  const since = (healthyForMs: number) => ({ healthyForMs, firstHealthyForMs: healthyForMs });

  it('of two copies the one that has been healthy longer stays (9.2)', () => {
    const job = aJob({ count: 1 }, { settled: true });
    const at = (node: string, ms: number) =>
      aCopy(job, { node, index: 0 }, { ...since(ms), acceptedForMs: 500_000 - ms });
    expect(stopsOf(job, [at('n001', 20_000), at('n002', 90_000)])).toEqual(['stop n001']);
    expect(stopsOf(job, [at('n001', 90_000), at('n002', 20_000)])).toEqual(['stop n002']);
  });

  it('and the one of the wanted version before any other', () => {
    const job = aJob({ version: 'v2', from: { version: 'v1' }, count: 1 });
    const old = aCopy(settledBefore(job), { node: 'n001', index: 0 }, since(900_000));
    const fresh = aCopy(job, { node: 'n002', index: 0 }, since(20_000));
    expect(stopsOf(job, [old, fresh])).toContain('stop n001');
    expect(stopsOf(job, [old, fresh])).not.toContain('stop n002');
  });

  it('does not begin a singleton that runs elsewhere, or may run on a silent node (9.3)', () => {
    const job = aJob({ groups: [{ count: 1, singleton: true }] }, { settled: true });
    const pending = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
    const late = aCopy(job, { node: 'n002', index: 0, attempt: 2 }, pending);
    const runs = aCopy(job, { node: 'n001', index: 0 });
    expect(stopsOf(job, [runs, late])).toEqual(['stop n002']);
    const silent = liveOf([runs, late], { n001: { connected: false, silentForMs: 5_000 } });
    const desired: DesiredState = desiredOf([job]);
    expect(plan(desired, silent, 0).steps).toMatchObject([{ kind: 'stop', node: 'n002' }]);
    const going = { ...runs, phase: 'stopping', stopping: true } as const;
    expect(stopsOf(job, [going, late])).toEqual(['stop n002']);
    // Neither runs yet by the last report, and either may begin before it hears of a stop.
    const other = aCopy(job, { node: 'n001', index: 0 }, pending);
    expect(stopsOf(job, [other, late])).toEqual(['stop n001', 'stop n002']);
    expect(stopsOf(job, [late])).toEqual([]);
  });
});
