// The ledger by job: which versions settled, which deployments failed, which digest a text had
// (rules 3, 11).
// In: the records that count, newest last. Out: an index, and questions to it.
// Not here: how records are stored (reconciler/edge/git), which are pruned.

import { compareText } from '../../schema/ids.ts';
import type { Ledger, LedgerRecord } from '../../schema/ledger.ts';
import type { VolumeHome } from '../../schema/desired.ts';

export type SettledRecord = Extract<LedgerRecord, { kind: 'settled' }>;
export type FailedRecord = Extract<LedgerRecord, { kind: 'failed' }>;
type DigestRecord = Extract<LedgerRecord, { kind: 'digest' }>;
type ReturnedRecord = Extract<LedgerRecord, { kind: 'returned' }>;
type RevertedRecord = Extract<LedgerRecord, { kind: 'reverted' }>;
export type JobRecord =
  | SettledRecord
  | FailedRecord
  | DigestRecord
  | ReturnedRecord
  | RevertedRecord;

/** The records of one job, newest last. */
export type JobLedger = readonly JobRecord[];

/** In two layers, so that an index shares nearly all with the one before; `recordsOf` reads it. */
interface Layers {
  readonly newer: ReadonlyMap<string, JobLedger>;
  readonly older: ReadonlyMap<string, JobLedger>;
}

export interface LedgerIndex {
  readonly byJob: Layers;
  readonly cluster: Extract<LedgerRecord, { kind: 'cluster' }> | null;
  readonly volumes: readonly VolumeHome[];
  /** Homes that were ended by hand, with the node where each was. */
  readonly endedVolumes: readonly VolumeHome[];
  readonly approvals: readonly Extract<LedgerRecord, { kind: 'approval' }>[];
  /** Slots of approvals that are used up. */
  readonly usedSlots: readonly string[];
  /** The commit of the newest `synced` record; null: none was ever synced. */
  readonly synced: string | null;
  /** Commits that `resume` records name. */
  readonly resumed: readonly string[];
}

const NO_RECORDS: JobLedger = [];

/** The same list as long as the job's records are the same. */
export const recordsOf = ({ byJob: { newer, older } }: LedgerIndex, job: string): JobLedger =>
  newer.get(job) ?? older.get(job) ?? NO_RECORDS;

export interface Indexed {
  readonly of: Ledger;
  readonly index: LedgerIndex;
  /** The index before; null: none. */
  readonly since: LedgerIndex | null;
  /** Jobs whose records are not those of `since`; null: not known. */
  readonly changed: ReadonlySet<string> | null;
}

/** The index of a ledger that is much like the one before: it costs the jobs that differ. */
export const indexAfter = (ledger: Ledger, before: Indexed | null): Indexed => {
  const changed = before && changedJobs(before.of, ledger);
  if (before === null || changed === null) {
    const since = before?.index ?? null;
    return { of: ledger, index: indexLedger(ledger, since), since, changed: null };
  }
  const found = indexOf(ledger, changed);
  keepSame(found.byJob, before.index);
  const byJob = layersAfter(before.index.byJob, changed, found.byJob);
  const index = { ...found, byJob, cluster: keptCluster(found.cluster, before.index.cluster) };
  return { of: ledger, index, since: before.index, changed };
};

/** Jobs whose records are the same as before keep the same list. */
export const indexLedger = (ledger: Ledger, before: LedgerIndex | null): LedgerIndex => {
  const found = indexOf(ledger, null);
  if (before !== null) keepSame(found.byJob, before);
  const byJob = { newer: new Map<string, JobLedger>(), older: found.byJob };
  const cluster = before === null ? found.cluster : keptCluster(found.cluster, before.cluster);
  return { ...found, byJob, cluster };
};

/** A newer layer of more jobs than this becomes one with the older. */
const NEWER_MAX = 256;

const layersAfter = (
  before: Layers,
  changed: ReadonlySet<string>,
  found: ReadonlyMap<string, JobLedger>,
): Layers => {
  const newer = new Map(before.newer);
  for (const job of changed) newer.set(job, found.get(job) ?? NO_RECORDS);
  if (newer.size <= NEWER_MAX) return { newer, older: before.older };
  const all = [...before.older].filter(([job]) => !newer.has(job));
  return { newer: new Map(), older: new Map([...all, ...newer]) };
};

