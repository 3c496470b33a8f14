// Where the copies of lost nodes would go, and which of them would have no place.
// In: the copies, the capacity table without the lost nodes. Out: shortages. The table is changed:
// it is made for one loss. Not here: which losses are looked at (rehearse).

import { compareText } from '../../schema/ids.ts';
import type { Shortage } from '../../schema/pull-plan.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { formatSize } from '../../schema/units.ts';
import { lackOf, place, type Table, type Want } from '../place/place.ts';
import { homeKey, type Homes } from './homes.ts';

/** A copy that has lost its node. */
export interface Displaced {
  /** `<namespace>/<job>`. */
  readonly job: string;
  readonly namespace: string;
  readonly group: string;
  readonly index: number;
  readonly priority: number;
  readonly spec: GroupSpec;
}

export interface Around {
  readonly table: Table;
  readonly homes: Homes;
  readonly lost: ReadonlySet<string>;
}

/** In the order in which the copies are served; one row a group, sorted by job and group. */
export const shortAfter = (copies: readonly Displaced[], around: Around): readonly Shortage[] => {
  const short = new Map<string, Shortage>();
  for (const copy of copies) {
    const key = `${copy.job}/${copy.group}`;
    const before = short.get(key);
    // Room only shrinks: where one copy found none, an equal one finds none.
    const lacks = before?.lacks ?? lacksOf(copy, key, around);
    if (lacks === null) continue;
    const { job, group } = copy;
    short.set(key, { job, group, copies: (before?.copies ?? 0) + 1, lacks });
  }
  return [...short].toSorted(([a], [b]) => compareText(a, b)).map(([, row]) => row);
};

/** null: it has found a place. */
const lacksOf = (copy: Displaced, groupKey: string, around: Around): string | null => {
  const { table, homes, lost } = around;
  const homeless = copy.spec.volumes.find(({ name, onLoss }) => {
    const home = homes.get(homeKey(jobOf(copy), name, copy));
    return onLoss === 'wait' && home !== undefined && lost.has(home.node);
  });
  if (homeless !== undefined) return `its volume ${homeless.name}, which was there`;
  const want: Want = {
    namespace: copy.namespace,
    group: copy.spec,
    groupKey,
    only: null,
    victim: null,
    draws: [],
    // It replaces what ran (rules 13).
    countsForQuota: false,
  };
  const [placement] = place([want], table);
  if (placement?.kind === 'placed') return null;
  const lack = lackOf(want, table);
  switch (lack.kind) {
    case 'memory':
      return formatSize(lack.bytes);
    case 'cpu':
      return `${lack.milli}m of CPU`;
    case 'other':
      return lack.words;
  }
};

const jobOf = ({ job, namespace }: Displaced) => ({
  namespace,
  job: job.slice(namespace.length + 1),
});
