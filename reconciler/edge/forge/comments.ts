// The one comment of ours on a pull request: found by its hidden marker among the comments of our
// own account, edited in place, folded when the pull request is closed.
// In: bodies. Out: comments. Nothing is written where it would change nothing. Not here: what it
// says, comments of people (commands).

import { hashOf } from '../../../schema/hash.ts';
import type { Self } from './account.ts';
import type { ApiComment } from './answers.ts';
import { ForgeFailure } from './failure.ts';
import type { WriteOf } from './gate.ts';
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
/** Pull requests whose comment is remembered: all open ones; others are looked up. */
const KNOWN_MAX = 2000;

export const createComments = (wire: Wire, options: OursOptions): Comments => {
  const ours = createOurs(wire, options);
  const inTurn = createTurns();
  return {
    write: (ask) => inTurn(String(ask.pull), () => write(wire, ours, ask)),
    answer: (pull, id, line) =>
      inTurn(String(pull), async () => {
        const before = await ours.recall(pull);
        if (before === null) return false;
        if (before.marks.answered.includes(id)) return true;
        const marks = withAnswer(before.marks, id, line);
        return ours.edit(pull, { ...before, marks }, 'rest');
      }),
    isOpen: async (pull) => {
      const one = await ours.recall(pull);
      return one !== null && !one.marks.folded;
    },
  };
};

interface OursOptions {
  readonly cluster: string;
  readonly self: () => Promise<Self>;
}

/** Our comments as they stand on GitHub, and what is remembered of them. */
interface Ours {
  readonly marker: string;
  readonly recall: (pull: number) => Promise<Known | null>;
  /** False where a person has deleted it. */
  readonly edit: (pull: number, one: Known, of: WriteOf) => Promise<boolean>;
  readonly make: (pull: number, body: string, marks: Marks) => Promise<void>;
}

const createOurs = (wire: Wire, { cluster, self }: OursOptions): Ours => {
  const marker = `<!-- purser:${cluster} -->`;
  const known = wire.memory<number, Known>();

  const remember = (pull: number, one: Known) => {
    known.delete(pull);
    known.set(pull, one);
    const oldest = known.keys().next().value;
    if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
  };

  return {
    marker,
    recall: async (pull) => {
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
      const [first] = comments.toSorted((a, b) => a.id - b.id);
      if (first === undefined) return null;
      const one = { id: first.id, node: first.node_id, ...splitMarks(first.body ?? '') };
      remember(pull, one);
      return one;
    },
    edit: async (pull, one, of) => {
      known.delete(pull);
      try {
        const body = withMarks(one.body, one.marks);
        const params = { comment_id: one.id, body };
        await wire.send('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', params, of);
      } catch (error) {
        if (error instanceof ForgeFailure && error.status === 404) return false;
        throw error;
      }
      remember(pull, one);
      return true;
    },
    make: async (pull, body, marks) => {
      const route = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments';
      const params = { issue_number: pull, body: withMarks(body, marks) };
      const made = await wire.send(route, params, 'plan');
      const { id, node_id: node } = made as ApiComment;
      remember(pull, { id, node, body, marks });
    },
  };
};

const write = async (wire: Wire, ours: Ours, ask: CommentAsk): Promise<void> => {
  const { pull, folded } = ask;
  const body = hasMarker(ask.body, ours.marker) ? ask.body : `${ours.marker}\n${ask.body}`;
  const hash = hashOf({ body, folded }).slice(0, 16);
  const before = await ours.recall(pull);
  if (before?.marks.hash === hash) return;
  if (before === null) {
    // A closed pull request that never had a comment needs none to be folded.
    if (!folded) await ours.make(pull, body, { ...NO_MARKS, hash });
    return;
  }
  if (before.marks.folded !== folded) await fold(wire, before.node, folded);
  const marks = { ...before.marks, hash, folded };
  const isThere = await ours.edit(pull, { ...before, body, marks }, 'plan');
  if (!isThere && !folded) await ours.make(pull, body, { ...NO_MARKS, hash });
};

/** At the beginning of a line: a quotation of ours in a comment of ours is none. */
const hasMarker = (body: string | undefined, marker: string): boolean =>
  (body ?? '').split(/\r?\n/).some((line) => line.startsWith(marker));

/** GitHub folds ("minimizes") comments by GraphQL only. */
const fold = async (wire: Wire, node: string, folded: boolean): Promise<void> => {
  await wire.graphql(folded ? MINIMIZE : UNMINIMIZE, { id: node }, 'plan');
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
