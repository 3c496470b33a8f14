// Ended volumes on the runner: only what the orders name, and only when nothing uses it (rules 14).
import { expect, it } from 'vitest';
import { removalSteps } from '../../../../node-runner/decide/volumes.ts';
import type { AllocationMark } from '../../../../node-runner/decide/inventory.ts';
import { newMark } from '../../../../node-runner/decide/marks.ts';
import { newState } from '../../../../node-runner/state.ts';
import type { OrderItem } from '../../../../schema/orders.ts';
import {
  runItem,
  stopItem,
  testBody,
  testGroup,
  testNode,
  testOrders,
  testTask,
} from '../../../support/runner-specs.ts';

const FOLDER = 'default.web.web.0.data';
const body = testBody('a-0-1', {
  spec: testGroup({
    tasks: [
      testTask({
        volumes: [{ kind: 'named', name: 'data', path: '/data', readOnly: false, onLoss: 'wait' }],
      }),
    ],
  }),
});

const removed = (world: {
  readonly items?: readonly OrderItem[];
  readonly marks?: readonly AllocationMark[];
  readonly there?: readonly string[] | null;
}): readonly string[] => {
  const { items = [], marks = [], there = [FOLDER, 'other'] } = world;
  const orders = { ...testOrders(1, items), removeVolumes: [FOLDER] };
  const inventory = {
    ...newState(testNode),
    marks: new Map(marks.map((mark) => [mark.allocation, mark])),
    volumes: there === null ? null : new Set(there),
  };
  return removalSteps(orders, inventory).map(({ key }) => key);
};

it('removes what the orders name and nothing uses', () => {
  expect(removed({})).toEqual([`volume ${FOLDER}`]);
});

const mark = newMark(body, 0);
const ended = { ...mark, deadAt: 5 };
it.each<[string, Parameters<typeof removed>[0], boolean]>([
  ['it is not there', { there: [] }, false],
  ['nothing was listed yet', { there: null }, false],
  ['an order uses it', { items: [runItem(body)] }, false],
  ['a copy uses it', { marks: [mark] }, false],
  ['a copy is being stopped', { items: [stopItem('a-0-1')], marks: [mark] }, false],
  ['its copy is dead for good', { items: [runItem(body)], marks: [ended] }, true],
])('when %s', (_name, world, goes) => {
  expect(removed(world)).toEqual(goes ? [`volume ${FOLDER}`] : []);
});

it('leaves a dead copy’s volume while one of its tasks runs on', () => {
  const tasks = mark.tasks.map((task) => ({ ...task, run: 'open' as const }));
  expect(removed({ marks: [{ ...ended, tasks }] })).toEqual([]);
});
