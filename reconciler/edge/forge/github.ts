// GitHub as the reconciler's forge: puts the parts of this folder together.
// In: options. Out: the port, a receiver of webhooks that may be opened, a token for Git. Everything
// that must survive stands on GitHub: what is remembered here only saves requests.

import { saidTogether } from '../../../schema/plain.ts';
import type { CheckReport, ForgeState, PullRequest } from '../../../schema/forge.ts';
import { createSelf } from './account.ts';
import { createBehind } from './behind.ts';
import { createChecks, type Checks } from './checks.ts';
import { isNews, movesBranch, toldBy, type Delivery } from './clicks.ts';
import { createComments } from './comments.ts';
import { createDeliveries } from './deliveries.ts';
import { createDeployments } from './deployments.ts';
import { ForgeFailure } from './failure.ts';
import type { Gate } from './gate.ts';
import { addressOf, type GitHub, type GitHubOptions } from './options.ts';
import { createPlace, type Place } from './place.ts';
import { createBell, intervalMs, type Bell } from './polling.ts';
import { createPulls, type Pulls } from './pulls.ts';
import { createRequests, type Requests } from './requests.ts';
import { createStatuses, type Statuses } from './statuses.ts';
import { createReceiver, type Receiver } from './webhooks.ts';
import { createWire } from './wire.ts';

export const createGitHub = (options: GitHubOptions): GitHub => {
  const { config, cluster, branch, clock } = options;
  const { owner, repo, credentials } = config;
  const wire = createWire(options);
  const self = createSelf(wire);
  const appId = credentials.kind === 'app' ? credentials.appId : null;
  const checks = appId === null ? null : createChecks(wire, { cluster, appId, now: clock.now });
  const statuses = checks === null ? createStatuses(wire, { cluster, self }) : null;
  const comments = createComments(wire, { cluster, self });
  const pulls = createPulls(wire, { owner, branch });
  const place = createPlace(wire, `${owner}/${repo}`, clock);
  const { isOurs } = place;
  const deliveries = appId === null ? null : createDeliveries(wire, { clock, isOurs });
  const requests = createRequests(wire, { self, clock, checks, statuses, comments });
  const closings = createClosings({ comments, at: checks ?? statuses });
  const interval = () => intervalMs(config.webhook !== null, wire.gate.rate(), pulls.pages());
  const [bell, moved] = [createBell(clock, interval), createBell(clock, null)];
  /** Commits whose checks a person has asked to run again. */
  const again = new Set<string>();
  const glance = createGlance();
  const { forget } = glance;
  const take = takenBy({ cluster, isOurs, requests, again });
  const receiver = receiverOf(options, (delivery) => {
    if (!isNews(delivery.event, delivery.payload, isOurs)) return;
    deliveries?.seen(delivery.id);
    take(delivery);
    forget();
    bell.ring();
    if (movesBranch(delivery, { branch, cluster })) moved.ring();
  });

  const look: GitHub['look'] = async (ahead) => {
    const at = clock.now();
    const known = glance.since(at - interval());
    if (known !== null) return known;
    const keep = glance.begin(at);
    // Two rounds, not one question after the other: what is told waits for all of them.
    const told = place.know().then(() => deliveries?.fresh(take));
    const [open] = await allOf([openOf(pulls, ahead), told]);
    await sayAgain(checks, again);
    const closed = pulls.closed().then((all) => closings.unfolded(all, open));
    const rest = await allOf([closed, pulls.groups(), requests.pending(open)]);
    const state = stateOf(open, rest);
    // What somebody may do is asked again each time that it is looked at.
    if (state.requests.length === 0) keep(state);
    return state;
  };

  return {
    look,
    ...tellingBy(checks ?? statuses, wire.gate),
    writeComment: commentsOf({ comments, closings, forget, areOn: config.comments }),
    answer: (request, words, done) => requests.answer(request, words, done).then(forget),
    writeDeployment: createDeployments(wire, { self }),
    ...ownPulls(pulls, forget),
    ...accountsOf(pulls, config.apiUrl),
    behind: createBehind(wire, { branch }),
    hasChecks: wire.isApp,
    epochMs: wire.epochMs,
    renewals: place.renewals,
    watch: (wake) => bell.listen(wake),
    watchBranch: (wake) => moved.listen(wake),
    listen: async () => (receiver === null ? null : receiver.listen()),
    close: () => close([bell, moved], receiver),
    token: () => wire.token(),
    notice: () => saidTogether(wire.notice(), place.notice()),
    writes: wire.gate.writes,
  };
};

/** A look that fails has ended: none of its questions goes on beside what comes after it. */
const allOf = async <T extends readonly unknown[]>(asked: {
  readonly [Index in keyof T]: Promise<T[Index]>;
}): Promise<T> => {
  await Promise.allSettled(asked);
  return (await Promise.all(asked)) as unknown as T;
};

interface Taking {
  readonly cluster: string;
  readonly isOurs: Place['isOurs'];
  readonly requests: Requests;
  readonly again: Set<string>;
}

const takenBy =
  ({ requests, again, ...ours }: Taking) =>
  (delivery: Delivery): void => {
    const told = toldBy(delivery, ours);
    if (told.kind === 'click') requests.note(told.click);
    if (told.kind === 'again') again.add(told.commit);
  };

