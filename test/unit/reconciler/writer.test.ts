// What the writer does with commits that cannot be made now: others go on, people are told, and it
// tries again (rules 6.5, 12.2).
import { describe, expect, it } from 'vitest';
import type { View } from '../../../reconciler/cycle.ts';
import type { CommitAsk, ReconcilerPorts } from '../../../reconciler/ports.ts';
import { createWriter } from '../../../reconciler/writer.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type { Proposal } from '../../../schema/plan.ts';
import { aCommit } from '../../support/world.ts';

const DIRTY = 'jobs/shop/web.yaml has changes that are not committed. Run: git stash push';

/** What proves that the machine itself brought it to this branch. */
const PUSHED = /\nPurser-Pushed: main\n$/;

const world = () => {
  const made: string[] = [];
  const records: LedgerRecord[] = [];
  const order: ('commit' | 'record')[] = [];
  const state = { now: 0, dirty: true, woken: 0, ledgerFails: false };
  const commit = async ({ edits, message }: CommitAsk) => {
    order.push('commit');
    if (state.dirty && edits.some(({ path }) => path === 'jobs/shop/web.yaml')) {
      throw { kind: 'edge-failure', consequence: 'broken', message: DIRTY };
    }
    made.push(message.replace(PUSHED, ''));
    expect(message).toMatch(PUSHED);
    return `c${made.length}`;
  };
  const record = async (written: readonly LedgerRecord[]) => {
    if (state.ledgerFails) {
      throw { kind: 'edge-failure', consequence: 'retry', message: 'The remote hung up.' };
    }
    order.push('record');
    records.push(...written);
  };
  const quiet = () => undefined;
  const ports = {
    source: { commit, record },
    clock: { now: () => state.now },
    log: { info: quiet, warn: quiet, error: quiet },
  } as unknown as ReconcilerPorts;
  const writer = createWriter(ports, () => {
    state.woken += 1;
  });
  return { writer, state, made, records, order };
};

const revert = (job: string): Proposal => ({
  kind: 'revert',
  job,
  deployment: `d-${job}`,
  reverts: aCommit('bad'),
  to: 'good',
  edits: [{ path: `jobs/${job}.yaml`, content: 'old', base: 'blob' }],
  evidence: { reason: 'it crashed', allocations: [] },
  message: `Revert ${job}`,
  specHash: 'h',
});
const scale: Proposal = {
  kind: 'scale',
  job: 'shop/api',
  edits: [{ path: 'scale/shop/api.yaml', content: 'api: 2\n', base: null }],
  message: 'Write down the count of shop/api',
};
const viewOf = (...proposals: readonly Proposal[]): View => viewAt('head', proposals);
const viewAt = (head: string, proposals: readonly Proposal[]): View =>
  ({
    desired: { commit: aCommit(head), owed: [] },
    plan: { proposals },
    tree: { branch: 'main' },
    stale: null,
  }) as unknown as View;
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a failure', () => {
  it('counts for plans from when it is being written until it is, or cannot be', async () => {
    const { writer, state, records } = world();
    const evidence = { reason: 'it crashed', allocations: [] };
    const mark = { job: 'shop/web', specHash: 'h', deployment: 'd', commit: 'c' };
    const failed = { kind: 'failed', ...mark, evidence } as const;
    const settled = { kind: 'settled', ...mark, job: 'shop/db', digests: [] } as const;
    const view = viewOf({ kind: 'ledger', records: [settled, failed] });
    expect(writer.deciding()).toEqual([]);
    writer.offer(view, writer.turn());
    expect(writer.deciding()).toEqual([failed]);
    expect(writer.deciding()).toBe(writer.deciding());
    await settle();
    expect([writer.deciding(), records]).toEqual([[], [settled, failed]]);
    state.ledgerFails = true;
    const other = { ...failed, deployment: 'e' };
    writer.offer(viewOf({ kind: 'ledger', records: [other] }), writer.turn());
    expect(writer.deciding()).toEqual([other]);
    await settle();
    expect(writer.deciding()).toEqual([]);
  });
});

describe('of a view that Git did not renew', () => {
  it('nothing is called in sync, and nothing is written twice', async () => {
    const { writer, state, records } = world();
    const mark = { job: 'shop/web', specHash: 'h', deployment: 'd', commit: 'c' };
    const settled = { kind: 'settled', ...mark, digests: [] } as const;
    const synced = { kind: 'synced', commit: 'c' } as const;
    const stale = { kind: 'edge-failure', consequence: 'broken', message: 'rewritten' } as const;
    const view = viewOf({ kind: 'ledger', records: [synced, settled] });
    for (let turn = 0; turn < 3; turn += 1) {
      state.now = writer.nextAt() ?? state.now + 60_000;
      writer.offer({ ...view, stale }, writer.turn());
      await settle();
    }
    expect(records).toEqual([settled]);
    writer.offer(viewOf({ kind: 'ledger', records: [synced] }), writer.turn());
    await settle();
    expect(records).toEqual([settled, synced]);
  });
});

