// Which deployment a version is: the commit that introduced it, and whether it has settled before
// (rules 1.1, 2.3, 2.5).
// In: a spec, where it stands among the job's moments, the ledger. Out: deployment, commit,
// settled, isRollback; and the record by which the ledger learns of a version that came back.
// Not here: walking the history (versions.ts), when it has to be read (touched.ts).

import type { CommitRef, DesiredJob } from '../../schema/desired.ts';
import { deploymentId } from '../../schema/ids.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { CommitInfo } from '../../schema/source.ts';
import type { JobSpec } from '../../schema/spec.ts';
import { commitRef, type Settings } from './cluster.ts';
import { underHead } from './fallback.ts';
import { introducedRecord, isMarked, settledRecord, type JobLedger } from './ledger-index.ts';
import { introducedAt, stoodBefore, type Place, type SettledVersion } from './versions.ts';

export interface Identity {
  readonly deployment: string;
  readonly commit: CommitRef;
  readonly settled: boolean;
  /** Settled, and not in this deployment. */
  readonly isUnmarked: boolean;
  readonly isRollback: boolean;
  /** The commit with which a rollback's version settled first; null: not known, or none. */
  readonly sameAs: string | null;
  /** The commit that introduced the version, where the history was read and it never settled. */
  readonly introduced: CommitInfo | null;
}

interface Known {
  readonly ledger: JobLedger;
  readonly settings: Settings;
  readonly head: CommitInfo;
}

/** `place` null: the history is not read, and the ledger's word counts, or HEAD's commit. */
export const identityOf = (
  spec: JobSpec,
  place: Place | null,
  { ledger, settings, head }: Known,
): Identity => {
  const recorded = recordedIdentity(spec, place, ledger);
  const at = place === null ? 0 : introducedAt(place, recorded?.commit.oid ?? null);
  const introduced = place?.moments[at]?.commit ?? null;
  const commit = introduced ?? head;
  const { namespace, job, specHash } = spec;
  const cluster = settings.cluster.name;
  const own = {
    deployment: deploymentId({ cluster, namespace, job, specHash, commit: commit.oid }),
    commit: commitRef(commit),
  };
  if (recorded === null) return { ...NEVER_SETTLED, ...own, introduced };
  if (place === null || !isNews(place, at, recorded)) return recorded;
  const isBack = recorded.isRollback || stoodBefore(place, at);
  const first = recorded.sameAs ?? recorded.commit.oid;
  const sameAs = isBack && first !== commit.oid ? first : null;
  const isUnmarked = !isMarked(ledger, own.deployment);
  return { ...recorded, ...own, isUnmarked, sameAs, isRollback: sameAs !== null };
};

const NEVER_SETTLED = {
  settled: false,
  isUnmarked: false,
  isRollback: false,
  sameAs: null,
} as const;

/** Where a history ends that was cut, nobody can say that the version began there. */
const isNews = ({ moments, isWhole }: Place, at: number, { commit }: Identity): boolean => {
  const found = moments[at]?.commit.oid;
  return found !== undefined && found !== commit.oid && (isWhole || at < moments.length - 1);
};

/** As the ledger says it, of a version that has settled; null: it has not. */
const recordedIdentity = (
  { specHash }: JobSpec,
  place: Place | null,
  ledger: JobLedger,
): Identity | null => {
  if (settledRecord(ledger, specHash) === null) return null;
  const record = introducedRecord(ledger, specHash);
  if (record === null) return null;
  return {
    deployment: record.deployment,
    commit: refOf(
      record,
      place?.moments.map(({ commit }) => commit),
    ),
    settled: true,
    isUnmarked: !isMarked(ledger, record.deployment),
    isRollback: record.sameAs !== undefined || wasLeft(record, ledger),
    sameAs: record.sameAs ?? null,
    introduced: null,
  };
};

type IntroducedRecord = NonNullable<ReturnType<typeof introducedRecord>>;

/**
 * Rules 2.5, as ledgers of older releases show it: another version settled or failed after this
 * one had settled. A newer one says it in the record of the return.
 */
const wasLeft = (record: IntroducedRecord, ledger: JobLedger): boolean => {
  const at = ledger.indexOf(record);
  return ledger.some(
    (other, index) =>
      index > at &&
      (other.kind === 'settled' || other.kind === 'failed') &&
      other.specHash !== record.specHash,
  );
};

/** Records of older releases have no words: then they are empty where the commit is not at hand. */
const refOf = (record: IntroducedRecord, known: readonly CommitInfo[] = []): CommitRef => {
  const { commit: oid, author = '', email = '', subject = '' } = record;
  const commit = known.find((one) => one.oid === oid);
  return commit === undefined ? { oid, author, email, subject } : commitRef(commit);
};

/**
 * The record that the ledger lacks of a job that came back to a version, so that the next start
 * needs no history to know its deployment (rules 12.4); null: it lacks none.
 */
export const returnedRecord = (
  job: DesiredJob,
  { ledger, synced }: { readonly ledger: JobLedger; readonly synced: string | null },
): LedgerRecord | null => {
  const { specHash } = job.spec;
  if (!job.settled || introducedRecord(ledger, specHash)?.deployment === job.deployment) {
    return null;
  }
  const { oid: commit, author, email, subject } = job.commit;
  const { sameAs } = job;
  return {
    kind: 'returned',
    job: job.id,
    specHash,
    deployment: job.deployment,
    commit,
    ...(subject === '' ? {} : { author, email, subject }),
    ...(sameAs === undefined ? {} : { sameAs }),
    ...(synced === null ? {} : { since: synced }),
  };
};

/** Rules 5.5: the newest settled version under HEAD's in-place fields and count. */
export const fallbackOf = (
  { version, at }: SettledVersion,
  head: { readonly spec: JobSpec; readonly place: Place },
  known: Known,
): NonNullable<DesiredJob['fallback']> => {
  const place = { ...head.place, from: at };
  const { deployment, commit } = identityOf(version.spec, place, known);
  return { spec: underHead(version.spec, head.spec), deployment, commit };
};
