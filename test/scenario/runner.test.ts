// The runner's whole loop on a world in memory: start, restart, stop, adoption, waiting, failures.
import { describe, expect, it } from 'vitest';
import type { NodeOrders } from '../../schema/orders.ts';
import {
  runItem,
  stopItem,
  tcpCheck,
  testBody,
  testGroup,
  testOrders,
  testTask,
} from '../support/runner-specs.ts';
import { living } from '../support/runner-life.ts';
import type { World } from '../support/runner-world.ts';
import { createWorld, failure } from '../support/runner-world.ts';

const running = (
  use: (world: World) => Promise<void>,
  world: World = createWorld(),
): Promise<void> => living(world, () => use(world));

const orders = (generation: number, ...items: Parameters<typeof testOrders>[1]): NodeOrders =>
  testOrders(generation, items);

const only = (world: World) => {
  const [allocation, ...rest] = world.last().allocations;
  if (allocation === undefined || rest.length > 0) throw new Error('one allocation expected');
  return allocation;
};

describe('the runner', () => {
  it('reports before it touches anything', () =>
    running(async (world) => {
      expect(world.last().acceptedGeneration).toBe(0);
      expect(world.calls.filter((call) => call !== 'list')).toEqual([]);
    }));

  it('runs what is ordered, and writes the orders down first', () =>
    running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(500);
      expect(world.calls.filter((call) => call !== 'list')).toEqual([
        'writeOrders 1',
        'setUp a-0-1',
        'prepare a-0-1',
        'pull r/web@sha256:aa',
        'create a-0-1.server',
        'start a-0-1.server',
      ]);
      const report = only(world);
      expect(report.phase).toBe('running');
      expect(report.health).toBe('healthy');
      expect(report.everHealthy).toBe(false);
      expect(report.ports).toHaveLength(1);
      expect(world.last().acceptedGeneration).toBe(1);
      await world.advance(10_200);
      expect(only(world).everHealthy).toBe(true);
      expect(world.calls.at(-1)).toBe('relabel a-0-1.server');
    }));

  it('sleeps while its disk takes orders, though a new session wants a report, which comes then', async () => {
    const world = createWorld();
    const { clock, link, store } = world.ports;
    let wants = false;
    let naps = 0;
    let written = (): void => {};
    const ports: World['ports'] = {
      ...world.ports,
      link: {
        ...link,
        wantsReport: () => wants,
        report: (report, at) => {
          wants = false;
          link.report(report, at);
        },
      },
      store: {
        ...store,
        writeOrders: async (taken) => {
          await new Promise<void>((done) => (written = done));
          await store.writeOrders(taken);
        },
      },
      clock: {
        ...clock,
        sleepUntil: async (at, signal) => {
          naps += 1;
          // One that does not sleep would never let the test go on.
          await (naps > 1000 ? new Promise(() => {}) : clock.sleepUntil(at, signal));
        },
      },
    };
    await running(
      async () => {
        world.send(orders(1, runItem(testBody('a-0-1'))));
        await world.advance(100);
        wants = true;
        naps = 0;
        const reported = world.reports.length;
        await world.advance(20_000);
        expect(naps).toBeLessThan(50);
        expect(world.reports).toHaveLength(reported);
        written();
        await world.advance(100);
        expect(world.last().acceptedGeneration).toBe(1);
      },
      { ...world, ports },
    );
  });

  it('starts fifty, four creates at a time, without a pause between them', () =>
    running(async (world) => {
      const bodies = Array.from({ length: 30 }, (_, index) => testBody(`a-${index}-1`, { index }));
      world.send(orders(1, ...bodies.map((body) => runItem(body))));
      // 30 creates of 60 ms, four at a time: 8 rounds, 480 ms; 20 to pull, 10 to start the last.
      await world.advance(560);
      expect(world.last().allocations.filter(({ phase }) => phase === 'running')).not.toHaveLength(
        0,
      );
      expect(world.calls.filter((call) => call.startsWith('start '))).toHaveLength(30);
    }));

  it('tells at once that a copy with services is found no more, or again; others share a report', () =>
    running(async (world) => {
      const services = [{ name: 'web', port: 'http', tags: [] }];
      const restart = { attempts: 9, intervalMs: 60_000, delayMs: 0, mode: 'fail' } as const;
      const found = testBody('a-0-1', { spec: testGroup({ services, restart }) });
      world.send(orders(1, runItem(found), runItem(testBody('b-0-1', { job: 'other' }))));
      await world.advance(1000);
      const healthOf = (at: number) => world.last().allocations[at]?.health;
      expect([healthOf(0), healthOf(1)]).toEqual(['healthy', 'healthy']);
      world.exits('b-0-1.server', { code: 7 });
      await world.advance(1);
      expect(healthOf(1)).toBe('unhealthy');
      world.exits('a-0-1.server', { code: 7 });
      await world.advance(15);
      expect(healthOf(0)).toBe('unhealthy');
      // Made in 60 ms, started in 10.
      await world.advance(85);
      expect(healthOf(0)).toBe('healthy');
      // The other is back too.
      await world.advance(16_000);
      world.exits('a-0-1.server', { code: 7 });
      await world.advance(15);
      expect(healthOf(0)).toBe('unhealthy');
      world.exits('b-0-1.server', { code: 7 });
      await world.advance(15);
      expect(healthOf(1)).toBe('healthy');
      await world.advance(100);
      expect(healthOf(1)).toBe('unhealthy');
    }));

  it('restarts a task that ended, under its rules, and then calls it dead', () =>
    running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(500);
      for (const restarts of [1, 2]) {
        world.exits('a-0-1.server', { code: 7 });
        await world.advance(200);
        expect(only(world).tasks[0]).toMatchObject({ state: 'backoff', restarts });
        expect(only(world).failure?.message).toBe('exit code 7');
        expect(only(world).health).toBe('unhealthy');
        await world.advance(15_300);
        expect(only(world).tasks[0]?.state).toBe('running');
      }
      world.exits('a-0-1.server', { code: 137 }, true);
      await world.advance(200);
      const dead = only(world);
      expect(dead.phase).toBe('dead');
      expect(dead.failure?.message).toBe('out of memory: limit 128MiB');
      await world.advance(60_000);
      expect(world.containers.size).toBe(1);
      world.send(orders(2));
      await world.advance(500);
      expect(world.containers.size).toBe(0);
      expect(world.last().allocations).toEqual([]);
    }));

  it('stops what the orders leave out, with the time that its last body gives (10.1)', () =>
    running(async (world) => {
      const spec = testGroup({ tasks: [testTask({ killTimeoutMs: 7000 })] });
      world.send(orders(1, runItem(testBody('a-0-1', { spec }))));
      await world.advance(500);
      world.stubborn.add('a-0-1.server');
      world.send(orders(2));
      await world.advance(6900);
      expect(world.calls).toContain('kill a-0-1.server 15');
      expect(world.calls).not.toContain('kill a-0-1.server 9');
      await world.advance(1000);
      expect(world.calls).toContain('kill a-0-1.server 9');
      expect(world.last().allocations).toEqual([]);
    }));

  it('takes no more than it could report, and takes it when what leaves is gone (10.3)', () =>
    running(async (world) => {
      const file = { path: '/f', source: 'f', content: 'x'.repeat(250_000) };
      const spec = testGroup({ tasks: [testTask({ files: [file], killTimeoutMs: 6_000 })] });
      const some = (letter: string, count: number) =>
        Array.from({ length: count }, (_, at) => {
          const id = `${letter}-${String(at).padStart(3, '0')}-1`;
          world.stubborn.add(`${id}.server`);
          return runItem(testBody(id, { spec, index: at }));
        });
      world.createMs = 1;
      world.send(orders(1, ...some('a', 265)));
      await world.advance(1_500);
      world.send(orders(2, ...some('b', 265)));
      await world.advance(1_500);
      world.send(orders(3, ...some('c', 265)));
      await world.advance(1_500);
      expect(world.last().acceptedGeneration).toBe(2);
      expect(world.last().conditions).toEqual([
        { kind: 'orders', message: expect.stringMatching(/are larger than 128MiB: the/) },
      ]);
      await world.advance(7_000);
      expect(world.last().acceptedGeneration).toBe(3);
      expect(world.last().conditions).toEqual([]);
    }));

  it('starts a singleton only when the copy before it is gone, whatever it is told (9.3)', () =>
    running(async (world) => {
      world.acknowledged = 1000;
      const spec = testGroup({ singleton: true, stopAfterMs: 60_000 });
      world.send(orders(1, runItem(testBody('a-0-1', { spec }))));
      await world.advance(500);
      world.stubborn.add('a-0-1.server');
      world.send(orders(2, runItem(testBody('a-0-2', { spec, attempt: 2 }))));
      await world.advance(2000);
      expect(world.calls).toContain('kill a-0-1.server 15');
      expect(world.calls.some((call) => call.startsWith('create a-0-2'))).toBe(false);
      await world.advance(20_000);
      const gone = world.calls.indexOf('remove a-0-1.server');
      expect(gone).toBeGreaterThan(0);
      expect(world.calls.indexOf('start a-0-2.server')).toBeGreaterThan(gone);
    }));

  it('stops by signal, then by force, then cleans up', () =>
    running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(500);
      world.stubborn.add('a-0-1.server');
      world.send(orders(2, stopItem('a-0-1', 3000)));
      await world.advance(2900);
      expect(only(world).phase).toBe('stopping');
      expect(world.calls).toContain('kill a-0-1.server 15');
      expect(world.calls).not.toContain('kill a-0-1.server 9');
      await world.advance(500);
      expect(world.calls.slice(-4)).toEqual([
        'kill a-0-1.server 9',
        'remove a-0-1.server',
        'tearDown a-0-1',
        'discard a-0-1',
      ]);
      expect(world.last().allocations).toEqual([]);
    }));

  it('waits with what comes after, and finishes a stop before it makes the same id anew', () =>
    running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(500);
      world.stubborn.add('a-0-1.server');
      world.send(orders(2, stopItem('a-0-1', 5000), runItem(testBody('a-0-2'), ['a-0-1'])));
      await world.advance(4000);
      expect(world.containers.has('a-0-2.server')).toBe(false);
      world.send(orders(3, runItem(testBody('a-0-1'))));
      await world.advance(500);
      expect(world.containers.get('a-0-1.server')?.task).toBe('running');
      await world.advance(2000);
      expect(world.calls.filter((call) => call === 'create a-0-1.server')).toHaveLength(2);
      expect(world.containers.has('a-0-2.server')).toBe(false);
    }));

  it('adopts what runs after its own restart and touches nothing', async () => {
    const first = createWorld();
    await running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(12_000);
    }, first);
    const second = createWorld(first.disk, first.containers);
    await running(async (world) => {
      await world.advance(1000);
      const touched = world.calls.filter((call) =>
        /^(create|start|kill|remove|restart)/.test(call),
      );
      expect(touched).toEqual([]);
      expect(only(world)).toMatchObject({ phase: 'running', health: 'healthy', everHealthy: true });
    }, second);
  });

  it('adopts from labels alone when its disk is lost, and removes the rest', async () => {
    const first = createWorld();
    await running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1')), runItem(testBody('b-0-1'))));
      await world.advance(12_000);
    }, first);
    first.containers.set('alien', {
      id: 'alien',
      labels: {},
      image: 'x',
      task: 'running',
      pid: 5,
      exit: null,
    });
    const second = createWorld(undefined, first.containers);
    await running(async (world) => {
      await world.advance(5000);
      expect(world.containers.size).toBe(3);
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(1000);
      expect([...world.containers.keys()].toSorted()).toEqual(['a-0-1.server', 'alien']);
      expect(only(world)).toMatchObject({ everHealthy: true, phase: 'running' });
      expect(world.last().foreign).toBe(1);
    }, second);
  });

  it('refuses older orders and says so', () =>
    running(async (world) => {
      world.send(orders(5, runItem(testBody('a-0-1'))));
      await world.advance(500);
      world.send(orders(4));
      await world.advance(500);
      expect(world.containers.size).toBe(1);
      expect(world.last().conditions[0]?.message).toContain('older than the accepted 5');
    }));

  it('ends a task whose live check fails, and restarts it', () =>
    running(async (world) => {
      const live = tcpCheck({ intervalMs: 1000, retries: 2 });
      const task = testTask({ checks: { startup: null, ready: null, live } });
      world.send(orders(1, runItem(testBody('a-0-1', { spec: testGroup({ tasks: [task] }) }))));
      await world.advance(3000);
      expect(only(world).health).toBe('healthy');
      world.answer = { ok: false, message: 'connection refused' };
      await world.advance(2500);
      expect(world.calls).toContain('kill a-0-1.server 15');
      expect(only(world).failure).toMatchObject({
        kind: 'check-failed',
        message: 'connection refused',
        blame: 'version',
      });
      world.answer = { ok: true };
      await world.advance(17_000);
      expect(only(world)).toMatchObject({ health: 'healthy', phase: 'running' });
    }));

  it('tries again when the platform fails, and never blames the version', () =>
    running(async (world) => {
      world.faults.set('pull', failure('registry', 'platform', 'registry answers 503'));
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(20_000);
      expect(only(world).failure).toMatchObject({ blame: 'platform', kind: 'registry' });
      expect(world.calls.filter((call) => call.startsWith('pull'))).toHaveLength(5);
      world.faults.clear();
      await world.advance(20_000);
      expect(only(world).phase).toBe('running');
    }));

  it('counts a command that is not in the image as the version’s failure', () =>
    running(async (world) => {
      const words = 'command `/bin/server` not found in the image';
      const said = 'runc: exec: "/bin/server": stat /bin/server: no such file or directory';
      world.faults.set('create', failure('command-not-found', 'version', said));
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(40_000);
      expect(only(world)).toMatchObject({
        phase: 'dead',
        failure: { blame: 'version', kind: 'command-not-found', message: words },
      });
      expect(world.calls.filter((call) => call.startsWith('create'))).toHaveLength(3);
    }));

  it('says that containerd is silent, tries on, and takes what it finds afterwards', () =>
    running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(500);
      const silent = failure('unavailable', 'platform', 'connection refused');
      world.faults.set('list', silent);
      world.faults.set('create', silent);
      world.send(orders(2, runItem(testBody('a-0-1')), runItem(testBody('b-0-1'))));
      await world.advance(5000);
      expect(world.last().conditions).toEqual([
        { kind: 'runtime', message: 'containerd does not answer: connection refused' },
      ]);
      world.lose('a-0-1.server');
      world.faults.clear();
      await world.advance(10_000);
      expect(world.last().conditions).toEqual([]);
      const [a, b] = world.last().allocations;
      expect(a?.tasks[0]).toMatchObject({ state: 'backoff', exit: { status: 'unknown' } });
      expect(a?.failure).toMatchObject({ blame: 'platform' });
      expect(b?.phase).toBe('running');
      await world.advance(10_000);
      expect(world.last().allocations[0]?.phase).toBe('running');
    }));

  it('keeps orders that cannot be written down, and obeys them only when they are', () =>
    running(async (world) => {
      world.faults.set('writeOrders', failure('disk', 'platform', 'no space left on device'));
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(3000);
      expect(world.containers.size).toBe(0);
      expect(world.last().acceptedGeneration).toBe(0);
      expect(world.last().conditions[0]?.message).toContain('no space left on device');
      world.faults.clear();
      await world.advance(3000);
      expect(world.last().acceptedGeneration).toBe(1);
      expect(only(world).phase).toBe('running');
      expect(world.last().conditions).toEqual([]);
    }));

  it('relabels in place and restarts nothing when only the mark of settling changes', () =>
    running(async (world) => {
      world.send(orders(1, runItem(testBody('a-0-1'))));
      await world.advance(500);
      world.send(orders(2, runItem(testBody('a-0-1', { settled: true }))));
      await world.advance(500);
      expect(world.containers.get('a-0-1.server')?.labels['purser.settled']).toBe('yes');
      expect(world.calls.filter((call) => /^(create|kill|restart|remove)/.test(call))).toEqual([
        'create a-0-1.server',
      ]);
      expect(only(world).body.settled).toBe(true);
    }));

  it('waits after a reboot with groups that have stop_after, for the first orders', async () => {
    const plain = runItem(testBody('a-0-1'));
    const guarded = runItem(testBody('b-0-1', { spec: testGroup({ stopAfterMs: 8000 }) }));
    const set = orders(1, plain, guarded);
    const world = createWorld({ orders: set, marks: null });
    await running(async () => {
      world.acknowledged = 1000;
      await world.advance(2000);
      expect([...world.containers.keys()]).toEqual(['a-0-1.server']);
      world.send(set);
      await world.advance(2000);
      expect([...world.containers.keys()]).toEqual(['a-0-1.server', 'b-0-1.server']);
    }, world);
  });

  it('stops a group with stop_after when no reconciler answers, and starts it with new orders', () =>
    running(async (world) => {
      world.acknowledged = 1000;
      const spec = testGroup({ stopAfterMs: 8000 });
      world.send(orders(1, runItem(testBody('a-0-1', { spec }))));
      await world.advance(7000);
      expect(only(world).phase).toBe('running');
      await world.advance(2000);
      expect(world.containers.size).toBe(0);
      world.acknowledged = 10_000;
      await world.advance(3000);
      expect(world.calls).toContain('renew');
      expect(world.containers.size).toBe(0);
      world.acknowledged = 13_000;
      world.send(orders(1, runItem(testBody('a-0-1', { spec }))));
      await world.advance(3000);
      expect(world.containers.get('a-0-1.server')?.task).toBe('running');
    }));

  it('removes an ended volume when its copy is gone, also after a failure, and says so', () =>
    running(async (world) => {
      const folder = 'default.web.web.0.data';
      const volumes = [
        { kind: 'named', name: 'data', path: '/data', readOnly: false, onLoss: 'wait' } as const,
      ];
      const spec = testGroup({ tasks: [testTask({ volumes })] });
      world.send(orders(1, runItem(testBody('a-0-1', { spec }))));
      await world.advance(500);
      expect(world.last().volumes).toEqual([folder]);
      world.send({ ...orders(2, stopItem('a-0-1')), removeVolumes: [folder] });
      world.faults.set('removeVolume', failure('disk', 'platform', 'the disk does not answer'));
      await world.advance(11_000);
      expect(world.last().allocations).toEqual([]);
      expect(world.volumes).toEqual(new Set([folder]));
      world.faults.clear();
      await world.advance(60_000);
      expect(world.last().volumes).toEqual([]);
      const removals = world.calls.filter((call) => call === `removeVolume ${folder}`).length;
      await world.advance(120_000);
      expect(world.calls.filter((call) => call === `removeVolume ${folder}`)).toHaveLength(
        removals,
      );
      expect(world.calls.indexOf(`removeVolume ${folder}`)).toBeGreaterThan(
        world.calls.indexOf('remove a-0-1.server'),
      );
    }));
});

