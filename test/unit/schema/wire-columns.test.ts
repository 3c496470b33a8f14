// Patches as they travel: the same patches at both ends, in as few words as there can be; and columns
// that nobody sends are refused.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { patchesForm } from '../../../schema/report-form.ts';
import {
  addColumns,
  agedColumns,
  type Columns,
  columnsOf,
  columnsProblem,
  FACT_FIELDS,
  patchesOf,
  TASK_FIELDS,
  type WritablePatch,
} from '../../../schema/wire-columns.ts';
import type { AllocationPatch } from '../../../schema/wire-patch.ts';

const IDS = ['a', 'b', 'c'];

test.each<[string, readonly AllocationPatch[], object]>([
  [
    'of all copies, in order, there are no places, and of first tasks no tasks',
    IDS.map((allocation) => ({ allocation, tasks: [{ restarts: 1 }] })),
    { facts: {}, tasks: { restarts: { is: [1, 1, 1] } } },
  ],
  [
    'of some copies there are places in what the head lists',
    [
      { allocation: 'c', health: 'healthy' },
      { allocation: 'a', tasks: [{ pid: 7 }] },
    ],
    { facts: { health: { at: [2], is: ['healthy'] } }, tasks: { pid: { at: [0], is: [7] } } },
  ],
  [
    'a copy that the head does not list brings a list',
    [
      { allocation: 'x', health: 'healthy' },
      { allocation: 'a', health: 'healthy' },
    ],
    { copies: ['x', 'a'], facts: { health: { is: ['healthy', 'healthy'] } }, tasks: {} },
  ],
  [
    'of other tasks it is told which',
    [{ allocation: 'b', tasks: [{}, { pid: 1, restarts: 2 }, { pid: 2 }] }],
    {
      facts: {},
      tasks: {
        pid: { at: [1, 1], task: [1, 2], is: [1, 2] },
        restarts: { at: [1], task: [1], is: [2] },
      },
    },
  ],
])('%s', (_name, patches, columns) => {
  expect(columnsOf(patches, IDS)).toEqual(columns);
});

const fact = fc.record(
  { health: fc.constantFrom('healthy', 'unhealthy'), runningForMs: fc.option(fc.nat(9)) },
  { requiredKeys: [] },
);
const task = fc.record(
  { restarts: fc.nat(9), lastCheck: fc.option(fc.string()) },
  { requiredKeys: [] },
);
const patches = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'x', 'y'))
  .chain((ids) =>
    fc.tuple(
      ...ids.map((allocation) =>
        fc
          .tuple(fact, fc.array(task, { maxLength: 3 }))
          .map(([facts, tasks]) => ({ allocation, ...facts, tasks }) as AllocationPatch),
      ),
    ),
  );

/** Without what says nothing. */
const meant = (all: readonly AllocationPatch[]): ReadonlyMap<string, object> =>
  new Map(
    all.flatMap(({ allocation, tasks = [], ...facts }) => {
      const last = tasks.findLastIndex((one) => Object.keys(one).length > 0);
      const said = { ...facts, ...(last >= 0 && { tasks: tasks.slice(0, last + 1) }) };
      return Object.keys(said).length === 0 ? [] : [[allocation, said] as const];
    }),
  );

test('patches are the same at the other end', () => {
  fc.assert(
    fc.property(patches, (sent) => {
      const columns: Columns = JSON.parse(JSON.stringify(columnsOf(sent, IDS)));
      expect(meant(patchesOf(columns, IDS))).toEqual(meant(sent));
      const known = (columns.copies ?? IDS).map((allocation) => ({ allocation, tasks: 3 }));
      expect(columnsProblem(columns, known)).toBeNull();
    }),
  );
});

test('of a copy that is listed twice all is one patch', () => {
  const columns: Columns = {
    copies: ['a', 'a'],
    facts: { health: { is: ['healthy', 'unhealthy'] }, address: { at: [0], is: ['x'] } },
    tasks: {},
  };
  expect(patchesOf(columns, [])).toEqual([{ allocation: 'a', health: 'unhealthy', address: 'x' }]);
});

