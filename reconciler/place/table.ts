// The capacity table: what each node has left while wants are placed one after another.
// In: what each node has and holds. Out: a table that takes copies in. The only mutable thing in
// the core.
// Not here: who may go where (feasible), which node is best (score).

import type { NodeReason } from '../../schema/plan.ts';
import type { GroupSpec, Resources } from '../../schema/spec.ts';
import type { Want } from './want.ts';

/** A node as placement sees it. */
export interface PlaceNode {
  readonly name: string;
  /** Set when the node takes no new work at all. */
  readonly refusal: { readonly reason: NodeReason; readonly detail: string } | null;
  readonly capacity: Resources;
  readonly attributes: ReadonlyMap<string, string>;
  /** What live, ordered and stopping copies take: all that holds room now. */
  readonly held: Room;
  /** Host ports that something else on the node holds. */
  readonly portsTaken: readonly number[];
  /** Who, in words, where it is known. */
  readonly portHolders?: ReadonlyMap<number, string>;
}

export interface Holding {
  /** `<namespace>/<job>/<group>`. */
  readonly group: string;
  readonly ask: Resources;
  readonly hostPorts: readonly number[];
}

/** A copy that stands in the orders or reports of a node, dead ones included. */
export interface Told {
  readonly spec: GroupSpec;
  /** It is on its way out: orders name it without its body. */
  readonly leaves: boolean;
}

/** What the copies on a node take together; made once for as long as they are the same. */
export interface Room {
  readonly taken: Resources;
  /** Host port → group of the copy that has it. */
  readonly ports: ReadonlyMap<number, string>;
  /** Copies by group. */
  readonly copies: ReadonlyMap<string, number>;
  /** What must be told of them, and to them (schema/wire.ts). */
  readonly told: readonly Told[];
}

/** A node while wants are placed: what it holds, and what was added in this pass. */
export interface Row {
  readonly node: PlaceNode;
  free: Resources;
  /** Taken by others, or in this pass, with who has it; null: none, as in most rows. */
  ports: Map<number, string | null> | null;
  /** With the copy that each replaces here: its body is told no more. */
  told: { readonly spec: GroupSpec; readonly replaces: GroupSpec | null }[] | null;
}

export interface Table {
  /** Nodes in Git, sorted by name. */
  readonly rows: readonly Row[];
  readonly byName: ReadonlyMap<string, Row>;
  /** Those that take new work at all, and why the others do not. */
  readonly open: readonly Row[];
  readonly closed: ReadonlyMap<NodeReason, Reason>;
  /** What may still be granted, by name: stops and new copies of a group (plan/budget). */
  readonly allowances: Map<string, number>;
  /** What a namespace may still use; absent: no quota. */
  readonly quotas: Map<string, Resources>;
  /** Of copies placed in this pass, by group: the row once for each. */
  readonly added: Map<string, Row[]>;
  readonly holders: Holders | null;
  /** What last found no node, and why: holds until something is placed. */
  refused: { readonly want: Want; readonly reasons: readonly ReasonCount[] } | null;
}

export interface Reason {
  /** Nodes that give it. */
  readonly count: number;
  /** The first one's words. */
  readonly detail: string;
}

export interface ReasonCount extends Reason {
  readonly reason: NodeReason;
}

/**
 * Which nodes hold copies of a group, and how many: for whoever places thousands, since a look at
 * the copies of each node for each want takes most of the time then.
 */
export type Holders = ReadonlyMap<string, readonly Holder[]>;

interface Holder {
  readonly node: PlaceNode;
  readonly count: number;
}

export interface TableInput {
  readonly nodes: readonly PlaceNode[];
  readonly allowances: ReadonlyMap<string, number>;
  readonly quotas: ReadonlyMap<string, Resources>;
  /** Of these nodes at least; absent: each node is looked at. */
  readonly holders?: Holders;
}

export const createTable = ({ nodes, allowances, quotas, holders }: TableInput): Table => {
  const rows = nodes.map(rowOf);
  return {
    rows,
    byName: new Map(rows.map((row) => [row.node.name, row])),
    open: rows.filter(({ node }) => node.refusal === null),
    closed: reasonsIn(nodes.flatMap(({ refusal }) => refusal ?? [])),
    allowances: new Map(allowances),
    quotas: new Map(quotas),
    added: new Map(),
    holders: holders ?? null,
    refused: null,
  };
};

