// The plans that would follow one another if everything works: the waves of a preview.
// In: what plan takes. Out: plans until nothing is left to do. Not here: failures and reverts,
// which nobody can foresee.

import type { DesiredState } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveState } from '../../schema/live.ts';
import type { Plan } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';
import { assume } from './assume.ts';
import { plan } from './plan.ts';

/**
 * A rollout of 100 copies one by one has about 200 waves; a preview that is longer helps nobody.
 */
const WAVE_LIMIT = 256;
/** Between two waves something may yet have to be fetched, or to become healthy. */
const ROUND_LIMIT = 4 * WAVE_LIMIT;

/** Waves with steps or records to write, in order; the last one that is returned still has some. */
export const forecast = (desired: DesiredState, live: LiveState, now: Ms): readonly Plan[] => {
  const waves: Plan[] = [];
  let [wanted, world] = [desired, live];
  for (let round = 0; round < ROUND_LIMIT && waves.length < WAVE_LIMIT; round += 1) {
    const wave = plan(wanted, world, now);
    const records = wave.proposals.flatMap((proposal) =>
      proposal.kind === 'ledger' ? proposal.records : [],
    );
    if (wave.steps.length === 0 && records.length === 0) {
      if (quiet(world) && wave.fetches === undefined) break;
    } else waves.push(wave);
    wanted = recorded(wanted, records);
    world = assume(world, wave);
  }
  return waves;
};

/** Nothing is under way that could still change the answer. */
const quiet = (live: LiveState): boolean =>
  live.nodes.every(
    (node) =>
      !node.connected ||
      node.allocations.every(
        ({ stopping, standing, phase, everHealthy, health }) =>
          !stopping &&
          standing === 'reported' &&
          (phase === 'dead' || (phase === 'running' && everHealthy && health === 'healthy')),
      ),
  );

/** What compile would read back once the ledger holds the records. */
export const recorded = (
  desired: DesiredState,
  records: readonly LedgerRecord[],
): DesiredState => ({
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
  jobs: desired.jobs.map((job) => {
    const mark = records.find(
      (record) =>
        (record.kind === 'settled' || record.kind === 'failed') &&
        record.deployment === job.deployment,
    );
    if (mark?.kind === 'settled') return { ...job, settled: true };
    return mark?.kind === 'failed' ? { ...job, failed: { evidence: mark.evidence } } : job;
  }),
});

const isHomeOf = (record: LedgerRecord, home: DesiredState['volumes'][number]): boolean =>
  record.kind === 'volume' &&
  record.namespace === home.namespace &&
  record.job === home.job &&
  record.volume === home.volume &&
  record.index === home.index;
