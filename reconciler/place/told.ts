// May one more copy be told to a node? Its orders and its reports have limits (schema/wire.ts).
// In: a row of the capacity table, the copy, the one that it replaces there. Out: null or what is
// full, in words. Bodies are measured only on a node with so many copies that it could matter.
// Not here: CPU, memory and ports (feasible).

import { bodyBytes } from '../../schema/body-size.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { formatSize } from '../../schema/units.ts';
import {
  BODY_BYTES,
  HELD_ALLOCATIONS,
  HELD_BYTES,
  NODE_ALLOCATIONS,
  ORDERS_BYTES,
} from '../../schema/wire.ts';
import type { Row, Told } from './table.ts';

interface Sum {
  /** Copies that orders name with their bodies. */
  readonly runs: number;
  readonly runBytes: number;
  /** Those that leave included. */
  readonly all: number;
  readonly allBytes: number;
}

/** What the node would be told and tell with one copy more; null where that is not too much. */
export const toldTooMuch = (
  row: Row,
  { spec, replaces }: { readonly spec: GroupSpec; readonly replaces: GroupSpec | null },
): string | null => {
  const most = row.node.held.told.length + (row.told?.length ?? 0) + 1;
  if (most * BODY_BYTES <= ORDERS_BYTES) return null;
  const more = [...(row.told ?? []), { spec, replaces }];
  let { runs, runBytes, all, allBytes } = sumOf(row.node.held.told);
  for (const one of more) {
    const bytes = bodyBytes(one.spec);
    runs += one.replaces === null ? 1 : 0;
    runBytes += bytes - (one.replaces === null ? 0 : bodyBytes(one.replaces));
    all += 1;
    allBytes += bytes;
  }
  if (runs > NODE_ALLOCATIONS) return `${NODE_ALLOCATIONS} copies, the most that a node takes`;
  if (all > HELD_ALLOCATIONS) {
    return `${HELD_ALLOCATIONS} copies with those that leave, the most that a node holds`;
  }
  if (runBytes > ORDERS_BYTES) {
    return `its copies have ${formatSize(ORDERS_BYTES)} of files and variables, the most that a node takes`;
  }
  return allBytes > HELD_BYTES
    ? `its copies, with those that leave, have ${formatSize(HELD_BYTES)} of files and variables, the most that a node holds`
    : null;
};

/** What is held stays the same value for as long as nothing changes on the node. */
const sums = new WeakMap<readonly Told[], Sum>();

const sumOf = (told: readonly Told[]): Sum => {
  const known = sums.get(told);
  if (known !== undefined) return known;
  let [runs, runBytes, allBytes] = [0, 0, 0];
  for (const { spec, leaves } of told) {
    const bytes = bodyBytes(spec);
    allBytes += bytes;
    if (leaves) continue;
    runs += 1;
    runBytes += bytes;
  }
  const sum = { runs, runBytes, all: told.length, allBytes };
  sums.set(told, sum);
  return sum;
};
