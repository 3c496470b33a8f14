// A preview as data for people: per job what changes, what is down at once, and in which waves.
// In: a preview. Out: changes that the preview's own commit causes, apart from what is pending
// anyway.
// Not here: words and columns (plan-text), markdown for forges.

import { jobOf as allocatedTo, unaged } from '../../schema/ageing.ts';
import type { DesiredJob } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { listsOf } from '../../schema/lists.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import { isMarkOnly } from '../../schema/mark-only.ts';
import type { Blocked, Plan, Step } from '../../schema/plan.ts';
import type { Preview } from '../../schema/preview.ts';
import type { Problem } from '../../schema/problems.ts';
import type { JobSpec } from '../../schema/spec.ts';
import type { JobChange, StepGroup, Summary, WaveGroup } from '../../schema/summary.ts';
import { placesOf, slotParts } from './places.ts';
import { capacityOf, quotasOf } from './room.ts';
import { blockedWords } from './words.ts';

export const summarize = (preview: Preview): Summary => {
  const { base, change, live, same } = preview;
  const own = ownJobs(preview);
  const waves = change.waves.map((wave) =>
    wave.steps.filter((step) => own.has(step.job) && !isMarkOnly(step)),
  );
  const acting = waves.filter((steps) => steps.length > 0);
  const known = new Set(same ? [] : base.first.problems.map(problemKey));
  const waits = blockedAfter(base.first, base.waves);
  const knownWaits = new Set(same ? [] : waits.map(blockedWords));
  const steps = change.waves.flatMap((wave) => wave.steps);
  const parts = partsOf(preview, own, waves);
  return {
    jobs: [...own].toSorted(compareText).map((job) => jobChange(parts, job, same)),
    waves: groupWaves(acting),
    blocked: blockedAfter(change.first, change.waves).filter(
      (blocked) => !knownWaits.has(blockedWords(blocked)),
    ),
    problems: change.first.problems.filter((problem) => !known.has(problemKey(problem))),
    guarded: change.first.guarded.filter(({ job }) => own.has(job)),
    pending: {
      steps: steps.filter((step) => !own.has(step.job) && !isMarkOnly(step)).length,
      blocked: same ? [] : waits,
      problems: same
        ? []
        : change.first.problems.filter((problem) => known.has(problemKey(problem))),
    },
    capacity: capacityOf(live, steps),
    assumed: preview.assumed,
    places: placesOf(change),
    quotas: quotasOf(preview, steps),
    stopped: change.desired.standing.kind === 'stopped' ? change.desired.standing.why : null,
  };
};

/**
 * Jobs whose steps are others than without the change, or that the guard holds back because of it.
 */
const ownJobs = ({ base, change, same }: Preview): ReadonlySet<string> => {
  const after = stepsByJob(change.waves);
  const guarded = change.first.guarded.map(({ job }) => job);
  if (same) return new Set([...after.keys(), ...guarded]);
  const before = stepsByJob(base.waves);
  const waiting = new Set(base.first.guarded.map(({ job }) => job));
  const changed = [...after].filter(([job, steps]) => before.get(job) !== steps);
  const fresh = guarded.filter((job) => !waiting.has(job));
  return new Set([...changed.map(([job]) => job), ...fresh]);
};

/** Job → its steps as one text that is equal for equal work. */
const stepsByJob = (waves: readonly Plan[]): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>();
  for (const step of waves.flatMap((wave) => wave.steps)) {
    if (isMarkOnly(step)) continue;
    const hash = step.kind === 'stop' ? '' : step.body.spec.hash;
    const line = `${step.kind} ${step.slot} ${step.node} ${hash}\n`;
    texts.set(step.job, (texts.get(step.job) ?? '') + line);
  }
  return texts;
};

const problemKey = ({ file, code, message }: Problem): string => `${file} ${code} ${message}`;

/** After the last wave, what rollouts wait for on their way is over. */
const blockedAfter = (first: Plan, waves: readonly Plan[]): readonly Blocked[] =>
  (waves.at(-1) ?? first).blocked;

/** What is asked of each job, put in order once for all of them. */
const partsOf = (
  { base, change, live }: Preview,
  own: ReadonlySet<string>,
  waves: readonly (readonly Step[])[],
) => {
  const jobsOf = (jobs: readonly DesiredJob[]): ReadonlyMap<string, DesiredJob> =>
    new Map(jobs.filter(({ id }) => own.has(id)).map((job) => [job.id, job]));
  const copies = live.nodes.flatMap((node) =>
    unaged(node).filter(
      (one) => one.phase !== 'dead' && !one.stopping && own.has(allocatedTo(one)),
    ),
  );
  return {
    before: jobsOf(base.desired.jobs),
    after: jobsOf(change.desired.jobs),
    copies: listsOf(copies, allocatedTo),
    waves: waves.map((steps) => listsOf(steps, ({ job }) => job)),
  };
};

