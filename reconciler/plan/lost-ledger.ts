// What the ledger lacks is written again from what the runners hold (rules 11): all of it where it
// is gone while copies live, else the mark of a version that settled and was followed by another
// before the mark could be pushed (rules 2.4: the mark or the label is enough).
// In: desired state, live state. Out: settled marks and volume homes to record.
// Not here: removals, which wait for approval meanwhile (guard, strays), digests (compile).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { AllocationBody } from '../../schema/orders.ts';

type Settled = Extract<LedgerRecord, { kind: 'settled' }>;
type Volume = Extract<LedgerRecord, { kind: 'volume' }>;

/** There are copies whose version once settled: where no commit was synced, a ledger is gone. */
export const hasSettled = (allocations: readonly LiveAllocation[]): boolean =>
  allocations.some((allocation) => counts(allocation) && allocation.body.settled);

/** All that a ledger which is gone has to hold again; nothing where a commit was ever synced. */
export const rewritten = (
  desired: DesiredState,
  live: LiveState,
): readonly (Settled | Volume)[] => {
  if (desired.lastSynced !== null) return [];
  const allocations = live.nodes
    .flatMap((node) => node.allocations)
    .filter(counts)
    .toSorted((a, b) => compareText(a.allocation, b.allocation));
  return [...settledMarks(desired, allocations), ...homes(desired, allocations)];
};

/**
 * Marks that versions of these jobs lack. Nothing of them rolls or goes back meanwhile: it would
 * fall back behind what settled last.
 */
export const unmarked = (
  desired: DesiredState,
  jobs: readonly DesiredJob[],
  copies: (job: string) => readonly LiveAllocation[],
): readonly Settled[] => {
  if (desired.lastSynced === null) return [];
  const found = jobs.flatMap(({ id, spec, marked }) =>
    marked === undefined
      ? []
      : copies(id).filter((one) => {
          const { specHash } = one.body;
          return counts(one) && specHash !== spec.specHash && !marked.includes(specHash);
        }),
  );
  if (found.length === 0) return [];
  return settledMarks(desired, found).toSorted((a, b) => compareText(a.job, b.job));
};

/** Until it is known what ran before, and where its volumes are, nothing of such a job rolls. */
export const holdRewritten = (
  desired: DesiredState,
  records: readonly (Settled | Volume)[],
): DesiredState => {
  const jobs = new Set(
    records.map((one) => (one.kind === 'settled' ? one.job : `${one.namespace}/${one.job}`)),
  );
  const standing = {
    kind: 'held',
    why: 'the ledger lacks what settled last; what runs is written down first',
  } as const;
  return {
    ...desired,
    jobs: desired.jobs.map((job) => (jobs.has(job.id) ? { ...job, standing, failed: null } : job)),
  };
};

const counts = ({ phase, standing }: LiveAllocation): boolean =>
  phase !== 'dead' && standing === 'reported';

const jobOf = ({ namespace, job }: AllocationBody): string => `${namespace}/${job}`;

/** By job and version; the mark of HEAD's own version is the planner's usual one (proposals). */
const settledMarks = (
  desired: DesiredState,
  allocations: readonly LiveAllocation[],
): readonly Settled[] => {
  const known = new Set(desired.settledMarks);
  for (const { id, standing, spec } of desired.jobs) {
    if (standing.kind === 'head' && !spec.stopped) known.add(`${id} ${spec.specHash}`);
  }
  const marks = new Map<string, Settled>();
  for (const { body } of allocations) {
    const key = `${jobOf(body)} ${body.specHash}`;
    if (!body.settled || known.has(key)) continue;
    const { specHash, deployment, commit } = body;
    const mark = marks.get(key);
    const digests = [...(mark?.digests ?? []), ...digestsOf(body)];
    marks.set(key, { kind: 'settled', job: jobOf(body), specHash, deployment, commit, digests });
  }
  return [...marks].map(([, mark]) => ({ ...mark, digests: once(mark.digests) }));
};

const digestsOf = ({ group, spec }: AllocationBody): Settled['digests'] =>
  spec.tasks.flatMap(({ name, image: { reference, digest } }) =>
    digest === null ? [] : [{ group, task: name, reference, digest }],
  );

/** Sorted by group, task; of several copies of a group the first. */
const once = (digests: Settled['digests']): Settled['digests'] => {
  const byTask = new Map(digests.toReversed().map((one) => [`${one.group} ${one.task}`, one]));
  return [...byTask].toSorted(([a], [b]) => compareText(a, b)).map(([, one]) => one);
};

/** A slot's volumes live where its copy runs; of two copies nobody can say, so none is written. */
const homes = (
  desired: DesiredState,
  allocations: readonly LiveAllocation[],
): readonly Volume[] => {
  const known = new Set(desired.volumes.map(homeKey));
  const found = new Map<string, Volume | null>();
  for (const { body, node } of allocations) {
    const { namespace, job, group, index } = body;
    for (const { name } of body.spec.volumes) {
      const home: Volume = { kind: 'volume', namespace, job, volume: name, group, index, node };
      const before = found.get(homeKey(home));
      found.set(homeKey(home), before === undefined || before?.node === node ? home : null);
    }
  }
  return [...found]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([key, home]) => (home === null || known.has(key) ? [] : [home]));
};

const homeKey = ({ namespace, job, volume, group, index }: Omit<Volume, 'kind' | 'node'>): string =>
  [namespace, job, volume, group, index].join('/');
