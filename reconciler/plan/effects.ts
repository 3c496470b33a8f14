// What an approval of a change would cover (rules 8.2): the slots that would go.
// In: the plans of what stands and of the change. Out: slots, sorted. Not here: whether they wait
// for approval (guard), giving one (the ledger).

import { compareText } from '../../schema/ids.ts';
import type { StopReason } from '../../schema/orders.ts';
import type { Plan } from '../../schema/plan.ts';
import type { PreviewSide } from '../../schema/preview.ts';
import type { Effects } from '../../schema/pull-plan.ts';

/** Slots that go for good because of the change: those held back now, and those that just stop. */
export const effectsOf = (base: PreviewSide, change: PreviewSide): Effects => {
  const known = goingIn(base);
  return { slots: [...goingIn(change)].filter((slot) => !known.has(slot)).toSorted(compareText) };
};

const goingIn = ({ first, waves }: PreviewSide): ReadonlySet<string> =>
  new Set([...first.guarded.flatMap(({ slots }) => slots), ...waves.flatMap(removedIn)]);

/** Not replacements, moves, drains or `stopped: true`: these are no removals (rules 8.1). */
const REMOVALS: ReadonlySet<StopReason> = new Set(['scale-down', 'job-removed']);

const removedIn = ({ steps }: Plan): readonly string[] =>
  steps.flatMap((step) => (step.kind === 'stop' && REMOVALS.has(step.reason) ? [step.slot] : []));
