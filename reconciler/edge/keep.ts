// One file in the cache folder: what a start has read and checked, for the next start (docs/
// decisions/kept-documents.md). In: rows of text and of checked documents. Out: the same, or nothing
// where the file is missing, damaged, or of another release. Losing it costs half a second and
// nothing else. Not here: what is kept, and when (reconciler/keeping.ts).

import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import writeFileAtomic from 'write-file-atomic';
import { sha256 } from '../../schema/hash.ts';
import { NOTHING_KEPT, type Kept, type KeptDocument } from '../../schema/kept.ts';
import type { LogPort } from '../ports.ts';

export interface KeepPort {
  readonly recall: () => Kept;
  /** Never throws: a cache that cannot be written is none. */
  readonly keep: (
    texts: Iterable<readonly [string, string]>,
    documents: Documents,
  ) => Promise<void>;
}

type Documents = Iterable<KeptDocument>;

export interface KeepOptions {
  readonly folder: string;
  /** Names the very code that runs: another may read the same file otherwise. */
  readonly program: string;
  readonly log: LogPort;
}

const FILE = 'read.json';
const FILE_MODE = 0o600;
/** 10,000 jobs with their ledger take some 20 MB; what is larger would delay a start. */
const KEPT_BYTES = 64 * 1024 * 1024;
/** Rows written as text in one go: below a millisecond. */
const ROWS_AT_ONCE = 50;
/** Nobody else may write it: it is believed. */
const OTHERS_MAY_WRITE = 0o022;

export const createKeep = ({ folder, program, log }: KeepOptions): KeepPort => {
  const file = path.join(folder, FILE);
  return {
    recall: () => {
      try {
        return read(file, program);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        log.info({ file, why }, 'what an earlier start has read is not used; it is read anew');
        return NOTHING_KEPT;
      }
    },
    keep: async (texts, documents) => {
      try {
        const body = `[${await inSteps(texts)},${await inSteps(documents)}]`;
        if (body.length > KEPT_BYTES) return;
        const head = JSON.stringify({ program, sha256: sha256(body) });
        await fs.promises.mkdir(folder, { recursive: true, mode: 0o700 });
        // Ours, whoever made the file before.
        const chown = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
        await writeFileAtomic(file, `${head}\n${body}`, { mode: FILE_MODE, chown });
      } catch (error) {
        log.warn({ file, error: String(error) }, 'what was read cannot be kept for the next start');
      }
    },
  };
};

/** Throws Error with the reason why the file is of no use. */
const read = (file: string, program: string): Kept => {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return NOTHING_KEPT;
  if (stat.uid !== process.getuid?.() || (stat.mode & OTHERS_MAY_WRITE) !== 0) {
    throw new Error('somebody else may write it');
  }
  if (stat.size > KEPT_BYTES) throw new Error(`it is larger than ${KEPT_BYTES} bytes`);
  const whole = fs.readFileSync(file, 'utf8');
  const end = whole.indexOf('\n');
  const head: unknown = JSON.parse(whole.slice(0, end));
  const says = (key: string): unknown => Object.entries(Object(head)).find(([k]) => k === key)?.[1];
  if (says('program') !== program) throw new Error('another release wrote it');
  const body = whole.slice(end + 1);
  if (says('sha256') !== sha256(body)) throw new Error('it is damaged');
  // The hash says that these are the bytes that this very program wrote.
  const [texts, documents] = JSON.parse(body) as [[string, string][], KeptDocument[]];
  return { texts: new Map(texts), documents };
};

/** A JSON list; other work is let in between. */
const inSteps = async (rows: Iterable<unknown>): Promise<string> => {
  const parts: string[] = [];
  let step: string[] = [];
  for (const row of rows) {
    step.push(JSON.stringify(row));
    if (step.length < ROWS_AT_ONCE) continue;
    parts.push(step.join(','));
    step = [];
    await pause();
  }
  return `[${[...parts, ...(step.length === 0 ? [] : [step.join(',')])].join(',')}]`;
};
