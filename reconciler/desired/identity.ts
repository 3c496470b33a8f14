// Which deployment a version is: the commit that introduced it, and whether it has settled before
// (rules 1.1, 2.3, 2.5).
// In: a spec, where it stands among the job's moments, the ledger. Out: deployment, commit,
// settled, isRollback.
// Not here: walking the history (versions.ts).

import type { CommitRef, DesiredJob } from '../../schema/desired.ts';
import { deploymentId } from '../../schema/ids.ts';
import type { CommitInfo } from '../../schema/source.ts';
import type { JobSpec } from '../../schema/spec.ts';
import { commitRef, type Settings } from './cluster.ts';
import { underHead } from './fallback.ts';
import { settledRecord, type JobLedger, type SettledRecord } from './ledger-index.ts';
import { introducedAt, type Moment, type SettledVersion } from './versions.ts';

export interface Identity {
  readonly deployment: string;
  readonly commit: CommitRef;
  readonly settled: boolean;
  readonly isRollback: boolean;
  /** The commit that introduced the version, where the history was read. */
  readonly introduced: CommitInfo | null;
}

interface Known {
  readonly ledger: JobLedger;
  readonly settings: Settings;
  readonly head: CommitInfo;
}

/** `place` null: the history is not read, and HEAD stands in for the commit. */
export const identityOf = (
  spec: JobSpec,
  place: { readonly moments: readonly Moment[]; readonly from: number } | null,
  { ledger, settings, head }: Known,
): Identity => {
  const record = settledRecord(ledger, spec.specHash);
  if (record !== null) {
    const known = (place?.moments ?? []).map(({ commit }) => commit);
    return settledIdentity(record, { ledger, known });
  }
  const introduced = place === null ? null : introducedAt(place.moments, place.from);
  const commit = introduced?.commit ?? head;
  const { namespace, job, specHash } = spec;
  const cluster = settings.cluster.name;
  return {
    deployment: deploymentId({ cluster, namespace, job, specHash, commit: commit.oid }),
    commit: commitRef(commit),
    settled: false,
    isRollback: false,
    introduced: introduced?.commit ?? null,
  };
};

/**
 * Rules 12.4: the settled record holds what else is needed.
 */
export const settledIdentity = (
  record: SettledRecord,
  { ledger, known }: { readonly ledger: JobLedger; readonly known: readonly CommitInfo[] },
): Identity => ({
  deployment: record.deployment,
  commit: refOf(record, known),
  settled: true,
  isRollback: wasLeft(record, ledger),
  introduced: null,
});

/**
 * Rules 2.5: the job was on another version in between. The ledger shows it: another version
 * settled or failed after
 * this one settled, or this one settled in two deployments. A version that was left and came back
 * before it either
 * settled or failed leaves no trace, and needs none: `settled` alone keeps it from canaries and
 * reverts.
 */
const wasLeft = (record: SettledRecord, ledger: JobLedger): boolean => {
  const at = ledger.indexOf(record);
  return ledger.some((other, index) => {
    if (other.kind !== 'settled' && other.kind !== 'failed') return false;
    if (other.specHash !== record.specHash) return index > at;
    return other.kind === 'settled' && other.deployment !== record.deployment;
  });
};

/** Records of older releases have no words: then they are empty where the commit is not at hand. */
const refOf = (record: SettledRecord, known: readonly CommitInfo[]): CommitRef => {
  const { commit: oid, author = '', email = '', subject = '' } = record;
  const commit = known.find((one) => one.oid === oid);
  return commit === undefined ? { oid, author, email, subject } : commitRef(commit);
};

/** Rules 5.5: the newest settled version under HEAD's in-place fields and count. */
export const fallbackOf = (
  { version, record }: SettledVersion,
  head: JobSpec,
  moments: readonly Moment[],
): NonNullable<DesiredJob['fallback']> => ({
  spec: underHead(version.spec, head),
  deployment: record.deployment,
  commit: refOf(
    record,
    moments.map(({ commit }) => commit),
  ),
});
