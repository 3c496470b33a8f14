// What a note on a commit says: what the commit did, whether and when the cluster was in step with
// it, and how long that took. In: what was seen of it. Out: plain text for `git log --notes`.
// Not here: what was seen (../notes), Git.

import { compareText } from '../../schema/ids.ts';
import type { Ms } from '../../schema/spec.ts';
import { formatDuration } from '../../schema/units.ts';

export interface CommitSeen {
  readonly cluster: string;
  /** By job: copies that were started, stopped and changed in place. */
  readonly jobs: ReadonlyMap<string, JobSeen>;
  readonly end:
    | { readonly kind: 'in-sync' }
    | { readonly kind: 'failed'; readonly reasons: ReadonlyMap<string, string> }
    /** A newer commit came first. */
    | { readonly kind: 'superseded'; readonly by: string };
  /** Since the reconciler saw the commit. */
  readonly tookMs: Ms;
  /** ISO 8601. */
  readonly at: string;
  /** The commit was there already when the reconciler started. */
  readonly isPartial: boolean;
}

export interface JobSeen {
  readonly starts: number;
  readonly stops: number;
  readonly updates: number;
}

export const noteText = (seen: CommitSeen): string => {
  const { cluster, jobs, isPartial } = seen;
  const rows = [...jobs].toSorted(([a], [b]) => compareText(a, b));
  const did = rows.map(([job, counts]) => `  ${job}: ${countsOf(counts)}`);
  return [
    `sync/${cluster}: ${endOf(seen)}`,
    ...(did.length === 0 ? ['  nothing had to be done'] : did),
    ...(isPartial
      ? ['  (the reconciler started on this commit: what was before is not counted)']
      : []),
    '',
  ].join('\n');
};

const endOf = ({ end, tookMs, at }: CommitSeen): string => {
  const took = formatDuration(Math.max(1000, Math.round(tookMs / 1000) * 1000));
  switch (end.kind) {
    case 'in-sync':
      return `in sync at ${at}, after ${took}`;
    case 'superseded':
      return `superseded by ${end.by.slice(0, 12)} at ${at}, after ${took}`;
    case 'failed': {
      const rows = [...end.reasons].toSorted(([a], [b]) => compareText(a, b));
      return [
        `failed at ${at}, after ${took}`,
        ...rows.map(([job, why]) => `  ${job} failed: ${oneLine(why)}`),
      ].join('\n');
    }
  }
};

/** Reasons come from programs: no control characters, and not without end. */
const oneLine = (text: string): string =>
  text.replace(/\p{Cc}+/gu, ' ').slice(0, REASON_CHARACTERS);

const REASON_CHARACTERS = 300;

const countsOf = ({ starts, stops, updates }: JobSeen): string =>
  [
    ...(starts > 0 ? [`${starts} started`] : []),
    ...(stops > 0 ? [`${stops} stopped`] : []),
    ...(updates > 0 ? [`${updates} changed in place`] : []),
  ].join(', ');
