// Tasks in order on a world in memory (rules 15): who starts, who waits, who ends last, and what a
// runner finds that was killed in between.
import { describe, expect, it } from 'vitest';
import type { RuntimeContainer } from '../../node-runner/ports.ts';
import type { GroupSpec, TaskSpec } from '../../schema/spec.ts';
import {
  runItem,
  tcpCheck,
  testBody,
  testGroup,
  testOrders,
  testTask,
} from '../support/runner-specs.ts';
import { living } from '../support/runner-life.ts';
import type { World } from '../support/runner-world.ts';
import { createWorld, failure } from '../support/runner-world.ts';

const A = 'a-0-1';
const id = (task: string) => `${A}.${task}`;

const task = (name: string, lifecycle?: TaskSpec['lifecycle'], fields: Partial<TaskSpec> = {}) =>
  testTask({ name, ...(lifecycle === undefined ? {} : { lifecycle }), ...fields });

const group = (tasks: readonly TaskSpec[], fields: Partial<GroupSpec> = {}) =>
  testGroup({
    tasks: tasks.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    restart: { attempts: 1, intervalMs: 60_000, delayMs: 1000, mode: 'fail' },
    ...fields,
  });

const orders = (spec: GroupSpec, generation = 1) =>
  testOrders(generation, [runItem(testBody(A, { spec }))]);

const running = async (use: (world: World) => Promise<void>): Promise<void> => {
  const world = createWorld();
  await living(world, () => use(world));
};

const did = (world: World): readonly string[] =>
  world.calls
    .filter((call) => /^(start|restart|kill|remove|tearDown) /.test(call))
    .map((call) => call.replace(`${A}.`, ''));

const only = (world: World) => {
  const [allocation, ...rest] = world.last().allocations;
  if (allocation === undefined || rest.length > 0) throw new Error('one allocation expected');
  return allocation;
};

const stateOf = (world: World, name: string) =>
  only(world).tasks.find((one) => one.name === name)?.state;

describe('prestart', () => {
  it('runs to its end before the main task, and the copy is healthy only then', () =>
    running(async (world) => {
      world.send(orders(group([task('init', 'prestart'), task('web')])));
      await world.advance(5000);
      expect(did(world)).toEqual(['start init']);
      expect(only(world)).toMatchObject({ phase: 'running', health: 'unproven' });
      expect(only(world).runningForMs).toBeNull();
      world.exits(id('init'), { code: 0 });
      await world.advance(500);
      expect(did(world)).toEqual(['start init', 'start web']);
      expect(only(world).health).toBe('healthy');
      expect(stateOf(world, 'init')).toBe('completed');
      expect(only(world).failure).toBeNull();
      await world.advance(60_000);
      expect(did(world)).toEqual(['start init', 'start web']);
      expect(only(world).everHealthy).toBe(true);
    }));

  it('is restarted when it fails, and then the copy is dead by its name', () =>
    running(async (world) => {
      world.send(orders(group([task('init', 'prestart'), task('web')])));
      await world.advance(500);
      world.exits(id('init'), { code: 3 });
      await world.advance(1500);
      expect(did(world)).toEqual(['start init', 'restart init', 'start init']);
      world.exits(id('init'), { code: 4 });
      await world.advance(2000);
      expect(only(world)).toMatchObject({
        phase: 'dead',
        failure: { task: 'init', message: 'exit code 4', blame: 'version' },
      });
      expect(did(world)).not.toContain('start web');
    }));

  it('waits for what it names, and for nobody else', () =>
    running(async (world) => {
      const tasks = [
        task('a', 'prestart', { dependsOn: ['c'] }),
        task('b', 'prestart'),
        task('c', 'prestart'),
        task('web'),
      ];
      world.send(orders(group(tasks)));
      await world.advance(1000);
      expect(did(world)).toEqual(['start b', 'start c']);
      world.exits(id('c'), { code: 0 });
      await world.advance(500);
      expect(did(world)).toEqual(['start b', 'start c', 'start a']);
      world.exits(id('a'), { code: 0 });
      await world.advance(1000);
      expect(did(world)).not.toContain('start web');
      world.exits(id('b'), { code: 0 });
      await world.advance(500);
      expect(did(world).at(-1)).toBe('start web');
    }));

  it('is not run again when the main task is', () =>
    running(async (world) => {
      world.send(orders(group([task('init', 'prestart'), task('web')])));
      await world.advance(500);
      world.exits(id('init'), { code: 0 });
      await world.advance(500);
      world.exits(id('web'), { code: 1 });
      await world.advance(3000);
      expect(did(world)).toEqual(['start init', 'start web', 'restart web', 'start web']);
    }));

  it('is quoted while it holds up the copy, where the namespace allows it', () =>
    running(async (world) => {
      world.logs.set(id('init'), 'waits for the database\n');
      const spec = group([task('init', 'prestart'), task('web')]);
      const body = testBody(A, { spec, evidence: 'logs' });
      world.send(testOrders(1, [runItem(body)]));
      await world.advance(6000);
      expect(only(world).tasks[0]).toMatchObject({ name: 'init', log: ['waits for the database'] });
      world.exits(id('init'), { code: 0 });
      await world.advance(1000);
      expect(only(world).tasks[0]?.log).toBeUndefined();
    }));

  it('runs again when nobody saw how it ended', () =>
    running(async (world) => {
      world.send(orders(group([task('init', 'prestart'), task('web')])));
      await world.advance(500);
      world.lose(id('init'));
      await world.advance(3000);
      expect(did(world)).toEqual(['start init', 'restart init', 'start init']);
      expect(only(world).failure?.blame).toBe('platform');
    }));
});

