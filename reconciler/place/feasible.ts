// May this copy go on this node? A list of filters, each of which returns null or a reason in
// words.
// In: a want, a row of the capacity table. Out: null or the first reason. Not here: which node is
// best (score).

import { fits } from '../../schema/fits.ts';
import type { NodeReason } from '../../schema/plan.ts';
import type { ConstraintSpec } from '../../schema/spec.ts';
import { formatSize } from '../../schema/units.ts';
import { holderOf, holdsPort, plus, type Row } from './table.ts';
import { toldTooMuch } from './told.ts';
import type { Want } from './want.ts';

export interface Refusal {
  readonly reason: NodeReason;
  readonly detail: string;
}

type Filter = (want: Want, row: Row) => Refusal | null;

const standing: Filter = (_want, row) => row.node.refusal;

const volumeHome: Filter = (want, row) =>
  want.only === null || want.only === row.node.name
    ? null
    : { reason: 'volume-elsewhere', detail: `its volume is on ${want.only}` };

const constraints: Filter = (want, row) => {
  const broken = want.group.constraints.find((c) => !satisfies(row.node.attributes, c));
  return broken === undefined ? null : { reason: 'constraint', detail: broken.text };
};

const ports: Filter = (want, row) => {
  const freed = behindVictim(want, row) ? (want.victim?.hostPorts ?? []) : [];
  for (const { host } of want.group.ports) {
    if (host === null || !holdsPort(row, host) || freed.includes(host)) continue;
    const holder = holderOf(row, host);
    const by = holder === null ? '' : `, held by ${holder}`;
    return { reason: 'port', detail: `host port ${host}${by}` };
  }
  return null;
};

const resources: Filter = (want, row) => {
  const free =
    behindVictim(want, row) && want.victim !== null
      ? plus(row.free, want.victim.spec.ask)
      : row.free;
  const short = fits(free, want.group.ask);
  if (short === null) return null;
  return short.resource === 'cpu'
    ? { reason: 'cpu', detail: `${short.short}m of CPU short` }
    : { reason: 'memory', detail: `${formatSize(short.short)} of memory short` };
};

const told: Filter = (want, row) => {
  const replaces = behindVictim(want, row) ? (want.victim?.spec ?? null) : null;
  const full = toldTooMuch(row, { spec: want.group, replaces });
  return full === null ? null : { reason: 'copies', detail: full };
};

/** In the order in which people ask: does the node work, may it, can it. */
const FILTERS: readonly Filter[] = [standing, volumeHome, constraints, ports, resources, told];

/** null when the copy fits on the node, else why not. */
export const refusalOf = (want: Want, row: Row): Refusal | null => {
  for (const filter of FILTERS) {
    const refusal = filter(want, row);
    if (refusal !== null) return refusal;
  }
  return null;
};

/**
 * The copy would take the room of the one that it replaces, on the same node and behind its stop
 * (rules 5.7).
 */
export const behindVictim = (want: Want, row: Row): boolean =>
  want.victim !== null && want.victim.node === row.node.name;

/** An attribute that the node lacks equals nothing: `=` fails, `!=` holds. */
export const satisfies = (
  attributes: ReadonlyMap<string, string>,
  { attribute, operator, value }: ConstraintSpec,
): boolean => (attributes.get(attribute) === value) === (operator === '=');
