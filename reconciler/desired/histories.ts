// Which history a job needs: its own path and all others that form its version, in any commit of it
// (rules 1.1, 12.4).
// In: what is known of the job. Out: the asks that are still open; empty when the history has all
// that is needed.
// Not here: when a history is needed at all (job.ts).

import { compareText } from '../../schema/ids.ts';
import type { Asks, Files, History } from '../../schema/source.ts';
import { CLUSTER_PATH, namespacePath } from './cluster.ts';
import { jobNames, usedPaths } from './draft.ts';
import type { Reader } from './read.ts';

/** Files that one history may follow: more than any job mounts, less than makes a walk slow. */
const MAX_WITH = 200;

/**
 * `files` and `env_file`, or a name that may be one of them in disguise. What says neither is not
 * read: of a job that was changed fifty times, most versions are never looked at.
 */
const MAY_USE_FILES = /file|\\/;

interface HistoryNeed {
  readonly path: string;
  readonly files: Files;
  readonly history: History | undefined;
  readonly read: Reader;
}

/**
 * An older content may use files that HEAD's does not; they are seen to be lacking only once that
 * content is there. A
 * file that did not exist then stays lacking, and is asked for in each round; the rounds are
 * limited (`Asks`).
 */
export const neededPaths = (
  { path, history, read }: HistoryNeed,
  sources: readonly string[],
): Asks['histories'] => {
  const { namespace, job } = jobNames(path);
  const used = new Set([CLUSTER_PATH, namespacePath(namespace), ...sources]);
  const asked = new Set(used);
  for (const { files } of history?.entries ?? [])
    for (const other of files.keys()) asked.add(other);
  for (const { files } of history?.entries ?? []) {
    const file = files.get(path);
    if (file?.kind !== 'text' || !MAY_USE_FILES.test(file.text)) continue;
    for (const source of usedPaths(read('job', path, file), job)) used.add(source);
  }
  const lacking = history === undefined || [...used].some((source) => !asked.has(source));
  if (!lacking) return [];
  return [{ path, with: [...used].toSorted(compareText).slice(0, MAX_WITH) }];
};
