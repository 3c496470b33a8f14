// The capacity table: what each node has left while wants are placed one after another.
// In: what each node has and holds. Out: a table that takes copies in. The only mutable thing in
// the core.
// Not here: who may go where (feasible), which node is best (score).

import type { NodeReason } from '../../schema/plan.ts';
import type { Resources } from '../../schema/spec.ts';

/** A node as placement sees it. */
export interface PlaceNode {
  readonly name: string;
  /** Set when the node takes no new work at all. */
  readonly refusal: { readonly reason: NodeReason; readonly detail: string } | null;
  readonly capacity: Resources;
  readonly attributes: ReadonlyMap<string, string>;
  /** Live, ordered and stopping copies: all that holds room now. */
  readonly held: readonly Holding[];
  /** Host ports that something else on the node holds. */
  readonly portsTaken: readonly number[];
}

export interface Holding {
  /** `<namespace>/<job>/<group>`. */
  readonly group: string;
  readonly ask: Resources;
  readonly hostPorts: readonly number[];
}

export interface Row {
  readonly node: PlaceNode;
  free: Resources;
  readonly ports: Set<number>;
  /** Copies of each group on this node. */
  readonly copies: Map<string, number>;
}

export interface Table {
  /** Nodes in Git, sorted by name. */
  readonly rows: readonly Row[];
  readonly byName: ReadonlyMap<string, Row>;
  /** What may still be granted, by name: stops and new copies of a group (plan/budget). */
  readonly allowances: Map<string, number>;
  /** What a namespace may still use; absent: no quota. */
  readonly quotas: Map<string, Resources>;
}

export interface TableInput {
  readonly nodes: readonly PlaceNode[];
  readonly allowances: ReadonlyMap<string, number>;
  readonly quotas: ReadonlyMap<string, Resources>;
}

export const createTable = ({ nodes, allowances, quotas }: TableInput): Table => {
  const rows = nodes.map(rowOf);
  return {
    rows,
    byName: new Map(rows.map((row) => [row.node.name, row])),
    allowances: new Map(allowances),
    quotas: new Map(quotas),
  };
};

const rowOf = (node: PlaceNode): Row => {
  const row: Row = {
    node,
    free: node.capacity,
    ports: new Set(node.portsTaken),
    copies: new Map(),
  };
  for (const held of node.held) take(row, held);
  return row;
};

/**
 * Room may fall below nothing: a node can report less capacity than it holds. Then nothing more
 * fits.
 */
export const take = (row: Row, { group, ask, hostPorts }: Holding): void => {
  row.free = minus(row.free, ask);
  for (const port of hostPorts) row.ports.add(port);
  row.copies.set(group, (row.copies.get(group) ?? 0) + 1);
};

export const minus = (a: Resources, b: Resources): Resources => ({
  cpuMilli: a.cpuMilli - b.cpuMilli,
  memoryBytes: a.memoryBytes - b.memoryBytes,
});

export const plus = (a: Resources, b: Resources): Resources => ({
  cpuMilli: a.cpuMilli + b.cpuMilli,
  memoryBytes: a.memoryBytes + b.memoryBytes,
});
