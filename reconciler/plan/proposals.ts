// What should be written down: ledger records, and the commit that takes a failed version back.
// In: jobs with their rollouts, volume homes owed. Out: proposals, and why a revert is not
// possible.
// Not here: writing and pushing (reconciler/edge/git), working out the edits (reconciler/desired).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { Evidence, LedgerRecord } from '../../schema/ledger.ts';
import { pointerOf } from '../../schema/places.ts';
import { plainLine, shortened, uncalling } from '../../schema/plain.ts';
import type { Blocked, Proposal } from '../../schema/plan.ts';
import { maskedLine } from '../../schema/secret-text.ts';
import { editYaml } from '../../schema/yaml-edit.ts';
import type { Rollout } from './deployment.ts';
import { remedyFor } from './remedy.ts';
import type { JobView } from './slots.ts';

export interface JobOutcome {
  readonly proposals: readonly Proposal[];
  readonly waits: readonly Blocked[];
}

/**
 * Settled and failed marks of one job, and its revert once the failed mark is in the ledger (rules
 * 2.4, 6, 11).
 */
export const proposeFor = (desired: DesiredState, view: JobView, rollout: Rollout): JobOutcome => {
  const { job } = view;
  if (desired.standing.kind === 'stopped') return { proposals: [], waits: [] };
  const records = recordsOf(job, rollout);
  const revert = revertOf(desired, view, rollout);
  return {
    proposals: [
      ...(records.length === 0 ? [] : [{ kind: 'ledger', records } as const]),
      ...(revert.proposal === null ? scaleOf(desired, view, rollout) : [revert.proposal]),
    ],
    waits: revert.wait === null ? [] : [revert.wait],
  };
};

const recordsOf = (job: DesiredJob, rollout: Rollout): readonly LedgerRecord[] => {
  const mark = {
    job: job.id,
    specHash: job.spec.specHash,
    deployment: job.deployment,
    commit: job.commit.oid,
  };
  const isDue = job.settled ? job.isUnmarked === true && rollout.settles : rollout.settled;
  if (isDue && rollout.phase !== 'stopped' && isHead(job)) {
    return [{ kind: 'settled', ...mark, ...wordsOf(job), digests: digestsOf(job) }];
  }
  // Without a settled version nothing follows from a failure, and a mark "for good" would stop it
  // from healing (6.2).
  if (rollout.failed !== null && job.failed === null && job.fallback !== null) {
    return [{ kind: 'failed', ...mark, evidence: rollout.failed }];
  }
  return [];
};

/**
 * Once it has settled no history is read for it (rules 12.4), and people want to see which commit
 * it was.
 */
const wordsOf = ({
  commit: { author, email, subject },
  sameAs,
}: DesiredJob): Pick<SettledRecord, 'author' | 'email' | 'subject' | 'sameAs'> => ({
  ...(subject === '' ? {} : { author, email, subject }),
  ...(sameAs === undefined ? {} : { sameAs }),
});

type SettledRecord = Extract<LedgerRecord, { kind: 'settled' }>;

const isHead = (job: DesiredJob): boolean => job.standing.kind === 'head';

const digestsOf = (job: DesiredJob): SettledRecord['digests'] =>
  job.spec.groups.flatMap((group) =>
    group.tasks.flatMap(({ name, image }) =>
      image.digest === null
        ? []
        : [{ group: group.name, task: name, reference: image.reference, digest: image.digest }],
    ),
  );

interface Revert {
  readonly proposal: Proposal | null;
  readonly wait: Blocked | null;
}

const NOTHING: Revert = { proposal: null, wait: null };

/**
 * At most one for a deployment, and never for a version that settled or comes back from before
 * (rules 2.4, 2.5).
 */
const revertOf = (desired: DesiredState, view: JobView, rollout: Rollout): Revert => {
  const { job } = view;
  const evidence = job.failed?.evidence;
  if (rollout.phase !== 'failed' || evidence === undefined || job.reverted !== null) return NOTHING;
  if (job.isRollback || rollout.settled) return NOTHING;
  if (!job.spec.update.autoRevert) return waitFor(job, 'auto_revert is off');
  if (job.revert.kind === 'impossible') return waitFor(job, job.revert.why);
  return {
    proposal: {
      kind: 'revert',
      job: job.id,
      deployment: job.deployment,
      reverts: job.commit,
      to: job.revert.commit,
      edits: job.revert.edits,
      evidence,
      message: revertMessage(desired, job, evidence),
      specHash: job.revert.specHash,
    },
    wait: null,
  };
};

