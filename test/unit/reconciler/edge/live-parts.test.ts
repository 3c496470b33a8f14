// Live states sent in parts: what arrives is what was sent, and what did not change is the same.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { observe } from '../../../../reconciler/live/observe.ts';
import { createObserveMemo } from '../../../../reconciler/live/memo.ts';
import { createLiveReceiver, createLiveSender } from '../../../../reconciler/edge/live-parts.ts';
import { unaged } from '../../../../schema/ageing.ts';
import type { Heard, LiveState } from '../../../../schema/live.ts';
import { aCopy, aJob, liveOf } from '../../../support/world.ts';

const connect = () => {
  const sender = createLiveSender();
  const receiver = createLiveReceiver();
  return (live: LiveState) => {
    let parts = 0;
    for (const part of sender.parts(live)) {
      parts += part.changed.length + part.gone.length;
      receiver.take(structuredClone(part));
    }
    return { live: receiver.live(structuredClone(sender.head(live))), parts };
  };
};

const plain = (live: LiveState): unknown =>
  JSON.parse(
    JSON.stringify({
      ...live,
      nodes: live.nodes.map((node) => ({ ...node, sent: node.sent !== null })),
    }),
  );

const job = aJob({ count: 9 }, { settled: true });
const copy = (index: number, node: string) => aCopy(job, { node, index });

test('copies come, change and go; nothing is sent twice', () => {
  const send = connect();
  const copies = [copy(0, 'n001'), copy(1, 'n002'), copy(2, 'n002')];
  const first = liveOf(copies);
  const got = send(first);
  expect(plain(got.live)).toEqual(plain(first));
  expect(got.parts).toBe(3);
  const again = send(liveOf(copies));
  expect(again.parts).toBe(0);
  expect(again.live.nodes.map(unaged)).toEqual(got.live.nodes.map(unaged));
  expect(again.live.nodes[0] && unaged(again.live.nodes[0])).toBe(
    got.live.nodes[0] && unaged(got.live.nodes[0]),
  );
  const sick = { ...copies[0], health: 'unhealthy' } as (typeof copies)[number];
  const next = liveOf([sick, ...copies.slice(1, 2)], {}, ['n001', 'n002']);
  const later = send(next);
  expect(later.parts).toBe(2);
  expect(plain(later.live)).toEqual(plain(next));
  const fewer = liveOf(copies.slice(1, 2), {}, ['n002']);
  expect(plain(send(fewer).live)).toEqual(plain(fewer));
  const back = liveOf(copies);
  expect(plain(send(back).live)).toEqual(plain(back));
});

test('ages go on where they are read, whatever is heard in between', () => {
  const node = fc.record({
    copies: fc.subarray([0, 1, 2, 3, 4, 5]),
    at: fc.integer({ min: 0, max: 5000 }),
    connected: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(node, { minLength: 1, maxLength: 5 }), (steps) => {
      const send = connect();
      const memo = createObserveMemo();
      const kept = [0, 1, 2, 3, 4, 5].map((index) => copy(index, 'n001'));
      let now = 10_000;
      for (const { copies, at, connected } of steps) {
        const [shown] = liveOf(kept.filter((_, index) => copies.includes(index))).nodes;
        if (shown === undefined) throw new Error('there is a node');
        const { allocations, ...rest } = shown;
        const report = { ...rest, allocations, node: 'n001', volumes: [] };
        const heard = {
          startedAt: 0,
          nodes: [{ node: 'n001', report, receivedAt: now, connected, sent: null }],
        } as unknown as Heard;
        now += at;
        const live = observe(heard, now, memo);
        expect(plain(send(live).live)).toEqual(plain(live));
      }
    }),
    { numRuns: 100 },
  );
});
