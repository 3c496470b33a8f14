// What people ask by clicks and comments and was not answered yet.
// In: clicks out of deliveries, comments of open pull requests. Out: requests, each with what its
// sender may do as GitHub says now. Answered clicks are known by the mark below their check, answered
// comments by our reaction: both stand on GitHub. Not here: deciding (reconciler/forge).

import type { Account, ForgeRequest, Permission, PullRequest } from '../../../schema/forge.ts';
import type { ClockPort } from '../../ports.ts';
import type { Self } from './account.ts';
import type { Click } from './clicks.ts';
import { ASKED_AGE_MS, createCommands, NO_COMMIT, type Asked } from './commands.ts';
import { ForgeFailure } from './failure.ts';
import type { Checks } from './checks.ts';
import type { Comments } from './comments.ts';
import { ANSWER_MAX } from './mark.ts';
import { mayWrite, permissionOf } from './people.ts';
import type { Statuses } from './statuses.ts';
import type { Wire } from './wire.ts';

export interface Requests {
  /** A click that a delivery told of; told twice it counts once. */
  readonly note: (click: Click) => void;
  /** Oldest first, those of people who may write before others. */
  readonly pending: (pulls: readonly PullRequest[]) => Promise<readonly ForgeRequest[]>;
  readonly answer: (request: ForgeRequest, words: string, done: boolean) => Promise<void>;
}

export interface RequestsOptions {
  readonly self: () => Promise<Self>;
  readonly clock: ClockPort;
  readonly checks: Checks | null;
  readonly statuses: Statuses | null;
  readonly comments: Comments;
}

/** Clicks and answered ids that are remembered; beyond that GitHub's marks tell. */
const CLICKS_MAX = 500;
const ANSWERED_MAX = 5000;
/** People without permission are answered so often an hour: they could use up our writes. */
const STRANGERS_AN_HOUR = 10;
const HOUR_MS = 3_600_000;

export const createRequests = (wire: Wire, options: RequestsOptions): Requests => {
  const { clock, checks, comments } = options;
  const clicks = new Map<string, Click>();
  const handed = new Map<string, Click>();
  const answered = new Set<string>();
  const askedByComments = createCommands(wire, options);
  const isTooMany = createStrangers(clock);

  const settle = (id: string): void => {
    remember(answered, id);
    clicks.delete(id);
    handed.delete(id);
  };

  const askedByClicks = async (pulls: readonly PullRequest[]): Promise<readonly Asked[]> => {
    const asked: Asked[] = [];
    for (const click of clicks.values()) {
      const { id, action, by, kind, commit, at, covers } = click;
      if (await checks?.isAnswered(click)) {
        settle(id);
        continue;
      }
      const pull = kind === 'sync' ? undefined : pulls.find(({ head }) => head === commit);
      handed.set(id, click);
      const carried = covers === undefined ? {} : { covers };
      const of = { commit, pull: pull?.number ?? null, ...carried };
      asked.push({ id, kind: 'button', action, by, ...of, at });
    }
    return asked;
  };

  return {
    note: (click) => {
      const oldest = (clock.epochMs?.() ?? 0) - ASKED_AGE_MS;
      if (answered.has(click.id) || click.at < oldest) return;
      if (clicks.size < CLICKS_MAX) clicks.set(click.id, click);
    },
    pending: async (pulls) => {
      const byClicks = await askedByClicks(pulls);
      const permissionFor = createPermissions(wire);
      const found = [];
      for (const one of [...byClicks, ...(await askedByComments(pulls, answered))]) {
        const permission = await permissionFor(one.by);
        found.push({ at: one.at, request: { ...one, permission } });
      }
      return found
        .toSorted((a, b) => rank(a.request) - rank(b.request) || a.at - b.at)
        .map(({ request }) => request);
    },
    answer: async (request, words, done) => {
      const { id, kind, commit, pull, action, by } = request;
      if (rank(request) > 0 && isTooMany()) return settle(id);
      const line = `**${ACTIONS[action]}**, asked by ${by.login}: ${oneLine(words)}`;
      const below = kind === 'comment' && pull !== null && (await comments.answer(pull, id, line));
      const of = handed.get(id) ?? { kind: pull === null ? 'sync' : 'plan', seal: '' };
      if (!below && commit !== NO_COMMIT) {
        await checks?.answer({ kind: of.kind, commit, id, seal: of.seal, line });
      }
      // Last: by it the comment is known as answered, also where the words could not be written.
      if (kind === 'comment') await react(wire, id, done);
      return settle(id);
    },
  };
};

/** True once people without permission were answered often enough in this hour. */
const createStrangers = (clock: ClockPort): (() => boolean) => {
  let times: number[] = [];
  return () => {
    const now = clock.now();
    times = times.filter((at) => at > now - HOUR_MS);
    if (times.length >= STRANGERS_AN_HOUR) return true;
    times.push(now);
    return false;
  };
};

/** Each account is asked about once in a look. */
const createPermissions = (wire: Wire): ((by: Account) => Promise<Permission>) => {
  const known = new Map<number, Promise<Permission>>();
  return (by) => {
    const one = known.get(by.id) ?? permissionOf(wire, by);
    known.set(by.id, one);
    return one;
  };
};

const ACTIONS: Readonly<Record<ForgeRequest['action'], string>> = {
  approve: 'Approve',
  rollback: 'Roll back',
  promote: 'Promote',
  retry: 'Retry',
  reland: 'Re-land',
  plan: 'Plan again',
};

const rank = ({ permission }: ForgeRequest): number => (mayWrite(permission) ? 0 : 1);

const oneLine = (words: string): string => {
  const line = words.replaceAll(/\s+/g, ' ').trim();
  return line.length > ANSWER_MAX ? `${line.slice(0, ANSWER_MAX - 1)}…` : line;
};

/** Forgets the oldest. */
const remember = (answered: Set<string>, id: string): void => {
  answered.add(id);
  const [oldest] = answered;
  if (answered.size > ANSWERED_MAX && oldest !== undefined) answered.delete(oldest);
};

const react = async (wire: Wire, id: string, done: boolean): Promise<void> => {
  try {
    await wire.send('POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions', {
      comment_id: Number(id.replace('comment-', '')),
      content: done ? '+1' : 'confused',
    });
  } catch (error) {
    // The comment was deleted: there is nobody to answer.
    if (!(error instanceof ForgeFailure) || error.status !== 404) throw error;
  }
};
