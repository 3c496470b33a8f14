// Usage and the watchdog on the real cgroups of the machine, version 1 or 2.

import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';

import { createClock } from '../../node-runner/edge/clock.ts';
import {
  createUsage,
  detectCgroups,
  killCgroup,
  procsFolder,
  removeEmptyCgroup,
} from '../../node-runner/edge/usage.ts';
import type { CgroupTree } from '../../node-runner/edge/usage.ts';
import { createWatchdog } from '../../node-runner/edge/watchdog.ts';
import { until } from './runtime-suite.ts';

const NONE = { cpuMilli: 0, memoryBytes: 0 };

let tree: CgroupTree;
let cgroup = '';
let root = '';
const children: ChildProcess[] = [];

const foldersOf = (path: string): readonly string[] =>
  tree.kind === 'v2' ? [join(tree.root, path)] : [join(tree.cpu, path), join(tree.memory, path)];

/** A shell inside the cgroup, back once it heeds what `first` says of signals. */
const start = async (script: string, first = 'true'): Promise<ChildProcess> => {
  const joins = foldersOf(cgroup).map((folder) => `echo $$ > ${folder}/cgroup.procs`);
  const all = [...joins, first, 'echo up', script].join('; ');
  const child = spawn('/bin/sh', ['-c', all], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child;
};
const ended = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? String(code)));
  });
const membersOf = async (): Promise<readonly number[]> => {
  const text = await readFile(join(procsFolder(tree, cgroup), 'cgroup.procs'), 'utf8');
  return text.split('\n').filter(Boolean).map(Number);
};
/** The kernel empties a group a moment after its last process has ended. */
const untilRemoved = (path: string): Promise<unknown> =>
  until(async () => {
    await removeEmptyCgroup(tree, path);
    return !foldersOf(path).some((folder) => existsSync(folder));
  });

beforeEach(async () => {
  tree = await detectCgroups();
  cgroup = `/purser-test-${randomBytes(4).toString('hex')}/a`;
  root = await mkdtemp(join(tmpdir(), 'purser-cgroups-'));
  for (const folder of foldersOf(cgroup)) await mkdir(folder, { recursive: true });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await killCgroup(tree, join(cgroup, '..'));
  await untilRemoved(join(cgroup, '..'));
  await rm(root, { recursive: true, force: true });
});

describe('usage', () => {
  it('sees processor and memory in use, and leaves out what is gone', async () => {
    const usage = await createUsage({ diskPath: root });
    // A text of a megabyte: what a shell takes by itself the kernel may not have charged to the group.
    await start('m=$(head -c 1000000 /dev/zero | tr "\\0" m); x=0; while :; do x=$((x + 1)); done');
    await usage.read([cgroup]);
    // Half a second at least: the kernel counts in ticks. On a busy machine the loop gets little of it.
    const look = async () => {
      await sleep(500);
      return usage.read([cgroup, '/purser-test-absent']);
    };
    let read = await look();
    const isSeen = ({ cpuMilli, memoryBytes } = NONE) => cpuMilli > 100 && memoryBytes > 0;
    for (let again = 0; again < 10 && !isSeen(read.get(cgroup)); again += 1) read = await look();
    expect([...read.keys()]).toEqual([cgroup]);
    const { cpuMilli = 0, memoryBytes = 0 } = read.get(cgroup) ?? {};
    expect(cpuMilli).toBeGreaterThan(100);
    expect(cpuMilli).toBeLessThan(1_500);
    expect(memoryBytes).toBeGreaterThan(0);
    expect(memoryBytes).toBeLessThan(64 * 1024 * 1024);
  });

  it('removes an empty group, not one in use', async () => {
    const child = await start('wait', '{ sleep 60 & }');
    const gone = ended(child);
    await removeEmptyCgroup(tree, cgroup);
    await access(procsFolder(tree, cgroup));
    child.kill('SIGKILL');
    await gone;
    for (const pid of await membersOf()) process.kill(pid, 'SIGKILL');
    await untilRemoved(cgroup);
    await removeEmptyCgroup(tree, cgroup);
  });
});