describe('evidence (6.4)', () => {
  const crash = async (world: World, changes: Parameters<typeof testBody>[1]): Promise<void> => {
    world.send(orders(1, runItem(testBody('a-0-1', changes))));
    await world.advance(1000);
    world.logs.set('a-0-1.server', 'starting\n\u001B[31mno database\u001B[0m\n');
    world.exits('a-0-1.server', { code: 3 });
    await world.advance(1000);
  };

  it('sends the last lines of the log with the failure, never the failure without them', () =>
    running(async (world) => {
      await crash(world, { evidence: 'logs' });
      const told = world.reports.flatMap(({ allocations }) =>
        allocations.map((one) => one.failure),
      );
      const failures = told.filter((one) => one !== null);
      expect(failures.length).toBeGreaterThan(0);
      for (const one of failures) expect(one.log).toEqual(['starting', 'no database']);
      expect(world.calls.filter((call) => call.startsWith('endOfLog'))).toHaveLength(1);
    }));

  it('tells a failure that comes while marks are written with the next report', () =>
    running(async (world) => {
      world.writeMs = 300;
      await crash(world, { evidence: 'logs' });
      await world.advance(3000);
      const told = world.reports.flatMap(({ allocations }) =>
        allocations.flatMap(({ failure }) => failure ?? []),
      );
      expect(told.length).toBeGreaterThan(0);
      for (const one of told) expect(one.log).toEqual(['starting', 'no database']);
    }));

  it('reads no log where the body does not say so', () =>
    running(async (world) => {
      await crash(world, {});
      expect(only(world).failure).toMatchObject({ kind: 'exit', message: 'exit code 3' });
      expect(only(world).failure).not.toHaveProperty('log');
      expect(world.calls.filter((call) => call.startsWith('endOfLog'))).toEqual([]);
    }));

  it('sends nothing of it any more once the namespace says otherwise', () =>
    running(async (world) => {
      await crash(world, { evidence: 'logs' });
      expect(only(world).failure).toHaveProperty('log');
      world.send(orders(2, runItem(testBody('a-0-1'))));
      await world.advance(2000);
      expect(only(world).failure).not.toHaveProperty('log');
    }));

  it('sends the last lines of what runs and never gets healthy, read anew now and then', () =>
    running(async (world) => {
      const ready = tcpCheck({ intervalMs: 1000, retries: 2 });
      const task = testTask({ checks: { startup: null, ready, live: null } });
      const body = (changes: Parameters<typeof testBody>[1]) =>
        testBody('a-0-1', { spec: testGroup({ tasks: [task] }), ...changes });
      world.answer = { ok: false, message: 'nobody listens on port 80' };
      world.logs.set('a-0-1.server', 'waits for its database\n');
      world.send(orders(1, runItem(body({ evidence: 'logs' }))));
      await world.advance(30_000);
      const [told] = only(world).tasks;
      expect(told).toMatchObject({ lastCheck: 'nobody listens on port 80' });
      expect(told?.log).toEqual(['waits for its database']);
      const reads = world.calls.filter((call) => call.startsWith('endOfLog')).length;
      expect(reads).toBeGreaterThan(1);
      expect(reads).toBeLessThanOrEqual(4);
      world.logs.set('a-0-1.server', 'gave up\n');
      await world.advance(20_000);
      expect(only(world).tasks[0]?.log).toEqual(['gave up']);
      world.send(orders(2, runItem(body({}))));
      await world.advance(2_000);
      expect(only(world).tasks[0]).not.toHaveProperty('log');
      world.send(orders(3, runItem(body({ evidence: 'logs' }))));
      world.answer = { ok: true };
      await world.advance(20_000);
      expect(only(world).health).toBe('healthy');
      expect(only(world).tasks[0]).not.toHaveProperty('log');
    }));

  it('tells a failure whose log cannot be read', () =>
    running(async (world) => {
      world.faults.set('endOfLog', failure('disk', 'platform', 'the disk is gone'));
      await crash(world, { evidence: 'logs' });
      expect(only(world).failure).toMatchObject({ message: 'exit code 3' });
    }));
});
