// What people ask by clicks and comments and was not answered yet.
// In: clicks out of deliveries, comments of open pull requests. Out: requests, each with what its
// sender may do as GitHub says now. Answered clicks are known by the mark below their check, answered
// comments by our reaction: both stand on GitHub. Not here: deciding (reconciler/forge).

import type { Account, ForgeRequest, Permission, PullRequest } from '../../../schema/forge.ts';
import type { ClockPort } from '../../ports.ts';
import type { Self } from './account.ts';
import type { ApiComment, ApiUser } from './answers.ts';
import type { Click } from './clicks.ts';
import { ForgeFailure } from './failure.ts';
import type { Checks } from './checks.ts';
import type { Comments } from './comments.ts';
import { ANSWER_MAX } from './mark.ts';
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

/** What was asked longer ago was asked of another world; GitHub lists deliveries of three days. */
export const ASKED_AGE_MS = 24 * 3_600_000;
/** Requests handed out at once. */
const REQUESTS_A_LOOK = 20;
/** Clicks and answered ids that are remembered; beyond that GitHub's marks tell. */
const CLICKS_MAX = 500;
const ANSWERED_MAX = 5000;
/** Pages of comments of one day. */
const COMMENT_PAGES = 10;
/** People without permission are answered so often an hour: they could use up our writes. */
const STRANGERS_AN_HOUR = 10;
const HOUR_MS = 3_600_000;
/** What an approval by comment covers where no plan was shown before it: no commit. */
const NO_COMMIT = '0'.repeat(40);

/** A comment of a person with a command. */
interface Command {
  readonly id: number;
  readonly action: 'plan' | 'approve';
  readonly by: Account;
  readonly pull: number;
  readonly at: number;
  readonly reactions: number;
}

type Asked = Omit<ForgeRequest, 'permission'> & { readonly at: number };

