// Files into documents, remembered by path and blob: a file that did not change is not read twice.
// In: kind, path, file; the memo that the caller keeps. Out: the document with its positions and
// problems; those of a tree as plain data, for the next start of the program, and back.
// Not here: parsing (schema/parse.ts). The memo changes how long it takes and nothing else.

import type { DocumentKind } from '../../schema/documents.ts';
import {
  askedPositions,
  keptDocument,
  parsedFrom,
  type AskedPositions,
  type KeptDocument,
} from '../../schema/kept.ts';
import { parseDocument, type Parsed } from '../../schema/parse.ts';
import { kindOf } from '../../schema/paths.ts';
import type { Files, SourceFile } from '../../schema/source.ts';

export interface ReadDocument<K extends DocumentKind> extends Parsed<K>, AskedPositions {
  readonly path: string;
  readonly file: SourceFile;
}

export type Reader = <K extends DocumentKind>(
  kind: K,
  path: string,
  file: SourceFile,
) => ReadDocument<K>;

/**
 * By path and blob. Two generations of at least DOCUMENTS_KEPT: what was used in neither is
 * forgotten, so the memo holds little more than HEAD and the histories of unsettled jobs.
 */
export interface ReadMemo {
  young: Map<string, ReadDocument<DocumentKind>>;
  old: Map<string, ReadDocument<DocumentKind>>;
  /** Of an earlier start of the program. */
  kept: ReadonlyMap<string, KeptDocument>;
}

export const createReadMemo = (): ReadMemo => ({
  young: new Map(),
  old: new Map(),
  kept: new Map(),
});

const keyOf = (path: string, blob: string): string => `${path} ${blob}`;

export const createReader =
  (memo: ReadMemo): Reader =>
  <K extends DocumentKind>(kind: K, path: string, file: SourceFile): ReadDocument<K> => {
    const key = keyOf(path, file.blob);
    const known = memo.young.get(key) ?? memo.old.get(key);
    // The path says the kind (rules 1.2), so what was read under it is of this kind.
    const document =
      known === undefined
        ? { ...readNow(kind, path, { file, kept: memo.kept.get(key) }), path, file }
        : (known as unknown as ReadDocument<K>);
    memo.young.set(key, document as unknown as ReadDocument<DocumentKind>);
    return document;
  };

const readNow = <K extends DocumentKind>(
  kind: K,
  path: string,
  { file, kept }: { readonly file: SourceFile; readonly kept: KeptDocument | undefined },
): Parsed<K> & AskedPositions => {
  if (kept !== undefined && file.kind === 'text') return parsedFrom<K>(kept, file.text);
  const parsed = parseDocument(kind, path, file);
  return { ...parsed, ...askedPositions(parsed.positions) };
};

/** What a start before this one has kept is used in place of reading. */
export const recall = (memo: ReadMemo, documents: readonly KeptDocument[]): void => {
  memo.kept = new Map(documents.map((one) => [keyOf(one.path, one.blob), one]));
};

/** The documents of these files, as far as they were read. */
export const documentsToKeep = function* documentsToKeep(
  memo: ReadMemo,
  files: Files,
): Generator<KeptDocument> {
  for (const [path, { kind, blob }] of files) {
    if (kind !== 'text' || kindOf(path) === null) continue;
    const key = keyOf(path, blob);
    const document = memo.young.get(key) ?? memo.old.get(key);
    const kept = document && keptDocument({ path, blob }, document);
    if (kept) yield kept;
  }
};

/**
 * So many documents are kept in any case: a job whose inputs are the same is not read at all, and
 * would read its whole history again with the next record of the ledger.
 */
const DOCUMENTS_KEPT = 1000;

/**
 * Called once a tree has been looked at. As many as were there before may come: those of a large
 * HEAD are not all looked at again with each commit.
 */
export const forgetOld = (memo: ReadMemo): void => {
  if (memo.young.size < Math.max(DOCUMENTS_KEPT, memo.old.size)) return;
  memo.old = memo.young;
  memo.young = new Map();
};
