// The plans that would follow one another if everything works: the waves of a preview.
// In: what plan takes. Out: plans until nothing is left to do. Not here: failures and reverts,
// which nobody can foresee.

import { unaged } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Plan } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';
import { assume } from './assume.ts';
import { createPlanMemo, type PlanMemo } from './memo.ts';
import { planWith } from './plan.ts';

/**
 * A rollout of 100 copies one by one has about 200 waves; a preview that is longer helps nobody.
 */
const WAVE_LIMIT = 256;
/** Between two waves something may yet have to be fetched, or to become healthy. */
const ROUND_LIMIT = 4 * WAVE_LIMIT;

export interface Forecast {
  /** The plan of this instant. */
  readonly first: Plan;
  /** Waves with steps or records to write, in order; the last one still has some. */
  readonly waves: readonly Plan[];
  /** What is wanted and what is there after them. */
  readonly desired: DesiredState;
  readonly live: LiveState;
}

/** The waves alone. */
export const forecast = (desired: DesiredState, live: LiveState, now: Ms): readonly Plan[] =>
  forecastWith(createPlanMemo(), { desired, live, now }).waves;

export interface ForecastInput {
  readonly desired: DesiredState;
  readonly live: LiveState;
  readonly now: Ms;
}

/** The memo is led into a future that may not come: whoever needs it again hands in a copy. */
export const forecastWith = (memo: PlanMemo, input: ForecastInput): Forecast => {
  const steps = forecastSteps(memo, input);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
};

/** The same in steps, one plan each, for who has other things to do in between. */
export const forecastSteps = function* forecastSteps(
  memo: PlanMemo,
  { desired, live, now }: ForecastInput,
): Generator<Forecast, Forecast> {
  const planNow = planWith(memo);
  const waves: Plan[] = [];
  let [wanted, world] = [desired, live];
  const first = planNow(desired, live, now);
  let wave = first;
  for (let round = 0; round < ROUND_LIMIT && waves.length < WAVE_LIMIT; round += 1) {
    const records = wave.proposals.flatMap((proposal) =>
      proposal.kind === 'ledger' ? proposal.records : [],
    );
    if (wave.steps.length === 0 && records.length === 0) {
      if (quiet(world) && wave.fetches === undefined) break;
    } else waves.push(wave);
    wanted = recorded(wanted, records);
    world = assume(world, wave);
    yield { first, waves, desired: wanted, live: world };
    // In brackets: rounding must not put the next plan before the one that the memo knows.
    wave = planNow(wanted, world, now + (world.upForMs - live.upForMs));
  }
  return { first, waves, desired: wanted, live: world };
};

/** Nothing is under way that could still change the answer. */
const quiet = (live: LiveState): boolean =>
  live.nodes.every((node) => !node.connected || areQuiet(unaged(node)));

const quietLists = new WeakSet<readonly LiveAllocation[]>();

/** Looked at once: most nodes have the same copies wave after wave. */
const areQuiet = (copies: readonly LiveAllocation[]): boolean => {
  if (quietLists.has(copies)) return true;
  const isQuiet = copies.every(
    ({ stopping, standing, phase, everHealthy, health }) =>
      !stopping &&
      standing === 'reported' &&
      (phase === 'dead' || (phase === 'running' && everHealthy && health === 'healthy')),
  );
  if (isQuiet) quietLists.add(copies);
  return isQuiet;
};

/** What compile would read back once the ledger holds the records. */
export const recorded = (desired: DesiredState, records: readonly LedgerRecord[]): DesiredState =>
  records.length === 0 ? desired : recordedSome(desired, records);

const recordedSome = (desired: DesiredState, records: readonly LedgerRecord[]): DesiredState => ({
  ...desired,
  owed: desired.owed.filter((record) => !records.includes(record)),
  lastSynced: records.reduce(
    (last, record) => (record.kind === 'synced' ? record.commit : last),
    desired.lastSynced,
  ),
  approvals: desired.approvals.filter(
    ({ id }) => !records.some((one) => one.kind === 'approval' && one.id === id && one.used),
  ),
  volumes: [
    ...desired.volumes.filter((home) => !records.some((record) => isHomeOf(record, home))),
    ...records.flatMap((record) =>
      record.kind === 'volume' && record.node !== null ? [{ ...record, node: record.node }] : [],
    ),
  ],
  jobs: markedJobs(desired.jobs, records),
});

const markedJobs = (
  jobs: DesiredState['jobs'],
  records: readonly LedgerRecord[],
): DesiredState['jobs'] => {
  const marks = new Map<string, Extract<LedgerRecord, { kind: 'settled' | 'failed' }>>();
  for (const record of records) {
    const isMark = record.kind === 'settled' || record.kind === 'failed';
    if (isMark && !marks.has(record.deployment)) marks.set(record.deployment, record);
  }
  if (marks.size === 0) return jobs;
  const places = placesIn(jobs);
  const marked = [...jobs];
  for (const [deployment, mark] of marks) {
    for (const at of places.get(deployment) ?? []) {
      const job = marked[at];
      if (job !== undefined) marked[at] = withMark(job, mark);
    }
  }
  // The same jobs stand in the same places.
  placesByDeployment.set(marked, places);
  return marked;
};

type Places = ReadonlyMap<string, readonly number[]>;

const placesByDeployment = new WeakMap<DesiredState['jobs'], Places>();

/** Where the jobs of each deployment stand: wave after wave a few of thousands are marked. */
const placesIn = (jobs: DesiredState['jobs']): Places => {
  const known = placesByDeployment.get(jobs);
  if (known !== undefined) return known;
  const places = new Map<string, number[]>();
  for (const [at, { deployment }] of jobs.entries()) {
    places.set(deployment, [...(places.get(deployment) ?? []), at]);
  }
  placesByDeployment.set(jobs, places);
  return places;
};

const withMark = (
  job: DesiredJob,
  mark: Extract<LedgerRecord, { kind: 'settled' | 'failed' }>,
): DesiredJob => {
  if (mark.kind === 'failed') return { ...job, failed: { evidence: mark.evidence } };
  const { isUnmarked: _due, ...rest } = job;
  return { ...rest, settled: true };
};

const isHomeOf = (record: LedgerRecord, home: DesiredState['volumes'][number]): boolean =>
  record.kind === 'volume' &&
  record.namespace === home.namespace &&
  record.job === home.job &&
  record.volume === home.volume &&
  record.index === home.index;
