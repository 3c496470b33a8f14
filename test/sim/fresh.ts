// What memos remember changes no answer: a plan that a reconciler made, made again without them.
// In: a view. Out: what differs, null when nothing does. The property tests do the same with drawn
// worlds; here it is done with those that a cluster really goes through.
// Not here: how often (check.ts).

import { isDeepStrictEqual } from 'node:util';

import type { View } from '../../reconciler/cycle.ts';
import { compile } from '../../reconciler/desired/compile.ts';
import { plan } from '../../reconciler/plan/plan.ts';

const DIFFERENCE_CHARACTERS = 2_000;

/** What the memos gave beside what empty ones give. */
export const staleness = ({ tree, desired, live, plan: made, at }: View): string | null => {
  const again = compile(tree);
  if (!isDeepStrictEqual(again, desired)) {
    return `compile remembers something else: ${firstDifference(again, desired)}`;
  }
  const fresh = plan(again, live, at);
  // Ages that were added up in another order differ in their last digits. To look again too early
  // is no mistake, too late is one.
  const soon = Math.floor(fresh.wakeAt ?? Number.POSITIVE_INFINITY) + 1;
  if ((made.wakeAt ?? Number.POSITIVE_INFINITY) > soon) {
    return `with its memo plan wakes at ${made.wakeAt}, without at ${fresh.wakeAt}`;
  }
  const kept = { ...made, wakeAt: fresh.wakeAt };
  if (isDeepStrictEqual(fresh, kept)) return null;
  return `plan remembers something else: ${firstDifference(fresh, kept)}`;
};

/** The first field of two records that differs, shortened. */
const firstDifference = (fresh: object, kept: object): string => {
  const before = new Map<string, unknown>(Object.entries(kept));
  const found = Object.entries(fresh).find(
    ([name, value]) => !isDeepStrictEqual(value, before.get(name)),
  );
  const text = (value: unknown): string => JSON.stringify(value).slice(0, DIFFERENCE_CHARACTERS);
  return `${found?.[0]}: ${text(found?.[1])} became ${text(before.get(found?.[0] ?? ''))}`;
};
