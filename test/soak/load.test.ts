// Every kind of change while clients ask through HAProxy and by DNS: no request fails. The same for
// a thousand changes is a figure of bench/, service-requests.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Blow, Commit, Round } from '../support/load/changes.ts';
import { type LoadWorld, startLoad } from '../support/load/world.ts';

/** Reached with room to spare: enough that every moment of a change meets some requests. */
const ASKED = 1000;

let world: LoadWorld;
beforeAll(async () => {
  const perSecond = { proxy: { new: 20, kept: 40, slow: 5 }, dns: { new: 15, slow: 3 } };
  world = await startLoad({ jobs: 4, perSecond });
});
afterAll(() => world?.close());

const round = (commit: Commit, blow: Blow | null, afterMs = 0): Round => ({
  commit,
  blow: blow && { ...blow, afterMs },
});

test('no request fails while jobs roll, nodes are drained, runners start anew and leaders die', async () => {
  const rounds = [
    // The runner that writes HAProxy's file, one that a client asks, and the leader, amid a rollout.
    round({ kind: 'update' }, { kind: 'runner', node: 'n1' }, 1500),
    round({ kind: 'drain', node: 'n2' }, { kind: 'runner', node: 'n3' }, 500),
    round({ kind: 'revert' }, { kind: 'leader' }, 2000),
    round({ kind: 'undrain' }, { kind: 'runner', node: 'n2' }),
  ];
  for (const one of rounds) await world.round(one);
  await world.clients.stop();
  expect(world.clients.failures).toEqual([]);
  expect(world.haproxy.refused()).toBe(0);
  const counts = Object.values(world.clients.counts());
  expect(counts.every(({ asked, answered }) => asked === answered)).toBe(true);
  expect(counts.reduce((sum, { asked }) => sum + asked, 0)).toBeGreaterThan(ASKED);
});
