// Laws of tasks in order (rules 15), over drawn groups, ends, stops and runners that die with what
// they had not written down: nobody begins before what it waits for, nobody is told to end while
// something that needs it runs, poststop tasks come last and once, and a stop always ends.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RunnerPorts } from '../../node-runner/ports.ts';
import { createTick } from '../../node-runner/tick.ts';
import type { Lifecycle, TaskSpec } from '../../schema/spec.ts';
import {
  runItem,
  testBody,
  testGroup,
  testNode,
  testOrders,
  testTask,
} from '../support/runner-specs.ts';
import { createWorld, type World } from '../support/runner-world.ts';

const A = 'a-0-1';
const MOST = 6;
type Kind = Lifecycle | 'main';
const KINDS: readonly Kind[] = ['prestart', 'sidecar', 'main', 'poststart', 'poststop'];
/** A kind may wait for these, beside its own; two kinds that begin together must not wait in a circle. */
const BEFORE: Readonly<Record<Kind, readonly Kind[]>> = {
  prestart: [],
  sidecar: ['prestart'],
  main: ['prestart', 'sidecar'],
  poststart: ['prestart', 'sidecar', 'main'],
  poststop: [],
};

const drawnTask = fc.record({
  kind: fc.constantFrom(...KINDS),
  /** One bit for each task before it. */
  waits: fc.nat({ max: 2 ** MOST - 1 }),
});

/** The last one is a main task; it waits for tasks before it only, so there is no circle. */
const group = fc
  .array(drawnTask, { maxLength: MOST - 1 })
  .map((drawn) => [...drawn, { kind: 'main' as const, waits: 0 }])
  .map((drawn) =>
    drawn.map(({ kind, waits }, index): TaskSpec => {
      const dependsOn = drawn.flatMap((other, at) =>
        at < index &&
        (waits >> at) % 2 === 1 &&
        (other.kind === kind || BEFORE[kind].includes(other.kind))
          ? [`t${at}`]
          : [],
      );
      return testTask({
        name: `t${index}`,
        killTimeoutMs: 2_000,
        ...(kind === 'main' ? {} : { lifecycle: kind }),
        ...(dependsOn.length === 0 ? {} : { dependsOn }),
      });
    }),
  );

const event = fc.oneof(
  fc.record({
    kind: fc.constant('end' as const),
    task: fc.nat({ max: MOST }),
    code: fc.constantFrom(0, 0, 0, 1),
  }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(40, 150, 700, 3_000) }),
  fc.record({ kind: fc.constant('die' as const), forgets: fc.boolean() }),
);

const kindOf = ({ lifecycle }: TaskSpec): Kind => lifecycle ?? 'main';
const living = (task: TaskSpec): boolean => ['main', 'sidecar'].includes(kindOf(task));

/** Written down a second time, task by task. */
const watched = (world: World, tasks: readonly TaskSpec[]) => {
  const succeeded = new Set<string>();
  const wrong: string[] = [];
  const last = new Map<string, number>();
  const runs = ({ name }: TaskSpec): boolean =>
    world.containers.get(`${A}.${name}`)?.task === 'running';
  const there = (task: TaskSpec): boolean => (living(task) ? runs(task) : succeeded.has(task.name));
  const specOf = (id: string) => tasks.find(({ name }) => `${A}.${name}` === id);
  const begins = (id: string): void => {
    const task = specOf(id);
    if (task === undefined) return;
    const kind = kindOf(task);
    for (const other of tasks) {
      const isNamed = task.dependsOn?.includes(other.name) === true;
      const isBefore = isNamed || BEFORE_ALL[kind].includes(kindOf(other));
      if (kind !== 'poststop' && isBefore && !there(other))
        wrong.push(`${id} begins before ${other.name}`);
      if (kind === 'poststop' && kindOf(other) !== kind && runs(other)) {
        wrong.push(`${id} begins while ${other.name} runs`);
      }
    }
    if (kind === 'poststop') last.set(id, (last.get(id) ?? 0) + 1);
    if (succeeded.has(task.name)) wrong.push(`${id} begins again although it has succeeded`);
  };
  const isTold = (id: string, signal: number): void => {
    const task = specOf(id);
    if (task === undefined || signal === 9 || !living(task)) return;
    for (const other of tasks.filter((one) => living(one) && runs(one))) {
      const needs = other.dependsOn?.includes(task.name) === true;
      const isMainOf = kindOf(task) === 'sidecar' && kindOf(other) === 'main';
      if (needs || isMainOf) wrong.push(`${id} is told to end while ${other.name} runs`);
    }
  };
  const { runtime } = world.ports;
  const ports: RunnerPorts = {
    ...world.ports,
    runtime: {
      ...runtime,
      start: async (id) => {
        begins(id);
        await runtime.start(id);
      },
      kill: async (id, signal, options) => {
        isTold(id, signal);
        await runtime.kill(id, signal, options);
      },
    },
  };
  const end = (task: TaskSpec, code: number): void => {
    if (!runs(task)) return;
    if (code === 0 && !living(task)) succeeded.add(task.name);
    world.exits(`${A}.${task.name}`, { code });
  };
  return { ports, wrong, last, end };
};

/** What a kind waits for whether it is named or not. */
const BEFORE_ALL: Readonly<Record<Kind, readonly Kind[]>> = {
  prestart: [],
  sidecar: [],
  main: ['prestart', 'sidecar'],
  poststart: ['prestart', 'sidecar', 'main'],
  poststop: [],
};

/** Runner after runner on one world. */
const lives = (world: World, ports: RunnerPorts) => {
  let end = new AbortController();
  let done = createTick(ports, testNode).run(end.signal);
  const close = async (): Promise<void> => {
    end.abort();
    await world.advance(6_000);
    await done;
  };
  return {
    close,
    /** What it writes at its end is lost where it forgets: it was killed. */
    next: async (forgets: boolean): Promise<void> => {
      const { orders, marks } = structuredClone(world.disk);
      await close();
      if (forgets) Object.assign(world.disk, { orders, marks });
      end = new AbortController();
      done = createTick(ports, testNode).run(end.signal);
      await world.advance(200);
    },
  };
};

const STOP_LIMIT_MS = 60_000;

it('keeps the order of any group, whatever ends, and whichever runner dies', async () => {
  await fc.assert(
    fc.asyncProperty(group, fc.array(event, { maxLength: 14 }), async (tasks, events) => {
      const world = createWorld();
      const { ports, wrong, last, end } = watched(world, tasks);
      const runner = lives(world, ports);
      const restart = { attempts: 3, intervalMs: 600_000, delayMs: 200, mode: 'fail' } as const;
      await world.advance(200);
      world.send(testOrders(1, [runItem(testBody(A, { spec: testGroup({ tasks, restart }) }))]));
      await world.advance(400);
      for (const one of events) {
        if (one.kind === 'pass') await world.advance(one.ms);
        else if (one.kind === 'die') await runner.next(one.forgets);
        else {
          const task = tasks[one.task];
          if (task !== undefined) end(task, one.code);
          await world.advance(20);
        }
        expect(wrong).toEqual([]);
      }
      world.send(testOrders(2, []));
      await world.advance(STOP_LIMIT_MS);
      expect(wrong).toEqual([]);
      expect(world.containers.size).toBe(0);
      expect(world.last().allocations).toEqual([]);
      expect(Math.max(0, ...last.values())).toBeLessThanOrEqual(1);
      await runner.close();
    }),
    { numRuns: 60 },
  );
});
