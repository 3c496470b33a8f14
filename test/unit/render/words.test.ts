// Reasons in words: slots that wait for the same share a line.

import { expect, it } from 'vitest';
import { blockedLines, waitingLines } from '../../../reconciler/render/words.ts';
import { REMOVAL_WAITS } from '../../../schema/plan.ts';
import type { Blocked } from '../../../schema/plan.ts';

const noNode = (slot: string, detail: string): Blocked => ({
  kind: 'no-node',
  job: 'shop/web',
  slot,
  nodes: [{ reason: 'memory', count: 2, detail }],
});
const waits = (slot: string | null, detail: string): Blocked => ({
  kind: 'waiting',
  job: 'shop/web',
  slot,
  why: 'max-parallel',
  detail,
  remedy: null,
});

it('joins the slots of a group that wait for the same, in their order', () => {
  const all = [0, 1, 2].map((index) => noNode(`shop/web/web[${index}]`, '1GiB of memory short'));
  expect(blockedLines([...all, ...all])).toEqual([
    'shop/web/web[0, 1, 2] fits on no node: 2 nodes: too little memory (1GiB of memory short)',
  ]);
});

it('keeps apart other reasons, other groups and whole jobs', () => {
  const lines = blockedLines([
    noNode('shop/web/web[0]', 'a'),
    noNode('shop/web/web[1]', 'b'),
    noNode('shop/web/side[1]', 'b'),
    waits('shop/web/web[2]', 'later [3] of them'),
    waits(null, 'the job'),
    waits(null, 'the job'),
  ]);
  expect(lines).toEqual([
    'shop/web/web[0] fits on no node: 2 nodes: too little memory (a)',
    'shop/web/web[1] fits on no node: 2 nodes: too little memory (b)',
    'shop/web/side[1] fits on no node: 2 nodes: too little memory (b)',
    'shop/web/web[2] waits (max-parallel): later [3] of them',
    'shop/web waits (max-parallel): the job',
  ]);
});

it('says once what holds for the job and for its slots', () => {
  const all = [
    waits('shop/web/web[0]', 'unresolved image: app:1'),
    waits(null, 'unresolved image: app:1'),
    waits('shop/web/web[1]', 'another reason'),
    { ...waits('shop/api/web[0]', 'unresolved image: app:1'), job: 'shop/api' },
  ];
  expect(blockedLines(all)).toEqual([
    'shop/web waits (max-parallel): unresolved image: app:1',
    'shop/web/web[1] waits (max-parallel): another reason',
    'shop/api/web[0] waits (max-parallel): unresolved image: app:1',
  ]);
});

it('counts what a line has no room for', () => {
  const all = Array.from({ length: 1000 }, (_, index) => waits(`shop/web/web[${index}]`, 'later'));
  expect(blockedLines(all)).toEqual([
    'shop/web/web[0, 1, 2, 3, 4, 5 and 994 more] waits (max-parallel): later',
  ]);
});

it('says what waits for approval, once, with the command that allows it', () => {
  const held: Blocked = {
    kind: 'waiting',
    job: 'shop/store',
    slot: null,
    why: 'held',
    detail: REMOVAL_WAITS,
    remedy: null,
  };
  const guarded = [
    { job: 'shop/store', slots: ['shop/store/store[0]'], why: 'it has a named volume' },
    { job: 'shop/web', slots: ['shop/web/web[1]', 'shop/web/web[2]'], why: '2 of 4 would go' },
  ];
  const plan = { blocked: [held, waits(null, 'later')], guarded };
  const web = 'shop/web waits for approval to stop web[1], web[2]: 2 of 4 would go';
  expect(waitingLines(plan)).toEqual([
    'shop/web waits (max-parallel): later',
    'shop/store waits for approval to stop store[0]: it has a named volume → purser approve shop/store',
    `${web} → purser approve shop/web`,
  ]);
  expect(waitingLines(plan, 'shop/web')).toHaveLength(2);
  // Without the removal's own line the job's line stays.
  expect(waitingLines({ blocked: [held], guarded: [] })).toEqual([
    `shop/store waits (held): ${REMOVAL_WAITS}`,
  ]);
});
