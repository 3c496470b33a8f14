// The planner's reasons in words for people: one table each, complete by type.
// In: reasons. Out: phrases. Not here: where they are shown.

import type { StopReason } from '../../schema/orders.ts';
import { REMOVAL_WAITS } from '../../schema/plan.ts';
import type {
  Blocked,
  DeploymentStatus,
  DeploymentView,
  NodeReason,
  Plan,
  StartReason,
  Step,
} from '../../schema/plan.ts';

export const START_WORDS: Readonly<Record<StartReason, string>> = {
  new: 'new copy',
  rollout: 'replaces an older version',
  canary: 'canary of the new version',
  reschedule: 'the copy before it is dead',
  'node-lost': 'its node is lost',
  drain: 'its node drains',
  moved: 'moves here',
  fallback: 'fills the slot at the settled version',
};

export const STOP_WORDS: Readonly<Record<StopReason, string>> = {
  rollout: 'makes room for the new version',
  'scale-down': 'fewer copies are wanted',
  'job-removed': 'its job was removed',
  'job-stopped': 'its job is stopped',
  drain: 'its node drains',
  'node-removed': 'its node left Git',
  duplicate: 'another copy of the slot runs',
  'failed-version': 'its version failed',
  superseded: 'replaced by a newer allocation',
  moved: 'moved to another node',
};

export const NODE_WORDS: Readonly<Record<NodeReason, string>> = {
  'not-heard-from': 'never heard from',
  unknown: 'silent',
  lost: 'lost',
  draining: 'draining',
  cpu: 'too little CPU',
  memory: 'too little memory',
  port: 'port taken',
  constraint: 'constraint not met',
  'volume-elsewhere': 'its volume is on another node',
  copies: 'too many copies',
  behind: 'its runner is ahead of this commit',
};

export const STATUS_WORDS: Readonly<Record<DeploymentStatus, string>> = {
  settled: 'settled',
  rolling: 'rolling out',
  waiting: 'waits for other rollouts',
  paused: 'paused',
  canary: 'canary waits for promotion',
  stalled: 'stalled',
  blocked: 'blocked',
  failed: 'failed',
  held: 'held',
  degraded: 'degraded',
  stopped: 'stopped',
};

/** What a person should look at first. */
const IMPORTANCE: readonly DeploymentStatus[] = [
  'failed',
  'stalled',
  'degraded',
  'blocked',
  'held',
  'rolling',
  'canary',
  'paused',
  'waiting',
  'stopped',
  'settled',
];

/** Those that need a person in front, else in their order. */
export const byImportance = (views: readonly DeploymentView[]): readonly DeploymentView[] =>
  views.toSorted((a, b) => IMPORTANCE.indexOf(a.status) - IMPORTANCE.indexOf(b.status));

/** What does not pass by itself. */
export const NEEDS_PERSON: ReadonlySet<DeploymentStatus> = new Set([
  'failed',
  'stalled',
  'degraded',
  'blocked',
  'held',
]);

export const stepWords = (step: Step): string => {
  switch (step.kind) {
    case 'start':
      return `start  ${step.slot} on ${step.node} (${START_WORDS[step.reason]})`;
    case 'stop':
      return `stop   ${step.slot} on ${step.node} (${STOP_WORDS[step.reason]})`;
    case 'update':
      return `update ${step.slot} on ${step.node} in place (${step.changes.join(', ')})`;
  }
};

export const many = (count: number, word: string): string =>
  `${count} ${word}${count === 1 ? '' : 's'}`;

export const manyCopies = (count: number): string => `${count} ${count === 1 ? 'copy' : 'copies'}`;

/** Names in one line; the rest is counted. */
const NAMES_SHOWN = 6;

export const named = (names: readonly string[]): string => {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  const rest = names.length - NAMES_SHOWN;
  return rest > 0 ? `${shown} and ${rest} more` : shown;
};

