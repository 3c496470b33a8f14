// What a copy that fits nowhere lacks most nearly: on the node that would come closest.
// In: a want, the table. Out: a resource and how much of it. Not here: words.

import { fits } from '../../schema/fits.ts';
import { refusalOf } from './feasible.ts';
import type { Table } from './table.ts';
import type { Want } from './want.ts';

export type Lack =
  | { readonly kind: 'memory'; readonly bytes: number }
  | { readonly kind: 'cpu'; readonly milli: number }
  | { readonly kind: 'other'; readonly words: string };

/** Room where some node lacks only that; else the reason of the most nodes that work at all. */
export const lackOf = (want: Want, table: Table): Lack => {
  let least: { readonly lack: Lack; readonly part: number } | null = null;
  const others = new Map<string, number>();
  for (const row of table.rows) {
    const refusal = refusalOf(want, row);
    if (refusal === null || refusal.reason === 'lost') continue;
    const short = fits(row.free, want.group.ask);
    const isRoom = refusal.reason === 'memory' || refusal.reason === 'cpu';
    if (!isRoom || short === null) {
      others.set(refusal.detail, (others.get(refusal.detail) ?? 0) + 1);
      continue;
    }
    const { ask } = want.group;
    const whole = short.resource === 'cpu' ? ask.cpuMilli : ask.memoryBytes;
    const part = short.short / whole;
    const lack: Lack =
      short.resource === 'cpu'
        ? { kind: 'cpu', milli: short.short }
        : { kind: 'memory', bytes: short.short };
    if (least === null || part < least.part) least = { lack, part };
  }
  if (least !== null) return least.lack;
  const [words] = [...others].toSorted(([, a], [, b]) => b - a)[0] ?? ['a node that works'];
  return { kind: 'other', words };
};
