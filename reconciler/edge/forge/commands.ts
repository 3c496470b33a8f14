// Comments of people that ask for something: `/purser plan`, `/purser approve`.
// In: the wire, open pull requests. Out: what was asked and has no reaction of ours. Not here: who
// may ask (requests), our own comment (comments).

import type { Account, ForgeRequest, PullRequest } from '../../../schema/forge.ts';
import type { ClockPort } from '../../ports.ts';
import type { Self } from './account.ts';
import type { ApiComment, ApiUser } from './answers.ts';
import type { Checks } from './checks.ts';
import type { Statuses } from './statuses.ts';
import type { Wire } from './wire.ts';

/** What was asked longer ago was asked of another world; GitHub lists deliveries of three days. */
export const ASKED_AGE_MS = 24 * 3_600_000;
/** What an approval by comment covers where no plan was shown before it: no commit. */
export const NO_COMMIT = '0'.repeat(40);

/** A request before its sender was looked at; `at` in ms since 1970. */
export type Asked = Omit<ForgeRequest, 'permission'> & { readonly at: number };

export interface CommandsOptions {
  readonly self: () => Promise<Self>;
  readonly clock: ClockPort;
  readonly checks: Checks | null;
  readonly statuses: Statuses | null;
}

/** Pages of comments of one day. */
const COMMENT_PAGES = 10;
const REACTION_PAGES = 2;
const HOUR_MS = 3_600_000;

/** A comment of a person with a command. */
interface Command {
  readonly id: number;
  readonly action: 'plan' | 'approve';
  readonly by: Account;
  readonly pull: number;
  readonly at: number;
  readonly reactions: number;
}

/** @param answered ids known as answered; those that GitHub shows as answered are added */
export type AskedByComments = (
  pulls: readonly PullRequest[],
  answered: Set<string>,
) => Promise<readonly Asked[]>;

export const createCommands = (wire: Wire, options: CommandsOptions): AskedByComments => {
  const { self, clock, checks, statuses } = options;

  /** Asked from a full hour on, so that the answer stays the same for an hour. */
  const commands = async (): Promise<readonly Command[]> => {
    const day = (clock.epochMs?.() ?? 0) - ASKED_AGE_MS;
    const since = new Date(Math.floor(day / HOUR_MS) * HOUR_MS).toISOString();
    const { login } = await self();
    return wire.pages(
      {
        route: 'GET /repos/{owner}/{repo}/issues/comments',
        // The newest: strangers' comments hide nobody's.
        params: { sort: 'created', direction: 'desc', since: `${since.slice(0, 19)}Z` },
        pick: (data) =>
          (data as readonly ApiComment[])
            // A token is a person's: what they write themselves counts. Ours begins with our mark.
            .filter(({ user }) => !wire.isApp || user?.login !== login)
            .flatMap(commandOf),
      },
      COMMENT_PAGES,
    );
  };

  const isReactedTo = async ({ id, reactions }: Command): Promise<boolean> => {
    if (reactions === 0) return false;
    const { login } = await self();
    const ours = await wire.pages(
      {
        route: 'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
        params: { comment_id: id },
        pick: (data) =>
          (data as readonly { readonly user: ApiUser | null }[]).filter(
            ({ user }) => user?.login === login,
          ),
        once: true,
      },
      REACTION_PAGES,
    );
    return ours.length > 0;
  };

  /** An approval counts for the plan that stood there when it was written. */
  const commitFor = async (command: Command, head: string): Promise<string> => {
    if (command.action === 'plan') return head;
    const began = (await (checks ?? statuses)?.beganAt('plan', head)) ?? null;
    return began !== null && began < command.at ? head : NO_COMMIT;
  };

  return async (pulls, answered) => {
    const asked: Asked[] = [];
    for (const command of await commands()) {
      const id = `comment-${command.id}`;
      const pull = pulls.find(({ number, state }) => number === command.pull && state === 'open');
      if (pull === undefined || answered.has(id)) continue;
      if (await isReactedTo(command)) {
        answered.add(id);
        continue;
      }
      const commit = await commitFor(command, pull.head);
      const { action, by, at } = command;
      asked.push({ id, kind: 'comment', action, by, commit, pull: pull.number, at });
    }
    return asked;
  };
};

/** Four spaces or a tab in front would make it code; quotations and fences begin otherwise. */
const COMMAND = /^(?:[ \t]*\r?\n)* {0,3}\/purser[ \t]+(plan|approve)[ \t]*(?:\r?\n|$)/;

/**
 * A first line `/purser plan` or `/purser approve` below a pull request. One that was edited counts
 * for nothing: people with write access can edit what others wrote.
 */
const commandOf = (comment: ApiComment): readonly Command[] => {
  const { id, body, user, created_at, updated_at, html_url, issue_url, reactions } = comment;
  const action = COMMAND.exec(body ?? '')?.[1];
  const pull = Number(/\/(\d+)$/.exec(issue_url)?.[1]);
  if ((action !== 'plan' && action !== 'approve') || user === null) return [];
  if (!html_url.includes('/pull/') || !Number.isSafeInteger(pull)) return [];
  if (created_at !== updated_at) return [];
  const by = { login: user.login, id: user.id };
  const at = Date.parse(created_at);
  return [{ id, action, by, pull, at, reactions: reactions?.total_count ?? 0 }];
};
