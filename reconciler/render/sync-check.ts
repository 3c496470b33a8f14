// The check of a commit of the branch: how far the cluster is with it, or how it ended.
// In: what is wanted, what is, the plan; or how a commit ended. Out: status, title,
// summary, details, at most three buttons. Nothing in it grows with time alone: a text that changes
// is written to the forge. Not here: when it is told (reconciler/forge), rows (sync-blocks).

import { BUTTONS_LIMIT, isTakenBack, MARKDOWN_LIMIT, TITLE_LIMIT } from '../../schema/forge.ts';
import type {
  Button,
  ButtonId,
  CheckBody,
  CheckReport,
  Conclusion,
  Ended,
} from '../../schema/forge.ts';
import { waitingAt } from '../../schema/covered.ts';
import type { HeldFile } from '../../schema/ledger.ts';
import type { CommitRef, DesiredState } from '../../schema/desired.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { DeploymentView } from '../../schema/plan.ts';
import { approveButton, BUTTONS } from './buttons.ts';
import { cut, paragraph, RANK, type Block } from './cut.ts';
import { code, commitCode, sentence, words } from './markdown.ts';
import {
  failureBlocks,
  heldBlock,
  shownView,
  stateBlocks,
  type Failure,
  type SyncView,
} from './sync-blocks.ts';
import { concernOf, isOnItsWay, sumOf, waveOf } from './sync-jobs.ts';
import { FULL, visibilityOf, type Visibility } from './visibility.ts';
import { many, manyCopies, ownersNamed, STATUS_WORDS } from './words.ts';

/** How the newest commit of the branch stands, without the words: they take time, this does not. */
export const syncStanding = (view: SyncView): Pick<CheckBody, 'status' | 'conclusion'> => {
  const { status, conclusion } = stateOf(view, visibilityOf(view.desired));
  return { status, conclusion };
};

/** Of the newest commit of the branch. */
export const syncCheck = (seen: SyncView): CheckBody => {
  const view = shownView(seen);
  const visibility = visibilityOf(view.desired);
  const state = stateOf(view, visibility);
  const { summary, text } = stateBlocks(view, { visibility, verdict: state.verdict });
  return {
    status: state.status,
    conclusion: state.conclusion,
    title: titled(state.title),
    summary: cut(summary, MARKDOWN_LIMIT),
    text: cut(text, MARKDOWN_LIMIT),
    annotations: [],
    buttons: buttonsOf(view),
    covered: waitingAt(view.desired, view.plan),
  };
};

const titled = (title: string): string => shortened(plainLine(title), TITLE_LIMIT);

interface State extends Pick<CheckBody, 'status' | 'conclusion' | 'title'> {
  /** The first sentence below the title. Markdown. */
  readonly verdict: string;
}

const stateOf = (view: SyncView, visibility: Visibility): State => {
  const { desired, plan } = view;
  const { standing } = desired;
  if (standing.kind === 'stopped') {
    const verdict = `**Nothing is done:** ${sentence(standing.why)}`;
    return { ...FAILED, title: 'Nothing is done at this commit', verdict };
  }
  const { failed, errors } = troublesOf(view);
  if (failed.length > 0 || errors > 0) {
    const title = [
      ...failed.slice(0, 1).map((one) => failedTitle(one, visibility)),
      ...(failed.length > 1 ? [`${many(failed.length - 1, 'more job')} failed`] : []),
      ...(errors === 0 ? [] : [`${many(errors, 'error')} in files`]),
    ].join(', ');
    return { ...FAILED, title, verdict: '**It does not run as this commit wants it.**' };
  }
  const concern = concernOf(desired, plan);
  const { guarded } = plan;
  const waiting = heldState(view, concern.open);
  if (waiting !== null) return waiting;
  if (isSynced(view)) return syncedState(plan.deployments);
  if (guarded.length > 0 && concern.open.every(isSaidByGuard(view))) {
    return {
      status: 'completed',
      conclusion: 'action_required',
      title: `Removals of ${many(guarded.length, 'job')} wait for approval`,
      verdict: '**Somebody must approve what would go.** The rest is done.',
    };
  }
  return rollingState(view, concern.open, visibility);
};