test('what is added later counts, and the rest stays', () => {
  const patch: WritablePatch = { allocation: 'a', health: 'healthy', tasks: [{ restarts: 1 }] };
  const columns: Columns = {
    facts: { runningForMs: { is: [null] } },
    tasks: { restarts: { at: [0, 0], task: [0, 1], is: [2, 3] }, pid: { is: [9] } },
  };
  addColumns(columns, (place) => (place === 0 ? patch : undefined));
  expect(patch).toEqual({
    allocation: 'a',
    health: 'healthy',
    runningForMs: null,
    tasks: [{ restarts: 2, pid: 9 }, { restarts: 3 }],
  });
});

test('every age grows, none becomes one, and nothing else changes', () => {
  const ages = FACT_FIELDS.filter((field) => field.endsWith('ForMs'));
  const columns = {
    facts: {
      ...Object.fromEntries(ages.map((age, at) => [age, { at: [0, 2], is: [at, null] }])),
      failure: { is: [null, { message: 'x', ageMs: 4 }] },
      health: { is: ['healthy'] },
    },
    tasks: { pid: { is: [1] } },
  } as unknown as Columns;
  expect(agedColumns(columns, 10)).toEqual({
    facts: {
      ...Object.fromEntries(ages.map((age, at) => [age, { at: [0, 2], is: [at + 10, null] }])),
      failure: { is: [null, { message: 'x', ageMs: 14 }] },
      health: { is: ['healthy'] },
    },
    tasks: { pid: { is: [1] } },
  });
  expect(ages).toHaveLength(6);
  expect(agedColumns(agedColumns(columns, 10), -10)).toEqual(columns);
});

const KNOWN = [{ allocation: 'a', tasks: 1 }, undefined, { allocation: 'c', tasks: 2 }];
const UNEVEN = 'what changed is not as long as the list of what it changed in';
test.each<[string, Partial<Columns>, string | null]>([
  ['nothing', {}, null],
  ['a copy that is known', { facts: { address: { at: [2], is: ['x'] } } }, null],
  ['its last task', { tasks: { pid: { at: [2], task: [1], is: [1] } } }, null],
  ['what only a newer runner knows', { facts: { mood: 7 } as Columns['facts'] }, null],
  [
    'a copy that was never sent',
    { facts: { address: { at: [1], is: ['x'] } } },
    'copy 1 of its list has changed and was never sent',
  ],
  [
    'a place behind the end',
    { tasks: { pid: { at: [3], is: [1] } } },
    'copy 3 of its list has changed and was never sent',
  ],
  [
    'a task that there is not',
    { tasks: { pid: { at: [0], task: [1], is: [1] } } },
    'a has changed in tasks that were never sent',
  ],
  ['fewer places than values', { facts: { address: { at: [0], is: ['x', 'y'] } } }, UNEVEN],
  ['not a value for each', { facts: { address: { is: ['x'] } } }, UNEVEN],
  ['fewer tasks than values', { tasks: { pid: { at: [0, 2], task: [0], is: [1, 2] } } }, UNEVEN],
])('columns of %s', (_name, columns, problem) => {
  expect(columnsProblem({ facts: {}, tasks: {}, ...columns }, KNOWN)).toBe(problem);
});

test('a copy without tasks has no first one', () => {
  const known = [{ allocation: 'a', tasks: 0 }];
  const columns = { facts: {}, tasks: { pid: { is: [1] } } };
  expect(columnsProblem(columns, known)).toBe('a has changed in tasks that were never sent');
});

test('all that may stand in columns is taken', () => {
  const { facts, tasks } = JSON.parse(JSON.stringify(patchesForm)).properties;
  expect(Object.keys(facts.properties).toSorted()).toEqual([...FACT_FIELDS].toSorted());
  expect(Object.keys(tasks.properties).toSorted()).toEqual([...TASK_FIELDS].toSorted());
});
