// Clicks on the buttons of our checks, out of deliveries: those that arrived and those that GitHub
// lists.
// In: an event's payload. Out: a click, or that a check is to be said again, or nothing. Pure. Not
// here: whether the person may (requests), signatures (webhooks).

import type { Account, ButtonId, CheckKind } from '../../../schema/forge.ts';
import type { Place, RepositoryName } from './place.ts';

/** A click as a delivery tells it; who it is and what they may is asked of GitHub afterwards. */
export interface Click {
  /** The delivery's. */
  readonly id: string;
  /** Of the delivery's signature: the id itself is not signed. */
  readonly seal: string;
  readonly action: ButtonId | 'plan';
  readonly by: Account;
  readonly kind: CheckKind;
  readonly commit: string;
  /** What the button carried; absent: nothing. */
  readonly covers?: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export type Told =
  | { readonly kind: 'click'; readonly click: Click }
  /** A re-run: the check says again what it says. */
  | { readonly kind: 'again'; readonly commit: string }
  | { readonly kind: 'nothing' };

export interface Delivery {
  readonly id: string;
  readonly event: string;
  readonly payload: unknown;
  /** `sha256=…` */
  readonly signature: string;
  readonly at: number;
}

/** So much of a signature names a delivery; all of it is nobody's to read. */
const SEAL_LENGTH = 16;

const NOTHING: Told = { kind: 'nothing' };
const BUTTONS: readonly ButtonId[] = ['approve', 'rollback', 'promote', 'retry', 'reland'];

export const toldBy = (
  { id, event, payload, signature, at }: Delivery,
  { cluster, isOurs }: { readonly cluster: string; readonly isOurs: Place['isOurs'] },
): Told => {
  const told = recordOf(payload);
  const repository = repositoryOf(payload);
  if (repository === null || !isOurs(repository)) return NOTHING;
  if (event === 'check_suite' && told['action'] === 'rerequested') {
    const commit = recordOf(told['check_suite'])['head_sha'];
    return isCommit(commit) ? { kind: 'again', commit } : NOTHING;
  }
  if (event !== 'check_run') return NOTHING;
  const { head_sha: commit, external_id: external } = recordOf(told['check_run']);
  const kind = kindOf(external, cluster);
  if (kind === null || !isCommit(commit) || !String(external).endsWith(commit)) return NOTHING;
  const isAgain = told['action'] === 'rerequested';
  if (isAgain && kind === 'sync') return { kind: 'again', commit };
  const [, asked, covers] =
    NAME.exec(String(recordOf(told['requested_action'])['identifier'])) ?? [];
  const action = isAgain ? 'plan' : BUTTONS.find((one) => one === asked);
  const { login, id: account } = recordOf(told['sender']);
  if (!isAgain && told['action'] !== 'requested_action') return NOTHING;
  if (action === undefined || typeof login !== 'string' || typeof account !== 'number') {
    return NOTHING;
  }
  const seal = signature.replace('sha256=', '').slice(0, SEAL_LENGTH);
  const by = { login, id: account };
  const carried = covers === undefined ? {} : { covers };
  return { kind: 'click', click: { id, seal, action, by, kind, commit, at, ...carried } };
};

/** A button's name, and what it carries. */
const NAME = /^([a-z]+)(?:-([0-9a-f]+))?$/;

/** null: it is about none, such as that the App was installed. */
const repositoryOf = (payload: unknown): RepositoryName | null => {
  const { repository } = recordOf(payload);
  if (repository === undefined) return null;
  const { id, full_name: name } = recordOf(repository);
  return { id, name };
};

/**
 * Events that change nothing for us: our own checks as they are written, and all that happens in
 * other repositories that the App is installed in.
 */
export const isNews = (event: string, payload: unknown, isOurs: Place['isOurs']): boolean => {
  const repository = repositoryOf(payload);
  if (repository !== null && !isOurs(repository)) return false;
  const { action } = recordOf(payload);
  if (event === 'check_run') return action === 'requested_action' || action === 'rerequested';
  if (event === 'check_suite') return action !== 'completed';
  return EVENTS.has(event);
};

/**
 * Whether the branch that is followed may stand elsewhere now, or the ledger's. A push to a pull
 * request moves neither: to read the repository again would only keep that one's plan waiting.
 */
export const movesBranch = (
  { event, payload }: Pick<Delivery, 'event' | 'payload'>,
  { branch, cluster }: { readonly branch: string; readonly cluster: string },
): boolean => {
  const { action, ref } = recordOf(payload);
  // The merge: a webhook that was made by hand may tell of pull requests only.
  if (event === 'pull_request') return action === 'closed';
  if (event !== 'push') return false;
  if (typeof ref !== 'string' || ref === `refs/heads/${branch}`) return true;
  return ref.startsWith(`refs/heads/purser/${cluster}/`);
};

/** What the App subscribes to, and what GitHub sends every App. */
const EVENTS = new Set([
  'push',
  'pull_request',
  'pull_request_review',
  'issue_comment',
  'merge_group',
  'installation',
  'installation_repositories',
]);

/** Signed or not, a payload may have any shape: its fields are looked at one by one. */
const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const isCommit = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{40}$/.test(value);

const kindOf = (external: unknown, cluster: string): CheckKind | null => {
  const prefix = `purser:${cluster}:`;
  if (typeof external !== 'string' || !external.startsWith(prefix)) return null;
  const kind = external.slice(prefix.length).split(':')[0];
  return kind === 'plan' || kind === 'sync' ? kind : null;
};