/** Who owns what waits, each once, as far as a title has room. */
export const ownersNamed = (waiting: readonly { readonly owners: readonly string[] }[]): string => {
  const owners = [...new Set(waiting.flatMap((one) => one.owners))];
  const shown = owners.slice(0, OWNERS_NAMED).join(', ');
  return owners.length > OWNERS_NAMED ? `${shown} and others` : shown;
};

/** Owners that a title names. */
const OWNERS_NAMED = 3;

/** All that waits, of all jobs or of one: what is blocked, and removals that a person must allow. */
export const waitingLines = (
  { blocked, guarded }: Pick<Plan, 'blocked' | 'guarded'>,
  job: string | null = null,
): readonly string[] => {
  const isAsked = ({ job: of }: { readonly job: string }) => job === null || of === job;
  const approvals = guarded.filter(isAsked);
  const rest = besideApprovals({ blocked: blocked.filter(isAsked), guarded: approvals });
  return [...blockedLines(rest), ...approvals.map(approvalWords)];
};

/** What is blocked, but for jobs of which a removal that waits for approval says the same. */
export const besideApprovals = ({
  blocked,
  guarded,
}: Pick<Plan, 'blocked' | 'guarded'>): readonly Blocked[] => {
  const said = new Set(guarded.map(({ job }) => job));
  return blocked.filter(
    (one) => !(one.kind === 'waiting' && one.detail === REMOVAL_WAITS && said.has(one.job)),
  );
};

const approvalWords = ({ job, slots, why }: Plan['guarded'][number]): string => {
  const short = slots.map((slot) =>
    slot.startsWith(`${job}/`) ? slot.slice(job.length + 1) : slot,
  );
  return `${job} waits for approval to stop ${named(short)}: ${why} → purser approve ${job}`;
};

/**
 * One line for all slots of a group that wait for the same: `shop/web/web[0, 1, 2] waits …`. What is
 * said of the whole job is not said of its slots again.
 */
export const blockedLines = (all: readonly Blocked[]): readonly string[] => {
  const lines = new Map<string, { readonly before: string; readonly indexes: string[] }>();
  const said = new Set(all.flatMap((one) => (isOfJob(one) ? [reasonOf(one)] : [])));
  for (const blocked of all) {
    if (!isOfJob(blocked) && said.has(reasonOf(blocked))) continue;
    const line = blockedWords(blocked);
    const [, before = '', index = '', after = ''] = SLOT_FIRST.exec(line) ?? [];
    const known = lines.get(`${before} ${after}`);
    if (before === '') lines.set(line, { before: line, indexes: [] });
    else if (known === undefined) lines.set(`${before} ${after}`, { before, indexes: [index] });
    else if (!known.indexes.includes(index)) known.indexes.push(index);
  }
  return [...lines].map(([key, { before, indexes }]) =>
    indexes.length === 0 ? key : `${before}[${named(indexes)}]${key.slice(before.length + 1)}`,
  );
};

const isOfJob = ({ slot }: Blocked): boolean => slot === null;

const reasonOf = (blocked: Blocked): string =>
  `${blocked.job} ${blocked.kind === 'waiting' ? blocked.detail : blocked.kind}`;

/** `namespace/job/group[3] waits …`. */
const SLOT_FIRST = /^([^\s[]+)\[(\d+)\](.*)$/s;

export const blockedWords = (blocked: Blocked): string => {
  switch (blocked.kind) {
    case 'no-node': {
      const counts = blocked.nodes.map(
        ({ reason, count, detail }) =>
          `${count} ${count === 1 ? 'node' : 'nodes'}: ${NODE_WORDS[reason]}${detail === '' ? '' : ` (${detail})`}`,
      );
      const why = counts.length === 0 ? 'Git lists no node' : counts.join('; ');
      return `${blocked.slot} fits on no node: ${why}`;
    }
    case 'waiting': {
      const remedy = blocked.remedy === null ? '' : ` → ${blocked.remedy}`;
      return `${blocked.slot ?? blocked.job} waits (${blocked.why}): ${blocked.detail}${remedy}`;
    }
  }
};