describe('a group of groups', () => {
  it('goes with all that is below it, once whatever ran there is ended', async () => {
    const parent = join(cgroup, '..');
    const gone = ended(await start('wait', '{ sleep 60 & }'));
    await removeEmptyCgroup(tree, parent);
    await access(procsFolder(tree, cgroup));
    await killCgroup(tree, parent);
    expect(await gone).toBe('SIGKILL');
    await untilRemoved(parent);
  });
});

describe('the watchdog', () => {
  const clock = createClock();
  const make = () => createWatchdog({ root, clock, pauseSeconds: 0.1 });
  const pidOf = async (): Promise<number> =>
    Number(await readFile(join(root, 'watchdog.pid'), 'utf8'));
  const deadline = (pid: number | undefined, termMs: number, killMs: number) => ({
    termAt: clock.now() + termMs,
    killAt: clock.now() + killMs,
    signal: 'TERM',
    pid: pid ?? 0,
    cgroupFolder: procsFolder(tree, cgroup),
  });
  const isAlive = (pid: number): Promise<boolean> =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (text) => !text.includes(') Z '),
      () => false,
    );
  afterEach(async () => {
    await rm(join(root, 'stop-after'), { force: true });
    const pid = await pidOf().catch(() => 0);
    await until(async () => pid === 0 || !(await isAlive(pid)));
  });

  it('signals at the deadline, and ends by itself when nothing is left to watch', async () => {
    const child = await start('while :; do sleep 0.05; done', 'trap "exit 7" TERM');
    const end = ended(child);
    const at = deadline(child.pid, 300, 60_000);
    await make().set([at]);
    expect(await end).toBe('7');
    // Its clock has hundredths of a second.
    expect(clock.now()).toBeGreaterThan(at.termAt - 20);
    expect(clock.now()).toBeLessThan(at.killAt);
  });

  it('kills all that is in the cgroup when the signal was not enough', async () => {
    const child = await start('while :; do sleep 0.05; done', 'trap "" TERM; { sleep 60 & }');
    const end = ended(child);
    await make().set([deadline(child.pid, 100, 500)]);
    expect(await end).toBe('SIGKILL');
    await until(async () => (await membersOf()).length === 0);
  });

  it('does nothing while deadlines are renewed; one program serves many', async () => {
    const child = await start('while :; do sleep 0.05; done');
    const first = make();
    const at = deadline(child.pid, 5000, 5100);
    await first.set([at]);
    const pid = await pidOf();
    // A busy machine may renew late, by a good deal less than five seconds.
    for (let round = 0; clock.now() < at.killAt + 500; round += 1) {
      await sleep(200);
      await (round % 2 === 0 ? first : make()).set([deadline(child.pid, 5000, 5100)]);
    }
    expect(await pidOf()).toBe(pid);
    expect(child.exitCode).toBeNull();
    expect(child.signalCode).toBeNull();
    const rss = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect(Number(rss)).toBeLessThan(4_096);
  });

  it('spares a process that is not in the cgroup, and deadlines of another boot', async () => {
    const outside = spawn('sleep', ['60']);
    children.push(outside);
    await make().set([deadline(outside.pid, 0, 60_000)]);
    await sleep(500);
    expect(outside.signalCode).toBeNull();
    const inside = await start('while :; do sleep 0.05; done');
    const line = `0 0 TERM ${inside.pid} ${procsFolder(tree, cgroup)}\n`;
    await writeFile(join(root, 'stop-after'), `another-boot\n${line}`);
    await sleep(500);
    expect(inside.signalCode).toBeNull();
  });
});

test('a hierarchy that is not mounted, below a read-only root, has nothing to remove', async () => {
  const root = await mkdtemp(join(tmpdir(), 'ptcg-'));
  const mounted = (...args: readonly string[]) => execFileSync('mount', [...args, root]);
  mounted('-t', 'tmpfs', 'tmpfs');
  try {
    await mkdir(join(root, 'cpu,cpuacct'));
    mounted('-o', 'remount,ro');
    await removeEmptyCgroup({ kind: 'v1', root, cpu: root, memory: root }, '/purser-none');
  } finally {
    execFileSync('umount', [root]);
    await rm(root, { recursive: true });
  }
});
