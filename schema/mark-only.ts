// Steps that change nothing but what a copy's labels say of where it belongs.
// In: a step. Out: a yes or no: those are left out wherever it is told, or counted, what happens.
// Not here: which labels a copy should have (reconciler/plan/upkeep).

import type { Step } from './plan.ts';

/** It has settled; or its version came back, with another commit (rules 2.3). */
const MARKS: ReadonlySet<string> = new Set(['settled', 'deployment', 'commit']);

export const isMarkOnly = (step: Step): boolean =>
  step.kind === 'update' && step.changes.every((change) => MARKS.has(change));
