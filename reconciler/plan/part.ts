// One job's part of a plan: all that follows from the job and its own copies.
// In: a job, its copies, what is held back. Out: a part, which is complete unless the job wants
// places; then it is completed after placement. Not here: who is put off, guarded or renamed
// (plan), where copies go (placing).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Blocked, DeploymentView, Step } from '../../schema/plan.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Ms } from '../../schema/spec.ts';
import { overdrawn } from './budget.ts';
import { createDeadlines } from './deadlines.ts';
import { deriveRollout, putOff, type Rollout } from './deployment.ts';
import { planJob, type JobPlan } from './job.ts';
import type { NodeViews } from './nodes.ts';
import { proposeFor, type JobOutcome } from './proposals.ts';
import { viewDeployment } from './report.ts';
import { viewJob, type Held, type JobView } from './slots.ts';
import { removalPends } from './synced.ts';
import { sweep, updatesOf } from './upkeep.ts';
import type { Homes } from './homes.ts';

/** One job with all that was worked out about it. */
export interface Considered {
  readonly view: JobView;
  readonly rollout: Rollout;
  /** When time alone may change the above; null: never. */
  readonly wakeAt: Ms | null;
}

/** What is the same whatever becomes of the job's wants. */
interface Always {
  readonly job: string;
  /** Its rollout counts towards max_deployments, put off or not (rules 5.6). */
  readonly counts: boolean;
  readonly isPutOff: boolean;
  readonly removalPends: boolean;
  readonly hasPinnedPort: boolean;
  readonly waits: readonly Blocked[];
  readonly outcome: JobOutcome;
  readonly problems: readonly Problem[];
  /** When time alone may change this part; null: never. */
  readonly wakeAt: Ms | null;
}

export type JobPart = Always &
  (
    | ({ readonly kind: 'complete' } & Completion)
    /** Only such parts depend on other jobs, so only these are made anew in every plan. */
    | { readonly kind: 'wants'; readonly plan: JobPlan }
  );

export interface Completion {
  readonly steps: readonly Step[];
  readonly deployment: DeploymentView;
}

export interface Around {
  readonly nodes: NodeViews;
  readonly now: Ms;
}

/** A job's copies, and what is known beside them. */
export interface Copies {
  readonly allocations: readonly LiveAllocation[];
  readonly held: Held | null;
  readonly homes: Homes;
}

export const consider = (job: DesiredJob, copies: Copies, { nodes, now }: Around): Considered => {
  const deadlines = createDeadlines(now);
  const input = { ...copies, nodes };
  const seen = viewJob(job, input, deadlines);
  const takenBack = new Set(seen.groups.flatMap(overdrawn));
  const view = takenBack.size === 0 ? seen : viewJob(job, { ...input, takenBack }, deadlines);
  return { view, rollout: deriveRollout(view, deadlines), wakeAt: deadlines.wakeAt() };
};

export const makePart = (
  desired: DesiredState,
  { view, rollout, wakeAt, isPutOff }: Considered & { readonly isPutOff: boolean },
  { nodes, now }: Around,
): JobPart => {
  const deadlines = createDeadlines(now);
  const taken = isPutOff ? putOff(rollout, desired.cluster.maxDeployments) : rollout;
  const plan = planJob(desired, { view, rollout: taken }, { nodes, deadlines });
  const always: Always = {
    job: view.job.id,
    counts: rollout.counts,
    isPutOff,
    removalPends: removalPends(view),
    hasPinnedPort: hasPinnedPort(view),
    waits: plan.waits,
    outcome: proposeFor(desired, view, taken),
    problems: plan.problems,
    wakeAt: earlier(wakeAt, deadlines.wakeAt()),
  };
  return plan.groups.some(({ wants }) => wants.length > 0)
    ? { ...always, kind: 'wants', plan }
    : { ...always, kind: 'complete', ...complete(plan, [], []) };
};

/** What is left to say of a job once its wants are placed. `placed` and `blocked` are its own. */
export const complete = (
  plan: JobPlan,
  placed: readonly Step[],
  blocked: readonly Blocked[],
): Completion => {
  const stops = [...plan.stops, ...placed];
  const touched = new Set(stops.map((step) => step.allocation));
  const { view, rollout, versions } = plan;
  const upkeep = [...updatesOf(view, versions, touched), ...sweep(view, rollout)];
  return { steps: [...stops, ...upkeep], deployment: viewDeployment(plan, blocked) };
};

export const earlier = (a: Ms | null, b: Ms | null): Ms | null =>
  a === null ? b : b === null ? a : Math.min(a, b);

const hasPinnedPort = ({ groups }: JobView): boolean =>
  groups.some(({ frame }) => frame.target?.ports.some(({ host }) => host !== null) === true);