/** It stands in a file that changes with every commit, and says the same for good. */
const keptCluster = (
  now: LedgerIndex['cluster'],
  before: LedgerIndex['cluster'],
): LedgerIndex['cluster'] => (JSON.stringify(now) === JSON.stringify(before) ? before : now);

/** Ledgers that differ in more records than this are indexed anew. */
const CHANGED_MAX = 1000;

/**
 * Jobs of the records that stand in one ledger only. What both begin and end with is passed over,
 * in two parts, since the first records, which are of no job, change with every commit.
 */
const changedJobs = (before: Ledger, now: Ledger): ReadonlySet<string> | null => {
  const [a, b] = [firstOfJobs(before), firstOfJobs(now)];
  const jobs = new Set<string>();
  const parts = [
    { from: [0, a], to: [0, b] },
    { from: [a, before.length], to: [b, now.length] },
  ] as const;
  for (const { from, to } of parts) {
    let [[start, end], [first, last]] = [from, to];
    while (start < end && first < last && before[start] === now[first]) {
      start += 1;
      first += 1;
    }
    while (end > start && last > first && before[end - 1] === now[last - 1]) {
      end -= 1;
      last -= 1;
    }
    if (end - start + last - first > CHANGED_MAX) return null;
    for (const record of [...before.slice(start, end), ...now.slice(first, last)]) {
      if (isOfJob(record)) jobs.add(record.job);
    }
  }
  return jobs;
};

const firstOfJobs = (ledger: Ledger): number => {
  const first = ledger.findIndex(isOfJob);
  return first < 0 ? ledger.length : first;
};

const isOfJob = (record: LedgerRecord): record is JobRecord =>
  record.kind === 'digest' ||
  record.kind === 'settled' ||
  record.kind === 'failed' ||
  record.kind === 'returned' ||
  record.kind === 'reverted';

interface Found extends Omit<LedgerIndex, 'byJob'> {
  readonly byJob: Map<string, JobLedger>;
}

/** `only`: the jobs whose records are asked for; null: all. */
const indexOf = (ledger: Ledger, only: ReadonlySet<string> | null): Found => {
  const byJob = new Map<string, JobRecord[]>();
  const volumes: Volumes = { homes: new Map(), ended: new Map() };
  const approvals = new Map<string, LedgerIndex['approvals'][number]>();
  const usedSlots = new Set<string>();
  const resumed: string[] = [];
  let cluster: LedgerIndex['cluster'] = null;
  let synced: string | null = null;
  for (const record of ledger) {
    switch (record.kind) {
      case 'digest':
      case 'settled':
      case 'failed':
      case 'returned':
      case 'reverted':
        if (only === null || only.has(record.job)) listOf(byJob, record.job).push(record);
        break;
      case 'volume':
        noteVolume(volumes, record);
        break;
      case 'approval':
        if (record.used) {
          approvals.delete(record.id);
          for (const slot of record.slots) usedSlots.add(slot);
        } else approvals.set(record.id, record);
        break;
      case 'cluster':
        cluster ??= record;
        break;
      case 'resume':
        resumed.push(record.commit);
        break;
      case 'synced':
        synced = record.commit;
        break;
      // Read before a tree is compiled (reconciler/screen).
      case 'judged':
        break;
      default:
        record satisfies never;
    }
  }
  return {
    byJob,
    cluster,
    volumes: byKey(volumes.homes),
    endedVolumes: byKey(volumes.ended),
    approvals: [...approvals.values()],
    usedSlots: [...usedSlots],
    synced,
    resumed,
  };
};

const keepSame = (byJob: Map<string, JobLedger>, before: LedgerIndex): void => {
  for (const [job, records] of byJob) {
    const old = recordsOf(before, job);
    if (old.length === records.length && records.every((record, at) => record === old[at])) {
      byJob.set(job, old);
    }
  }
};

const byKey = <T>(map: ReadonlyMap<string, T>): readonly T[] =>
  [...map].toSorted(([a], [b]) => compareText(a, b)).map(([, value]) => value);

const listOf = (byJob: Map<string, JobRecord[]>, job: string): JobRecord[] => {
  const known = byJob.get(job);
  if (known !== undefined) return known;
  const list: JobRecord[] = [];
  byJob.set(job, list);
  return list;
};

