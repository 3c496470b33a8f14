// Which copies really run, on all nodes of a test cluster, as the kernel has it: looked at every 50 ms,
// also on nodes that nobody can reach and whose runner is dead.
// In: a cluster. Out: pairs of copies of one slot that ran at the same time. A copy that was seen is
// known from the start of its first process, to 10 ms, not from the look that found it: two that
// overlap are missed only where one ends and the other begins between two looks.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { detectCgroups, procsFolder } from '../../node-runner/edge/usage.ts';
import { cgroupParent } from '../../node-runner/main.ts';
import type { Cluster } from './cluster.ts';

export interface Sighting {
  readonly node: string;
  /** `<allocation>.<task>`. */
  readonly container: string;
  /** Since boot. */
  readonly fromMs: number;
  readonly lastSeenMs: number;
}

export interface Sightings {
  /** All runs of copies whose task has this name, by their start. */
  readonly of: (task: string) => readonly Sighting[];
  /** Of one slot, at the same time: a line each, for people. */
  readonly twice: (task: string) => readonly string[];
  readonly stop: () => void;
}

const EVERY_MS = 50;
/** Ticks of the kernel's clock for people: 100 a second on every Linux. */
const TICK_MS = 10;
/** Fields of /proc/PID/stat behind the name of the program; the 22nd of all is the start. */
const START_FIELD = 22 - 3;

export const watchCopies = async (cluster: Pick<Cluster, 'nodes'>): Promise<Sightings> => {
  const tree = await detectCgroups();
  const folders = cluster.nodes.map(({ name, root }) => ({
    node: name,
    folder: procsFolder(tree, cgroupParent({ root, node: name })),
  }));
  const seen = new Map<string, Sighting>();
  const look = (): void => {
    for (const { node, folder } of folders) {
      for (const container of foldersIn(folder)) {
        const fromMs = startOf(join(folder, container));
        if (fromMs === null) continue;
        const lastSeenMs = sinceBootMs();
        seen.set(`${node} ${container} ${fromMs}`, { node, container, fromMs, lastSeenMs });
      }
    }
  };
  const timer = setInterval(look, EVERY_MS);
  const of = (task: string) =>
    [...seen.values()]
      .filter(({ container }) => container.endsWith(`.${task}`))
      .toSorted((a, b) => a.fromMs - b.fromMs);
  return {
    of,
    twice: (task) => overlaps(of(task)),
    stop: () => clearInterval(timer),
  };
};

const overlaps = (runs: readonly Sighting[]): readonly string[] =>
  runs.flatMap((one, at) =>
    runs
      .slice(at + 1)
      .filter((two) => slotOf(one) === slotOf(two) && !isSame(one, two))
      .filter((two) => two.fromMs < one.lastSeenMs)
      .map((two) => {
        const forMs = Math.min(one.lastSeenMs, two.lastSeenMs) - two.fromMs;
        return `${one.container} on ${one.node} and ${two.container} on ${two.node}, ${forMs} ms`;
      }),
  );

/** Of a container that ends the first process may be gone before its children: one is left still. */
const isSame = (one: Sighting, two: Sighting): boolean =>
  one.node === two.node && one.container === two.container;

/** Index of the copy, of `<hash>-<index>-<attempt>.<task>`. */
const slotOf = ({ container }: Sighting): string => container.split('-')[1] ?? '';

const sinceBootMs = (): number => Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000;

/** Start of the first process inside, since boot; null: none runs. */
const startOf = (folder: string): number | null => {
  const starts = read(join(folder, 'cgroup.procs')).split('\n').filter(Boolean).flatMap(startedAt);
  return starts.length === 0 ? null : Math.min(...starts);
};

const startedAt = (pid: string): readonly number[] => {
  const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(read(`/proc/${pid}/stat`)) ?? [];
  const [state] = rest;
  // A container that was made and not started holds runc's own process; one that ended, a zombie.
  if (rest === '' || name.startsWith('runc') || state === 'Z') return [];
  return [Number(rest.split(' ')[START_FIELD]) * TICK_MS];
};

/** '' and none: it went a moment before. */
const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};

const foldersIn = (folder: string): readonly string[] => {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
};
