// Approvals from the ledger through compile and plan, and back into the ledger (rules 8.2, 9.1).
import { describe, expect, it } from 'vitest';
import { readWhole } from '../../reconciler/cycle.ts';
import { createMemo } from '../../reconciler/desired/memo.ts';
import { compile } from '../../reconciler/desired/compile.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import { createLookups } from '../../reconciler/lookups.ts';
import type { ReconcilerPorts } from '../../reconciler/ports.ts';
import type { Ledger, LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Plan } from '../../schema/plan.ts';
import type { SourceTree } from '../../schema/source.ts';
import { digestOf, jobOf, ready, settledMark, story, treeOf } from '../support/tree.ts';
import { aCopy, aJob, aNode, desiredOf, liveOf, nodeNames } from '../support/world.ts';

const CLUSTER = 'name: test\npolicies: {registries: [r.example]}\n';
const web = (count: number) => `image: r.example/web:1@${digestOf('1')}\ncount: ${count}\n`;
const nodes = Object.fromEntries(nodeNames(3).map((name) => [`nodes/${name}.yaml`, 'pool: web\n']));
const first = (cluster = CLUSTER) => ({
  'cluster.yaml': cluster,
  'jobs/shop/web.yaml': web(3),
  'jobs/shop/db.yaml': web(1),
  ...nodes,
});
const GONE = { 'jobs/shop/web.yaml': null };
const commits = story(first(), GONE);
const before = jobOf(ready(commits.slice(0, 1)).desired, 'shop/web');
const copies = nodeNames(3).map((node, index) => aCopy(before, { node, index, group: 'web' }));
const slots = [0, 1, 2].map((index) => `shop/web/web[${index}]`);

type Approval = Extract<LedgerRecord, { kind: 'approval' }>;
const approval = (fields: Partial<Approval> = {}): Approval => ({
  kind: 'approval',
  id: 'a',
  by: 'grace@example.org',
  at: '2026-01-01T00:00:00Z',
  commit: '',
  slots,
  nodes: [],
  used: false,
  ...fields,
});

const made = (
  ledger: Ledger,
  live: readonly LiveAllocation[] = copies,
  line: typeof commits = commits,
): Plan => {
  const { desired } = ready(line, { lastSynced: 0, ledger: [settledMark(before), ...ledger] });
  return plan(desired, liveOf(live), 0);
};
const stops = (one: Plan) => one.steps.flatMap((step) => (step.kind === 'stop' ? [step.slot] : []));
const used = (one: Plan) =>
  one.proposals.flatMap((proposal) =>
    proposal.kind === 'ledger' ? proposal.records.filter(({ kind }) => kind === 'approval') : [],
  );

