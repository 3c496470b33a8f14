// Where two commits parted: their newest common ancestors, over all parents, as `git merge-base
// --all` finds them. In: two commit ids. Out: ids, none where the histories are unrelated. Not
// here: what is merged from there (merge).

import { broken } from './failure.ts';
import type { Folders } from './folders.ts';
import { ANCESTRY_COMMITS } from './limits.ts';
import { contains } from './line.ts';

/** Reached from the one commit, from the other, from a common ancestor. */
const OURS = 1;
const THEIRS = 2;
const PASSED = 4;

/**
 * Newest first. Dates only order the walk: a clock that is wrong makes it longer, never wrong, for
 * it goes on while anything is left that is no ancestor of a common one.
 */
export const mergeBases = async (
  folders: Folders,
  [ours, theirs]: readonly [string, string],
): Promise<readonly string[]> => {
  if (ours === theirs) return [ours];
  const { found } = await paint(folders, [ours, theirs]);
  return found.length < 2 ? found : withoutAncestors(folders, found);
};

/** Commits of `theirs` that `ours` does not contain, newest first. */
export const broughtIn = async (
  folders: Folders,
  [ours, theirs]: readonly [string, string],
): Promise<readonly string[]> => {
  if (ours === theirs) return [];
  const { marks } = await paint(folders, [ours, theirs]);
  return [...marks].flatMap(([oid, flags]) => (flags === THEIRS ? [oid] : []));
};

const paint = async (folders: Folders, [ours, theirs]: readonly [string, string]) => {
  const marks = new Map<string, number>();
  const queue = new Map<string, number>();
  const found: string[] = [];
  const mark = async (oid: string, flags: number): Promise<void> => {
    const before = marks.get(oid) ?? 0;
    if ((before | flags) === before) return;
    marks.set(oid, before | flags);
    queue.set(oid, (await folders.commit(oid)).authoredAt);
  };
  await mark(ours, OURS);
  await mark(theirs, THEIRS);
  while ([...queue.keys()].some((oid) => ((marks.get(oid) ?? 0) & PASSED) === 0)) {
    const oid = newest(queue);
    queue.delete(oid);
    let flags = marks.get(oid) ?? 0;
    if (flags === (OURS | THEIRS)) {
      found.push(oid);
      flags |= PASSED;
    }
    for (const parent of (await folders.commit(oid)).parents) await mark(parent, flags);
    if (marks.size > ANCESTRY_COMMITS) {
      throw broken(
        `the two parted more than ${ANCESTRY_COMMITS} commits ago: merge the branch into the ` +
          'pull request first',
      );
    }
  }
  return { found, marks };
};

/** The front of a walk is a few commits wide. */
const newest = (queue: ReadonlyMap<string, number>): string => {
  let [best, bestAt] = ['', -Infinity];
  for (const [oid, at] of queue) if (at > bestAt) [best, bestAt] = [oid, at];
  return best;
};

const withoutAncestors = async (
  folders: Folders,
  found: readonly string[],
): Promise<readonly string[]> => {
  const kept: string[] = [];
  for (const oid of found) {
    const others = found.filter((other) => other !== oid);
    const inside = await Promise.all(
      others.map((other) => contains(folders, [other, oid], ANCESTRY_COMMITS)),
    );
    if (!inside.includes('yes')) kept.push(oid);
  }
  return kept;
};
