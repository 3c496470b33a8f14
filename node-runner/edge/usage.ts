// What containers use, from the files of cgroups (version 1 with its hybrid, or 2), and what is
// free on the disk.
// In: cgroup paths as in the OCI spec. Out: UsagePort. Not here: limits, events of the
// out-of-memory killer.

import { readFileSync } from 'node:fs';
import { access, readdir, readFile, rmdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as othersFirst } from 'node:timers/promises';

import type { Resources } from '../../schema/spec.ts';
import type { UsagePort } from '../ports.ts';
import { errnoOf } from './failure.ts';

export interface UsageOptions {
  /** A path on the disk that counts: the state folder. */
  readonly diskPath: string;
  /** Where cgroups are mounted; tests give their own. */
  readonly cgroupRoot?: string;
}

/** Which folders of the machine hold a container's files. */
export type CgroupTree =
  | { readonly kind: 'v2'; readonly root: string }
  | {
      readonly kind: 'v1';
      readonly root: string;
      readonly cpu: string;
      readonly memory: string;
    };

const CGROUP_ROOT = '/sys/fs/cgroup';
/**
 * The files are the kernel's memory, never a disk's, so they are read without waiting: that costs a
 * tenth of sending each read through Node's threads. Groups read before others have their turn; one
 * takes about 50 µs.
 */
const AT_A_STRETCH = 25;

