// Programs that commit, and whose next change of a job waits: who wrote what was reverted may write
// the same again until a person has looked (rules 6.6).
// In: a job's history, the files that its version is made of, e-mail addresses of automation from
// cluster.yaml. Out: whose change waits, and since which revert. Read off Git alone: a commit of a
// person that touches one of these files ends it. A merge commit is its author's, who pressed merge.
// Not here: what is held (job.ts).

import type { DesiredJob } from '../../schema/desired.ts';
import type { CommitInfo, History, HistoryEntry } from '../../schema/source.ts';

export type PausedWriter = NonNullable<DesiredJob['automation']>;

export interface Paused {
  readonly writer: PausedWriter;
  /** Where in the history the revert stands: its content counts. */
  readonly at: number;
}

export interface Written {
  readonly history: History;
  /** The job's file, and those that it mounts. */
  readonly own: readonly string[];
}

/** null: the newest change of these files is not automation's, or nothing of it was reverted. */
export const pausedAt = (
  { history, own }: Written,
  automation: readonly string[],
): Paused | null => {
  const { entries } = history;
  const touching = entries
    .map((entry, at) => ({ entry, at }))
    .filter(({ at }) => touches({ history, own }, at));
  const [newest, ...older] = touching;
  if (newest === undefined) return null;
  const { author, oid } = newest.entry.commit;
  if (!isAutomation(author, automation)) return null;
  for (const { entry, at } of older) {
    const reverts = revertedBy(entry.commit);
    if (reverts !== null) {
      const wrote = entries.find(({ commit }) => commit.oid.startsWith(reverts))?.commit.author;
      if (wrote !== undefined && isSame(wrote, author)) {
        const revert = entry.commit.oid;
        return { at, writer: { name: author.name, commit: oid, revert } };
      }
      // The machine's own revert of somebody else's change: nobody has looked.
      if (entry.commit.trailers.some(([key]) => key === 'Purser-Deployment')) continue;
    }
    if (!isAutomation(entry.commit.author, automation)) return null;
  }
  return null;
};

const touches = ({ history: { entries, complete }, own }: Written, at: number): boolean => {
  const before = entries[at + 1];
  if (before === undefined) return complete;
  const blob = (entry: HistoryEntry | undefined, path: string) => entry?.files.get(path)?.blob;
  return own.some((path) => blob(entries[at], path) !== blob(before, path));
};

type Author = CommitInfo['author'];

/** GitHub's Apps sign as `name[bot]`, and so do their addresses. */
export const isAutomation = ({ name, email }: Author, patterns: readonly string[]): boolean =>
  name.endsWith('[bot]') ||
  /\[bot\]@[^@]*$/.test(email) ||
  patterns.some((pattern) => matches(pattern, email));

/** `*` stands for any characters; case counts for nothing in addresses. */
const matches = (pattern: string, email: string): boolean => {
  const parts = pattern.toLowerCase().split('*');
  const text = email.toLowerCase();
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.endsWith(last) && text.length - last.length >= at;
};

const isSame = (a: Author, b: Author): boolean => a.email.toLowerCase() === b.email.toLowerCase();

/** The commit that it takes back, as its trailers or `git revert` say; null: it takes none back. */
const revertedBy = ({ message, trailers }: CommitInfo): string | null => {
  const trailer = trailers.findLast(([key]) => REVERTS.has(key))?.[1];
  const named = trailer ?? /^This reverts commit ([0-9a-f]{7,64})\b/m.exec(message)?.[1];
  return named !== undefined && /^[0-9a-f]{7,64}$/.test(named) ? named : null;
};

const REVERTS = new Set(['Purser-Reverts', 'Purser-Rolls-Back']);
