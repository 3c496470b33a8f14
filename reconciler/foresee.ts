// What a commit of the branch is going to do, foreseen beside the loop: one plan at a time, with
// room for the loop in between. In: the view before the commit, what is live at its first sight,
// the view that knows its images; the loop's memo of plans. Out: a summary. It is given up where the
// loop would wait for it. Not here: what is told of it (notes, render/note).

import { forecastSteps, type Forecast } from './plan/forecast.ts';
import { copyPlanMemo, type PlanMemo } from './plan/memo.ts';
import type { DesiredState } from '../schema/desired.ts';
import type { LiveState } from '../schema/live.ts';
import type { PreviewSide } from '../schema/preview.ts';
import type { Summary } from '../schema/summary.ts';
import { summarize } from './render/summary.ts';

export interface ForeseerOptions {
  /** What the loop's plans left behind: it is copied, and makes all of this quick. */
  readonly memo: PlanMemo;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Lets the loop go on. */
  readonly pause: () => Promise<void>;
}

export interface ForeseeAsk {
  /** What was wanted before the commit; null: nobody saw it. */
  readonly before: DesiredState | null;
  readonly desired: DesiredState;
  readonly live: LiveState;
}

export interface ForeseenCommit {
  readonly summary: Summary;
  /** Only the first waves were looked at: the rest would have kept the loop waiting. */
  readonly isCut: boolean;
}

export type Foresee = (ask: ForeseeAsk) => Promise<ForeseenCommit>;

/** The loop waits for no part of this longer than its own plan of a large commit takes. */
const SLICE_MS = 50;

export const createForeseer = ({ memo, now, pause }: ForeseerOptions): Foresee => {
  const sideOf = async (desired: DesiredState, live: LiveState) => {
    const copied = copyPlanMemo(memo);
    await pause();
    // A plan is never made before the one that the memo knows.
    const steps = forecastSteps(copied, {
      desired,
      live,
      now: Math.max(now(), copied.world?.now ?? 0),
    });
    for (;;) {
      const began = now();
      const step = steps.next();
      if (step.done === true) return { side: sideFrom(desired, step.value), isCut: false };
      if (now() - began > SLICE_MS) return { side: sideFrom(desired, step.value), isCut: true };
      await pause();
    }
  };
  return async ({ before, desired, live }) => {
    const change = await sideOf(desired, live);
    const base = before === null ? change : await sideOf(before, live);
    const sides = { base: base.side, change: change.side, same: before === null };
    return { summary: summarize({ live, ...sides, assumed: [] }), isCut: change.isCut };
  };
};

const sideFrom = (desired: DesiredState, { first, waves }: Forecast): PreviewSide => ({
  desired,
  waves,
  first,
});
