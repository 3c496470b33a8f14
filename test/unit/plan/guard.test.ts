// What the guard counts, and what it does not. Rules 8.1.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import { judge } from '../../../reconciler/render/plan-verdict.ts';
import type { DesiredJob, DesiredState, SyncedGroup } from '../../../schema/desired.ts';
import type { LiveAllocation, LiveState } from '../../../schema/live.ts';
import type { Summary } from '../../../schema/summary.ts';
import {
  aCopy,
  aJob,
  aNode,
  desiredOf,
  liveOf,
  nodeNames,
  type JobWords,
} from '../../support/world.ts';

const NODES = nodeNames(3);
const slotsOf = (name: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `shop/${name}/main[${from + at}]`);
const copiesOf = (job: DesiredJob, count: number) =>
  Array.from({ length: count }, (_, index) => aCopy(job, { node: NODES[index % 3] ?? '', index }));

const plain = (count: number): SyncedGroup => ({
  name: 'main',
  min: count,
  max: count,
  value: count,
});
const bounds = (min: number, max: number, value: number | null): SyncedGroup => ({
  name: 'main',
  min,
  max,
  value,
});

const NONE = { cpuMilli: 0, memoryBytes: 0 };
const NOTHING: Summary = {
  jobs: [],
  waves: [],
  blocked: [],
  problems: [],
  guarded: [],
  pending: { steps: 0, blocked: [], problems: [] },
  capacity: { before: NONE, after: NONE, total: NONE },
  assumed: [],
  stopped: null,
};

interface Case {
  readonly was: readonly SyncedGroup[] | null;
  readonly now: JobWords;
  readonly live: number;
  /** Slots of another job that stays. */
  readonly others?: number;
  readonly protected?: boolean;
  readonly wasProtected?: boolean;
}

const guarded = ({ was, now, live, others = 0, ...namespace }: Case) => {
  const job = aJob(now, { settled: true });
  const other = aJob({ name: 'other', count: others }, { settled: true });
  const spec = { name: 'shop', protected: namespace.protected ?? false, quota: null } as const;
  const ended = namespace.wasProtected === true ? { wasProtected: true as const } : {};
  const desired = desiredOf(others === 0 ? [job] : [job, other], {
    namespaces: [{ ...spec, evidence: 'codes', ...ended }],
    synced: new Map([[job.id, was]]),
  });
  const made = plan(desired, liveOf([...copiesOf(job, live), ...copiesOf(other, others)]), 0);
  const held = made.guarded.flatMap(({ slots }) => slots);
  const stopped = made.steps.flatMap((step) => (step.kind === 'stop' ? [step.slot] : []));
  return { held, stopped, why: made.guarded[0]?.why ?? null };
};

const machine = (min: number, max: number, count: number, fromFile = true): JobWords => ({
  groups: [{ count, scale: { min, max, fromFile } }],
});

describe('the share', () => {
  it('is of the slots that the last synced commit wanted, of all jobs of the namespace', () => {
    const at = (others: number) => guarded({ was: [plain(6)], now: { count: 3 }, live: 6, others });
    expect(at(8)).toMatchObject({ held: slotsOf('web', 3, 6) });
    expect(at(8).why).toBe('3 of 14 slots of namespace shop would go');
    // 3 of 15 is 20 %, and not more.
    expect(at(9)).toMatchObject({ held: [] });
    expect(at(9).stopped.length).toBeGreaterThan(0);
  });

  it('does not grow with what HEAD adds', () => {
    const job = aJob({ count: 3 }, { settled: true });
    const fresh = aJob({ name: 'fresh', count: 40 });
    const synced = new Map([
      [job.id, [plain(6)]],
      [fresh.id, []],
    ]);
    const made = plan(desiredOf([job, fresh], { synced }), liveOf(copiesOf(job, 6)), 0);
    expect(made.guarded[0]?.why).toBe('3 of 6 slots of namespace shop would go');
  });

  it('two slots are never many', () => {
    expect(guarded({ was: [plain(3)], now: { count: 1 }, live: 3 }).held).toEqual([]);
  });

  it('counts slots with a live copy only, and only those that were wanted', () => {
    expect(guarded({ was: [plain(6)], now: { count: 1 }, live: 3 }).held).toEqual([]);
    // Copies that came back with a node, beyond what the synced commit wanted.
    const strayed = guarded({ was: [plain(2)], now: { count: 2 }, live: 6 });
    expect(strayed.held).toEqual([]);
    expect(strayed.stopped).toEqual(expect.arrayContaining(slotsOf('web', 2, 6)));
  });

  it('everything counts where the file of the synced commit was not valid', () => {
    expect(guarded({ was: null, now: { count: 1 }, live: 5 }).held).toEqual(slotsOf('web', 1, 5));
  });
});

