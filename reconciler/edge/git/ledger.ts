// The ledger's stored form (rules 11): JSON lines, one file a job (`jobs/<namespace>/<job>.jsonl`)
// and one for the cluster (`cluster.jsonl`), so that appends touch small files and two writers can
// be joined line by line. In: texts and records. Out: texts and records; pure. Not here: reading
// and writing them (ledger-store).

import { canonical } from '../../../schema/hash.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import { GONE_JOB_RECORDS, RESUMES_KEPT, USED_APPROVAL_MS } from './limits.ts';

export const CLUSTER_FILE = 'cluster.jsonl';

/**
 * A line as stored. `record` is null for a kind that this release does not know: it is kept, and
 * not used.
 */
export interface LedgerLine {
  readonly text: string;
  readonly record: LedgerRecord | null;
}

export const ledgerFile = (record: LedgerRecord): string => {
  switch (record.kind) {
    case 'cluster':
    case 'approval':
    case 'resume':
    case 'synced':
    case 'judged':
      return CLUSTER_FILE;
    case 'digest':
    case 'settled':
    case 'failed':
    case 'returned':
    case 'reverted':
      return jobFile(record.job);
    case 'volume': {
      const whole = record.job.includes('/') ? record.job : `${record.namespace}/${record.job}`;
      return jobFile(whole);
    }
  }
};

/** `shop/web` → `jobs/shop/web.jsonl`. Characters that a path could trip over are escaped. */
const jobFile = (job: string): string => {
  const parts = job.split('/').map((part) => encodeURIComponent(part).replace(/^\.+$/, '_'));
  return `jobs/${parts.join('/')}.jsonl`;
};

/**
 * Lines that are no JSON object are left out and counted: one bad line must not hide the others.
 */
export const parseLines = (
  text: string,
): { readonly lines: readonly LedgerLine[]; readonly bad: number } => {
  const lines: LedgerLine[] = [];
  let bad = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const value = parseObject(line);
    if (value === null) bad += 1;
    else lines.push({ text: line, record: isRecord(value) ? value : null });
  }
  return { lines, bad };
};

const parseObject = (line: string): object | null => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
};

/** The fields that each kind is found by; a record that lacks one of them is of no use. */
const FIELDS: Readonly<Record<LedgerRecord['kind'], readonly string[]>> = {
  cluster: ['cluster', 'branch', 'directory'],
  digest: ['job', 'group', 'task', 'reference', 'commit', 'digest'],
  settled: ['job', 'specHash', 'deployment', 'commit', 'digests'],
  failed: ['job', 'specHash', 'deployment', 'commit', 'evidence'],
  returned: ['job', 'specHash', 'deployment', 'commit'],
  reverted: ['job', 'deployment', 'commit'],
  volume: ['namespace', 'job', 'volume', 'group', 'index', 'node'],
  approval: ['id', 'by', 'at', 'commit', 'slots', 'nodes', 'used'],
  resume: ['commit', 'by', 'at'],
  synced: ['commit'],
  judged: ['commit', 'owners', 'ownApproval', 'held'],
};

const isRecord = (value: object): value is LedgerRecord => {
  if (!('kind' in value) || typeof value.kind !== 'string') return false;
  const fields = Object.entries(FIELDS).find(([kind]) => kind === value.kind)?.[1];
  return fields !== undefined && fields.every((field) => field in value);
};

export const formatLines = (lines: readonly LedgerLine[]): string =>
  lines.map((line) => `${line.text}\n`).join('');

/** In front of the record, so that the text is the same whoever writes it. */
export const lineOf = (record: LedgerRecord): LedgerLine => ({ text: canonical(record), record });

export interface CompactOptions {
  /**
   * The job's file exists at HEAD: nothing of it is pruned but what a newer record replaces (rules
   * 11).
   */
  readonly atHead: boolean;
  readonly epochMs: number;
}

/**
 * What still counts of a file's lines, oldest first: of lines with one key the newest; of a job
 * that is gone from HEAD the newest 50 of a kind; used approvals for 30 days; the newest resumes. A
 * volume's home that was ended is kept beside the one that follows it, so that its folder goes too.
 */
export const compact = (
  lines: readonly LedgerLine[],
  options: CompactOptions,
): readonly LedgerLine[] => {
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  const kept: LedgerLine[] = [];
  for (const line of lines.toReversed()) {
    const key = line.record === null ? line.text : recordKey(line.record);
    if (seen.has(key)) continue;
    seen.add(key);
    // The end of a home replaces the home as well as an earlier end of it.
    if (line.record?.kind === 'volume') seen.add(volumeKey(line.record));
    if (line.record !== null) {
      const nth = (counts.get(line.record.kind) ?? 0) + 1;
      counts.set(line.record.kind, nth);
      if (isPast(line.record, nth, options)) continue;
    }
    kept.push(line);
  }
  // The first record of the ledger says whose it is: the oldest one counts, whatever was appended.
  const first = lines.find((line) => line.record?.kind === 'cluster');
  const rest = kept.toReversed().filter((line) => line.record?.kind !== 'cluster');
  return first === undefined ? rest : [first, ...rest];
};

/** Records with one key replace each other. */
const recordKey = (record: LedgerRecord): string => {
  switch (record.kind) {
    case 'cluster':
    case 'synced':
    case 'judged':
      return record.kind;
    case 'digest':
      return canonical([
        record.kind,
        record.job,
        record.group,
        record.task,
        record.reference,
        record.commit,
      ]);
    case 'settled':
      return canonical([record.kind, record.job, record.specHash, record.deployment]);
    // What the job is on now; of another version before, its settled record says it in time.
    case 'returned':
      return canonical([record.kind, record.job]);
    case 'failed':
    case 'reverted':
      return canonical([record.kind, record.job, record.deployment]);
    case 'volume':
      return record.from === undefined
        ? volumeKey(record)
        : canonical([volumeKey(record), record.from]);
    case 'approval':
      return canonical([record.kind, record.id]);
    case 'resume':
      return canonical([record.kind, record.commit]);
  }
};

const volumeKey = (record: Extract<LedgerRecord, { kind: 'volume' }>): string =>
  canonical([record.kind, record.job, record.volume, record.group, record.index]);

/** `nth`: 1 for the newest of its kind in this file. */
const isPast = (record: LedgerRecord, nth: number, options: CompactOptions): boolean => {
  switch (record.kind) {
    case 'cluster':
    case 'synced':
    case 'judged':
      return false;
    case 'resume':
      return nth > RESUMES_KEPT;
    case 'approval':
      return record.used && options.epochMs - Date.parse(record.at) > USED_APPROVAL_MS;
    case 'volume':
      if (record.node !== null || options.atHead) return false;
      return record.from === undefined || nth > GONE_JOB_RECORDS;
    case 'digest':
    case 'settled':
    case 'failed':
    case 'returned':
    case 'reverted':
      return !options.atHead && nth > GONE_JOB_RECORDS;
  }
};

/** `2 settled, 1 digest`: the subject of the ledger's commit. */
export const summary = (records: readonly LedgerRecord[]): string => {
  const counts = new Map<string, number>();
  for (const record of records) counts.set(record.kind, (counts.get(record.kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
};
