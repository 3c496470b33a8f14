// `purser volume rm` against a control socket whose reconciler is played: whose word keeps a volume.
// Rules 14.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { volume } from '../../../cli/volume.ts';
import { createControl } from '../../../reconciler/edge/control.ts';
import { listen } from '../../../reconciler/edge/server.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { StateAnswer } from '../../../schema/control.ts';
import { ControlServiceDefinition } from '../../../schema/generated/purser/control/v1/control.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type { LiveNode } from '../../../schema/live.ts';
import { aCopy, aJob, desiredOf, liveOf } from '../../support/world.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pv-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const HOME = { namespace: 'shop', job: 'web', group: 'main', index: 0, volume: 'data' };

/** A copy that uses the volume, on a node that was heard as told. */
const rm = async (heard: Partial<LiveNode>) => {
  const records: LedgerRecord[] = [];
  const volumes = [{ name: 'data', onLoss: 'wait' as const }];
  const job = aJob({ groups: [{ count: 1, volumes }] }, { settled: true });
  const live = liveOf([aCopy(job, { node: 'n001', index: 0 })], { n001: heard });
  const state = async (): Promise<StateAnswer> => {
    const homes = records.length > 0 ? [] : [{ ...HOME, node: 'n001' }];
    const desired = desiredOf([job], { volumes: homes });
    const view = { desired, live, plan: plan(desired, live, 0), ageMs: 0, wakesInMs: null };
    const where = { cluster: 'test', repository: root, branch: 'main', directory: '' };
    return { ...where, failure: null, write: null, view };
  };
  const record = async (asked: unknown) =>
    void records.push(...(asked as { records: LedgerRecord[] }).records);
  const streams = {} as Parameters<typeof createControl>[0]['streams'];
  const changes = () => () => undefined;
  const control = createControl({ handlers: { state, record }, streams, changes });
  const socket = join(root, 'c.sock');
  const server = await listen(`unix:${socket}`, ControlServiceDefinition, control);
  const lines: string[] = [];
  const out = (text: string) => void lines.push(text);
  const signal = new AbortController().signal;
  const io = { out, err: () => undefined, tty: false, columns: 100, rows: 40, signal };
  try {
    const common = { root, socket, json: false };
    const code = await volume.run({ args: ['rm', 'data[0]'], options: { yes: true }, common, io });
    return { code, lines, records };
  } finally {
    await server.stop();
  }
};

it('is refused while a copy holds the volume, also on a node that is silent for a moment', async () => {
  await expect(rm({})).rejects.toThrow(/is held by .* on n001: stop the job first/);
  await expect(rm({ connected: false, silentForMs: 29_000 })).rejects.toThrow(/is held by/);
});

it('ends the volume of a copy that was lost with its node', async () => {
  const { code, lines, records } = await rm({ connected: false, silentForMs: 30_000 });
  expect(code).toBe(0);
  expect(records).toEqual([{ kind: 'volume', ...HOME, node: null, from: 'n001' }]);
  expect(lines.at(-1)).toBe('n001 is away: its data are removed there when it is back.');
});
