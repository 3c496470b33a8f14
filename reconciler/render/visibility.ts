// How much a forge is told: on a public repository everybody reads what is said there.
// In: the cluster's file and those of its namespaces, of the commit that stands; a change cannot
// show more of itself. Out: what may be shown of whom. Counts, conclusions, and problems of files
// are always shown: who reads them can read the files. Not here: the words.

import type { DesiredState } from '../../schema/desired.ts';

export interface Visibility {
  /** Nodes and their room, quotas, whatever is no namespace's. */
  readonly cluster: boolean;
  /** Versions, images, values, places and failures of a job, by its id. */
  readonly job: (job: string) => boolean;
  /** Lines of its copies' logs (rules 6.4). */
  readonly logs: (job: string) => boolean;
}

export const visibilityOf = ({
  cluster,
  namespaces,
}: Pick<DesiredState, 'cluster' | 'namespaces'>): Visibility => {
  const level = cluster.planVisibility ?? 'full';
  const open = new Set(
    namespaces.filter(({ planVisibility }) => planVisibility === 'full').map(({ name }) => name),
  );
  const logged = new Set(
    namespaces.filter(({ evidence }) => evidence === 'logs').map(({ name }) => name),
  );
  const sees = (job: string): boolean =>
    level === 'full' || (level === 'namespace' && open.has(namespaceOf(job)));
  return {
    cluster: level === 'full',
    job: sees,
    logs: (job) => sees(job) && logged.has(namespaceOf(job)),
  };
};

/** `shop/web` → `shop`. */
const namespaceOf = (job: string): string => job.slice(0, job.indexOf('/'));

/** Where nobody said anything: all but log lines. */
export const FULL: Visibility = { cluster: true, job: () => true, logs: () => false };
