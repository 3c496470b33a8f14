// Volumes whose home was ended by hand: what a node is told to remove, and what waits for it (14).
import { describe, expect, it } from 'vitest';
import { compact, lineOf } from '../../../reconciler/edge/git/ledger.ts';
import { indexLedger } from '../../../reconciler/desired/ledger-index.ts';
import { orders } from '../../../reconciler/plan/orders.ts';
import { createPlanMemo } from '../../../reconciler/plan/memo.ts';
import { plan, planWith } from '../../../reconciler/plan/plan.ts';
import { endedFoldersOf, foldersToRemove } from '../../../reconciler/plan/volumes.ts';
import type { VolumeHome } from '../../../schema/desired.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type { LiveState } from '../../../schema/live.ts';
import { aCopy, aJob, aNode, DEAD, desiredOf, liveOf } from '../../support/world.ts';

const FOLDER = 'shop.web.main.0.data';
const job = aJob({
  groups: [{ count: 1, volumes: [{ name: 'data', onLoss: 'wait' }] }],
});
const home: VolumeHome = {
  namespace: 'shop',
  job: 'web',
  volume: 'data',
  group: 'main',
  index: 0,
  node: 'n001',
};
const only = { nodes: [aNode('n001')] };
const ended = endedFoldersOf(desiredOf([job], { endedVolumes: [home] }));
const nodeOf = (live: LiveState) => live.nodes[0] ?? liveOf([]).nodes[0] ?? never();
const withFolder = (copies: Parameters<typeof liveOf>[0] = []): LiveState =>
  liveOf(copies, { n001: { volumes: [FOLDER, 'shop.web.main.1.data'] } }, ['n001']);

describe('a node is told to remove', () => {
  it('the folder of an ended home that it says is there, and no other', () => {
    expect(foldersToRemove(nodeOf(withFolder()), ended)).toEqual([FOLDER]);
  });

  it('nothing that a copy uses; a dead copy uses nothing', () => {
    const copy = aCopy(job, { node: 'n001', index: 0 });
    expect(foldersToRemove(nodeOf(withFolder([copy])), ended)).toEqual([]);
    const dead = aCopy(job, { node: 'n001', index: 0 }, DEAD);
    expect(foldersToRemove(nodeOf(withFolder([dead])), ended)).toEqual([FOLDER]);
  });

  it.each<[string, LiveState]>([
    ['that has no such folder', liveOf([], { n001: { volumes: [] } }, ['n001'])],
    ['that does not say what it has', liveOf([], {}, ['n001'])],
    ['where the volume never lived', liveOf([], { n002: { volumes: [FOLDER] } }, ['n002'])],
  ])('nothing, one %s', (_name, live) => {
    expect(foldersToRemove(nodeOf(live), ended)).toEqual([]);
  });
});

describe('orders', () => {
  const desired = desiredOf([], { endedVolumes: [home], ...only });
  const context = (folders = ended) => ({
    cluster: 'test',
    commit: 'c1',
    removals: (node: Parameters<typeof foldersToRemove>[0]) => foldersToRemove(node, folders),
  });

  it('carry the removal once, and drop it when the folder is gone', () => {
    const live = withFolder();
    const made = plan(desired, live, 0);
    const [first] = orders(made, live, context());
    expect(first).toMatchObject({ generation: 2, items: [], removeVolumes: [FOLDER] });
    const sent = { generation: 2, sent: first ?? never() };
    const told = liveOf([], { n001: { ...sent, volumes: [FOLDER] } }, ['n001']);
    expect(orders(made, told, context())[0]).toBe(first);
    const gone = liveOf([], { n001: { ...sent, volumes: [] } }, ['n001']);
    const [after] = orders(made, gone, context());
    expect(after).toMatchObject({ generation: 3 });
    expect(after).not.toHaveProperty('removeVolumes');
  });
});

describe('a slot whose volume lives on a node', () => {
  const look = (onLoss: 'wait' | 'recreate', nodes: readonly string[]) => {
    const slot = aJob({ groups: [{ count: 1, volumes: [{ name: 'data', onLoss }] }] });
    const desired = desiredOf([slot], { volumes: [home], nodes: nodes.map((name) => aNode(name)) });
    const { steps, blocked, proposals } = plan(desired, liveOf([]), 0);
    const homes = proposals.flatMap((one) => (one.kind === 'ledger' ? one.records : []));
    return {
      starts: steps.map(({ node }) => node),
      why: blocked.flatMap((one) => (one.kind === 'waiting' ? [one.why] : [])),
      remedies: blocked.flatMap((one) => (one.kind === 'waiting' ? (one.remedy ?? []) : [])),
      homes: homes.flatMap((one) => (one.kind === 'volume' ? [one.node] : [])),
    };
  };

  it('is placed there again, and waits where the node has left Git', () => {
    expect(look('wait', ['n001', 'n002'])).toMatchObject({ starts: ['n001'], why: [] });
    const waits = look('wait', ['n002']);
    expect(waits).toEqual({
      starts: [],
      why: ['volume-node-lost'],
      remedies: ["bring n001 back, or give the data up: purser volume rm 'shop/web/main/data[0]'"],
      homes: [],
    });
    // A new home comes first, then the copy.
    expect(look('recreate', ['n002'])).toMatchObject({ starts: [], homes: ['n002'] });
  });
});