/** All that is left to do waits for owners, or until it is known who approved it (rules 8.2). */
const heldState = ({ desired }: SyncView, open: readonly DeploymentView[]): State | null => {
  const held = desired.heldFiles ?? [];
  // A version that failed once it had settled waits for a person too, and for nothing of this commit.
  const waits = ({ status }: DeploymentView): boolean => status === 'held' || status === 'degraded';
  if (held.length === 0 || !open.every(waits)) return null;
  const known = held.filter(({ by }) => by !== '');
  if (known.length === 0) {
    const title = `${many(held.length, 'file')} of it: who approved is not known yet`;
    return { status: 'queued', conclusion: null, title, verdict: '**What ran before goes on.**' };
  }
  return {
    status: 'completed',
    conclusion: 'action_required',
    title: waitTitle(known),
    verdict:
      '**An owner must approve what waits:** by *Approve* above, or with `purser approve --files`. ' +
      'The rest is done; until then what counted before goes on, without a limit in time.',
  };
};

/** `2 files wait for @shop/team, ada@example.org`. */
const waitTitle = (held: readonly HeldFile[], of = ''): string =>
  `${many(held.length, 'file')}${of} ${held.length === 1 ? 'waits' : 'wait'} for ${ownersNamed(held)}`;

const FAILED = { status: 'completed', conclusion: 'failure' } as const;

/** Held jobs whose removal waits are said once, by the guard. */
const isSaidByGuard =
  ({ plan }: SyncView) =>
  ({ job }: DeploymentView): boolean =>
    plan.guarded.some((one) => one.job === job);

const troublesOf = ({ plan }: SyncView) => ({
  failed: plan.deployments.filter(({ status }) => status === 'failed'),
  // What waits for an owner is said as that.
  errors: plan.problems.filter(
    ({ severity, code: of }) => severity === 'error' && of !== 'owners-wait',
  ).length,
});

const failedTitle = (
  { job, reason }: Pick<DeploymentView, 'job' | 'reason'>,
  visibility: Visibility,
): string =>
  visibility.job(job) ? `${job} failed${reason === null ? '' : `: ${reason}`}` : 'A job failed';

/**
 * Once it was told so it stays so: what happens to a version later is not this commit's. The
 * ledger's `synced` says less: that no removal waits.
 */
const isSynced = ({ plan, wasSynced = false }: SyncView): boolean =>
  wasSynced
    ? plan.deployments.every(({ status }) => isOver(status) || status === 'blocked')
    : plan.synced && plan.deployments.every((one) => isOver(one.status) && !isOnItsWay(one));

const isOver = (status: DeploymentView['status']): boolean =>
  status === 'settled' || status === 'stopped' || status === 'degraded';

const syncedState = (deployments: readonly DeploymentView[]): State => {
  const { healthy } = sumOf(deployments);
  const degraded = deployments.filter(({ status }) => status === 'degraded').length;
  const jobs = many(deployments.length, 'job');
  const since = degraded === 0 ? '' : `, ${many(degraded, 'job')} degraded since`;
  return {
    status: 'completed',
    conclusion: 'success',
    title: `In sync: ${jobs}, ${manyCopies(healthy)} healthy${since}`,
    verdict: '**The cluster runs what this commit says.**',
  };
};

const rollingState = (
  view: SyncView,
  open: readonly DeploymentView[],
  visibility: Visibility,
): State => {
  const [first, ...rest] = open;
  const begun = open.some(({ status }) => status !== 'waiting');
  const title =
    first === undefined
      ? 'The last copies come and go'
      : `${progressOf(first, view.desired, visibility)}${rest.length === 0 ? '' : `, and ${many(rest.length, 'more job')}`}`;
  return {
    status: begun || first === undefined ? 'in_progress' : 'queued',
    conclusion: null,
    title,
    verdict:
      restingWords(view, open, visibility) ??
      (begun ? '**On its way.**' : '**Waits for its turn.**'),
  };
};

