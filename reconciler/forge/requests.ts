// What becomes of a person's click or comment: a refusal in words, a record in the ledger, or a
// commit.
// In: the request with what the forge says of the person, and what is known now. Out: an answer. A
// request decides nothing by itself: everything it asks for is looked at again here (invariant 4).
// Not here: how it came (edge/forge), writing what follows.

import type { FileEdit } from '../../schema/desired.ts';
import { coversOf, isWithin, waitingAt, type Covered } from '../../schema/covered.ts';
import { openChanges, ownedName, unjudged } from '../../schema/behind.ts';
import type { OwnedChange, Person, UnreadTeams } from '../../schema/behind.ts';
import type { Account, ForgeRequest } from '../../schema/forge.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { CommitChange } from '../../schema/source.ts';
import { compareText } from '../../schema/ids.ts';
import { takenBack } from '../../schema/taken-back.ts';
import { editYaml } from '../../schema/yaml-edit.ts';
import type { YamlEdit } from '../../schema/yaml-edit.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { Plan } from '../../schema/plan.ts';
import type { SourceTree } from '../../schema/source.ts';
import { lettable, type PlannedPull } from './pulls.ts';

export interface RequestContext {
  readonly desired: DesiredState;
  readonly plan: Plan;
  readonly tree: SourceTree;
  /** Of the request's pull request; null: it was not planned yet, or there is none. */
  readonly pull: PlannedPull | null;
  /** The one who asks, as an owner; null: nobody asked, or they may not write. */
  readonly person: Person | null;
  /** What the text showed that was clicked; null or absent: nobody knows any more. */
  readonly shown?: Covered | null;
  /**
   * When the check first said what may be approved now, in ms since 1970 by the forge's clock; null
   * or absent: it stood there already when this process began.
   */
  readonly shownAt?: number | null;
  /** Teams of which it is not known whether the person is in them; absent: none. */
  readonly unread?: UnreadTeams;
  /** Accounts behind what is approved; null: somebody whom the forge does not know. */
  readonly authors: readonly (Account | null)[];
  /** What the request's commit changed; undefined: not read yet. */
  readonly change: CommitChange | undefined;
  /** RFC 3339, of now. */
  readonly at: string;
}

export type Answer =
  | { readonly kind: 'refuse'; readonly words: string }
  | { readonly kind: 'replan'; readonly words: string }
  /** The commit's changes must be read first. */
  | { readonly kind: 'read' }
  | {
      readonly kind: 'record';
      readonly records: readonly LedgerRecord[];
      readonly words: string;
    }
  | {
      readonly kind: 'commit';
      readonly edits: readonly FileEdit[];
      readonly message: string;
      readonly words: string;
    };

/** By which a commit that was asked for is found again. */
export const REQUEST_TRAILER = 'Purser-Request';

const refuse = (words: string): Answer => ({ kind: 'refuse', words });

export const answerTo = (request: ForgeRequest, context: RequestContext): Answer => {
  const { by, permission, action } = request;
  if (permission !== 'admin' && permission !== 'write') {
    return refuse(`${by.login} may not write to this repository, and cannot ask for this.`);
  }
  switch (action) {
    case 'plan':
      return { kind: 'replan', words: 'The plan is made anew.' };
    case 'approve':
      return approve(request, context);
    case 'rollback':
    case 'reland':
      return takeBack(request, context);
    case 'promote':
      return promote(request, context);
    case 'retry':
      return retry(request, context);
    default:
      return action satisfies never;
  }
};

/**
 * Rules 8.2: who, and the slots that may go, which the planner asks again when they do; and the
 * contents of the files whose owner the person is.
 */
const approve = (request: ForgeRequest, context: RequestContext): Answer => {
  const { pull, desired } = context;
  if (request.pull === null) return approveCommit(request, context);
  if (pull === null || pull.head !== request.commit || pull.base !== desired.commit.oid) {
    return refuse('The plan that this approves is not the newest. Look at it again, then approve.');
  }
  const slots = lettable(pull.plan);
  const open = openOf(pull, context);
  if (slots.length + open.length === 0) return refuse('Nothing in this plan waits for approval.');
  if (!wasShown(request, context, { slots, files: open })) return refuse(GROWN);
  const files = open.filter(({ owners }) => speaksFor(context.person, owners));
  if (slots.length + files.length === 0) return notOwner(request, open, context);
  return refusalOf(request, context) ?? approval(request, context, { slots, files, ahead: true });
};

