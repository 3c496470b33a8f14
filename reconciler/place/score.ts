// Which of the nodes that fit is best? Integers only, so that the same inputs give the same node
// everywhere.
// In: a want, a row, the table. Out: numbers compared one after another, lower is better.
// Not here: whether the node fits (feasible).

import type { Want } from './want.ts';
import { minus, type Row, type Table } from './table.ts';

export interface Around {
  readonly table: Table;
  /** Copies of the want's group on a node. */
  readonly copiesOn: (row: Row) => number;
}

/**
 * Spread by attribute first, then copies of the group already on the node, then how full its
 * fullest resource would be (in thousandths): copies of a group over nodes first, then balance.
 * Worked example: node with 4,000m, 1,000m free, ask 500m: (4,000 - 500) * 1000 / 4,000 = 875.
 */
export const scoreOf = (
  want: Want,
  row: Row,
  around: Around,
): readonly [number, number, number] => {
  const left = minus(row.free, want.group.ask);
  const { capacity } = row.node;
  return [
    spreadScore(want, row, around),
    around.copiesOn(row),
    Math.max(
      thousandths(capacity.cpuMilli - left.cpuMilli, capacity.cpuMilli),
      thousandths(capacity.memoryBytes - left.memoryBytes, capacity.memoryBytes),
    ),
  ];
};

export const compareScores = (
  a: readonly [number, number, number],
  b: readonly [number, number, number],
): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

const thousandths = (used: number, of: number): number =>
  of <= 0 ? 0 : Math.floor((used * 1000) / of);

/**
 * Copies of the group on nodes that share the attribute's value, times the weight, over all spread
 * rules.
 */
const spreadScore = (want: Want, row: Row, { table, copiesOn }: Around): number => {
  let score = 0;
  for (const { attribute, weight } of want.group.spread) {
    const value = row.node.attributes.get(attribute);
    for (const other of table.rows) {
      if (other.node.attributes.get(attribute) !== value) continue;
      score += weight * copiesOn(other);
    }
  }
  return score;
};