const tellingBy = (
  at: Checks | Statuses | null,
  { roomAt }: Gate,
): Pick<GitHub, 'check' | 'writeCheck' | 'roomAt'> => ({
  check: (kind, commit) => present(at).check(kind, commit),
  writeCheck: (report, of) => present(at).write(report, of),
  roomAt,
});

const ownPulls = (
  pulls: Pulls,
  forget: () => void,
): Pick<GitHub, 'openPull' | 'branches' | 'closePull'> => ({
  openPull: async (ask) => {
    const number = await pulls.ask(ask);
    forget();
    return number;
  },
  branches: pulls.branches,
  closePull: (ask) => pulls.close(ask).then(forget),
});

const accountsOf = (
  { authors, accounts }: Pulls,
  apiUrl: string,
): Pick<GitHub, 'authors' | 'accounts' | 'addressOf'> => ({
  authors,
  accounts,
  addressOf: (account) => addressOf(apiUrl, account),
});

const openOf = async (pulls: Pulls, ahead: Parameters<GitHub['look']>[0]) => {
  const open = await pulls.open();
  ahead?.(open);
  return open;
};

interface CommentParts {
  readonly comments: ReturnType<typeof createComments>;
  readonly closings: ReturnType<typeof createClosings>;
  readonly forget: () => void;
  /** False: none is written. */
  readonly areOn: boolean;
}

/** What a comment says that was written before they were turned off: its plan grows old. */
const OFF = 'Comments of Purser are off here: see the check of the newest commit.';

/** A comment that is folded is the last word on its pull request. */
const commentsOf =
  ({ comments, closings, forget, areOn }: CommentParts): GitHub['writeComment'] =>
  async (ask) => {
    // Folding makes no comment where there is none.
    await comments.write(areOn ? ask : { pull: ask.pull, body: OFF, folded: true });
    if (!ask.folded) return closings.reopened(ask.pull);
    closings.done(ask.pull);
    forget();
  };

const stateOf = (
  open: readonly PullRequest[],
  [closed, groups, requests]: readonly [
    readonly PullRequest[],
    ForgeState['groups'],
    ForgeState['requests'],
  ],
): ForgeState => ({ pulls: [...open, ...closed], groups, requests });

/** What was seen last, until news come. */
const createGlance = () => {
  let last: { readonly at: number; readonly state: ForgeState } | null = null;
  /** Grows with all that makes what was seen old: a look that it happens in is not kept. */
  let news = 0;
  return {
    forget: (): void => {
      news += 1;
      last = null;
    },
    /** null: it is older, or there are news. */
    since: (at: number): ForgeState | null => (last !== null && last.at > at ? last.state : null),
    begin: (at: number) => {
      const before = news;
      return (state: ForgeState): void => {
        if (news === before) last = { at, state };
      };
    },
  };
};

const receiverOf = (
  { config, clock, log }: GitHubOptions,
  onDelivery: (delivery: Delivery) => void,
): Receiver | null =>
  config.webhook === null
    ? null
    : createReceiver({ config: config.webhook, clock, log, onDelivery });

const sayAgain = async (checks: Checks | null, again: Set<string>): Promise<void> => {
  for (const commit of again) {
    await checks?.touch('plan', commit);
    await checks?.touch('sync', commit);
    again.delete(commit);
  }
};

const close = async (bells: readonly Bell[], receiver: Receiver | null): Promise<void> => {
  for (const bell of bells) bell.close();
  await receiver?.close();
};

const present = <T>(part: T | null): T => {
  if (part === null) throw new ForgeFailure('broken', 'neither an App nor a token is configured');
  return part;
};

/** Closed pull requests that are known to need nothing more. */
const SETTLED_MAX = 1000;

interface ClosingParts extends Pick<CommentParts, 'comments'> {
  /** Where checks are told. */
  readonly at: Pick<Checks, 'check'> | null;
}

/** It is made, or waits for a person: what ends with its pull request. */
const isOpenCheck = (check: CheckReport | null): boolean =>
  check !== null && (check.status !== 'completed' || check.conclusion === 'action_required');

/**
 * Of the pull requests closed last those whose comment of ours is still open, or whose check: one
 * that ended before it had a comment has that alone. A check is of a commit: one that another pull
 * request has as its head is that one's.
 */
const createClosings = ({ comments, at }: ClosingParts) => {
  const isOpen = async ({ number, head }: PullRequest, isShared: boolean): Promise<boolean> =>
    (await comments.isOpen(number)) ||
    (!isShared && isOpenCheck((await at?.check('plan', head)) ?? null));
  const settled = new Set<number>();
  const done = (pull: number): void => {
    settled.add(pull);
    const [oldest] = settled;
    if (settled.size > SETTLED_MAX && oldest !== undefined) settled.delete(oldest);
  };
  return {
    done,
    reopened: (pull: number): void => void settled.delete(pull),
    unfolded: async (
      pulls: readonly PullRequest[],
      open: readonly PullRequest[],
    ): Promise<readonly PullRequest[]> => {
      const found: PullRequest[] = [];
      const heads = new Set(open.map(({ head }) => head));
      for (const pull of pulls) {
        if (settled.has(pull.number)) continue;
        if (await isOpen(pull, heads.has(pull.head))) found.push(pull);
        else done(pull.number);
      }
      return found.toSorted((a, b) => a.number - b.number);
    },
  };
};