/** All that is left waits for a person, without a limit in time; null: it goes on by itself. */
const restingWords = (
  view: SyncView,
  open: readonly DeploymentView[],
  visibility: Visibility,
): string | null => {
  const [first] = open;
  if (first === undefined || !open.every(({ status }) => RESTS.has(status))) return null;
  const isSeen = visibility.job(first.job);
  const more = open.length === 1 ? '' : ` and ${many(open.length - 1, 'more job')}`;
  const name = `${isSeen ? code(first.job) : 'a job'}${more}`;
  const command = (what: string): string => code(`purser ${what} ${isSeen ? first.job : 'JOB'}`);
  const isCanary = first.status === 'canary';
  // The button takes back this commit, whatever brought the canary in.
  const isOwn = open.every(({ commit }) => commit.oid === view.desired.commit.oid);
  const back =
    isOwn && buttonsOf(view).some(({ id }) => id === 'rollback')
      ? 'Press *Roll back* to take the commit back.'
      : `To go back: ${command('rollback')}.`;
  return isCanary
    ? `**The canary of ${name} is healthy and waits, for as long as nobody decides.** ` +
        `Press *Promote*, or run ${command('promote')}, and the rest of the copies follow. ${back}`
    : `**The rollout of ${name} is paused, until somebody resumes it:** ${command('resume')}. ${back}`;
};

const RESTS: ReadonlySet<DeploymentView['status']> = new Set(['canary', 'paused']);

/** `shop/web 3/10 healthy, wave 2 of 4`. */
const progressOf = (
  view: DeploymentView,
  desired: DesiredState,
  visibility: Visibility,
): string => {
  const { healthy, wanted } = sumOf([view]);
  const wave = waveOf(
    view,
    desired.jobs.find(({ id }) => id === view.job),
  );
  const name = visibility.job(view.job) ? view.job : 'A job';
  const isPlain = view.status === 'rolling' || isOnItsWay(view);
  const said = isPlain ? '' : `, ${STATUS_WORDS[view.status]}`;
  const where = wave === null ? '' : `, wave ${wave.at} of ${wave.of}`;
  return `${name} ${healthy}/${wanted} healthy${where}${said}`;
};

/** What a person must decide first; where all four are due, *Retry* waits. */
const buttonsOf = ({ desired, plan, isReturn: isTold = false }: SyncView): readonly Button[] => {
  if (desired.standing.kind === 'stopped') return [];
  const statuses = new Set(plan.deployments.map(({ status }) => status));
  const own = plan.deployments.filter(({ commit }) => commit.oid === desired.commit.oid);
  const isReturn = isTold || (own.length > 0 && own.every(({ isRollback }) => isRollback));
  const isBad = statuses.has('failed') || statuses.has('stalled') || statuses.has('degraded');
  const { slots, files } = waitingAt(desired, plan);
  const ids: readonly ButtonId[] = [
    ...(slots.length + files.length > 0 ? (['approve'] as const) : []),
    ...(statuses.has('canary') ? (['promote'] as const) : []),
    isReturn ? 'reland' : 'rollback',
    ...(isBad ? (['retry'] as const) : []),
  ];
  const approve = approveButton(waitingAt(desired, plan));
  return ids.slice(0, BUTTONS_LIMIT).map((id) => (id === 'approve' ? approve : BUTTONS[id]));
};

