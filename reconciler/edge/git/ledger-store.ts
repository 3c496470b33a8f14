// Reads and builds the ledger's commits; a chain on a ref of its own (rules 1.1, 11).
// In: the ledger's tip and records. Out: all records that count; a commit with more of them.
// Not here: the stored form (ledger), pushing and trying again (recorder).

import type { Ledger, LedgerRecord } from '../../../schema/ledger.ts';
import type { SourceFile } from '../../../schema/source.ts';
import type { LogPort } from '../../ports.ts';
import type { SignCommit } from './build.ts';
import { buildCommit, buildTree } from './build.ts';
import { broken } from './failure.ts';
import type { FileRow } from './folders.ts';
import type { Identity } from './format.ts';
import type { LedgerLine } from './ledger.ts';
import { CLUSTER_FILE, compact, formatLines, ledgerFile, lineOf } from './ledger.ts';
import { parseLines, summary } from './ledger.ts';
import type { NewObject } from './objects.ts';
import type { Store } from './store.ts';

/** Lines by file object: a file that did not change is the same object, and is parsed once. */
const parsed = new WeakMap<SourceFile, readonly LedgerLine[]>();

const linesOf = (row: FileRow, log: LogPort): readonly LedgerLine[] => {
  const [path, file] = row;
  const known = parsed.get(file);
  if (known !== undefined) return known;
  if (file.kind === 'refused') {
    throw broken(`the ledger's file ${path} cannot be read (${file.why}): restore it from history`);
  }
  const { lines, bad } = parseLines(file.text);
  if (bad > 0) log.warn({ path, bad }, 'lines of the ledger are not JSON and were left out');
  parsed.set(file, lines);
  return lines;
};

const rowsAt = async (store: Store, tip: string | null): Promise<readonly FileRow[]> => {
  if (tip === null) return [];
  const commit = await store.ledgerFolders.commit(tip);
  return (await store.ledgerFolders.list(commit.tree, '')).rows;
};

/** The files that a ledger was read from. */
const sources = new WeakMap<Ledger, readonly FileRow[]>();

export const ledgerRows = (ledger: Ledger | undefined): readonly FileRow[] =>
  (ledger && sources.get(ledger)) ?? [];

/** All records: the cluster's first, then by job; within a file the newest last. */
export const readLedger = async (
  store: Store,
  tip: string | null,
  log: LogPort,
): Promise<Ledger> => {
  const rows = await rowsAt(store, tip);
  const known = ledgers.get(rows);
  if (known !== undefined) return known;
  const ours = rows.filter(([path]) => path.endsWith('.jsonl'));
  const records: LedgerRecord[] = [];
  for (const first of [true, false]) {
    for (const row of ours) {
      if ((row[0] === CLUSTER_FILE) !== first) continue;
      for (const line of linesOf(row, log)) if (line.record !== null) records.push(line.record);
    }
  }
  ledgers.set(rows, records);
  sources.set(records, ours);
  return records;
};

/** By the files it was read from: a writer reads the ledger too, before each of its commits. */
const ledgers = new WeakMap<readonly FileRow[], Ledger>();

export interface Append {
  readonly store: Store;
  readonly tip: string | null;
  /** The commit whose records count: the tip, or one below it where others wrote on top. */
  readonly counted: string | null;
  readonly sign: SignCommit | null;
  readonly records: readonly LedgerRecord[];
  readonly by: Identity;
  /** `jobs/shop/web.jsonl` → whether that job's file exists at HEAD. */
  readonly atHead: (ledgerPath: string) => boolean;
  /** Makes a commit even when no record is new, with this subject. */
  readonly proof: string | null;
  readonly log: LogPort;
}

/**
 * The commit with the records appended and the touched files compacted; null when nothing would
 * change.
 */
export const buildAppend = async (
  append: Append,
): Promise<{ readonly oid: string; readonly objects: readonly NewObject[] } | null> => {
  const { store, tip, counted, sign, log } = append;
  const added = new Map<string, LedgerRecord[]>();
  for (const record of append.records) {
    const path = ledgerFile(record);
    const list = added.get(path);
    if (list === undefined) added.set(path, [record]);
    else list.push(record);
  }
  const rows = new Map((await rowsAt(store, counted)).filter(([path]) => added.has(path)));
  const changes = new Map<string, string>();
  for (const [path, records] of added) {
    const file = rows.get(path);
    const old = file === undefined ? [] : linesOf([path, file], log);
    const lines = compact([...old, ...records.map(lineOf)], {
      atHead: append.atHead(path),
      epochMs: append.by.epochSeconds * 1000,
    });
    const text = formatLines(lines);
    if (file?.kind !== 'text' || file.text !== text) changes.set(path, text);
  }
  if (changes.size === 0 && append.proof === null) return null;
  const base = counted === null ? null : (await store.ledgerFolders.commit(counted)).tree;
  return buildCommit(await buildTree(store.ledgerFolders, base, changes), {
    parents: tip === null ? [] : [tip],
    sign,
    by: append.by,
    message: append.proof ?? `ledger: ${summary(append.records)}`,
  });
};
