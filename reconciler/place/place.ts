// Where copies go: the one door of this room.
// In: wants in the order in which they are served, the capacity table. Out: for each want a node,
// or why there is none.
// Not here: who wants what, and what a stop costs (reconciler/plan). The table is changed: it is
// made for one pass.

import { compareText } from '../../schema/ids.ts';
import { fits } from '../../schema/fits.ts';
import type { Resources } from '../../schema/spec.ts';
import { formatCpu, formatSize } from '../../schema/units.ts';
import { behindVictim, refusalOf } from './feasible.ts';
import { compareScores, scoreOf } from './score.ts';
import {
  copiesOn,
  minus,
  reasonsIn,
  take,
  type ReasonCount,
  type Row,
  type Table,
} from './table.ts';
import type { Want } from './want.ts';

export { satisfies } from './feasible.ts';
export { lackOf } from './lack.ts';
export {
  createTable,
  holdersIn,
  roomOf,
  type Holding,
  type PlaceNode,
  type Room,
  type Table,
  type TableInput,
} from './table.ts';
export type { Victim, Want } from './want.ts';

export type Placement =
  /** `behind`: the start is ordered on the victim's node, behind its stop. */
  | { readonly kind: 'placed'; readonly node: string; readonly behind: boolean }
  | { readonly kind: 'no-node'; readonly reasons: readonly ReasonCount[] }
  | { readonly kind: 'no-allowance'; readonly allowance: string }
  | { readonly kind: 'over-quota'; readonly detail: string };

/**
 * One pass over all wants in the order given; each takes its room from the table before the next
 * is looked at.
 */
export const place = (wants: readonly Want[], table: Table): readonly Placement[] =>
  wants.map((want) => placeOne(want, table));

const placeOne = (want: Want, table: Table): Placement => {
  const missing = want.draws.find((name) => (table.allowances.get(name) ?? 0) <= 0);
  if (missing !== undefined) return { kind: 'no-allowance', allowance: missing };
  const over = overQuota(want, table);
  if (over !== null) return { kind: 'over-quota', detail: over };
  if (table.refused !== null && isRefused(want, table.refused)) {
    return { kind: 'no-node', reasons: table.refused.reasons };
  }
  const row = bestRow(want, table);
  if (row === null) {
    const reasons = reasonsOf(want, table);
    table.refused = { want, reasons };
    return { kind: 'no-node', reasons };
  }
  settleOn(want, row, table);
  table.refused = null;
  return { kind: 'placed', node: row.node.name, behind: behindVictim(want, row) };
};

/**
 * What was refused one is refused the other, for the same reasons: hundreds of copies that find no
 * room, of one job or of many alike, cost one look at the nodes in every plan until there is room.
 * Only what must be told of a copy differs from job to job.
 */
const isRefused = (
  want: Want,
  { want: other, reasons }: NonNullable<Table['refused']>,
): boolean => {
  if (want.victim !== null || other.victim !== null || want.only !== other.only) return false;
  const [a, b] = [want.group, other.group];
  if (a === b) return true;
  return (
    a.ask.cpuMilli === b.ask.cpuMilli &&
    a.ask.memoryBytes === b.ask.memoryBytes &&
    sameLists(a.constraints, b.constraints, ({ text }) => text) &&
    sameLists(a.ports, b.ports, ({ host }) => host) &&
    reasons.every(({ reason }) => reason !== 'copies')
  );
};

const sameLists = <T>(
  a: readonly T[],
  b: readonly T[],
  of: (one: T) => string | number | null,
): boolean => a.length === b.length && a.every((one, at) => of(one) === of(b[at] ?? one));

/**
 * The victim's own node first: the room is there for certain, and the start can be ordered behind
 * the stop. Then the best score; equal scores go to the first name.
 */
const bestRow = (want: Want, table: Table): Row | null => {
  const own = want.victim === null ? undefined : table.byName.get(want.victim.node);
  if (own !== undefined && refusalOf(want, own) === null) return own;
  const around = { table, copiesOn: copiesOn(table, want.groupKey) };
  let best: Row | null = null;
  let bestScore: readonly [number, number, number] = [0, 0, 0];
  for (const row of table.open) {
    if (refusalOf(want, row) !== null) continue;
    const score = scoreOf(want, row, around);
    if (best !== null && compareScores(score, bestScore) >= 0) continue;
    best = row;
    bestScore = score;
  }
  return best;
};

const settleOn = (want: Want, row: Row, table: Table): void => {
  for (const name of want.draws) {
    table.allowances.set(name, (table.allowances.get(name) ?? 0) - 1);
  }
  const quota = table.quotas.get(want.namespace);
  if (quota !== undefined && want.countsForQuota) {
    table.quotas.set(want.namespace, minus(quota, want.group.ask));
  }
  const hostPorts = want.group.ports.flatMap(({ host }) => (host === null ? [] : [host]));
  const behind = behindVictim(want, row);
  const ask = behind ? beyondVictim(want) : want.group.ask;
  const told = { spec: want.group, replaces: behind ? (want.victim?.spec ?? null) : null };
  take(table, { row, group: want.groupKey, ask, hostPorts, told });
};

/**
 * Behind a stop only what exceeds the victim's room is taken, and what is left over is not given
 * back: freed room is used when it has been seen. Worked example: ask 500m behind a victim of 300m
 * takes 200m more; behind 800m, nothing.
 */
const beyondVictim = ({ group, victim }: Want): Resources => ({
  cpuMilli: Math.max(0, group.ask.cpuMilli - (victim?.spec.ask.cpuMilli ?? 0)),
  memoryBytes: Math.max(0, group.ask.memoryBytes - (victim?.spec.ask.memoryBytes ?? 0)),
});

const overQuota = (want: Want, table: Table): string | null => {
  const quota = want.countsForQuota ? table.quotas.get(want.namespace) : undefined;
  const { ask } = want.group;
  const short = quota === undefined ? null : fits(quota, ask);
  if (quota === undefined || short === null) return null;
  const [asked, left] =
    short.resource === 'cpu'
      ? [`${formatCpu(ask.cpuMilli)} of CPU`, formatCpu(Math.max(0, quota.cpuMilli))]
      : [`${formatSize(ask.memoryBytes)} of memory`, formatSize(Math.max(0, quota.memoryBytes))];
  return `the quota of namespace ${want.namespace} is used up: a copy asks for ${asked}, ${left} is left`;
};

/** One reason a node, so that the counts add up to all nodes in Git. */
const reasonsOf = (want: Want, table: Table): readonly ReasonCount[] => {
  const refusals = table.open.flatMap((row) => refusalOf(want, row) ?? []);
  return [...table.closed, ...reasonsIn(refusals)]
    .map(([reason, { count, detail }]) => ({ reason, count, detail }))
    .toSorted((a, b) => b.count - a.count || compareText(a.reason, b.reason));
};
