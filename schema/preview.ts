// A preview: what stands and what a change would make of it, side by side.
// In: nothing. Out: types. Not here: how it is made (reconciler/preview), words
// (reconciler/render).

import type { DesiredState } from './desired.ts';
import type { LiveState } from './live.ts';
import type { Plan } from './plan.ts';

/** What stands, or what the change would make of it. */
export interface PreviewSide {
  readonly desired: DesiredState;
  /** The plan of this instant, and those that would follow if everything works. */
  readonly waves: readonly Plan[];
  /** The plan of this instant alone: problems, and what is held back now. */
  readonly first: Plan;
}

export interface Preview {
  readonly live: LiveState;
  readonly base: PreviewSide;
  readonly change: PreviewSide;
  /** The change is what stands: nothing is to be told apart. */
  readonly same: boolean;
  /** Tags whose digest nobody could be asked for; the plan takes them for images that never ran. */
  readonly assumed: readonly string[];
}
