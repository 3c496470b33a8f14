// `purser approve` against a control socket whose reconciler is played: what it writes, and whom it
// refuses. Rules 8.2, 9.1.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { approve } from '../../../cli/approve.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import { createControl } from '../../../reconciler/edge/control.ts';
import { listen } from '../../../reconciler/edge/server.ts';
import type { StateAnswer } from '../../../schema/control.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import { ControlServiceDefinition } from '../../../schema/generated/purser/control/v1/control.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type { LiveState } from '../../../schema/live.ts';
import { aCopy, aJob, aNode, desiredOf, liveOf, nodeNames } from '../../support/world.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pa-'));
  execFileSync('git', ['init', '-q', root]);
  execFileSync('git', ['-C', root, 'config', 'user.email', 'Ada@Example.org']);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const run = async (
  world: { readonly desired: DesiredState; readonly live: LiveState },
  args: readonly string[],
  options: Readonly<Record<string, unknown>> = { yes: true },
) => {
  const view = { ...world, plan: plan(world.desired, world.live, 0), ageMs: 0, wakesInMs: null };
  const where = { cluster: 'test', repository: root, branch: 'main', directory: '' };
  const state: StateAnswer = { ...where, failure: null, write: null, view };
  const records: LedgerRecord[] = [];
  const socket = join(root, 'c.sock');
  const handlers = {
    state: async () => state,
    record: async (asked: unknown) =>
      void records.push(...(asked as { records: LedgerRecord[] }).records),
  };
  const streams = {} as Parameters<typeof createControl>[0]['streams'];
  const control = createControl({ handlers, streams, changes: () => () => undefined });
  const server = await listen(`unix:${socket}`, ControlServiceDefinition, control);
  const lines: string[] = [];
  const io = {
    out: (text: string) => void lines.push(text),
    err: () => undefined,
    tty: false,
    columns: 100,
    rows: 40,
    signal: new AbortController().signal,
  };
  try {
    const common = { root, socket, json: false };
    const code = await approve.run({ args, options, common, io });
    return { code, lines, records };
  } finally {
    await server.stop();
  }
};

const removed = (own: boolean, removers?: readonly string[]) => {
  const job = aJob({ count: 3 }, { settled: true });
  const live = liveOf(nodeNames(3).map((node, index) => aCopy(job, { node, index })));
  const base = desiredOf([{ ...job, standing: { kind: 'removed' } }]);
  const desired: DesiredState = {
    ...base,
    cluster: { ...base.cluster, ownApproval: own },
    ...(removers === undefined ? {} : { removers: new Map([['shop/web', removers]]) }),
  };
  return { desired, live };
};

/** Five nodes, of which three went silent at once; their copies are known. */
const lost = () => {
  const names = nodeNames(5);
  const job = aJob({ count: 5 }, { settled: true });
  const copies = names.map((node, index) => aCopy(job, { node, index }));
  const silent = { connected: false, silentForMs: 60_000 };
  const live = liveOf(copies, { n001: silent, n002: silent, n003: silent }, names);
  const base = desiredOf([job], { nodes: names.map((name) => aNode(name)) });
  return { desired: { ...base, cluster: { ...base.cluster, ownApproval: false } }, live };
};

it('records who allowed which slots', async () => {
  const { code, records, lines } = await run(removed(true), ['web']);
  expect(code).toBe(0);
  const slots = [0, 1, 2].map((index) => `shop/web/main[${index}]`);
  const by = 'Ada@Example.org';
  expect(records).toMatchObject([{ kind: 'approval', by, slots, nodes: [], used: false }]);
  expect(lines.join('\n')).toContain('stops and does not come back: shop/web/main[0]');
});

it('refuses those whose removal it is, and nobody else (8.2)', async () => {
  await expect(run(removed(false), ['web'])).rejects.toThrow(/removal of shop\/web is your own/);
  await expect(run(removed(false, ['ada@example.org', 'x@y']), ['web'])).rejects.toThrow(
    /your own/,
  );
  const { records } = await run(removed(false, ['grace@example.org']), ['web']);
  expect(records).toHaveLength(1);
});

it('--nodes names the nodes that were lost at once, and has no author to refuse (9.1)', async () => {
  const { records, lines } = await run(lost(), [], { yes: true, nodes: true });
  expect(records).toMatchObject([
    { kind: 'approval', slots: [], nodes: ['n001', 'n002', 'n003'], used: false },
  ]);
  expect(lines[0]).toBe('  is taken for lost, its copies are replaced: n001');
  const shown = await run(lost(), [], {});
  expect(shown.lines).toContain('Lost at once: n001, n002, n003');
  expect(shown.records).toEqual([]);
});

it('--nodes says so when none wait', async () => {
  await expect(run(removed(true), [], { yes: true, nodes: true })).rejects.toThrow(
    'nothing waits for approval',
  );
});
