// Commands that edit a job's file, against a control socket whose reconciler is played: somebody
// pushes the same file meanwhile, once or for good.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { resume, scale } from '../../../cli/job-edits.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import { createControl } from '../../../reconciler/edge/control.ts';
import { GitFailure } from '../../../reconciler/edge/git/failure.ts';
import { listen } from '../../../reconciler/edge/server.ts';
import type { CommitArgument, StateAnswer } from '../../../schema/control.ts';
import { ControlServiceDefinition } from '../../../schema/generated/purser/control/v1/control.ts';
import { aJob, desiredOf, liveOf } from '../../support/world.ts';

vi.mock('node:timers/promises', async (original) => ({
  ...(await original<object>()),
  setTimeout: async () => undefined,
}));

// The next file in this process imports anew what was imported with that clock.
afterAll(() => {
  vi.doUnmock('node:timers/promises');
  vi.resetModules();
});

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pj-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const run = async (
  command: typeof resume,
  args: readonly string[],
  { files, refuse }: { readonly files: readonly string[]; readonly refuse: number },
) => {
  const desired = desiredOf([aJob({ count: 3 }, { settled: true })]);
  const live = liveOf([]);
  const view = { desired, live, plan: plan(desired, live, 0), ageMs: 0, wakesInMs: null };
  const where = { cluster: 'test', repository: root, branch: 'main', directory: '' };
  const state: StateAnswer = { ...where, failure: null, write: null, view };
  const socket = join(root, 'c.sock');
  const asked: CommitArgument[] = [];
  const handlers = {
    state: async () => state,
    file: async () => {
      const text = files[Math.min(asked.length, files.length - 1)] ?? '';
      return { head: 'h', text, blob: `b${asked.length}` };
    },
    commit: async (argument: unknown) => {
      asked.push(argument as CommitArgument);
      if (asked.length > refuse) return { commit: 'c1' };
      const words = 'jobs/shop/web.yaml was changed by somebody else meanwhile';
      throw new GitFailure('stale', words);
    },
  };
  const streams = {} as Parameters<typeof createControl>[0]['streams'];
  const control = createControl({ handlers, streams, changes: () => () => undefined });
  const server = await listen(`unix:${socket}`, ControlServiceDefinition, control);
  const lines: string[] = [];
  const say = (text: string) => void lines.push(text);
  const screen = { tty: false, columns: 100, rows: 40, signal: new AbortController().signal };
  try {
    const common = { root, socket, json: false };
    const io = { out: say, err: say, ...screen };
    const code = await command.run({ args, options: { detach: true }, common, io });
    return { code, lines, asked };
  } finally {
    await server.stop();
  }
};

const PAUSED = 'image: x\nupdate:\n  paused: true\n';

test('what somebody pushed meanwhile is read, and edited on', async () => {
  const files = [PAUSED, PAUSED, `${PAUSED}count: 4\n`];
  const { code, lines, asked } = await run(resume, ['web'], { files, refuse: 2 });
  expect([code, asked.length]).toEqual([0, 3]);
  expect(asked.at(-1)?.edits[0]).toMatchObject({
    base: 'b2',
    content: 'image: x\nupdate: {}\ncount: 4\n',
  });
  expect(lines).toEqual(['Resume the rollout of shop/web\n  commit c1']);
});

test('one who is always quicker: it says that it gives up, and ends with 1', async () => {
  const ask = { files: ['image: x\ncount: 3\n'], refuse: 1000 };
  await expect(run(scale, ['web=5'], ask)).rejects.toMatchObject({
    code: 1,
    message:
      'jobs/shop/web.yaml was changed by somebody else meanwhile: nothing is committed. Run it again',
  });
});
