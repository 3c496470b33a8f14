// The loop of the forge: look at it and at the cluster, decide, tell, forget.
// In: the main loop's newest view, the ports. Out: checks, comments, deployments, and answers to
// people. Beside the main loop: while the forge is away nothing of the cluster waits, and all is
// told afterwards. Nothing is kept here that GitHub and Git do not know. Not here: what is told
// (pull-reports, commit-reports, forge-requests), the forge (edge/forge).

import { abortWith } from '../schema/abort-with.ts';
import { saidTogether } from '../schema/plain.ts';
import { refusedEach } from '../schema/refused-words.ts';
import type { Ms } from '../schema/spec.ts';
import { createCommitReports } from './commit-reports.ts';
import { LOOK_AGAIN_MS, RETRY_FIRST_MS, RETRY_LONGEST_MS, WOKEN } from './config.ts';
import { isEdgeFailure, type View } from './cycle.ts';
import { earliest, type ForgeContext } from './forge-context.ts';
import { createForgeRequests } from './forge-requests.ts';
import { createOfferedReverts } from './offered-reverts.ts';
import type { LoopState, Refused } from './loop.ts';
import { createPullReports, type Waking } from './pull-reports.ts';
import { createShown } from './shown.ts';

export interface ForgeLoop {
  /** Runs until the signal; never throws. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** What the forge does not let us do now, in words; null: all is well. */
  readonly failure: () => string | null;
  /** What a person should know though the forge is told all; null: nothing. */
  readonly notice: () => string | null;
}

export const createForgeLoop = (given: ForgeContext): ForgeLoop => {
  const { forge, clock, log, loop } = given;
  const wake = () => woken.abort(WOKEN);
  const waking = { wake, isWoken: () => woken.signal.aborted };
  const parts = createParts(given, waking);
  let woken = new AbortController();
  let failure: string | null = null;
  let failures = 0;
  /** After a failure: what the forge refuses is not written again with each move of the cluster. */
  let notBefore: Ms = 0;

  const say = (now: string | null) => {
    if (now !== null && untimed(now) !== untimed(failure)) log.warn({}, `the forge: ${now}`);
    if (now === null && failure !== null) log.info({}, 'the forge answers again');
    failure = now;
  };

  /** One part that fails keeps no other from its work. */
  const pass = async ({ view, refused }: LoopState): Promise<Ms | null> => {
    let trouble: string | null = null;
    const due: (Ms | null)[] = [];
    const attempt = async (part: () => Promise<Ms | null>) => {
      try {
        due.push(await part());
      } catch (error) {
        if (!isEdgeFailure(error)) log.error({ error: String(error) }, 'telling the forge failed');
        trouble ??= isEdgeFailure(error) ? error.message : String(error);
        // A forge that is silent keeps the rest of the pass busy for minutes.
        say(trouble);
      }
    };
    const tell = async (at: View): Promise<void> => {
      await attempt(async () => {
        const seen = await forge.look((open) => parts().pulls.begin(at, open));
        await attempt(() => parts().pulls.tell(at, seen));
        await attempt(() => parts().requests.answer(at, seen.requests));
        await attempt(() => parts().reverts.close(at, seen.pulls));
        return null;
      });
      await attempt(() => parts().commits.tell(at));
      await attempt(() => parts().reverts.offer(at));
    };
    if (view !== null) await tell(view);
    await attempt(() => parts().commits.refuse(refused === null ? refusedIn(view) : [refused]));
    failures = trouble === null ? 0 : failures + 1;
    say(trouble);
    notBefore = trouble === null ? 0 : clock.now() + backOff(failures);
    return earliest(trouble === null ? due : [...due, notBefore]);
  };

  return {
    run: async (signal) => {
      const moved = ({ view }: LoopState) =>
        clock.now() < notBefore ? parts().commits.notice(view) : wake();
      const stops = [forge.watch(wake), loop.watch(moved)];
      while (!signal.aborted) {
        woken = new AbortController();
        const due = await pass(loop.state());
        const at = Math.min(clock.now() + LOOK_AGAIN_MS, due ?? Number.POSITIVE_INFINITY);
        const apart = abortWith(signal, woken);
        await clock.sleepUntil(at, woken.signal);
        apart();
      }
      for (const stop of stops) stop();
    },
    failure: () => failure,
    notice: () => saidTogether(parts().pulls.unjudged(), parts().pulls.notice()),
  };
};

/** Another repository of the same name knows nothing of what was told: all begins as at a start. */
const createParts = (given: ForgeContext, waking: Waking) => {
  const make = () => {
    const { context, ...shown } = createShown(given);
    const pulls = createPullReports(context, waking);
    const requests = createForgeRequests(context, pulls, shown);
    const reverts = createOfferedReverts(context);
    return { pulls, requests, reverts, commits: createCommitReports(context) };
  };
  let parts = make();
  let renewals = 0;
  return (): ReturnType<typeof make> => {
    const now = given.forge.renewals?.() ?? 0;
    if (now !== renewals) parts = make();
    renewals = now;
    return parts;
  };
};

/** Until when it is waited changes with each attempt: that is no news for the log. */
const untimed = (words: string | null): string | null =>
  words?.replaceAll(/\d\d:\d\d:\d\d/g, '') ?? null;

const backOff = (failures: number): Ms =>
  Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10), RETRY_LONGEST_MS);

/** Commits on the branch that the signature policy does not accept. */
const refusedIn = (view: View | null): readonly Refused[] => {
  const refused = view?.tree.refused;
  return refused === undefined ? [] : refusedEach(refused);
};