describe('sidecars', () => {
  const proxy = (fields: Partial<TaskSpec> = {}) =>
    task('proxy', 'sidecar', {
      checks: { startup: null, ready: tcpCheck({ intervalMs: 1000 }), live: null },
      ...fields,
    });

  it('are ready before the main task begins, and end after it', () =>
    running(async (world) => {
      world.answer = { ok: false, message: 'refused' };
      world.send(orders(group([proxy(), task('web', undefined, { killTimeoutMs: 3000 })])));
      await world.advance(5000);
      expect(did(world)).toEqual(['start proxy']);
      world.answer = { ok: true };
      await world.advance(2000);
      expect(did(world)).toEqual(['start proxy', 'start web']);
      world.stubborn.add(id('web'));
      world.send(testOrders(2, []));
      await world.advance(2900);
      expect(did(world).slice(2)).toEqual(['kill web 15']);
      await world.advance(1000);
      expect(did(world).slice(2, 5)).toEqual(['kill web 15', 'kill web 9', 'kill proxy 15']);
      expect(did(world).slice(5).toSorted()).toEqual([
        'remove proxy',
        'remove web',
        `tearDown ${A}`,
      ]);
      expect(world.containers.size).toBe(0);
    }));

  it('end in the reverse of their order', () =>
    running(async (world) => {
      const tasks = [
        task('a', 'sidecar', { dependsOn: ['b'] }),
        task('b', 'sidecar', { dependsOn: ['c'] }),
        task('c', 'sidecar'),
        task('web'),
      ];
      world.send(orders(group(tasks)));
      await world.advance(1500);
      expect(did(world)).toEqual(['start c', 'start b', 'start a', 'start web']);
      world.send(testOrders(2, []));
      await world.advance(1000);
      expect(did(world).filter((call) => call.startsWith('kill'))).toEqual([
        'kill web 15',
        'kill a 15',
        'kill b 15',
        'kill c 15',
      ]);
    }));

  it('are restarted beside a main task that goes on', () =>
    running(async (world) => {
      world.send(orders(group([task('proxy', 'sidecar'), task('web')])));
      await world.advance(1000);
      world.exits(id('proxy'), { code: 0 });
      await world.advance(3000);
      expect(did(world).slice(2)).toEqual(['restart proxy', 'start proxy']);
      expect(stateOf(world, 'web')).toBe('running');
    }));

  it('end after the main task when the copy dies', () =>
    running(async (world) => {
      const spec = group([task('proxy', 'sidecar'), task('web'), task('api')]);
      world.send(orders({ ...spec, restart: { ...spec.restart, attempts: 0 } }));
      await world.advance(1500);
      world.stubborn.add(id('api'));
      world.exits(id('web'), { code: 1 });
      await world.advance(9000);
      expect(did(world).slice(3)).toEqual(['kill api 15']);
      await world.advance(3000);
      expect(did(world).slice(3)).toEqual([
        'kill api 15',
        'kill api 9',
        'kill proxy 15',
        `tearDown ${A}`,
      ]);
      expect(only(world).phase).toBe('dead');
    }));
});