describe('a count that is the machine’s', () => {
  it('may go down between min and max', () => {
    const now = machine(1, 9, 2);
    expect(guarded({ was: [bounds(1, 9, 8)], now, live: 8 }).held).toEqual([]);
  });

  it('that goes down because people lowered max, or min, is a removal', () => {
    const lowMax = guarded({ was: [bounds(1, 9, 8)], now: machine(1, 3, 3), live: 8 });
    expect(lowMax.held).toEqual(slotsOf('web', 3, 8));
    const lowMin = guarded({ was: [bounds(8, 9, 2)], now: machine(1, 9, 2), live: 8 });
    expect(lowMin.held).toEqual(slotsOf('web', 2, 8));
  });

  it('is split where both did', () => {
    // People: 8 → 6 by max. The machine: 6 → 1 inside the new bounds.
    const both = guarded({ was: [bounds(1, 9, 9)], now: machine(1, 6, 1), live: 9 });
    expect(both.held).toEqual(slotsOf('web', 6, 9));
  });

  it('that stood nowhere is what lived', () => {
    const now = machine(1, 9, 1, false);
    expect(guarded({ was: [bounds(1, 9, null)], now, live: 8 }).held).toEqual([]);
    const low = guarded({ was: [bounds(1, 9, null)], now: machine(1, 4, 1, false), live: 8 });
    expect(low.held).toEqual(slotsOf('web', 4, 8));
  });

  it('that people take over is theirs', () => {
    const taken = guarded({ was: [bounds(1, 9, 8)], now: { count: 2 }, live: 8 });
    expect(taken.held).toEqual(slotsOf('web', 2, 8));
  });
});

describe('one slot is enough', () => {
  it('in a protected namespace, also when its protection goes with it', () => {
    const one = { was: [plain(2)], now: { count: 1 }, live: 2 };
    expect(guarded({ ...one, protected: true }).why).toBe('namespace shop is protected');
    const gone = guarded({ ...one, wasProtected: true });
    expect(gone.why).toBe('namespace shop was protected until now');
    expect(gone.held).toEqual(slotsOf('web', 1, 2));
    expect(guarded(one).held).toEqual([]);
  });

  it('with a named volume', () => {
    const groups = [{ count: 1, volumes: [{ name: 'data', onLoss: 'wait' as const }] }];
    const one = guarded({ was: [plain(2)], now: { groups }, live: 2 });
    expect(one.why).toBe('shop/web/main[1] has a named volume');
  });
});

it('nothing is held of what is stopped, or where nothing was ever synced', () => {
  expect(guarded({ was: [plain(6)], now: { count: 6, stopped: true }, live: 6 }).held).toEqual([]);
  const job = aJob({ count: 1 });
  const made = plan(desiredOf([job], { lastSynced: null }), liveOf(copiesOf(job, 6)), 0);
  expect(made.guarded).toEqual([]);
});

