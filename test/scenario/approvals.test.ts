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
import { aCopy, liveOf, nodeNames } from '../support/world.ts';

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
    expect(waits.guarded[0]?.why).toContain('the approval by the author of the commit');
    const alone = story(first(`${CLUSTER}guards: {own_approval: true}\n`), GONE);
    expect(stops(made([own], copies, alone))).toEqual(slots);
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