describe('poststart', () => {
  it('runs once, when the main tasks are healthy, and gates the health of the copy', () =>
    running(async (world) => {
      const checks = { startup: null, ready: tcpCheck({ intervalMs: 1000 }), live: null };
      world.answer = { ok: false, message: 'refused' };
      world.send(orders(group([task('warm', 'poststart'), task('web', undefined, { checks })])));
      await world.advance(3000);
      expect(did(world)).toEqual(['start web']);
      world.answer = { ok: true };
      await world.advance(2000);
      expect(did(world)).toEqual(['start web', 'start warm']);
      expect(only(world).health).toBe('unproven');
      world.exits(id('warm'), { code: 0 });
      await world.advance(500);
      expect(only(world).health).toBe('healthy');
      world.exits(id('web'), { code: 1 });
      await world.advance(5000);
      expect(did(world).slice(2)).toEqual(['restart web', 'start web']);
    }));

  it('that fails makes the copy dead by its name', () =>
    running(async (world) => {
      const spec = group([task('warm', 'poststart'), task('web')]);
      world.send(orders({ ...spec, restart: { ...spec.restart, attempts: 0 } }));
      await world.advance(1000);
      world.exits(id('warm'), { code: 9 });
      await world.advance(1000);
      expect(only(world)).toMatchObject({ phase: 'dead', failure: { task: 'warm' } });
      expect(did(world)).toContain('kill web 15');
    }));
});

describe('poststop', () => {
  const tasks = [
    task('clean', 'poststop', { killTimeoutMs: 4000 }),
    task('proxy', 'sidecar'),
    task('web'),
  ];

  it('runs after all others, and then the copy goes', () =>
    running(async (world) => {
      world.send(orders(group(tasks)));
      await world.advance(1000);
      expect(did(world)).toEqual(['start proxy', 'start web']);
      expect(only(world).health).toBe('healthy');
      world.send(testOrders(2, []));
      await world.advance(500);
      expect(did(world).slice(2)).toEqual(['kill web 15', 'kill proxy 15', 'start clean']);
      expect(stateOf(world, 'clean')).toBe('running');
      world.exits(id('clean'), { code: 0 });
      await world.advance(1000);
      expect(world.containers.size).toBe(0);
      expect(world.last().allocations).toEqual([]);
    }));

  it('is killed when its time is over; its failure is told, and the copy goes', () =>
    running(async (world) => {
      world.send(orders(group(tasks)));
      await world.advance(1000);
      world.send(testOrders(2, []));
      await world.advance(4000);
      expect(stateOf(world, 'clean')).toBe('running');
      await world.advance(500);
      expect(did(world)).toContain('kill clean 9');
      expect(only(world).tasks.find(({ name }) => name === 'clean')).toMatchObject({
        state: 'dead',
        lastCheck: 'did not end within 4s',
      });
      await world.advance(3000);
      expect(world.containers.size).toBe(0);
      expect(world.last().allocations).toEqual([]);
    }));

  it('that cannot be started holds nobody up for longer', () =>
    running(async (world) => {
      world.send(orders(group(tasks)));
      await world.advance(1000);
      world.faults.set(`create ${id('clean')}`, failure('unavailable', 'platform', 'away'));
      world.send(testOrders(2, []));
      await world.advance(5000);
      expect(only(world).tasks.find(({ name }) => name === 'clean')?.lastCheck).toBe(
        'could not be started within 4s',
      );
      await world.advance(3000);
      expect(world.last().allocations).toEqual([]);
    }));

  it('runs after a crash too, and what the copy died of stays', () =>
    running(async (world) => {
      const spec = group(tasks);
      world.send(orders({ ...spec, restart: { ...spec.restart, attempts: 0 } }));
      await world.advance(1000);
      world.exits(id('web'), { code: 5 });
      await world.advance(1000);
      expect(did(world).slice(2)).toEqual(['kill proxy 15', 'start clean']);
      world.exits(id('clean'), { code: 6 });
      await world.advance(5000);
      expect(only(world)).toMatchObject({
        phase: 'dead',
        failure: { task: 'web', message: 'exit code 5' },
      });
      expect(only(world).tasks.find(({ name }) => name === 'clean')?.lastCheck).toBe('exit code 6');
      expect(did(world).at(-1)).toBe(`tearDown ${A}`);
      world.send(testOrders(2, []));
      await world.advance(3000);
      expect(did(world).filter((call) => call === 'start clean')).toHaveLength(1);
      expect(world.containers.size).toBe(0);
    }));

  it('does not run where nothing ever ran', () =>
    running(async (world) => {
      world.faults.set('pull', failure('registry', 'platform', 'away'));
      world.send(orders(group(tasks)));
      await world.advance(1000);
      world.faults.clear();
      world.send(testOrders(2, []));
      await world.advance(3000);
      expect(did(world).filter((call) => call.startsWith('start'))).toEqual([]);
      expect(world.last().allocations).toEqual([]);
    }));

  it('is over before the next copy of its slot begins', () =>
    running(async (world) => {
      const spec = { ...group(tasks), restart: { ...group(tasks).restart, attempts: 0 } };
      world.send(orders(spec));
      await world.advance(1000);
      world.exits(id('web'), { code: 5 });
      await world.advance(500);
      const next = testBody('a-0-2', { spec, attempt: 2 });
      world.send(testOrders(2, [runItem(testBody(A, { spec })), runItem(next)]));
      await world.advance(1500);
      expect(world.calls).not.toContain('start a-0-2.proxy');
      world.exits(id('clean'), { code: 0 });
      await world.advance(1000);
      expect(world.calls).toContain('start a-0-2.proxy');
    }));
});

