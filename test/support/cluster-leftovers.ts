// What a cluster left on the machine: processes, mounts, namespaces, links, cgroups, files.
// In: its root and the names that follow from it. Out: lines for people; none when all is gone.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Traces {
  readonly root: string;
  /** Beginnings of the names of links and namespaces. */
  readonly links: readonly string[];
  /** Names of cgroups, without the slash. */
  readonly cgroups: readonly string[];
}

/** Folders this deep hold every runner's cgroup parent. */
const CGROUP_DEPTH = 3;

export const leftovers = ({ root, links, cgroups }: Traces): readonly string[] => [
  ...processesOf(root).map((line) => `a process: ${line}`),
  ...mountsBelow(root).map((path) => `a mount: ${path}`),
  ...named(['netns', 'list'], links).map((line) => `a network namespace: ${line}`),
  ...named(['-brief', 'link'], links).map((line) => `a link: ${line}`),
  ...cgroupsNamed('/sys/fs/cgroup', cgroups, CGROUP_DEPTH).map((path) => `a cgroup: ${path}`),
  ...(existsSync(root) ? [`files in ${root}`] : []),
];

/** The kernel takes cables after their namespaces, and init the ended, a moment later. */
const LEFT_FOR_GOOD_MS = 10_000;

/** What is there still after a while. */
export const leftForGood = async (traces: Traces): Promise<readonly string[]> => {
  const until = performance.now() + LEFT_FOR_GOOD_MS;
  let left = leftovers(traces);
  while (left.length > 0 && performance.now() < until) {
    await sleep(100);
    left = leftovers(traces);
  }
  return left;
};

/** Processes whose command line names the root; this one does not count. */
export const processesOf = (root: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const line = commandLine(pid);
      return line.includes(root) ? [`${pid} ${line}`] : [];
    });

const commandLine = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};

/**
 * The last resort when a node cannot be removed in an orderly way: ends its processes by their ids,
 * containers and
 * all, and removes its cgroup.
 */
export const endAllOf = (root: string, cgroup: string): void => {
  const pids = processesOf(root).map((line) => Number(line.split(' ')[0]));
  const folders = cgroupsNamed('/sys/fs/cgroup', [cgroup], CGROUP_DEPTH);
  for (const pid of [...pids, ...folders.flatMap(membersOf)]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went with the one before it.
    }
  }
  const deepest = folders.flatMap((folder) => [folder, ...foldersIn(folder)]);
  for (const folder of deepest.toSorted((a, b) => b.length - a.length)) {
    try {
      rmdirSync(folder);
    } catch {
      // Still in use: the look for leftovers will tell.
    }
  }
};

const foldersIn = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));

const membersOf = (folder: string): readonly number[] =>
  [folder, ...foldersIn(folder)].flatMap((one) =>
    readFileSync(join(one, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
  );

export const mountsBelow = (root: string): readonly string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path === root || path.startsWith(`${root}/`));

const named = (args: readonly string[], starts: readonly string[]): readonly string[] =>
  execFileSync('ip', [...args], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => starts.some((start) => line.startsWith(start)));

const cgroupsNamed = (
  folder: string,
  names: readonly string[],
  depth: number,
): readonly string[] => {
  if (depth === 0) return [];
  return groupsIn(folder).flatMap((name) => {
    const path = join(folder, name);
    return names.includes(name) ? [path] : cgroupsNamed(path, names, depth - 1);
  });
};

/** Those of other tests come and go meanwhile: one that has gone holds none. */
const groupsIn = (folder: string): readonly string[] => {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (/ENOENT|ENODEV/.test(String(error))) return [];
    throw error;
  }
};
