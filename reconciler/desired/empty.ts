// Is HEAD empty, and is that meant? Or does it hide documents that were there? (rules 1.3)
// In: a survey. Out: ok, asks, or the reason why nothing is done.
// Not here: guards against removing much (reconciler/plan/guard).

import type { Asks, Files, SourceTree } from '../../schema/source.ts';
import { identityOf } from '../../schema/paths.ts';
import { CLUSTER_PATH } from './cluster.ts';
import { layoutOf } from './layout.ts';
import type { Survey } from './surveyed.ts';

export type Emptiness =
  | { readonly kind: 'ok' }
  | { readonly kind: 'asks'; readonly histories: Asks['histories'] }
  | { readonly kind: 'refused'; readonly why: string; readonly isEmpty: boolean };

/** Job files that the search for the emptying commit follows. */
const MAX_JOBS = 200;

/**
 * Empty is no job where the last synced commit had one. It is meant when cluster.yaml said
 * `allow_empty: true` in a
 * commit before the one that took the last job away.
 */
export const emptinessOf = (tree: SourceTree, survey: Survey): Emptiness => {
  const { lastSynced } = tree;
  if (lastSynced === null) return { kind: 'ok' };
  const why = hiddenBehind(survey.layout.hiding, lastSynced.files);
  if (why !== null) return { kind: 'refused', why, isEmpty: false };
  if (survey.layout.jobs.some(({ path }) => !isTakenAway(tree, path))) return { kind: 'ok' };
  const synced = layoutOf(lastSynced.files).jobs;
  if (synced.length === 0) return { kind: 'ok' };
  if (allowsEmpty(lastSynced.files, survey)) return { kind: 'ok' };
  const jobs = synced.slice(0, MAX_JOBS).map(({ path }) => path);
  const history = tree.histories.get(CLUSTER_PATH);
  if (history === undefined) {
    return { kind: 'asks', histories: [{ path: CLUSTER_PATH, with: jobs }] };
  }
  const before = history.entries.find(({ files }) => jobs.some((path) => files.has(path)));
  if (before !== undefined && allowsEmpty(before.files, survey)) return { kind: 'ok' };
  return {
    kind: 'refused',
    isEmpty: true,
    why:
      'no job is left at HEAD; if that is meant, bring one back, commit `allow_empty: true` in ' +
      'cluster.yaml, and remove it in a later commit',
  };
};

/** A file whose removal waits for its owners is kept, and HEAD is as empty as when they approve. */
const isTakenAway = ({ held }: SourceTree, path: string): boolean =>
  held?.some((one) => one.path === path && one.blob === null) === true;

/**
 * What lay in a folder cannot be read any more once a link or a submodule stands there: that is no
 * order to stop it (rules 8.3). One that hid nothing when it came is a problem of its file alone.
 */
const hiddenBehind = (hiding: readonly string[], then: Files): string | null => {
  for (const folder of hiding) {
    const [first, ...rest] = [...then.keys()].filter(
      (path) => path.startsWith(`${folder}/`) && identityOf(path) !== null,
    );
    if (first === undefined) continue;
    const more = rest.length === 0 ? '' : ` and ${rest.length} more`;
    return (
      `${folder} is a link or a submodule now, so ${first}${more} of the last synced commit ` +
      'cannot be read; commit the folder itself'
    );
  }
  return null;
};

const allowsEmpty = (files: Files, { read }: Survey): boolean => {
  const file = files.get(CLUSTER_PATH);
  return file !== undefined && read('cluster', CLUSTER_PATH, file).value?.allow_empty === true;
};