/** Of a commit that another one follows: its end, for good. */
export const endedCheck = (
  ended: Ended,
  context: {
    readonly cluster: string;
    readonly head: CommitRef;
    /** Absent: all but log lines. */
    readonly visibility?: Visibility;
    /** It took another commit back. Absent: it did not. */
    readonly isReturn?: boolean;
  },
): CheckBody => {
  const { head } = context;
  const button = BUTTONS[context.isReturn === true ? 'reland' : 'rollback'];
  const next = `${commitCode(head.oid)} (${words(head.subject)})`;
  switch (ended.kind) {
    case 'synced':
      return body({
        conclusion: 'success',
        title: 'It was in sync',
        summary: [
          paragraph(`The cluster ran what this commit says. ${next} is newer.`, RANK.verdict),
        ],
        buttons: [button],
      });
    case 'superseded':
      return body({
        conclusion: 'cancelled',
        title: `Superseded by ${head.oid.slice(0, 12)}`,
        summary: [
          paragraph(`${next} is newer: what this commit changed is told there.`, RANK.verdict),
        ],
      });
    case 'failed':
      return endedFailed(ended, context.visibility ?? FULL);
    default:
      return ended satisfies never;
  }
};

/** Of a commit that the branch stands at and that is not followed (rules 12.1). */
export const refusedCheck = ({
  title = 'Nothing is synced: the branch was rewritten',
  message,
}: {
  readonly title?: string;
  readonly message: string;
}): CheckBody =>
  body({
    conclusion: 'failure',
    title,
    summary: [paragraph(`${NOTHING_DONE} ${sentence(message)}`, RANK.verdict)],
  });

const NOTHING_DONE = '**Nothing is done at this commit:**';

/** As it stands on the forge: it is over once the branch goes on past it. */
export const isRefusedCheck = ({ conclusion, summary }: CheckReport): boolean =>
  conclusion === 'failure' && summary.startsWith(NOTHING_DONE);

/** Of a commit that another one follows, and of which files still wait for their owners. */
export const heldCheck = (held: readonly HeldFile[], head: CommitRef): CheckBody =>
  body({
    conclusion: 'action_required',
    title: waitTitle(held, ' of it'),
    summary: [
      paragraph(
        held.some(({ by }) => by !== '')
          ? `**An owner must approve what waits:** by *Approve* on the check of ${commitCode(head.oid)}, which is newer.`
          : `**It waits until it is known who approved it.** ${commitCode(head.oid)} is newer: what becomes of it is told there.`,
        RANK.verdict,
      ),
      heldBlock(held, ''),
    ],
  });

const endedFailed = (
  failed: Extract<Ended, { kind: 'failed' }>,
  visibility: Visibility,
): CheckBody => {
  const { jobs } = failed;
  const [first, ...rest] = jobs;
  const failures = jobs.map(({ job, evidence }): Failure => ({ job, evidence }));
  const { summary, text } = failureBlocks(failures, visibility);
  const reverted = jobs.flatMap(({ job, revertedBy }) =>
    revertedBy === null || !visibility.job(job)
      ? []
      : [`- ${code(job)} was taken back by ${commitCode(revertedBy)}`],
  );
  const reason =
    first === undefined
      ? ''
      : failedTitle({ job: first.job, reason: first.evidence.reason }, visibility);
  const more = rest.length === 0 ? '' : `, and ${many(rest.length, 'more job')}`;
  const isBack = isTakenBack(failed);
  return body({
    conclusion: 'failure',
    title: `${reason}${more}${isBack ? '; taken back' : ''}`,
    summary: [
      paragraph('**It failed.**', RANK.verdict),
      ...(reverted.length === 0 ? [] : [paragraph(reverted.join('\n'), RANK.verdict)]),
      ...summary,
    ],
    text,
    buttons: isBack ? [] : [BUTTONS.rollback],
  });
};

const body = (parts: {
  readonly conclusion: Conclusion;
  readonly title: string;
  readonly summary: readonly Block[];
  readonly text?: readonly Block[];
  readonly buttons?: readonly Button[];
}): CheckBody => ({
  status: 'completed',
  conclusion: parts.conclusion,
  title: titled(parts.title),
  summary: cut(parts.summary, MARKDOWN_LIMIT),
  text: cut(parts.text ?? [], MARKDOWN_LIMIT),
  annotations: [],
  buttons: parts.buttons ?? [],
});