const jobChange = (parts: ReturnType<typeof partsOf>, id: string, same: boolean): JobChange => {
  const [before, after] = [parts.before.get(id), parts.after.get(id)];
  const mine = parts.waves.map((steps) => steps.get(id) ?? []);
  const copies = parts.copies.get(id) ?? [];
  const steps = mine.flat();
  const removed = after === undefined || after.standing.kind === 'removed';
  const was = same ? runningVersion(copies, before) : (before?.spec ?? null);
  const nodes = nodesAfter(copies, steps);
  const sum = (counts: readonly { readonly copies: number }[]) =>
    counts.reduce((total, one) => total + one.copies, 0);
  const count = (kind: Step['kind']) => steps.filter((step) => step.kind === kind).length;
  return {
    job: id,
    file: after?.file ?? before?.file ?? `jobs/${id}.yaml`,
    kind: removed ? 'removed' : was === null && copies.length === 0 ? 'new' : 'changed',
    from: was === null ? (copies[0]?.body.specHash ?? null) : was.specHash,
    to: removed ? null : after.spec.specHash,
    images: removed ? [] : imageChanges(was, after.spec),
    copies: { from: copies.length, to: sum(nodes) },
    nodes,
    waves: mine.filter((some) => some.length > 0).length,
    downAtMost: downAtMost(copies.length, sum(nodes), mine),
    starts: count('start'),
    stops: count('stop'),
    updates: count('update'),
  };
};

/** What runs is not always what the commit before wanted: without a change, copies say it. */
const runningVersion = (
  copies: readonly LiveAllocation[],
  job: DesiredJob | undefined,
): JobSpec | null => {
  if (job === undefined) return null;
  const running = new Set(copies.map(({ body }) => body.specHash));
  if (running.has(job.spec.specHash)) return job.spec;
  return job.fallback !== null && running.has(job.fallback.spec.specHash)
    ? job.fallback.spec
    : null;
};

const imageChanges = (before: JobSpec | null, after: JobSpec): JobChange['images'] => {
  const [from, to] = [imagesOf(before), imagesOf(after)];
  return [...new Set([...from.keys(), ...to.keys()])]
    .toSorted(compareText)
    .map((task) => ({ task, from: from.get(task) ?? null, to: to.get(task) ?? null }))
    .filter((image) => image.from !== image.to);
};

const imagesOf = (spec: JobSpec | null): ReadonlyMap<string, string> =>
  new Map(
    (spec?.groups ?? []).flatMap((group) =>
      group.tasks.map(({ name, image }): readonly [string, string] => [
        taskName(spec, group.name, name),
        image.reference,
      ]),
    ),
  );

/** Names that repeat the job's are left out. */
const taskName = (spec: JobSpec | null, group: string, task: string): string => {
  const parts = [group, task].filter((part) => part !== spec?.job);
  return parts.length === 0 ? (spec?.job ?? task) : parts.join('/');
};

const nodesAfter = (
  copies: readonly LiveAllocation[],
  steps: readonly Step[],
): JobChange['nodes'] => {
  const where = new Map(copies.map(({ allocation, node }) => [allocation, node]));
  for (const step of steps) {
    if (step.kind === 'stop') where.delete(step.allocation);
    else where.set(step.allocation, step.node);
  }
  const counts = new Map<string, number>();
  for (const node of where.values()) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts]
    .map(([node, count]) => ({ node, copies: count }))
    .toSorted((a, b) => compareText(a.node, b.node));
};

/**
 * Copies that stop in a wave are down until the next, in which their followers answer.
 * Of 3 copies that stay 3, two stops in one wave are 2 down; of 3 that become 1, none.
 */
const downAtMost = (before: number, after: number, waves: readonly (readonly Step[])[]): number => {
  const needed = Math.min(before, after);
  let running = before;
  let most = 0;
  for (const steps of waves) {
    running -= steps.filter(({ kind }) => kind === 'stop').length;
    most = Math.max(most, needed - running);
    running += steps.filter(({ kind }) => kind === 'start').length;
  }
  return most;
};

const groupWaves = (waves: readonly (readonly Step[])[]): readonly WaveGroup[] => {
  const groups: WaveGroup[] = [];
  for (const [index, steps] of waves.entries()) {
    const mine = groupSteps(steps);
    const before = groups.at(-1);
    if (before !== undefined && shapeOf(before.steps) === shapeOf(mine)) {
      groups[groups.length - 1] = {
        ...before,
        last: index + 1,
        steps: before.steps.map((group, at) => joined(group, mine[at] ?? group)),
      };
    } else groups.push({ first: index + 1, last: index + 1, steps: mine });
  }
  return groups;
};

const shapeOf = (steps: readonly StepGroup[]): string =>
  steps.map(({ kind, job, group, reason }) => `${kind} ${job} ${group} ${reason}`).join('\n');

const joined = (a: StepGroup, b: StepGroup): StepGroup => ({
  ...a,
  indexes: [...new Set([...a.indexes, ...b.indexes])].toSorted((x, y) => x - y),
  nodes: [...new Set([...a.nodes, ...b.nodes])].toSorted(compareText),
});

/** Stops before starts, as they happen. */
const KIND_ORDER: Readonly<Record<Step['kind'], number>> = { stop: 0, start: 1, update: 2 };

const groupSteps = (steps: readonly Step[]): readonly StepGroup[] => {
  const groups = new Map<string, StepGroup>();
  for (const step of steps) {
    const { group, index } = slotParts(step.slot);
    const reason = step.kind === 'update' ? 'update' : step.reason;
    const changes = step.kind === 'update' ? step.changes : [];
    const one: StepGroup = {
      kind: step.kind,
      job: step.job,
      group,
      reason,
      indexes: [index],
      nodes: [step.node],
      changes,
    };
    const key = [step.kind, step.job, group, reason, ...changes].join(' ');
    const before = groups.get(key);
    groups.set(key, before === undefined ? one : joined(before, one));
  }
  return [...groups.values()].toSorted(
    (a, b) =>
      compareText(a.job, b.job) ||
      compareText(a.group, b.group) ||
      KIND_ORDER[a.kind] - KIND_ORDER[b.kind],
  );
};