interface Volumes {
  readonly homes: Map<string, VolumeHome>;
  readonly ended: Map<string, VolumeHome>;
}

/**
 * The newest record of a slot's volume counts; a home without a node has been ended by hand (rules
 * 14). The end of a home counts until the volume has a home on that node again.
 */
const noteVolume = (
  { homes, ended }: Volumes,
  record: Extract<LedgerRecord, { kind: 'volume' }>,
): void => {
  const { namespace, job, volume, group, index, node, from } = record;
  const key = [namespace, job, volume, group, String(index).padStart(8, '0')].join('/');
  const home = { namespace, job, volume, group, index };
  if (node !== null) {
    homes.set(key, { ...home, node });
    ended.delete(`${key} ${node}`);
    return;
  }
  homes.delete(key);
  if (from !== undefined) ended.set(`${key} ${from}`, { ...home, node: from });
};

/** Did this version of the job ever settle? The newest record of it. */
export const settledRecord = (ledger: JobLedger, specHash: string): SettledRecord | null =>
  newest(ledger, (record) =>
    record.kind === 'settled' && record.specHash === specHash ? record : null,
  );

/** Spec hashes of all versions of the job that ever settled, each once. */
export const markedVersions = (ledger: JobLedger): readonly string[] => [
  ...new Set(ledger.flatMap((record) => (record.kind === 'settled' ? [record.specHash] : []))),
];

/**
 * The newest word on which deployment a version is that settled before (rules 1.1, 2.3): that of
 * its settling, or that it was brought in anew.
 */
export const introducedRecord = (
  ledger: JobLedger,
  specHash: string,
): SettledRecord | ReturnedRecord | null =>
  newest(ledger, (record) =>
    (record.kind === 'settled' || record.kind === 'returned') && record.specHash === specHash
      ? record
      : null,
  );

/**
 * The version came back since the last synced commit: people may have thrown that away, and then no
 * commit that is left has touched the job.
 */
export const mayBeThrownAway = (
  ledger: JobLedger,
  { specHash, synced }: { readonly specHash: string; readonly synced: string | null },
): boolean => {
  const deployment = introducedRecord(ledger, specHash)?.deployment;
  return ledger.some(
    (record) =>
      record.kind === 'returned' &&
      record.deployment === deployment &&
      record.since !== undefined &&
      record.since === synced,
  );
};

export const isMarked = (ledger: JobLedger, deployment: string): boolean =>
  ledger.some((record) => record.kind === 'settled' && record.deployment === deployment);

export const failedRecord = (ledger: JobLedger, deployment: string): FailedRecord | null =>
  newest(ledger, (record) =>
    record.kind === 'failed' && record.deployment === deployment ? record : null,
  );

/** The commit that answered the deployment. */
export const revertCommit = (ledger: JobLedger, deployment: string): string | null =>
  newest(ledger, (record) =>
    record.kind === 'reverted' && record.deployment === deployment ? record.commit : null,
  );

/** A text at a place: which reference a task of a group names. */
export interface ImageText {
  readonly group: string;
  readonly task: string;
  readonly reference: string;
}

/**
 * Rules 3: text that comes back takes the digest that it had in the newest settled version that
 * contains it.
 */
export const settledDigest = (ledger: JobLedger, text: ImageText): string | null =>
  newest(ledger, (record) => {
    if (record.kind !== 'settled') return null;
    return record.digests.find((digest) => sameText(digest, text))?.digest ?? null;
  });

/** The digest that was looked up for the text that one of these commits brought in. */
export const recordedDigest = (
  ledger: JobLedger,
  text: ImageText,
  broughtIn: (commit: string) => boolean,
): string | null =>
  newest(ledger, (record) =>
    record.kind === 'digest' && sameText(record, text) && broughtIn(record.commit)
      ? record.digest
      : null,
  );

const sameText = (a: ImageText, b: ImageText): boolean =>
  a.group === b.group && a.task === b.task && a.reference === b.reference;

const newest = <T>(ledger: JobLedger, find: (record: JobRecord) => T | null): T | null => {
  for (let at = ledger.length - 1; at >= 0; at -= 1) {
    const record = ledger[at];
    const found = record === undefined ? null : find(record);
    if (found !== null) return found;
  }
  return null;
};