/** How many give each reason. */
export const reasonsIn = (
  refusals: readonly NonNullable<PlaceNode['refusal']>[],
): ReadonlyMap<NodeReason, Reason> => {
  const reasons = new Map<NodeReason, Reason>();
  for (const { reason, detail } of refusals) {
    const seen = reasons.get(reason);
    reasons.set(reason, { count: (seen?.count ?? 0) + 1, detail: seen?.detail ?? detail });
  }
  return reasons;
};

export const holdersIn = (nodes: readonly PlaceNode[]): Holders => {
  const holders = new Map<string, Holder[]>();
  for (const node of nodes) {
    for (const [group, count] of node.held.copies) {
      const known = holders.get(group);
      if (known === undefined) holders.set(group, [{ node, count }]);
      else known.push({ node, count });
    }
  }
  return holders;
};

/** The sum of holdings; `told` has more than these, the dead that are kept. */
export const roomOf = (holdings: readonly Holding[], told: readonly Told[] = []): Room => {
  const ports = new Map<number, string>();
  const copies = new Map<string, number>();
  let taken: Resources = { cpuMilli: 0, memoryBytes: 0 };
  for (const { group, ask, hostPorts } of holdings) {
    taken = plus(taken, ask);
    for (const port of hostPorts) ports.set(port, group);
    copies.set(group, (copies.get(group) ?? 0) + 1);
  }
  return { taken, ports, copies, told };
};

const rowOf = (node: PlaceNode): Row => ({
  node,
  // Below nothing where a node reports less capacity than it holds. Then nothing more fits.
  free: minus(node.capacity, node.held.taken),
  ports: node.portsTaken.length === 0 ? null : new Map(takenBy(node)),
  told: null,
});

export interface Taking extends Holding {
  readonly row: Row;
  readonly told: { readonly spec: GroupSpec; readonly replaces: GroupSpec | null };
}

export const take = ({ added }: Table, { row, group, ask, hostPorts, told }: Taking): void => {
  row.free = minus(row.free, ask);
  for (const port of hostPorts) (row.ports ??= new Map()).set(port, group);
  const rows = added.get(group);
  if (rows === undefined) added.set(group, [row]);
  else rows.push(row);
  (row.told ??= []).push(told);
};

/** Copies of a group on each node, those placed in this pass included. */
export const copiesOn = (
  { holders, added, byName }: Pick<Table, 'holders' | 'added' | 'byName'>,
  group: string,
): ((row: Row) => number) => {
  const counts = new Map<Row, number>();
  const count = (row: Row | undefined, copies: number): void => {
    if (row !== undefined) counts.set(row, (counts.get(row) ?? 0) + copies);
  };
  for (const { node, count: copies } of holders?.get(group) ?? []) {
    count(byName.get(node.name), copies);
  }
  for (const row of added.get(group) ?? []) count(row, 1);
  const there = (row: Row): number => (counts.size === 0 ? 0 : (counts.get(row) ?? 0));
  return holders === null ? (row) => (row.node.held.copies.get(group) ?? 0) + there(row) : there;
};

const takenBy = ({ portsTaken, portHolders }: PlaceNode): readonly [number, string | null][] =>
  portsTaken.map((port) => [port, portHolders?.get(port) ?? null]);

/** Something on the node has the host port. */
export const holdsPort = ({ node, ports }: Row, port: number): boolean =>
  node.held.ports.has(port) || ports?.has(port) === true;

/** A group of ours, or what the node says of a stranger; null: nobody, or nobody knows. */
export const holderOf = ({ node, ports }: Row, port: number): string | null =>
  node.held.ports.get(port) ?? ports?.get(port) ?? null;

export const minus = (a: Resources, b: Resources): Resources => ({
  cpuMilli: a.cpuMilli - b.cpuMilli,
  memoryBytes: a.memoryBytes - b.memoryBytes,
});

export const plus = (a: Resources, b: Resources): Resources => ({
  cpuMilli: a.cpuMilli + b.cpuMilli,
  memoryBytes: a.memoryBytes + b.memoryBytes,
});
