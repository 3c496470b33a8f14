// Clock, machine and cgroup files: the parts that parse and count.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createClock } from '../../../../node-runner/edge/clock.ts';
import {
  parseDefaultInterface,
  parseMemTotal,
  readMachine,
} from '../../../../node-runner/edge/machine.ts';
import { createUsage, parseStat } from '../../../../node-runner/edge/usage.ts';

describe('the clock', () => {
  const world = { uptime: 100_000, fine: 5_000 };
  const sources = {
    uptimeMs: () => Math.floor(world.uptime / 10) * 10,
    monotonicMs: () => world.fine,
    bootId: () => 'boot',
  };
  const pass = (ms: number): void => {
    world.uptime += ms;
    world.fine += ms;
  };

  it('counts as finely as the monotonic clock, and adds a suspend', () => {
    const clock = createClock(sources);
    expect(clock.now()).toBe(100_000);
    pass(7);
    expect(clock.now()).toBe(100_007);
    pass(1_234);
    expect(clock.now()).toBe(101_241);
    world.uptime += 60_000;
    pass(200);
    expect(clock.now()).toBeGreaterThanOrEqual(161_430);
    expect(clock.now()).toBeLessThanOrEqual(161_442);
    expect(clock.bootId).toBe('boot');
  });

  it('sleeps until an instant, and less when aborted', async () => {
    const clock = createClock();
    const before = clock.now();
    await clock.sleepUntil(before + 30, new AbortController().signal);
    expect(clock.now()).toBeGreaterThanOrEqual(before + 30);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 10);
    await clock.sleepUntil(before + 60_000, stop.signal);
    await clock.sleepUntil(before + 60_000, stop.signal);
    expect(clock.now()).toBeLessThan(before + 10_000);
    expect(clock.bootId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('the machine', () => {
  it('is read from /proc', async () => {
    expect(parseMemTotal('MemFree: 1 kB\nMemTotal:       24689760 kB\n')).toBe(24_689_760 * 1024);
    const header = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n';
    const routes = `${header}eth1\t00000000\t010200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n`;
    expect(parseDefaultInterface(routes)).toBe('eth0');
    expect(parseDefaultInterface(header)).toBeNull();
    const all = await readMachine({ cpuMilli: 0, memoryBytes: 0 });
    const less = await readMachine({ cpuMilli: 100, memoryBytes: 1024 });
    expect(all.capacity.cpuMilli % 1000).toBe(0);
    expect(less.capacity.cpuMilli).toBe(all.capacity.cpuMilli - 100);
    expect(less.capacity.memoryBytes).toBe(all.capacity.memoryBytes - 1024);
    expect(all.address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(all.attributes.map(([name]) => name)).toEqual([
      'node.arch',
      'node.cpu',
      'node.hostname',
      'node.kernel',
      'node.memory',
      'node.os',
    ]);
    const none = await readMachine({ cpuMilli: 1e9, memoryBytes: 1e15 });
    expect(none.capacity).toEqual({ cpuMilli: 0, memoryBytes: 0 });
  });
});

describe('usage', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'purser-cgroup-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const put = async (files: Readonly<Record<string, string>>): Promise<void> => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), text);
    }
  };

  it('reads lines of stat files', () => {
    expect(parseStat('cache 1\ninactive_file 2\ntotal_inactive_file 3\n', 'inactive_file')).toBe(2);
    expect(parseStat('', 'inactive_file')).toBe(0);
  });

  it('understands version 2', async () => {
    await put({
      'cgroup.controllers': 'cpu memory\n',
      'p/a/cpu.stat': 'usage_usec 5000000\nuser_usec 1\n',
      'p/a/memory.current': '1000\n',
      'p/a/memory.stat': 'anon 1\ninactive_file 300\n',
    });
    const usage = await createUsage({ diskPath: root, cgroupRoot: root });
    const first = await usage.read(['/p/a', '/p/gone']);
    expect([...first]).toEqual([['/p/a', { cpuMilli: 0, memoryBytes: 700 }]]);
    await put({ 'p/a/cpu.stat': 'usage_usec 6000000\n' });
    expect((await usage.read(['/p/a'])).get('/p/a')?.cpuMilli).toBeGreaterThan(0);
    await put({ 'p/a/cpu.stat': 'usage_usec 10\n' });
    expect((await usage.read(['/p/a'])).get('/p/a')?.cpuMilli).toBe(0);
    const disk = await usage.diskFree();
    expect(disk.freeBytes).toBeGreaterThan(0);
    expect(disk.totalBytes).toBeGreaterThanOrEqual(disk.freeBytes);
  });

  it('understands version 1', async () => {
    await put({
      'cpuacct/p/a/cpuacct.usage': '5000000000\n',
      'memory/p/a/memory.usage_in_bytes': '1000\n',
      'memory/p/a/memory.stat': 'inactive_file 1\ntotal_inactive_file 2000\n',
    });
    const usage = await createUsage({ diskPath: root, cgroupRoot: root });
    expect([...(await usage.read(['/p/a']))]).toEqual([['/p/a', { cpuMilli: 0, memoryBytes: 0 }]]);
  });
});
