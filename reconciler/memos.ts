// What one pass leaves for the next, so that a pass costs what changed and not what there is.
// In: nothing. Out: empty memos, which the caller keeps and hands to compile, observe and plan.
// Each of them gives the same answer with an empty memo; a caller may throw them away at any time.
// Not here: what is remembered (desired/memo, live/memo, plan/memo), and why that is right.

import { createMemo, type CompileMemo } from './desired/memo.ts';
import { createCatalogueMemo, type CatalogueMemo } from './live/catalogue-memo.ts';
import { createObserveMemo, type ObserveMemo } from './live/memo.ts';
import { createPlanMemo, type PlanMemo } from './plan/memo.ts';

export interface Memos {
  readonly compile: CompileMemo;
  readonly observe: ObserveMemo;
  readonly plan: PlanMemo;
  readonly services: CatalogueMemo;
}

export const createMemos = (): Memos => ({
  compile: createMemo(),
  observe: createObserveMemo(),
  plan: createPlanMemo(),
  services: createCatalogueMemo(),
});
