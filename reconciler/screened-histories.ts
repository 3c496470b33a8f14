// Histories with what no owner has let through left out, as in the files of their tree.
// In: how histories are read, and commits. Out: the same for trees with held files. Not here: which files are
// held (screen), what is left out (desired/held-files).

import { compareText } from '../schema/ids.ts';
import type { HeldFile, PassedContents } from '../schema/ledger.ts';
import type { History, HistoryEntry, SourceTree } from '../schema/source.ts';
import { entryWithHeld, historyWithHeld, historyWithPassed } from './desired/held-files.ts';
import type { SourcePort } from './ports.ts';

type Complete = SourcePort['complete'];

interface Reading {
  readonly complete: Complete;
  /** Absent: what is not on the line is not read. */
  readonly at?: At;
}

type At = (commit: string) => Promise<Pick<SourceTree, 'head' | 'files'> | null>;

export const completeScreened =
  ({ complete, at }: Reading): Complete =>
  async (tree, asked) => {
    const whole = await complete(tree, asked);
    const { held = [], passed = [] } = tree;
    const isPlain = held.length === 0 && passed.length === 0;
    if (isPlain || whole.histories === tree.histories) return whole;
    const histories = new Map(whole.histories);
    for (const [path, history] of whole.histories) {
      if (tree.histories.get(path) === history) continue;
      const others = asked.histories.filter((ask) => ask.path === path).flatMap((ask) => ask.with);
      const paths = [...new Set([path, ...others])].toSorted(compareText);
      const beside = at === undefined ? [] : await besideLine(history, { held, passed, paths, at });
      const found = historyWithPassed(historyWithHeld(history, held), passed);
      const entries = [...found.entries, ...beside];
      const counted = found.counted && { counted: [...found.counted, ...beside] };
      histories.set(path, { ...found, entries, ...counted });
    }
    return { ...whole, histories };
  };

interface Beside {
  readonly at: At;
  readonly held: readonly HeldFile[];
  readonly passed: readonly PassedContents[];
  readonly paths: readonly string[];
}

/**
 * What counts may not be on the line, nor the commit with which a wait began: the line was led past
 * them, and all of it waits. It counts as it stood in that commit, or before it.
 */
const besideLine = async (
  { entries }: History,
  { held, passed, paths, at }: Beside,
): Promise<readonly HistoryEntry[]> => {
  const found = new Map<string, HistoryEntry>();
  for (const { path, accepted, since } of [...held, ...passed]) {
    const isOnLine = entries.some(({ commit }) => commit.oid === since);
    if (accepted === null || isOnLine || !paths.includes(path)) continue;
    for (let oid: string | null = since, back = 0; oid !== null && back < 2; back += 1) {
      const there: Awaited<ReturnType<At>> = await at(oid);
      oid = there?.head.parent ?? null;
      if (there?.files.get(path)?.blob !== accepted) continue;
      const entry = { commit: there.head, files: there.files };
      found.set(there.head.oid, entryWithHeld(entry, held, paths));
      break;
    }
  }
  return [...found.values()];
};