describe('a lost node that this reconciler never heard from', () => {
  const HOUR_MS = 3_600_000;
  const groups = (count: number) => [
    { count, volumes: [{ name: 'data', onLoss: 'wait' as const }] },
  ];
  const before = aJob({ groups: groups(2) }, { settled: true });
  const less = aJob({ groups: groups(1) }, { settled: true });
  const gone: DesiredJob = { ...before, standing: { kind: 'removed' } };
  const [at0, at1] = copiesOf(before, 2);
  const seen = at0 === undefined ? [] : [at0];
  /** n002, with the second copy, is not there. */
  const blind = { ...liveOf(seen, {}, ['n001', 'n003']), upForMs: HOUR_MS };
  const whole = { ...liveOf(at1 === undefined ? [] : [...seen, at1]), upForMs: HOUR_MS };
  const wants = (job: DesiredJob, facts: Partial<DesiredState> = {}) =>
    desiredOf([job], { lastSynced: 'before', synced: new Map([[job.id, [plain(2)]]]), ...facts });
  const synced = (desired: DesiredState, live: LiveState) => plan(desired, live, 0).synced;

  it('may come back with what a commit took away, so that one is not synced', () => {
    expect(synced(wants(less), blind)).toBe(false);
    expect(synced(desiredOf([gone], { lastSynced: 'before' }), { ...blind, nodes: [] })).toBe(
      false,
    );
    // It is back, with its copy: a person is asked.
    const back = plan(wants(less), whole, 0);
    expect(back.guarded).toMatchObject([{ slots: ['shop/web/main[1]'] }]);
    expect(back.steps).toEqual([]);
  });

  it('is named beside each job that lost something, with what to do about it', () => {
    const other = aJob({ name: 'other', count: 0 }, { settled: true });
    const made = plan({ ...wants(less), jobs: [other, less] }, blind, 0);
    expect(made.blocked).toEqual([
      {
        kind: 'waiting',
        job: 'shop/web',
        slot: null,
        why: 'node-unseen',
        detail:
          'it lost slots, and a lost node may still hold copies of them: n002 never spoke since ' +
          'the reconciler started, so the commit does not count as synced',
        remedy: 'bring it back, or git rm nodes/n002.yaml',
      },
    ]);
    const unseen = (desired: DesiredState) =>
      plan(desired, blind, 0).blocked.filter(
        (one) => one.kind === 'waiting' && one.why === 'node-unseen',
      );
    expect(unseen(wants(before))).toEqual([]);
    const nodes = nodeNames(9).map((name) => aNode(name));
    const [many] = unseen(wants(less, { nodes }));
    expect(many).toMatchObject({ detail: expect.stringContaining('n007 and 2 more never spoke') });
  });

  it('holds nothing up that takes nothing away, nor once it is gone from Git', () => {
    expect(synced(wants(before), blind)).toBe(true);
    expect(synced(wants(aJob({ groups: groups(3) }, { settled: true })), blind)).toBe(true);
    expect(synced(wants(aJob({ count: 1, stopped: true })), { ...blind, nodes: [] })).toBe(true);
    const nodes = ['n001', 'n003'].map((name) => aNode(name));
    expect(synced(wants(less, { nodes }), blind)).toBe(true);
  });

  it('a machine’s count that stands nowhere may have been its largest', () => {
    const job = (max: number) => aJob(machine(1, max, 1, false), { settled: true });
    const was = (max: number) => ({ synced: new Map([['shop/web', [bounds(1, max, null)]]]) });
    expect(synced(wants(job(4), was(9)), blind)).toBe(false);
    expect(synced(wants(job(9), was(9)), blind)).toBe(true);
    const lowMin = new Map([['shop/web', [bounds(8, 9, 2)]]]);
    expect(synced(wants(aJob(machine(1, 9, 2)), { synced: lowMin }), blind)).toBe(false);
  });

  it('uses no approval up, which ends when its slot is wanted again', () => {
    const approval: DesiredState['approvals'][number] = {
      kind: 'approval',
      id: 'a1',
      by: 'Ada <ada@example.org>',
      at: '2026-01-01T00:00:00Z',
      commit: 'head',
      slots: ['shop/web/main[1]'],
      nodes: [],
      used: false,
    };
    const ends = (job: DesiredJob, live: LiveState) =>
      plan(wants(job, { approvals: [approval] }), live, 0).proposals.some(
        (one) => one.kind === 'ledger' && one.records.some(({ kind }) => kind === 'approval'),
      );
    expect(ends(less, blind)).toBe(false);
    expect(ends(less, liveOf(seen))).toBe(true);
    expect(ends(before, blind)).toBe(true);
  });

  it('keeps an approval that was given ahead, until its slots went and are wanted again', () => {
    const given: DesiredState['approvals'][number] = {
      kind: 'approval',
      id: 'a1',
      by: 'grace <2+grace@forge>',
      at: '2026-01-01T00:00:00Z',
      commit: 'head',
      slots: ['shop/web/main[1]'],
      nodes: [],
      ahead: true,
      used: false,
    };
    const { ahead: _ahead, ...come } = given;
    const written = (job: DesiredJob, approval: typeof given) =>
      plan(wants(job, { approvals: [approval] }), liveOf(seen), 0).proposals.flatMap((one) =>
        one.kind === 'ledger' ? one.records.filter(({ kind }) => kind === 'approval') : [],
      );
    expect(written(before, given)).toEqual([]);
    expect(written(less, given)).toEqual([{ ...given, used: true }]);
    expect(written(before, come)).toEqual([{ ...come, used: true }]);
  });
});

