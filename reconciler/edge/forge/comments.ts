// The one comment of ours on a pull request: found by its hidden marker among the comments of our
// own account, edited in place, folded when the pull request is closed.
// In: bodies. Out: comments. Nothing is written where it would change nothing. Not here: what it
// says, comments of people (commands).

import { hashOf } from '../../../schema/hash.ts';
import type { Self } from './account.ts';
import type { ApiComment } from './answers.ts';
import { ForgeFailure } from './failure.ts';
import { NO_MARKS, splitMarks, withAnswer, withMarks, type Marks } from './mark.ts';
import { createTurns } from './turns.ts';
import type { Wire } from './wire.ts';

export interface Comments {
  readonly write: (ask: CommentAsk) => Promise<void>;
  /** Writes an answer below it; false: there is no comment of ours. */
  readonly answer: (pull: number, id: string, line: string) => Promise<boolean>;
  /** Is there one that is not folded? */
  readonly isOpen: (pull: number) => Promise<boolean>;
}

export interface CommentAsk {
  readonly pull: number;
  readonly body: string;
  readonly folded: boolean;
}

interface Known {
  readonly id: number;
  readonly node: string;
  readonly body: string;
  readonly marks: Marks;
}

/** GitHub holds 2,500 comments a pull request: 25 pages; ours is among the first ones. */
const PAGES_MAX = 25;
/** Pull requests whose comment is remembered; others are looked up. */
const KNOWN_MAX = 1000;

export const createComments = (
  wire: Wire,
  { cluster, self }: { readonly cluster: string; readonly self: () => Promise<Self> },
): Comments => {
  const marker = `<!-- purser:${cluster} -->`;
  const known = new Map<number, Known>();
  const inTurn = createTurns();

  const remember = (pull: number, one: Known) => {
    known.delete(pull);
    known.set(pull, one);
    const oldest = known.keys().next().value;
    if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
  };

  const recall = async (pull: number): Promise<Known | null> => {
    const remembered = known.get(pull);
    if (remembered !== undefined) return remembered;
    const { login } = await self();
    const comments = await wire.pages<ApiComment>(
      {
        route: 'GET /repos/{owner}/{repo}/issues/{issue_number}/comments',
        params: { issue_number: pull },
        pick: (data) =>
          (data as readonly ApiComment[]).filter(
            ({ user, body }) => user?.login === login && hasMarker(body, marker),
          ),
        once: true,
      },
      PAGES_MAX,
    );
    const [ours] = comments.toSorted((a, b) => a.id - b.id);
    if (ours === undefined) return null;
    const one = { id: ours.id, node: ours.node_id, ...splitMarks(ours.body ?? '') };
    remember(pull, one);
    return one;
  };

  /** Changes it; where a person has deleted it, there is none to change. */
  const edit = async (pull: number, one: Known): Promise<boolean> => {
    known.delete(pull);
    try {
      await wire.send('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', {
        comment_id: one.id,
        body: withMarks(one.body, one.marks),
      });
    } catch (error) {
      if (error instanceof ForgeFailure && error.status === 404) return false;
      throw error;
    }
    remember(pull, one);
    return true;
  };

  const make = async (pull: number, body: string, marks: Marks): Promise<void> => {
    const made = (await wire.send('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      issue_number: pull,
      body: withMarks(body, marks),
    })) as ApiComment;
    remember(pull, { id: made.id, node: made.node_id, body, marks });
  };

  const write = async ({ pull, body: said, folded }: CommentAsk): Promise<void> => {
    const body = hasMarker(said, marker) ? said : `${marker}\n${said}`;
    const hash = hashOf({ body, folded }).slice(0, 16);
    const before = await recall(pull);
    if (before?.marks.hash === hash) return;
    if (before === null) {
      // A closed pull request that never had a comment needs none to be folded.
      if (!folded) await make(pull, body, { ...NO_MARKS, hash });
      return;
    }
    if (before.marks.folded !== folded) await fold(wire, before.node, folded);
    const marks = { ...before.marks, hash, folded };
    const isThere = await edit(pull, { ...before, body, marks });
    if (!isThere && !folded) await make(pull, body, { ...NO_MARKS, hash });
  };

  return {
    write: (ask) => inTurn(String(ask.pull), () => write(ask)),
    answer: (pull, id, line) =>
      inTurn(String(pull), async () => {
        const before = await recall(pull);
        if (before === null) return false;
        if (before.marks.answered.includes(id)) return true;
        return edit(pull, { ...before, marks: withAnswer(before.marks, id, line) });
      }),
    isOpen: async (pull) => {
      const one = await recall(pull);
      return one !== null && !one.marks.folded;
    },
  };
};

/** At the beginning of a line: a quotation of ours in a comment of ours is none. */
const hasMarker = (body: string | undefined, marker: string): boolean =>
  (body ?? '').split(/\r?\n/).some((line) => line.startsWith(marker));

/** GitHub folds ("minimizes") comments by GraphQL only. */
const fold = async (wire: Wire, node: string, folded: boolean): Promise<void> => {
  await wire.graphql(folded ? MINIMIZE : UNMINIMIZE, { id: node });
};

const MINIMIZE = `mutation ($id: ID!) {
  minimizeComment(input: { subjectId: $id, classifier: RESOLVED }) {
    minimizedComment { isMinimized }
  }
}`;

const UNMINIMIZE = `mutation ($id: ID!) {
  unminimizeComment(input: { subjectId: $id }) {
    unminimizedComment { isMinimized }
  }
}`;