const waitFor = (job: DesiredJob, detail: string): Revert => ({
  proposal: null,
  wait: {
    kind: 'waiting',
    job: job.id,
    slot: null,
    why: 'revert-impossible',
    detail,
    remedy: remedyFor(job),
  },
});

/** Subject lines longer than this are cut by most tools that show them. */
const SUBJECT_LIMIT = 72;

/**
 * Rules 6.4: what failed, where, and the trailers by which the machine and people find it again.
 */
export const revertMessage = (
  desired: DesiredState,
  job: DesiredJob,
  evidence: Evidence,
): string => {
  const short = job.commit.oid.slice(0, 8);
  // Words of programs and of other machines: none may begin a line of its own.
  const reason = plainLine(evidence.reason);
  const subject = `Revert ${job.id}: ${reason}`;
  const lines = evidence.allocations.flatMap((one) => [
    `- ${one.allocation} on ${one.node}${one.task === null ? '' : `, task ${one.task}`}: ` +
      `${plainLine(one.message)}${sinceStart(one.afterMs)}`,
    ...quoted(job, one.log ?? []),
  ]);
  const message = [
    shortened(subject, SUBJECT_LIMIT),
    '',
    `The version of ${job.id} that commit ${short} ("${plainLine(job.commit.subject)}") brought in`,
    `failed: ${reason}${/[.?!]$/.test(reason) ? '' : '.'}`,
    ...(lines.length === 0 ? [] : ['', ...lines]),
    '',
    ...whatGoesBack(job),
    'To try it again, revert this commit.',
    '',
    `Purser-Reverts: ${job.commit.oid}`,
    `Purser-Cluster: ${desired.cluster.name}`,
    `Purser-Job: ${job.id}`,
    `Purser-Deployment: ${job.deployment}`,
    `Purser-Reason: ${reason}`,
    '',
  ].join('\n');
  return uncalling(message);
};

const sinceStart = (afterMs: number | undefined): string =>
  afterMs === undefined ? '' : ` (${Math.round(afterMs / 1000)} s after its first start)`;

const whatGoesBack = ({ revert }: DesiredJob): readonly string[] =>
  revert.kind === 'possible' && revert.whole === true
    ? ['All that it changed goes back, as it asked (Purser-Atomic), but for counts.']
    : [
        'Its fields that form the version go back to the newest version that settled;',
        'everything else in the file stays.',
      ];

/**
 * Git never forgets, so the namespace is asked again when the message is written. Set in, behind a
 * bar: no line of a log can be taken for a trailer. Records of earlier releases hold lines as the
 * node sent them.
 */
const quoted = ({ evidence }: DesiredJob, log: readonly string[]): readonly string[] =>
  evidence === 'logs' && log.length > 0
    ? ['  last lines of its log:', ...log.map((line) => `    | ${maskedLine(plainLine(line))}`)]
    : [];

/**
 * Rules 7: a count that is the machine's and stands nowhere is what lives now. It is written down
 * once the job is at rest, so that copies that are lost later do not lower it.
 */
const scaleOf = (
  desired: DesiredState,
  { job, groups }: JobView,
  rollout: Rollout,
): readonly Proposal[] => {
  const { scaleFiles } = desired;
  const path = `scale/${job.id}.yaml`;
  if (scaleFiles === undefined || !isHead(job) || job.spec.stopped) return [];
  // A version without copies never settles (2.4), and has none that may be lost.
  const isAtRest = rollout.settled || groups.every(({ frame }) => frame.count === 0);
  if (rollout.phase !== 'done' || !isAtRest) return [];
  const counts = groups.flatMap(({ name, frame: { target, count } }) => {
    if (target === null || target.scale === null || target.scale.fromFile) return [];
    const { min, max } = target.scale;
    return [{ pointer: pointerOf([name]), value: Math.min(max, Math.max(min, count)) }];
  });
  const open = desired.openScaleFiles?.find((file) => file.path === path);
  // A file that is there and not among the open ones is not valid: people mend it first.
  if (counts.length === 0 || (open === undefined && scaleFiles.includes(path))) return [];
  const edited = editYaml(open?.text ?? '', counts);
  if (edited.kind === 'failed') return [];
  const message = [
    `Write down the count of ${job.id}`,
    '',
    `Its count is the machine's, and ${path} did not say it. This is what lives now;`,
    'change it with `purser scale`.',
    '',
    `Purser-Cluster: ${desired.cluster.name}`,
    `Purser-Job: ${job.id}`,
    '',
  ].join('\n');
  const edits = [{ path, content: edited.text, base: open?.blob ?? null }];
  return [{ kind: 'scale', job: job.id, edits, message }];
};