describe('a revert that cannot be committed', () => {
  it('waits for no other that cannot be made either: each failure is tried at once, once', async () => {
    const { writer, state, made } = world();
    const first = revert('shop/web');
    for (let turn = 0; turn < 4; turn += 1) {
      state.now = writer.nextAt() ?? state.now;
      writer.offer(viewOf(first), writer.turn());
      await settle();
    }
    const waits = (writer.nextAt() ?? 0) - state.now;
    expect(waits).toBeGreaterThanOrEqual(4000);
    writer.offer(viewOf(first), writer.turn());
    await settle();
    expect((writer.nextAt() ?? 0) - state.now).toBe(waits);
    writer.offer(viewOf(first, revert('shop/db')), writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/db']);
    // What was tried waits its turn: no spin.
    const again = writer.nextAt();
    writer.offer(viewOf(first, revert('shop/db')), writer.turn());
    await settle();
    expect([writer.nextAt(), made.length]).toEqual([again, 1]);
  });

  it('is tried at once when somebody committed: that may have cleared its way', async () => {
    const { writer, state, made } = world();
    writer.offer(viewAt('head', [revert('shop/web')]), writer.turn());
    await settle();
    state.dirty = false;
    writer.offer(viewAt('head', [revert('shop/web')]), writer.turn());
    await settle();
    expect(made).toEqual([]);
    writer.offer(viewAt('theirs', [revert('shop/web')]), writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/web']);
  });
  it('is named, tried again after a while, and made once nothing is in its way', async () => {
    const { writer, state, made, records } = world();
    const view = viewOf(revert('shop/web'));
    writer.offer(view, writer.turn());
    await settle();
    expect(made).toEqual([]);
    expect(writer.failure()).toMatchObject({ what: 'a revert', message: DIRTY, since: 0 });
    const again = writer.nextAt() ?? 0;
    expect(again).toBeGreaterThan(0);
    writer.offer(view, writer.turn());
    await settle();
    expect(state.woken).toBe(1);
    state.now = again;
    state.dirty = false;
    writer.offer(view, writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/web']);
    expect(records).toEqual([
      { kind: 'reverted', job: 'shop/web', deployment: 'd-shop/web', commit: 'c1' },
    ]);
    expect(writer.failure()).toBe(null);
  });

  it('keeps no other commit from being made, and is still named', async () => {
    const { writer, made } = world();
    writer.offer(viewOf(scale, revert('shop/web'), revert('shop/db')), writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/db']);
    expect(writer.failure()?.message).toBe(DIRTY);
  });

  it('a count is written down when nothing is to be reverted', async () => {
    const { writer, made, records } = world();
    writer.offer(viewOf(scale), writer.turn());
    await settle();
    expect(made).toEqual(['Write down the count of shop/api']);
    expect(records).toEqual([]);
  });
});

describe('a view that was read while something was written', () => {
  const home = (node: string): Proposal => ({
    kind: 'ledger',
    records: [
      { kind: 'volume', namespace: 'shop', job: 'db', volume: 'data', group: 'db', index: 0, node },
    ],
  });

  it('writes nothing: it may not know of it, and would write another home (11, 14)', async () => {
    const { writer, state, records } = world();
    const before = writer.turn();
    writer.offer(viewOf(home('n1')), before);
    // The next pass begins to read; the write ends before it does.
    const during = writer.turn();
    await settle();
    writer.offer(viewOf(home('n2')), before);
    writer.offer(viewOf(home('n2')), during);
    await settle();
    expect(records).toMatchObject([{ node: 'n1' }]);
    expect(state.woken).toBe(1);
    writer.offer(viewOf(scale), writer.turn());
    await settle();
    expect(state.woken).toBe(2);
  });

  it('is said in the ledger before any other commit, however long that cannot be written', async () => {
    const { writer, state, made, records } = world();
    state.ledgerFails = true;
    writer.offer(viewOf(revert('shop/db')), writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/db']);
    expect(writer.failure()?.message).toBe('The remote hung up.');
    // The branch was rewritten meanwhile: the plan knows of no revert, and asks again.
    const again = viewAt('rewritten', [revert('shop/db')]);
    writer.offer(again, writer.turn());
    await settle();
    expect(writer.failure()).toMatchObject({ what: 'the ledger' });
    state.ledgerFails = false;
    state.now = writer.nextAt() ?? 0;
    writer.offer(again, writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/db']);
    expect(records).toMatchObject([{ kind: 'reverted', deployment: 'd-shop/db', commit: 'c1' }]);
    expect(writer.failure()).toBe(null);
  });

  it('goes before what else is to be recorded, and is said with it; other commits go after', async () => {
    const { writer, state, made, records, order } = world();
    const settled = { kind: 'synced', commit: 'other' } as const;
    const news: Proposal = { kind: 'ledger', records: [settled] };
    writer.offer(viewOf(news, revert('shop/db')), writer.turn());
    await settle();
    expect(made).toEqual(['Revert shop/db']);
    expect(order).toEqual(['commit', 'record']);
    expect(records).toMatchObject([{ kind: 'reverted', commit: 'c1' }, settled]);
    // What keeps a revert from the branch keeps no record from the ledger.
    writer.offer(viewAt('next', [news, revert('shop/web')]), writer.turn());
    await settle();
    expect(order.slice(2)).toEqual(['commit', 'record']);
    state.now = writer.nextAt() ?? 0;
    writer.offer(viewAt('last', [news, scale]), writer.turn());
    await settle();
    expect(order.slice(4)).toEqual(['record', 'commit']);
  });

  it('is said also where nothing else is to be written', async () => {
    const { writer, state, records } = world();
    state.ledgerFails = true;
    writer.offer(viewOf(revert('shop/db')), writer.turn());
    await settle();
    state.ledgerFails = false;
    writer.offer(viewAt('reverted', []), writer.turn());
    await settle();
    expect(records).toMatchObject([{ kind: 'reverted', deployment: 'd-shop/db' }]);
  });
});
