// Processes full of runners, as one: bundled and forked, asked for counts together.
// In: nodes, a network namespace. Out: counts of all, summed up. Not here: what a runner is
// (test/support/many-runners.ts), what is measured.

import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManyNode, RunnerCounts } from '../../test/support/many-runners.ts';
import { inNetns } from '../../test/support/netns.ts';
import type { FromRunners, ToRunners } from '../runners.ts';
import { endProgram } from './program.ts';

export interface RunnerProcesses {
  readonly counts: () => Promise<AllCounts>;
  /** Counts anew. */
  readonly mark: (commit?: string) => Promise<void>;
  /** Waits until the counts say so, and returns them. */
  readonly until: (holds: (counts: AllCounts) => boolean, limitMs: number) => Promise<AllCounts>;
  readonly close: () => Promise<void>;
}

export interface AllCounts extends RunnerCounts {
  /** Of all processes together. */
  readonly cpuMs: number;
  readonly megabytes: number;
}

export interface RunnerProcessesAsk {
  readonly cluster: string;
  readonly root: string;
  readonly nodes: readonly ManyNode[];
  /** Network namespace that they live in. */
  readonly netns: string;
}

/** More in one process keep each other waiting, more processes than cores gain nothing. */
const PROCESSES = 2;
const ASK_EVERY_MS = 50;

export const startRunnerProcesses = (ask: RunnerProcessesAsk): RunnerProcesses => {
  const { cluster, root, nodes, netns } = ask;
  const folder = path.join(root, 'runners');
  const top = path.resolve(import.meta.dirname, '../..');
  const words = ['esbuild.mjs', 'bench/runners.ts', folder];
  execFileSync(process.execPath, words, { cwd: top, stdio: 'inherit' });
  const children = Array.from({ length: PROCESSES }, (_, turn) => {
    const mine = nodes.filter((_node, at) => at % PROCESSES === turn);
    const words = mine.map(({ name, address }) => `${name}@${address}`);
    const [execPath, ...execArgv] = inNetns(netns, [process.execPath]);
    return fork(path.join(folder, 'main.js'), [cluster, root, ...words], { execPath, execArgv });
  });
  const all = async (message: ToRunners): Promise<AllCounts> =>
    sumOf(await Promise.all(children.map((child) => tell(child, message))));
  const counts = (): Promise<AllCounts> => all({ kind: 'counts' });
  return {
    counts,
    mark: async (commit = '') => void (await all({ kind: 'mark', commit })),
    until: async (holds, limitMs) => {
      const limit = performance.now() + limitMs;
      for (;;) {
        const now = await counts();
        if (holds(now)) return now;
        if (performance.now() > limit) {
          const { heard, ordered, running } = now;
          throw new Error(`after ${limitMs} ms: ${JSON.stringify({ heard, ordered, running })}`);
        }
        await sleep(ASK_EVERY_MS);
      }
    },
    close: async () => void (await Promise.all(children.map(endProgram))),
  };
};

/** Asked by one at a time: the next message is the answer. */
const tell = async (child: ChildProcess, message: ToRunners): Promise<FromRunners> => {
  const answered = once(child, 'message');
  child.send(message);
  const [answer] = await answered;
  return answer as FromRunners;
};

const sumOf = (all: readonly FromRunners[]): AllCounts => {
  const sum = (of: (one: FromRunners) => number): number =>
    all.reduce((total, one) => total + of(one), 0);
  return {
    heard: sum(({ counts }) => counts.heard),
    lastHeardAt: Math.max(...all.map(({ counts }) => counts.lastHeardAt)),
    ordered: sum(({ counts }) => counts.ordered),
    lastOrderedAt: Math.max(...all.map(({ counts }) => counts.lastOrderedAt)),
    tookMs: all.flatMap(({ counts }) => counts.tookMs),
    cuts: sum(({ counts }) => counts.cuts),
    running: sum(({ counts }) => counts.running),
    cpuMs: sum(({ cost }) => cost.cpuMs),
    megabytes: sum(({ cost }) => cost.megabytes),
  };
};