describe('slots that hold no live copy', () => {
  const job = aJob({ count: 0 }, { settled: true });
  const desired = desiredOf([job], { synced: new Map([[job.id, [plain(3)]]]) });
  const [first, ...rest] = copiesOf(job, 3);
  const others = (facts: Partial<LiveAllocation>) =>
    plan(
      desired,
      liveOf([...(first ? [first] : []), ...rest.map((one) => ({ ...one, ...facts }))]),
      0,
    ).guarded;

  it('count for nothing: dead ones, and those that stop already', () => {
    expect(others({})).toHaveLength(1);
    expect(others({ phase: 'dead', health: 'unhealthy', runningForMs: null })).toEqual([]);
    expect(others({ stopping: true })).toEqual([]);
  });
});

const approvalOf = (slots: readonly string[]): DesiredState['approvals'][number] => ({
  kind: 'approval',
  id: 'a1',
  by: 'grace <2+grace@forge>',
  at: '2026-01-01T00:00:00Z',
  commit: 'head',
  slots,
  nodes: [],
  ahead: true,
  used: false,
});

describe('a plan that has grown since somebody approved a part of it', () => {
  const grown = (now: number, approved: readonly string[]) => {
    const job = aJob({ count: now }, { settled: true });
    const approval = approvalOf(approved);
    const synced = new Map([[job.id, [plain(8)]]]);
    const desired = desiredOf([job], { synced, approvals: [approval] });
    const { guarded: held, steps } = plan(desired, liveOf(copiesOf(job, 8)), 0);
    const slots = held.flatMap((one) => one.slots);
    const { conclusion, uncovered } = judge(
      { summary: { ...NOTHING, guarded: held }, effects: { slots } },
      { approved: new Set(approved) },
    );
    const stopped = steps.flatMap((step) => (step.kind === 'stop' ? [step.slot] : []));
    return { slots, conclusion, uncovered, stopped };
  };

  it('holds what the approval does not name, and asks for it again', () => {
    const part = slotsOf('web', 5, 8);
    const asked = grown(5, part);
    expect(asked).toMatchObject({ slots: [], conclusion: 'success', uncovered: 0 });
    expect(asked.stopped.length).toBeGreaterThan(0);
    const more = grown(2, part);
    const rest = slotsOf('web', 2, 5);
    expect(more).toMatchObject({ slots: rest, conclusion: 'action_required', uncovered: 3 });
    expect(more.stopped.filter((slot) => !part.includes(slot))).toEqual([]);
    expect(grown(2, [...rest, ...part])).toMatchObject({ slots: [], conclusion: 'success' });
  });

  it('counts what went with an approval that is not used up yet', () => {
    // Of four that may go two are gone; one more that nobody allowed is no small removal.
    const job = aJob({ count: 5 }, { settled: true });
    const given = approvalOf(slotsOf('web', 6, 10));
    const synced = new Map([[job.id, [plain(10)]]]);
    const desired = desiredOf([job], { synced, approvals: [given] });
    const made = plan(desired, liveOf(copiesOf(job, 7)), 0);
    expect(made.guarded.flatMap(({ slots }) => slots)).toEqual(slotsOf('web', 5, 6));
  });

  it('holds a single one more, though one alone would be few', () => {
    const more = grown(4, slotsOf('web', 5, 8));
    expect(more).toMatchObject({ slots: ['shop/web/main[4]'], conclusion: 'action_required' });
  });
});

describe('the last synced commit', () => {
  const isSynced = (given: Partial<DesiredState>): boolean => {
    const job = aJob({ count: 3 }, { settled: true });
    return plan(desiredOf([job], given), liveOf(copiesOf(job, 3)), 0).synced;
  };

  it('moves on when all of it is there, and stays while a file waits for its owners', () => {
    const waits = { path: 'jobs/shop/db.yaml', blob: null, accepted: 'a'.repeat(40), by: 'eve' };
    const since = { commit: 'c'.repeat(40), since: 'c'.repeat(40), owners: ['@ada'] };
    expect(isSynced({})).toBe(true);
    expect(isSynced({ heldFiles: [{ ...waits, ...since }] })).toBe(false);
  });
});