export const createUsage = async (options: UsageOptions): Promise<UsagePort> => {
  const tree = await detectCgroups(options.cgroupRoot ?? CGROUP_ROOT);
  let before: ReadonlyMap<string, Sample> = new Map();
  return {
    read: async (cgroups) => {
      const samples = new Map<string, Sample>();
      const usage = new Map<string, Resources>();
      for (const [position, cgroup] of [...new Set(cgroups)].entries()) {
        if (position % AT_A_STRETCH === AT_A_STRETCH - 1) await othersFirst();
        const now = sample(tree, cgroup);
        if (now === null) continue;
        samples.set(cgroup, now);
        usage.set(cgroup, {
          cpuMilli: cpuMilliBetween(before.get(cgroup), now),
          memoryBytes: now.memoryBytes,
        });
      }
      before = samples;
      return usage;
    },
    diskFree: async () => {
      const { bavail, blocks, bsize } = await statfs(options.diskPath);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
  };
};

/** `cgroup.controllers` at the top is the mark of a machine that has version 2 alone. */
export const detectCgroups = async (root: string = CGROUP_ROOT): Promise<CgroupTree> => {
  if (await exists(join(root, 'cgroup.controllers'))) return { kind: 'v2', root };
  const cpu = (await exists(join(root, 'cpuacct'))) ? 'cpuacct' : 'cpu,cpuacct';
  return { kind: 'v1', root, cpu: join(root, cpu), memory: join(root, 'memory') };
};

/** Folder with `cgroup.procs` of a container. */
export const procsFolder = (tree: CgroupTree, cgroup: string): string =>
  join(tree.kind === 'v2' ? tree.root : tree.memory, cgroup);

/**
 * Removes a cgroup, with those below it, from every hierarchy; one in use stays, an absent one is
 * fine.
 */
export const removeEmptyCgroup = async (tree: CgroupTree, cgroup: string): Promise<void> => {
  for (const root of hierarchies(tree)) await removeGroup(join(root, cgroup));
};

/** Ends whatever runs in a cgroup or below: all of it belongs to whoever made the group. */
export const killCgroup = async (tree: CgroupTree, cgroup: string): Promise<void> => {
  for (const root of hierarchies(tree)) {
    const folder = join(root, cgroup);
    for (const name of [folder, ...(await groupsBelow(folder))]) {
      const members = await readFile(join(name, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const pid of members.split('\n').filter((line) => line !== '')) kill(Number(pid));
    }
  }
};

const hierarchies = (tree: CgroupTree): readonly string[] =>
  tree.kind === 'v2' ? [tree.root] : V1_HIERARCHIES.map((name) => join(tree.root, name));

/** Deepest first, as a group goes only when it has none below it. */
const removeGroup = async (folder: string): Promise<void> => {
  for (const name of [...(await groupsBelow(folder)), folder]) {
    await rmdir(name).catch((error: unknown) => {
      if (!KEPT_ERRORS.has(errnoOf(error) ?? '')) throw error;
    });
  }
};

const groupsBelow = async (folder: string): Promise<readonly string[]> => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const inside = entries.filter((entry) => entry.isDirectory());
  const lists = await Promise.all(
    inside.map(async ({ name }) => {
      const group = join(folder, name);
      return [...(await groupsBelow(group)), group];
    }),
  );
  return lists.flat();
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
};

/** runc makes a container's group in each that is mounted. */
const V1_HIERARCHIES = (
  'blkio cpu cpuacct cpu,cpuacct cpuset devices freezer hugetlb memory net_cls net_cls,net_prio ' +
  'net_prio perf_event pids rdma misc systemd unified'
).split(' ');

/**
 * Not there, in use, or with children. Read-only is the folder of a hierarchy that is not mounted,
 * as systemd leaves some: nothing was ever made in it.
 */
const KEPT_ERRORS = new Set(['ENOENT', 'EBUSY', 'ENOTEMPTY', 'ENOTDIR', 'EROFS']);

interface Sample {
  readonly cpuMicros: number;
  readonly memoryBytes: number;
  readonly atMicros: number;
}

/** 0 for the first sample of a group: there is nothing to compare it with. */
const cpuMilliBetween = (before: Sample | undefined, now: Sample): number => {
  if (before === undefined) return 0;
  const elapsed = now.atMicros - before.atMicros;
  // A group of that name made anew counts from 0 again.
  const used = Math.max(0, now.cpuMicros - before.cpuMicros);
  return elapsed <= 0 ? 0 : Math.round((used / elapsed) * 1000);
};

const sample = (tree: CgroupTree, cgroup: string): Sample | null => {
  try {
    const numbers = tree.kind === 'v2' ? sampleV2(tree.root, cgroup) : sampleV1(tree, cgroup);
    return { ...numbers, atMicros: Number(process.hrtime.bigint() / 1000n) };
  } catch (error) {
    // A group that is removed while it is read says ENODEV.
    if (['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) return null;
    throw error;
  }
};

const sampleV2 = (root: string, cgroup: string) => {
  const folder = join(root, cgroup);
  const stat = readFileSync(join(folder, 'memory.stat'), 'utf8');
  return {
    cpuMicros: parseStat(readFileSync(join(folder, 'cpu.stat'), 'utf8'), 'usage_usec'),
    memoryBytes: workingSet(
      Number(readFileSync(join(folder, 'memory.current'), 'utf8')),
      parseStat(stat, 'inactive_file'),
    ),
  };
};

const sampleV1 = (tree: Extract<CgroupTree, { kind: 'v1' }>, cgroup: string) => {
  const memory = join(tree.memory, cgroup);
  const nanos = Number(readFileSync(join(tree.cpu, cgroup, 'cpuacct.usage'), 'utf8'));
  const stat = readFileSync(join(memory, 'memory.stat'), 'utf8');
  return {
    cpuMicros: Math.floor(nanos / 1000),
    memoryBytes: workingSet(
      Number(readFileSync(join(memory, 'memory.usage_in_bytes'), 'utf8')),
      parseStat(stat, 'total_inactive_file'),
    ),
  };
};

/** The kubelet's and containerd's formula: the kernel can drop inactive pages of files at once. */
const workingSet = (usage: number, inactiveFile: number): number =>
  Math.max(0, usage - inactiveFile);

/** The value of a line `name value`; 0 when it is absent. */
export const parseStat = (text: string, name: string): number => {
  const start = text.startsWith(`${name} `) ? 0 : text.indexOf(`\n${name} `) + 1;
  if (start === 0 && !text.startsWith(`${name} `)) return 0;
  const end = text.indexOf('\n', start);
  return Number(text.slice(start + name.length + 1, end === -1 ? text.length : end));
};

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
