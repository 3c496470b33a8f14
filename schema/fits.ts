// Does an ask fit into what is free? One function for planner and runner alike.

import type { Resources } from './spec.ts';

export interface Shortfall {
  readonly resource: 'cpu' | 'memory';
  /** In the resource's own unit: thousandths of a core, bytes. */
  readonly short: number;
}

/** null when it fits, else the first resource that is short, CPU before memory. */
export const fits = (free: Resources, ask: Resources): Shortfall | null => {
  if (ask.cpuMilli > free.cpuMilli) return { resource: 'cpu', short: ask.cpuMilli - free.cpuMilli };
  if (ask.memoryBytes > free.memoryBytes) {
    return { resource: 'memory', short: ask.memoryBytes - free.memoryBytes };
  }
  return null;
};
