// What checks have shown that an approval of them would let go, and since when: a click or a comment
// may come after the text has changed. In: the checks that are written and read. Out: the same port,
// and what was shown, for this session; after a start an approval of an older text is asked to look
// again. Not here: what a click may do (forge/requests).

import { coversOf, type Covered } from '../schema/covered.ts';
import type { CheckReport } from '../schema/forge.ts';
import type { ForgeContext } from './forge-context.ts';
import { coversIn } from './forge/pulls.ts';
import type { ForgePort } from './ports.ts';

export interface Shown {
  /** Its forge notes what is written and read. */
  readonly context: ForgeContext;
  /** By what the button carried; null: nobody knows any more. */
  readonly of: (covers: string | undefined) => Covered | null;
  /**
   * Since when the plan of a commit lets go what it does now, in ms since 1970 by the forge's clock;
   * null: it stood there already when this process began.
   */
  readonly since: (commit: string) => number | null;
}

/** Texts and commits remembered: more than all open pull requests. */
const SHOWN_MAX = 2000;

export const createShown = (given: ForgeContext): Shown => {
  const { forge, clock } = given;
  const sets = new Map<string, Covered>();
  const plans = new Map<string, { readonly name: string; readonly since: number | null }>();
  const epochMs = (): number => (forge.epochMs ?? clock.epochMs)?.() ?? 0;

  const note = ({ kind, commit, covered }: CheckReport, name: string, now: number | null) => {
    if (covered !== undefined) remember(sets, name, covered);
    if (kind !== 'plan') return;
    const before = plans.get(commit);
    remember(plans, commit, before?.name === name ? before : { name, since: now });
  };

  const telling: Pick<ForgePort, 'check' | 'writeCheck'> = {
    check: async (kind, commit) => {
      const told = await forge.check(kind, commit);
      // What this process has written is known better.
      if (told !== null && !plans.has(commit)) note(told, coversIn(told) ?? '', null);
      return told;
    },
    writeCheck: async (report, ...more) => {
      await forge.writeCheck(report, ...more);
      note(report, nameOf(report), epochMs());
    },
  };
  return {
    // All else is the forge's own.
    context: { ...given, forge: Object.assign(Object.create(forge) as ForgePort, telling) },
    of: (covers) => sets.get(covers ?? '') ?? null,
    since: (commit) => plans.get(commit)?.since ?? null,
  };
};

const nameOf = (report: CheckReport): string =>
  report.covered === undefined ? (coversIn(report) ?? '') : coversOf(report.covered);

/** Forgets the oldest. */
const remember = <T>(known: Map<string, T>, name: string, value: T): void => {
  known.delete(name);
  known.set(name, value);
  const oldest = known.keys().next().value;
  if (known.size > SHOWN_MAX && oldest !== undefined) known.delete(oldest);
};