/** What a commit of the branch takes away, and the guards hold; and what waits there for owners. */
const approveCommit = (request: ForgeRequest, context: RequestContext): Answer => {
  const { plan, desired, person } = context;
  if (request.commit !== desired.commit.oid) {
    return refuse('A newer commit is on the branch: use the button of its check.');
  }
  const { slots } = waitingAt(desired, plan);
  const held = (desired.heldFiles ?? []).filter(({ by }) => by !== '');
  if (slots.length + held.length === 0) return refuse('Nothing waits for approval.');
  if (!wasShown(request, context, { slots, files: held })) return refuse(GROWN);
  const files = held.filter(({ owners }) => speaksFor(person, owners));
  if (slots.length + files.length === 0) return notOwner(request, held, context);
  const me = request.by.login.toLowerCase();
  const isOwn = files.some(({ by }) => by.toLowerCase().split(', ').includes(me));
  if (isOwn && !desired.cluster.ownApproval) {
    return refuse(`${request.by.login} wrote a part of it: another owner must approve it, ${ELSE}`);
  }
  const refusal = slots.length === 0 ? null : refusalOf(request, context);
  return refusal ?? approval(request, context, { slots, files });
};

const GROWN =
  'What this approves is not what was shown when it was asked for: look at it again, then approve.';

/** A comment so soon after a text was written was written without having read it. */
const READ_MS = 3000;

/** The text that was clicked, or stood there when a comment was written, showed all of it. */
const wasShown = (
  { covers, at = 0 }: ForgeRequest,
  { shown = null, shownAt = null }: RequestContext,
  now: Covered,
): boolean => {
  if (covers !== undefined) {
    return covers === coversOf(now) || (shown !== null && isWithin(now, shown));
  }
  return shownAt === null || at > shownAt + READ_MS;
};

const notOwner = (
  { by }: ForgeRequest,
  open: readonly OwnedChange[],
  { unread }: RequestContext,
): Answer => {
  const why = unjudged(open, unread);
  if (why !== null) return refuse(`Whether ${by.login} is in a team is not known: ${why}.`);
  const owners = [...new Set(open.flatMap((one) => one.owners))].join(', ');
  return refuse(`${by.login} owns none of the files that wait. Their owners: ${owners}.`);
};

const speaksFor = (person: Person | null, owners: readonly string[]): boolean =>
  owners.some((owner) => person?.as.includes(owner.toLowerCase()) === true);

const openOf = (
  { plan, behind }: PlannedPull,
  { desired }: RequestContext,
): readonly OwnedChange[] => {
  if (plan.kind !== 'planned' || plan.owned === undefined || behind === null) return [];
  const { ownApproval } = desired.cluster;
  return openChanges(plan.owned, behind, { ownApproval, given: desired.approvals });
};

/** E-mail addresses of those whose removals wait (rules 8.2), whose accounts must be known. */
export const removersToKnow = (
  { action, pull }: ForgeRequest,
  { desired, plan }: Pick<RequestContext, 'desired' | 'plan'>,
): readonly string[] => {
  if (action !== 'approve' || pull !== null || desired.cluster.ownApproval) return [];
  const { removers, commit } = desired;
  const all = plan.guarded.flatMap(({ job }) => removers?.get(job) ?? [commit.email]);
  return [...new Set(all)].toSorted(compareText);
};

const ELSE = 'or cluster.yaml says `guards: {own_approval: true}`.';

/** Four eyes, unless cluster.yaml says that two are enough. */
const refusalOf = ({ by }: ForgeRequest, { authors, desired }: RequestContext): Answer | null => {
  if (desired.cluster.ownApproval) return null;
  if (authors.some((author) => author?.id === by.id)) {
    return refuse(`${by.login} wrote a part of it: somebody else must approve it, ${ELSE}`);
  }
  if (!authors.includes(null)) return null;
  return refuse(
    'Nobody can say here whose removal it is: an author of it has no account with this address. ' +
      `Run \`purser approve\`, ${ELSE}`,
  );
};

interface Given {
  readonly slots: readonly string[];
  readonly files: readonly { readonly path: string; readonly blob: string | null }[];
  readonly ahead?: true;
}

/** Of one request the approval of files is a record of its own: it does not end with the slots. */
export const filesId = (id: string): string => `${id}-files`;

const approval = (
  request: ForgeRequest,
  { at, person }: RequestContext,
  { slots, files, ...ahead }: Given,
): Answer => {
  const { id, commit } = request;
  const by = personOf(request.by);
  const common = { kind: 'approval', by, at, commit, nodes: [], used: false } as const;
  const contents = files.map(({ path, blob }) => ({ path, blob }));
  const ofFiles = { id: filesId(id), slots: [], files: contents, as: person?.as ?? [] };
  const names = files.map(({ path }) => ownedName(path)).join(', ');
  const copies = `${slots.length} ${slots.length === 1 ? 'copy' : 'copies'} may stop for good`;
  const said = [
    ...(slots.length === 0 ? [] : [copies]),
    ...(files.length === 0 ? [] : [`${names} may change`]),
  ];
  return {
    kind: 'record',
    records: [
      ...(slots.length === 0 ? [] : [{ ...common, id, slots, ...ahead }]),
      ...(files.length === 0 ? [] : [{ ...common, ...ofFiles }]),
    ],
    words: `Approved: ${said.join('; ')}.`,
  };
};