describe('of two copies of a slot with a volume, once a lost node is back', () => {
  const slot = aJob(
    { groups: [{ count: 1, volumes: [{ name: 'data', onLoss: 'recreate' }] }] },
    { settled: true },
  );
  const longer = aCopy(slot, { node: 'n001', index: 0 });
  const fresh = aCopy(slot, { node: 'n002', index: 0, attempt: 2 }, { healthyForMs: 20_000 });
  const live = liveOf([longer, fresh]);
  const stopsOf = (volumes: readonly VolumeHome[], memo = createPlanMemo()) =>
    planWith(memo)(desiredOf([slot], { volumes }), live, 0).steps.flatMap((one) =>
      one.kind === 'stop' ? [one.node] : [],
    );

  it('the one where the volume lives stays, though the other has been healthy longer', () => {
    expect(stopsOf([])).toEqual(['n002']);
    expect(stopsOf([{ ...home, node: 'n001' }])).toEqual(['n002']);
    expect(stopsOf([{ ...home, node: 'n002' }])).toEqual(['n001']);
  });

  it('also when the home changes and nothing else does', () => {
    const memo = createPlanMemo();
    expect(stopsOf([{ ...home, node: 'n001' }], memo)).toEqual(['n002']);
    expect(stopsOf([{ ...home, node: 'n002' }], memo)).toEqual(['n001']);
  });
});

describe('a new copy', () => {
  it('waits until the old data are gone from the node where it would start', () => {
    const desired = desiredOf([job], { endedVolumes: [home], ...only });
    const made = plan(desired, withFolder(), 0);
    expect(made.steps).toEqual([]);
    expect(made.blocked).toMatchObject([
      { kind: 'waiting', why: 'volume-home', detail: expect.stringContaining('removed from n001') },
    ]);
    expect(made.proposals.filter(({ kind }) => kind === 'ledger')).toEqual([]);
    const after = plan(desired, liveOf([], { n001: { volumes: [] } }, ['n001']), 0);
    expect(after.proposals).toMatchObject([{ records: [{ kind: 'volume', node: 'n001' }] }]);
  });
});

describe('the ledger', () => {
  const record = (node: string | null, from?: string): LedgerRecord => {
    const { node: _node, ...slot } = home;
    return { kind: 'volume', ...slot, job: 'web', node, ...(from === undefined ? {} : { from }) };
  };
  const after = (records: readonly LedgerRecord[], atHead = true) => {
    const kept = compact(records.map(lineOf), { atHead, epochMs: 0 });
    const whole = indexLedger(records, null);
    const index = indexLedger(
      kept.flatMap((line) => line.record ?? []),
      null,
    );
    if (atHead) expect(index).toEqual(whole);
    return {
      homes: index.volumes.map(({ node }) => node),
      ended: index.endedVolumes.map(({ node }) => node),
    };
  };

  it.each<[string, readonly LedgerRecord[], readonly string[], readonly string[]]>([
    ['ended', [record('n1'), record(null, 'n1')], [], ['n1']],
    ['moved on', [record('n1'), record(null, 'n1'), record('n2')], ['n2'], ['n1']],
    ['back again', [record('n1'), record(null, 'n1'), record('n1')], ['n1'], []],
    [
      'ended twice',
      [record('n1'), record(null, 'n1'), record('n2'), record(null, 'n2')],
      [],
      ['n1', 'n2'],
    ],
    ['ended by an older release', [record('n1'), record(null)], [], []],
  ])('knows a volume that is %s, compacted or not', (_name, records, homes, gone) => {
    expect(after(records)).toEqual({ homes, ended: gone });
  });

  it('keeps the end of a home of a job that is gone from HEAD', () => {
    expect(after([record('n1'), record(null, 'n1')], false)).toEqual({ homes: [], ended: ['n1'] });
  });
});

function never(): never {
  throw new Error('a node was expected');
}
