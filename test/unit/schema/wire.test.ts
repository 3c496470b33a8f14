// Texts of a report that are more than a link takes are cut; facts never are.

import { expect, test } from 'vitest';
import { withShortTexts } from '../../../schema/wire.ts';

type Changed = Parameters<typeof withShortTexts>[0];

const copy = (at: number): Changed[0] => ({
  allocation: `aaaaaaaaaaaaaaaa-${at}-1`,
  bodyHash: 'b'.repeat(32),
  phase: 'dead',
  health: 'unhealthy',
  everHealthy: false,
  tasks: [
    {
      name: 'web',
      state: 'dead',
      restarts: 3,
      health: 'unhealthy',
      lastCheck: 'c'.repeat(100),
      log: ['l'.repeat(200)],
      exit: null,
      pid: null,
    },
  ],
  failure: {
    blame: 'version',
    kind: 'exit',
    task: 'web',
    message: 'm'.repeat(100),
    ageMs: 1,
    log: ['l'.repeat(200)],
  },
  ports: [],
  address: null,
  usage: null,
  acceptedForMs: 1,
  firstStartedForMs: null,
  runningForMs: null,
  healthyForMs: null,
  firstHealthyForMs: null,
  deadForMs: 1,
});

/** 600 characters each. */
const copies = [copy(0), copy(1)];

const textsOf = (changed: Changed) =>
  changed.map(({ failure, tasks: [task] }) => [
    failure?.message.length,
    failure?.log,
    task?.lastCheck?.length,
    task?.log,
  ]);

test('what fits stays as it is', () => {
  expect(withShortTexts(copies, 1200)).toBe(copies);
});

test('logs go first', () => {
  const cut = withShortTexts(copies, 1199);
  expect(textsOf(cut)).toEqual([
    [100, undefined, 100, undefined],
    [100, undefined, 100, undefined],
  ]);
});

test('then sentences lose their ends, and all facts are still there', () => {
  const cut = withShortTexts(copies, 399);
  expect(textsOf(cut)[1]).toEqual([60, undefined, 60, undefined]);
  expect(cut[1]?.failure).toMatchObject({ kind: 'exit', task: 'web', ageMs: 1 });
  expect(cut[1]?.tasks[0]).toMatchObject({ restarts: 3, state: 'dead' });
});