/** `octocat <583231+octocat@github>`: compared by what stands between the brackets (rules 8.2). */
const personOf = ({ login, id }: Account): string => `${login} <${id}+${login}@forge>`;

/** All that the commit changed below the cluster's directory goes back, counts excepted. */
const takeBack = (request: ForgeRequest, { change, desired, tree }: RequestContext): Answer => {
  const { commit } = request;
  const short = commit.slice(0, 12);
  if (change === undefined) return { kind: 'read' };
  if (change.files === null) {
    return refuse(`Commit ${short} changed too much, or is too far back. Run: git revert ${short}`);
  }
  const { edits, changed, unwritable } = takenBack(change.files, { byFields: true });
  const [first] = [...changed, ...unwritable];
  if (first !== undefined) {
    const why = changed.length > 0 ? 'has changed since' : 'is no text that can be written';
    return refuse(`\`${first}\` ${why}. Run: git revert ${short}`);
  }
  if (edits.length === 0) return refuse(`All that commit ${short} changed is taken back already.`);
  const isReland = request.action === 'reland';
  const subject = isReland ? `Re-land what ${short} took back` : `Roll back commit ${short}`;
  const message = [
    subject,
    '',
    isReland
      ? `${request.by.login} asked for the revert of this revert.`
      : `${request.by.login} asked for it. Everything that the commit changed in the cluster's`,
    ...(isReland ? [] : ['directory goes back, but for counts that a machine wrote.']),
    '',
    `Purser-Reverts: ${commit}`,
    ...trailersOf(request, desired),
  ].join('\n');
  return {
    kind: 'commit',
    edits,
    message,
    words: `${subject}, onto ${tree.head.oid.slice(0, 12)}.`,
  };
};

const trailersOf = (request: ForgeRequest, { cluster }: DesiredState): readonly string[] => [
  `Purser-Cluster: ${cluster.name}`,
  `Purser-Requested-By: ${personOf(request.by)}`,
  `${REQUEST_TRAILER}: ${request.id}`,
  '',
];

const promote = (request: ForgeRequest, context: RequestContext): Answer =>
  editJobs(request, context, {
    status: ['canary'],
    none: 'No canary waits for promotion.',
    subject: 'Promote',
    edits: ({ spec }) => [{ pointer: '/update/promote', value: spec.specHash.slice(0, 12) }],
  });

const retry = (request: ForgeRequest, context: RequestContext): Answer =>
  editJobs(request, context, {
    status: ['failed', 'stalled', 'degraded'],
    none: 'Nothing has failed: there is nothing to try again.',
    subject: 'Retry',
    edits: () => [{ pointer: '/restarted_at', value: context.at }],
  });

interface JobEdits {
  readonly status: readonly string[];
  readonly none: string;
  readonly subject: string;
  readonly edits: (job: DesiredJob) => readonly YamlEdit[];
}

const editJobs = (
  request: ForgeRequest,
  { plan, desired, tree }: RequestContext,
  { status, none, subject, edits }: JobEdits,
): Answer => {
  if (request.commit !== desired.commit.oid) {
    return refuse('A newer commit is on the branch: use the button of its check.');
  }
  const open = new Set(
    plan.deployments.filter((one) => status.includes(one.status)).map(({ job }) => job),
  );
  const jobs = desired.jobs.filter(({ id }) => open.has(id));
  if (jobs.length === 0) return refuse(none);
  const made: FileEdit[] = [];
  for (const job of jobs) {
    const file = tree.files.get(job.file);
    if (file?.kind !== 'text') return refuse(`\`${job.file}\` is not in the repository any more.`);
    const edited = editYaml(file.text, edits(job));
    if (edited.kind === 'failed') {
      return refuse(`\`${job.file}\` cannot be edited here: ${edited.why}. Edit it by hand.`);
    }
    made.push({ path: job.file, content: edited.text, base: file.blob });
  }
  const names = jobs.map(({ id }) => id).join(', ');
  const line = `${subject} ${names}`;
  const message = [line, '', `${request.by.login} asked for it.`, ''];
  return {
    kind: 'commit',
    edits: made,
    message: [...message, ...trailersOf(request, desired)].join('\n'),
    words: `${line}.`,
  };
};
