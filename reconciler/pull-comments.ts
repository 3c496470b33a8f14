// The one comment on each pull request: written behind the checks of the same plans, and folded with
// an end to the check once the pull request is closed. In: bodies, pull requests. Out: writes to the
// forge while its limits leave room; what waits is written later. Not here: the words (render).

import type { PullRequest } from '../schema/forge.ts';
import { hashOf } from '../schema/hash.ts';
import type { Ms } from '../schema/spec.ts';
import type { PlannedPull } from './forge/pulls.ts';
import { tryEach, type ForgeContext } from './forge-context.ts';
import { keyOf } from './pull-subjects.ts';
import { endCheck } from './pull-telling.ts';
import { closedComment } from './render/comment.ts';

export interface Comments {
  /** The comment as it should stand, in place of one that was not written yet. */
  readonly put: (key: string, pull: number, body: string) => void;
  /** Writes it if there is room. */
  readonly write: (key: string) => Promise<void>;
  /** As many as there is room and time for; when to go on. */
  readonly writeRest: (until: Ms) => Promise<Ms | null>;
  readonly drop: (key: string) => void;
  /** How many wait. */
  readonly waiting: () => number;
}

/** Comments that are to be written: behind the checks of the same plans. */
export const createComments = (
  { forge, clock }: ForgeContext,
  known: Map<string, PlannedPull>,
): Comments => {
  const waiting = new Map<string, { readonly pull: number; readonly body: string }>();
  const write: Comments['write'] = async (key) => {
    const one = waiting.get(key);
    const of = known.get(key);
    if (one === undefined || of === undefined) return void waiting.delete(key);
    const comment = hashOf(one.body);
    if (of.comment !== comment) {
      if (forge.roomAt('plan') > clock.now()) return;
      await forge.writeComment({ ...one, folded: false });
      known.set(key, { ...of, comment });
    }
    waiting.delete(key);
  };
  return {
    put: (key, pull, body) => void waiting.set(key, { pull, body }),
    write,
    writeRest: async (until) => {
      let roomAt: Ms | null = null;
      await tryEach([...waiting.keys()], async (key) => {
        if (roomAt === null && clock.now() <= until) await write(key);
        if (waiting.has(key)) roomAt ??= Math.max(forge.roomAt('plan'), clock.now() + 1);
      });
      return roomAt;
    },
    drop: (key) => void waiting.delete(key),
    waiting: () => waiting.size,
  };
};

/** What was told of pull requests that are closed ends, once. */
export const createFolds = (
  context: ForgeContext,
  known: Map<string, PlannedPull>,
  comments: Comments,
) => {
  const { forge, clock } = context;
  const folded = new Set<number>();
  const fold = async (pull: PullRequest, isShared: boolean): Promise<void> => {
    const key = keyOf(pull.number);
    // First: by the comment that is still open it is known after a loss that this is to do. The
    // check of a commit that is another one's head too goes on.
    if (!isShared) await endCheck(context, pull, known.get(key)?.told ?? null);
    const body = closedComment(pull.state === 'merged');
    await forge.writeComment({ pull: pull.number, body, folded: true });
    folded.add(pull.number);
    known.delete(key);
    comments.drop(key);
  };
  return {
    of: (pulls: readonly PullRequest[], ahead: (Ms | null)[]): readonly (() => Promise<void>)[] => {
      for (const { number, state } of pulls) if (state === 'open') folded.delete(number);
      const heads = new Set(pulls.flatMap((one) => (one.state === 'open' ? [one.head] : [])));
      const closed = pulls.filter(({ number, state }) => state !== 'open' && !folded.has(number));
      return closed.map((pull) => async () => {
        const roomAt = forge.roomAt('plan');
        if (roomAt > clock.now()) ahead.push(roomAt);
        else await fold(pull, heads.has(pull.head));
      });
    },
  };
};
