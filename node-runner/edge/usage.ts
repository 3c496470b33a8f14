// What containers use, from the files of cgroups (version 1 with its hybrid, or 2), and what is
// free on the disk.
// In: cgroup paths as in the OCI spec. Out: UsagePort. Not here: limits, events of the
// out-of-memory killer.

import { access, readFile, rmdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';

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

export const createUsage = async (options: UsageOptions): Promise<UsagePort> => {
  const tree = await detectCgroups(options.cgroupRoot ?? CGROUP_ROOT);
  let before: ReadonlyMap<string, Sample> = new Map();
  return {
    read: async (cgroups) => {
      const pairs = await Promise.all(
        [...new Set(cgroups)].map(async (cgroup) => [cgroup, await sample(tree, cgroup)] as const),
      );
      const samples = new Map<string, Sample>();
      const usage = new Map<string, Resources>();
      for (const [cgroup, now] of pairs) {
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
 * Removes a cgroup without members from every hierarchy; one in use stays, an absent one is fine.
 */
export const removeEmptyCgroup = async (tree: CgroupTree, cgroup: string): Promise<void> => {
  const roots =
    tree.kind === 'v2' ? [tree.root] : V1_HIERARCHIES.map((name) => join(tree.root, name));
  for (const root of roots) {
    await rmdir(join(root, cgroup)).catch((error: unknown) => {
      if (!KEPT_ERRORS.has(errnoOf(error) ?? '')) throw error;
    });
  }
};

/** runc makes a container's group in each that is mounted. */
const V1_HIERARCHIES = (
  'blkio cpu cpuacct cpu,cpuacct cpuset devices freezer hugetlb memory net_cls net_cls,net_prio ' +
  'net_prio perf_event pids rdma misc systemd unified'
).split(' ');

/** Not there, in use, or with children. */
const KEPT_ERRORS = new Set(['ENOENT', 'EBUSY', 'ENOTEMPTY', 'ENOTDIR']);

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

const sample = async (tree: CgroupTree, cgroup: string): Promise<Sample | null> => {
  try {
    const numbers =
      tree.kind === 'v2' ? await sampleV2(tree.root, cgroup) : await sampleV1(tree, cgroup);
    return { ...numbers, atMicros: Number(process.hrtime.bigint() / 1000n) };
  } catch (error) {
    // A group that is removed while it is read says ENODEV.
    if (['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) return null;
    throw error;
  }
};

const sampleV2 = async (root: string, cgroup: string) => {
  const folder = join(root, cgroup);
  const [cpu, current, stat] = await Promise.all([
    readFile(join(folder, 'cpu.stat'), 'utf8'),
    readFile(join(folder, 'memory.current'), 'utf8'),
    readFile(join(folder, 'memory.stat'), 'utf8'),
  ]);
  return {
    cpuMicros: parseStat(cpu, 'usage_usec'),
    memoryBytes: workingSet(Number(current), parseStat(stat, 'inactive_file')),
  };
};

const sampleV1 = async (tree: Extract<CgroupTree, { kind: 'v1' }>, cgroup: string) => {
  const memory = join(tree.memory, cgroup);
  const [nanos, current, stat] = await Promise.all([
    readFile(join(tree.cpu, cgroup, 'cpuacct.usage'), 'utf8'),
    readFile(join(memory, 'memory.usage_in_bytes'), 'utf8'),
    readFile(join(memory, 'memory.stat'), 'utf8'),
  ]);
  return {
    cpuMicros: Math.floor(Number(nanos) / 1000),
    memoryBytes: workingSet(Number(current), parseStat(stat, 'total_inactive_file')),
  };
};

/** The kubelet's and containerd's formula: the kernel can drop inactive pages of files at once. */
const workingSet = (usage: number, inactiveFile: number): number =>
  Math.max(0, usage - inactiveFile);

/** The value of a line `name value`; 0 when it is absent. */
export const parseStat = (text: string, name: string): number => {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
};

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