describe('a runner that was killed', () => {
  const spec = group([
    task('clean', 'poststop', { killTimeoutMs: 4000 }),
    task('init', 'prestart'),
    task('web'),
  ]);
  const ended = (container: RuntimeContainer | undefined, code: number): RuntimeContainer => {
    if (container === undefined) throw new Error('no such container');
    const exit = { code, signal: null, known: true, at: null };
    return { ...container, task: 'stopped', pid: null, exit };
  };

  /** What a first life leaves on the disk and in containerd, changed by what happened since. */
  const after = async (
    first: (world: World) => Promise<void>,
    change: (disk: World['disk'], containers: Map<string, RuntimeContainer>) => void,
  ): Promise<World> => {
    const before = createWorld();
    await living(before, async () => {
      before.send(orders(spec));
      await first(before);
    });
    const containers = new Map(before.containers);
    change(before.disk, containers);
    return createWorld(before.disk, containers);
  };
  const runsInit = async (world: World) => world.advance(1000);
  const runsWeb = async (world: World) => {
    await world.advance(1000);
    world.exits(id('init'), { code: 0 });
    await world.advance(1000);
  };

  it('reads from containerd that the prestart task succeeded meanwhile', async () => {
    const world = await after(runsInit, (_, containers) =>
      containers.set(id('init'), ended(containers.get(id('init')), 0)),
    );
    await living(world, async () => {
      await world.advance(1000);
      expect(did(world)).toEqual(['start web']);
    });
  });

  it('does so also where its marks know only of a run that failed', async () => {
    const world = await after(
      async (one) => {
        await one.advance(1000);
        one.exits(id('init'), { code: 1 });
        await one.advance(300);
      },
      (_, containers) => containers.set(id('init'), ended(containers.get(id('init')), 0)),
    );
    await living(world, async () => {
      await world.advance(1000);
      expect(did(world)).toEqual(['start web']);
    });
  });

  it('without its marks sees by the main task that the prestart task had succeeded', async () => {
    const world = await after(runsWeb, (disk, containers) => {
      disk.marks = null;
      const init = containers.get(id('init'));
      if (init !== undefined) containers.set(init.id, { ...init, task: 'none', exit: null });
    });
    await living(world, async () => {
      await world.advance(2000);
      expect(did(world)).toEqual([]);
      expect(only(world).health).toBe('healthy');
    });
  });

  it('runs prestart tasks again after a reboot, and the main task after them', async () => {
    const world = await after(runsWeb, (disk, containers) => {
      const marks = disk.marks as { bootId: string };
      marks.bootId = 'an earlier one';
      for (const one of containers.values()) {
        containers.set(one.id, { ...one, task: 'none', pid: null, exit: null });
      }
    });
    await living(world, async () => {
      await world.advance(3000);
      expect(did(world)).toEqual(['restart init', 'start init']);
      world.exits(id('init'), { code: 0 });
      await world.advance(1000);
      expect(did(world).slice(2)).toEqual(['restart web', 'start web']);
    });
  });

  it('goes on with a stop where it was, and runs the poststop task once', async () => {
    const world = await after(
      async (one) => {
        await runsWeb(one);
        one.send(testOrders(2, []));
        await one.advance(1000);
        expect(did(one).at(-1)).toBe('start clean');
      },
      (_, containers) => containers.set(id('clean'), ended(containers.get(id('clean')), 0)),
    );
    await living(world, async () => {
      await world.advance(2000);
      expect(did(world).filter((call) => call.startsWith('start'))).toEqual([]);
      expect(world.containers.size).toBe(0);
      expect(world.last().allocations).toEqual([]);
    });
  });
});
