// What each node of `up` may give to allocations.
// In: what the person asked for, the number of nodes. Out: flags of `purser node`, and a sentence
// where one is due: several nodes on one machine would each count on all of it. Not here: what a
// node alone does (node-runner/edge/machine.ts).

import { NODE_RESERVE } from '../../node-runner/config.ts';
import { readMachine } from '../../node-runner/edge/machine.ts';
import { formatCpu, formatSize } from '../../schema/units.ts';

export interface ShareAsk {
  readonly nodes: number;
  /** As written, of one node; null: not said. */
  readonly cpu: string | null;
  readonly memory: string | null;
}

export interface Share {
  readonly flags: readonly string[];
  readonly note: string | null;
}

export const shareOf = async ({ nodes, cpu, memory }: ShareAsk): Promise<Share> => {
  const flags = [...flag('--cpu', cpu), ...flag('--memory', memory)];
  if (nodes === 1 || (cpu !== null && memory !== null)) return { flags, note: null };
  const { capacity } = await readMachine(NODE_RESERVE);
  const cpuMilli = Math.floor(capacity.cpuMilli / nodes);
  const memoryBytes = Math.floor(capacity.memoryBytes / nodes);
  const split = [
    ...(cpu === null ? [`${formatCpu(cpuMilli)} CPU`] : []),
    ...(memory === null ? [`${formatSize(memoryBytes)} of memory`] : []),
  ].join(' and ');
  return {
    flags: [
      ...flags,
      ...(cpu === null ? ['--cpu', `${cpuMilli}m`] : []),
      ...(memory === null ? ['--memory', `${memoryBytes}B`] : []),
    ],
    note: `Each node counts on ${split}: this machine's, divided by ${nodes}. --cpu and --memory say otherwise.`,
  };
};

const flag = (name: string, value: string | null): readonly string[] =>
  value === null ? [] : [name, value];
