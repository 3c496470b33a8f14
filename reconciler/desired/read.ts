// Files into documents, remembered by path and blob: a file that did not change is not read twice.
// In: kind, path, file; the memo that the caller keeps. Out: the document with its positions and
// problems.
// Not here: parsing (schema/parse.ts). The memo changes how long it takes and nothing else.

import type { DocumentKind } from '../../schema/documents.ts';
import { parseDocument, type Parsed } from '../../schema/parse.ts';
import type { SourceFile } from '../../schema/source.ts';

export interface ReadDocument<K extends DocumentKind> extends Parsed<K> {
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
}

export const createReadMemo = (): ReadMemo => ({ young: new Map(), old: new Map() });

export const createReader =
  (memo: ReadMemo): Reader =>
  <K extends DocumentKind>(kind: K, path: string, file: SourceFile): ReadDocument<K> => {
    const key = `${path} ${file.blob}`;
    const known = memo.young.get(key) ?? memo.old.get(key);
    // The path says the kind (rules 1.2), so what was read under it is of this kind.
    const document =
      known === undefined
        ? { ...parseDocument(kind, path, file), path, file }
        : (known as unknown as ReadDocument<K>);
    memo.young.set(key, document as unknown as ReadDocument<DocumentKind>);
    return document;
  };

/**
 * So many documents are kept in any case: a job whose inputs are the same is not read at all, and
 * would read its whole history again with the next record of the ledger.
 */
const DOCUMENTS_KEPT = 1000;

/** Called once a tree has been looked at. */
export const forgetOld = (memo: ReadMemo): void => {
  if (memo.young.size < DOCUMENTS_KEPT) return;
  memo.old = memo.young;
  memo.young = new Map();
};