describe('an approval', () => {
  it('of somebody else lets the removals go, and is used up when they are done', () => {
    expect(stops(made([]))).toEqual([]);
    const going = made([approval()]);
    expect(stops(going)).toEqual(slots);
    expect(used(going)).toEqual([]);
    const done = made([approval()], []);
    expect(used(done)).toEqual([approval({ used: true })]);
    expect(used(made([approval(), approval({ used: true })], []))).toEqual([]);
    expect(stops(made([approval(), approval({ used: true })]))).toEqual([]);
  });

  it('of the author counts only where cluster.yaml says so', () => {
    const own = approval({ by: 'Ada <ADA@example.org>' });
    const waits = made([own]);
    expect(stops(waits)).toEqual([]);
    expect(waits.guarded[0]?.why).toContain('the approval by the author of the removal');
    const alone = story(first(`${CLUSTER}guards: {own_approval: true}\n`), GONE);
    expect(stops(made([own], copies, alone))).toEqual(slots);
  });

  it('is asked for a job whose file was broken when it was synced, and lets it go', () => {
    const line = story(first(), { 'jobs/shop/web.yaml': 'image: [\n' }, GONE);
    const planned = (ledger: Ledger): Plan => {
      const init = { lastSynced: 1, ledger: [settledMark(before), ...ledger] };
      return plan(ready(line, init).desired, liveOf(copies), 0);
    };
    const waits = planned([]);
    expect(stops(waits)).toEqual([]);
    expect(waits.guarded).toMatchObject([{ job: 'shop/web', slots }]);
    expect(waits.synced).toBe(false);
    expect(stops(planned([approval()]))).toEqual(slots);
  });

  it('is asked for a job of which no valid content is known, however few copies it has', () => {
    const line = story(
      { ...first(), 'jobs/shop/web.yaml': 'image: [\n' },
      { 'jobs/shop/web.yaml': null },
    );
    const [one] = copies;
    const planned = (ledger: Ledger): Plan =>
      plan(ready(line, { lastSynced: 0, ledger }).desired, liveOf(one ? [one] : []), 0);
    const waits = planned([]);
    expect(stops(waits)).toEqual([]);
    const why = expect.stringContaining('jobs/shop/web.yaml was never valid');
    expect(waits.guarded).toMatchObject([{ job: 'shop/web', slots: slots.slice(0, 1), why }]);
    expect(waits.synced).toBe(false);
    expect(stops(planned([approval()]))).toEqual(slots.slice(0, 1));
  });

  const grace = { name: 'Grace', email: 'Grace@example.org' };
  const words = { 'configs/words': 'something else' };

  it('is judged by who took the job away, not by who committed last', () => {
    const line = story(first(), { files: GONE, author: grace }, words);
    const byGrace = made([approval({ by: 'grace@example.org' })], copies, line);
    expect(stops(byGrace)).toEqual([]);
    expect(byGrace.guarded[0]?.why).toContain('by the author of the removal');
    expect(stops(made([approval({ by: 'ada@example.org' })], copies, line))).toEqual(slots);
  });

  it('of several who took slots away none may, and who did something else to it may', () => {
    const line = story(
      first(),
      { files: { 'jobs/shop/web.yaml': `${web(3)}labels: {a: b}\n` }, author: grace },
      { 'jobs/shop/web.yaml': web(1) },
      { files: { 'jobs/shop/web.yaml': web(0) }, author: { name: 'Bob', email: 'bob@x' } },
    );
    const { desired } = ready(line, { lastSynced: 0, ledger: [settledMark(before)] });
    expect(desired.removers?.get('shop/web')).toEqual(['ada@example.org', 'bob@x']);
    for (const by of ['ada@example.org', 'bob@x']) {
      expect(stops(made([approval({ by })], copies, line))).toEqual([]);
    }
    expect(stops(made([approval({ by: grace.email })], copies, line))).toEqual(slots);
  });

  it('counts removals since the last synced commit only', () => {
    const line = story(
      { files: first(), author: grace },
      { files: GONE, author: grace },
      { files: first(), author: grace },
      GONE,
    );
    const ledger = [settledMark(before)];
    expect(ready(line, { lastSynced: 2, ledger }).desired.removers?.get('shop/web')).toEqual([
      'ada@example.org',
    ]);
  });

  it('of the first half of a change does not make the second half a small one', () => {
    const line = story(first(), {
      'jobs/shop/web.yaml': null,
      'jobs/shop/db.yaml': null,
      'jobs/shop/x.yaml': web(1),
    });
    const db = jobOf(ready(line.slice(0, 1)).desired, 'shop/db');
    const mine = aCopy(db, { node: 'n001', index: 0, group: 'db' });
    const half = approval({ by: 'grace@example.org' });
    expect(stops(made([half], [...copies, mine], line))).toEqual(slots);
    const then = made([half, { ...half, used: true }], [mine], line);
    expect(stops(then)).toEqual([]);
    expect(then.guarded).toMatchObject([{ job: 'shop/db', slots: ['shop/db/db[0]'] }]);
  });

  it('ends when one of its slots is wanted again', () => {
    const back = story(first(), GONE, { 'jobs/shop/web.yaml': web(1) });
    expect(used(made([approval()], copies, back))).toEqual([approval({ used: true })]);
  });

  it('covers what it names and nothing more', () => {
    const some = approval({ slots: slots.slice(0, 1) });
    expect(stops(made([some]))).not.toContain(slots[2]);
    expect(made([some]).guarded[0]?.slots).toEqual(slots.slice(1));
  });

  it('ends after seven days', async () => {
    const tree = treeOf(commits, { lastSynced: 0, ledger: [approval()] });
    const readAt = async (at: string) => {
      const ports = {
        source: { read: async () => tree, complete: async (asked: SourceTree) => asked },
        nodes: { heard: () => ({ startedAt: 0, nodes: [] }) },
        clock: { now: () => 0, epochMs: () => Date.parse(at) },
      } as unknown as ReconcilerPorts;
      const lookups = createLookups(ports, () => undefined);
      return compile(await readWhole({ ports, lookups, memo: createMemo() }));
    };
    expect((await readAt('2026-01-07T23:59:00Z')).approvals).toEqual([approval()]);
    const late = await readAt('2026-01-08T00:01:00Z');
    expect(late.approvals).toEqual([]);
    expect(late.owed).toEqual([approval({ used: true })]);
  });
});

describe('many nodes lost at once (9.1)', () => {
  const names = nodeNames(5);
  const job = aJob({ count: 5 }, { settled: true });
  const all = names.map((node, index) => aCopy(job, { node, index }));
  const silent = { connected: false, silentForMs: 60_000 };
  const worldOf = (ledger: Ledger, nodesOf: Parameters<typeof liveOf>[1]) => {
    const base = desiredOf([job], { nodes: names.map((name) => aNode(name)) });
    const approvals = compile(treeOf(commits, { ledger })).approvals;
    const cluster = { ...base.cluster, ownApproval: false };
    return plan({ ...base, cluster, approvals }, liveOf(all, nodesOf, names), 0);
  };
  const three = { n001: silent, n002: silent, n003: silent };
  const leave = approval({ slots: [], nodes: ['n001', 'n002', 'n003'], by: 'ada@example.org' });

  it('nothing is replaced until a person approves, whoever that is', () => {
    const waits = worldOf([], three);
    expect(waits.steps).toEqual([]);
    expect(waits.massLoss).toEqual(['n001', 'n002', 'n003']);
    const goes = worldOf([leave], three);
    expect(goes.massLoss).toBeUndefined();
    expect(new Set(goes.steps.map((step) => step.kind === 'start' && step.slot))).toEqual(
      new Set(['shop/web/main[0]', 'shop/web/main[1]', 'shop/web/main[2]']),
    );
    expect(used(goes)).toEqual([]);
  });

  it('an approval does not cover a node that is lost later, and ends when its nodes are back', () => {
    const four = { ...three, n004: silent };
    expect(worldOf([leave], four).massLoss).toEqual(['n004']);
    expect(used(worldOf([leave], {}))).toEqual([{ ...leave, used: true }]);
  });
});
