// What becomes of a person's click or comment: a refusal in words, a record in the ledger, or a
// commit.
// In: the request with what the forge says of the person, and what is known now. Out: an answer. A
// request decides nothing by itself: everything it asks for is looked at again here (invariant 4).
// Not here: how it came (edge/forge), writing what follows.

import type { FileEdit } from '../../schema/desired.ts';
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
import type { PlannedPull } from './pulls.ts';

export interface RequestContext {
  readonly desired: DesiredState;
  readonly plan: Plan;
  readonly tree: SourceTree;
  /** Of the request's pull request; null: it was not planned yet, or there is none. */
  readonly pull: PlannedPull | null;
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

/** Rules 8.2: who, and the slots that may go; the planner asks again when they do. */
const approve = (request: ForgeRequest, context: RequestContext): Answer => {
  const { pull, desired } = context;
  if (request.pull === null) return approveCommit(request, context);
  if (pull === null || pull.head !== request.commit || pull.base !== desired.commit.oid) {
    return refuse('The plan that this approves is not the newest. Look at it again, then approve.');
  }
  if (pull.plan.kind !== 'planned' || pull.plan.effects.slots.length === 0) {
    return refuse('Nothing in this plan waits for approval.');
  }
  const { slots } = pull.plan.effects;
  return refusalOf(request, context) ?? approval(request, context, { slots, ahead: true });
};

/** What a commit of the branch takes away, and the guards hold. */
const approveCommit = (request: ForgeRequest, context: RequestContext): Answer => {
  const { plan, desired } = context;
  if (request.commit !== desired.commit.oid) {
    return refuse('A newer commit is on the branch: use the button of its check.');
  }
  const slots = plan.guarded.flatMap((one) => one.slots);
  if (slots.length === 0) return refuse('Nothing waits for approval.');
  return refusalOf(request, context) ?? approval(request, context, { slots });
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

/** Four eyes, unless cluster.yaml says that two are enough. */
const refusalOf = ({ by }: ForgeRequest, { authors, desired }: RequestContext): Answer | null => {
  if (desired.cluster.ownApproval) return null;
  const otherwise = 'or cluster.yaml says `guards: {own_approval: true}`.';
  if (authors.some((author) => author?.id === by.id)) {
    return refuse(`${by.login} wrote a part of it: somebody else must approve it, ${otherwise}`);
  }
  if (!authors.includes(null)) return null;
  return refuse(
    'Nobody can say here whose removal it is: an author of it has no account with this address. ' +
      `Run \`purser approve\`, ${otherwise}`,
  );
};

const approval = (
  request: ForgeRequest,
  { at }: RequestContext,
  given: { readonly slots: readonly string[]; readonly ahead?: true },
): Answer => {
  const { slots } = given;
  const record: LedgerRecord = {
    kind: 'approval',
    id: request.id,
    by: personOf(request.by),
    at,
    commit: request.commit,
    nodes: [],
    used: false,
    ...given,
  };
  return {
    kind: 'record',
    records: [record],
    words: `Approved: ${slots.length} ${slots.length === 1 ? 'copy' : 'copies'} may stop for good.`,
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
  const { edits, changed, unwritable } = takenBack(change.files);
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