export const createRequests = (wire: Wire, options: RequestsOptions): Requests => {
  const { self, clock, checks, statuses, comments } = options;
  const clicks = new Map<string, Click>();
  const answered = new Set<string>();
  const handed = new Map<string, Click>();
  let strangers: number[] = [];
  const epoch = () => clock.epochMs?.() ?? 0;

  const commands = async (): Promise<readonly Command[]> => {
    const since = Math.floor((epoch() - ASKED_AGE_MS) / HOUR_MS) * HOUR_MS;
    const { login } = await self();
    return wire.pages(
      {
        route: 'GET /repos/{owner}/{repo}/issues/comments',
        params: {
          sort: 'created',
          direction: 'asc',
          since: `${new Date(since).toISOString().slice(0, 19)}Z`,
        },
        pick: (data) =>
          (data as readonly ApiComment[])
            .filter(({ user }) => user?.login !== login)
            .flatMap(commandOf),
      },
      COMMENT_PAGES,
    );
  };

  const isReactedTo = async ({ id, reactions }: Command): Promise<boolean> => {
    if (reactions === 0) return false;
    const { login } = await self();
    const mine = await wire.pages(
      {
        route: 'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
        params: { comment_id: id },
        pick: (data) =>
          (data as readonly { readonly user: ApiUser | null }[]).filter(
            ({ user }) => user?.login === login,
          ),
        once: true,
      },
      2,
    );
    return mine.length > 0;
  };

  /** An approval counts for the plan that stood there when it was written. */
  const commitFor = async (command: Command, head: string): Promise<string> => {
    if (command.action === 'plan') return head;
    const began = await (checks ?? statuses)?.beganAt('plan', head);
    return began !== null && began !== undefined && began < command.at ? head : NO_COMMIT;
  };

  const askedByComments = async (pulls: readonly PullRequest[]): Promise<readonly Asked[]> => {
    const asked: Asked[] = [];
    for (const command of await commands()) {
      const id = `comment-${command.id}`;
      const pull = pulls.find(({ number, state }) => number === command.pull && state === 'open');
      if (pull === undefined || answered.has(id)) continue;
      if (await isReactedTo(command)) {
        remember(answered, id);
        continue;
      }
      const commit = await commitFor(command, pull.head);
      const { action, by, at } = command;
      asked.push({ id, kind: 'comment', action, by, commit, pull: pull.number, at });
    }
    return asked;
  };

  const askedByClicks = async (pulls: readonly PullRequest[]): Promise<readonly Asked[]> => {
    const asked: Asked[] = [];
    for (const click of clicks.values()) {
      const { id, action, by, kind, commit, at } = click;
      if (await checks?.isAnswered(click)) {
        clicks.delete(id);
        remember(answered, id);
        continue;
      }
      const pull = kind === 'sync' ? undefined : pulls.find(({ head }) => head === commit);
      handed.set(id, click);
      asked.push({ id, kind: 'button', action, by, commit, pull: pull?.number ?? null, at });
    }
    return asked;
  };

  const permissions = () => {
    const known = new Map<number, Promise<Permission>>();
    return (by: Account): Promise<Permission> => {
      const one = known.get(by.id) ?? permissionOf(wire, by);
      known.set(by.id, one);
      return one;
    };
  };

  const isTooMany = (): boolean => {
    const now = clock.now();
    strangers = strangers.filter((at) => at > now - HOUR_MS);
    if (strangers.length >= STRANGERS_AN_HOUR) return true;
    strangers.push(now);
    return false;
  };

  return {
    note: (click) => {
      if (answered.has(click.id) || click.at < epoch() - ASKED_AGE_MS) return;
      if (clicks.size < CLICKS_MAX) clicks.set(click.id, click);
    },
    pending: async (pulls) => {
      const asked = [...(await askedByClicks(pulls)), ...(await askedByComments(pulls))];
      const permissionFor = permissions();
      const found = [];
      for (const { at, ...one } of asked) {
        found.push({ at, request: { ...one, permission: await permissionFor(one.by) } });
      }
      return found
        .toSorted((a, b) => rank(a.request) - rank(b.request) || a.at - b.at)
        .slice(0, REQUESTS_A_LOOK)
        .map(({ request }) => request);
    },
    answer: async (request, words, done) => {
      const { id, kind, commit, pull, action, by } = request;
      if (rank(request) > 0 && isTooMany()) {
        remember(answered, id);
        clicks.delete(id);
        return;
      }
      const line = `**${ACTIONS[action]}**, asked by ${by.login}: ${oneLine(words)}`;
      if (kind === 'comment') await react(wire, id, done);
      const below = kind === 'comment' && pull !== null && (await comments.answer(pull, id, line));
      const { kind: of, seal } = handed.get(id) ?? {
        kind: pull === null ? 'sync' : 'plan',
        seal: '',
      };
      if (!below && commit !== NO_COMMIT)
        await checks?.answer({ kind: of, commit, id, seal, line });
      remember(answered, id);
      clicks.delete(id);
      handed.delete(id);
    },
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

const rank = ({ permission }: ForgeRequest): number =>
  permission === 'admin' || permission === 'write' ? 0 : 1;

const oneLine = (words: string): string => {
  const line = words.replaceAll(/\s+/g, ' ').trim();
  return line.length > ANSWER_MAX ? `${line.slice(0, ANSWER_MAX - 1)}…` : line;
};

const remember = (answered: Set<string>, id: string): void => {
  answered.add(id);
  const [oldest] = answered;
  if (answered.size > ANSWERED_MAX && oldest !== undefined) answered.delete(oldest);
};

/**
 * A first line `/purser plan` or `/purser approve` below a pull request. One that was edited counts
 * for nothing: people with write access can edit what others wrote.
 */
const commandOf = (comment: ApiComment): readonly Command[] => {
  const { id, body, user, created_at, updated_at, html_url, issue_url, reactions } = comment;
  const action = /^\s*\/purser[ \t]+(plan|approve)[ \t]*(?:\r?\n|$)/.exec(body ?? '')?.[1];
  const pull = Number(/\/(\d+)$/.exec(issue_url)?.[1]);
  if ((action !== 'plan' && action !== 'approve') || user === null) return [];
  if (!html_url.includes('/pull/') || !Number.isSafeInteger(pull)) return [];
  if (created_at !== updated_at) return [];
  const by = { login: user.login, id: user.id };
  const at = Date.parse(created_at);
  return [{ id, action, by, pull, at, reactions: reactions?.total_count ?? 0 }];
};

interface ApiPermission {
  readonly permission: string;
  readonly user: ApiUser | null;
}

/** Asked by login, compared by id: a login can pass on to somebody else. */
const permissionOf = async (wire: Wire, { login, id }: Account): Promise<Permission> => {
  try {
    const { permission, user } = await wire.poll({
      route: 'GET /repos/{owner}/{repo}/collaborators/{username}/permission',
      params: { username: login },
      pick: (data) => data as ApiPermission,
      once: true,
    });
    if (user?.id !== id) return 'none';
    return PERMISSIONS.find((one) => one === permission) ?? 'none';
  } catch (error) {
    if (error instanceof ForgeFailure && error.status === 404) return 'none';
    throw error;
  }
};

const PERMISSIONS: readonly Permission[] = ['admin', 'write', 'read', 'none'];

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
