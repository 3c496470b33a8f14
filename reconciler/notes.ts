// Notes on the commits of the branch: what one is going to do, where that takes longer, and how it
// ended: in step with the cluster, failed, or superseded before. In: views, one after the other.
// Out: notes, written beside the loop; a write that fails is tried again with a later view. Nothing
// is kept: a reconciler that starts finds the note that is there, and does not write it again. Not
// here: words (render/note), what a commit will do (foresee), Git (edge).

import type { DesiredState } from '../schema/desired.ts';
import type { LiveState } from '../schema/live.ts';
import { isMarkOnly } from '../schema/mark-only.ts';
import type { DeploymentStatus } from '../schema/plan.ts';
import { isEdgeFailure, type View } from './cycle.ts';
import { RETRY_LONGEST_MS } from './config.ts';
import type { Foresee } from './foresee.ts';
import type { LogPort } from './ports.ts';
import { noteWith, planNote, syncNote, type JobSeen, type NoteEnd } from './render/note.ts';
import { isOnItsWay } from './render/sync-jobs.ts';
import { visibilityOf } from './render/visibility.ts';

export interface NotesPort {
  /** False: the host takes none, and none is written. */
  readonly areTaken: () => boolean;
  /** What the note becomes of what it is; null: it is left as it is. */
  readonly update: (
    commit: string,
    make: (before: string | null) => string | null,
  ) => Promise<void>;
}

export interface NoterOptions {
  readonly notes: NotesPort;
  readonly foresee: Foresee;
  /** Milliseconds since 1970. */
  readonly epochMs: () => number;
  readonly log: LogPort;
}

export interface Noter {
  readonly look: (view: View) => void;
  /** What is being written is written. */
  readonly idle: () => Promise<void>;
}

interface Following {
  readonly commit: string;
  readonly since: number;
  readonly isPartial: boolean;
  /** What was wanted before it; null: nobody saw it. */
  readonly before: DesiredState | null;
  /** At its first sight. */
  readonly live: LiveState;
  /** Its part of the note; null: not begun, since its images are not known yet. */
  plan: Promise<string | null> | null;
  readonly starts: Map<string, Set<string>>;
  readonly stops: Map<string, Set<string>>;
  readonly updates: Map<string, Set<string>>;
  /** Kind of the end that was noted last. */
  noted: NoteEnd['kind'] | null;
}

interface Waiting {
  readonly cluster: string;
  readonly plan: Promise<string | null> | null;
  readonly sync: string;
  readonly isPartial: boolean;
}

/** Commits whose notes wait: of more that come while Git cannot be written, the oldest go. */
const WAITING = 50;
/** What is over sooner is noted once. */
const UNDER_WAY_MS = 10_000;
/** Tags that are looked up for longer are told as not known. */
const LOOKED_UP_MS = 5_000;

export const createNoter = ({ notes, foresee, epochMs, log }: NoterOptions): Noter => {
  const writing = createWriting({ notes, epochMs, log });
  let following: Following | null = null;
  let last: DesiredState | null = null;

  const planOf = async ({ before, live }: Following, desired: DesiredState) => {
    try {
      // A change cannot show more of itself.
      const visibility = visibilityOf(before ?? desired);
      return planNote(desired.cluster.name, await foresee({ before, desired, live }), visibility);
    } catch (error) {
      log.error({ error: String(error) }, 'what a commit will do could not be foreseen');
      return null;
    }
  };

  const note = (one: Following, { desired }: View, end: NoteEnd): void => {
    if (one.noted === end.kind) return;
    one.noted = end.kind;
    const now = epochMs();
    const cluster = desired.cluster.name;
    const { isPartial, plan } = one;
    const at = `${new Date(now).toISOString().slice(0, 19)}Z`;
    const what = { cluster, jobs: jobsOf(one), end, tookMs: now - one.since, at, isPartial };
    const seen = { ...what, visibility: visibilityOf(desired) };
    writing.put(one.commit, { cluster, plan, sync: syncNote(seen), isPartial });
  };

  /** null: there is no news to write. */
  const newsOf = (one: Following, view: View): NoteEnd | null => {
    const isLong = one.noted === null && epochMs() - one.since >= UNDER_WAY_MS;
    return endOf(view) ?? (isLong && view.stale === null ? { kind: 'under-way' } : null);
  };

  /** Only where somebody will read it: a plan of a large commit is work. */
  const plan = (one: Following, desired: DesiredState) =>
    writing.isRefused() ? NO_PLAN : planOf(one, desired);

  return {
    look: (view) => {
      if (!notes.areTaken()) {
        following = null;
        last = view.desired;
        return;
      }
      const { oid } = view.desired.commit;
      const isOpen = following?.noted === null || following?.noted === 'under-way';
      if (following !== null && following.commit !== oid && isOpen) {
        note(following, view, { kind: 'superseded', by: oid });
      }
      if (following?.commit !== oid) following = follow(view, epochMs(), last);
      last = view.desired;
      count(following, view);
      const news = newsOf(following, view);
      const isDue = news !== null || epochMs() - following.since >= LOOKED_UP_MS;
      // At a start nodes have not been heard from, and what is live then says nothing.
      if (following.isPartial && !view.plan.synced && following.plan === null) {
        following = { ...following, live: view.live };
      } else if (!view.plan.blocked.some(isUnresolved)) {
        following.plan ??= plan(following, view.desired);
      }
      if (isDue) following.plan ??= plan(following, view.desired);
      if (news !== null) note(following, view, news);
      writing.offer();
    },
    idle: writing.idle,
  };
};

interface Writing {
  /** In place of what waits for the same commit. */
  readonly put: (commit: string, one: Waiting) => void;
  /** Begins where nothing is being written, and the last failure is long enough ago. */
  readonly offer: () => void;
  /** A person must act before one can be written. */
  readonly isRefused: () => boolean;
  readonly idle: () => Promise<void>;
}

const NO_PLAN: Promise<string | null> = Promise.resolve(null);

const createWriting = ({ notes, epochMs, log }: Omit<NoterOptions, 'foresee'>): Writing => {
  const waiting = new Map<string, Waiting>();
  let writing: Promise<void> | null = null;
  let notBefore = 0;
  let said = '';
  let isRefused = false;
  const drain = async (): Promise<void> => {
    for (const [commit, one] of waiting) {
      try {
        const plan = await one.plan;
        await notes.update(commit, (before) => noteWith(before, { ...one, plan }));
        if (waiting.get(commit) === one) waiting.delete(commit);
        said = '';
        isRefused = false;
      } catch (error) {
        notBefore = epochMs() + RETRY_LONGEST_MS;
        const message = error instanceof Error ? error.message : String(error);
        const what = 'a note on a commit could not be written and will be tried again';
        if (message !== said) log.warn({ message }, what);
        said = message;
        isRefused = isEdgeFailure(error) && error.consequence === 'broken';
        break;
      }
    }
    writing = null;
  };
  return {
    put: (commit, one) => {
      waiting.set(commit, one);
      const [oldest] = waiting.keys();
      if (waiting.size > WAITING && oldest !== undefined) waiting.delete(oldest);
    },
    offer: () => {
      if (waiting.size > 0 && epochMs() >= notBefore) writing ??= drain();
    },
    isRefused: () => isRefused,
    idle: async () => {
      await writing;
    },
  };
};

const isUnresolved = (blocked: View['plan']['blocked'][number]): boolean =>
  blocked.kind === 'waiting' && blocked.why === 'unresolved-image';

const follow = (view: View, since: number, before: DesiredState | null): Following => ({
  commit: view.desired.commit.oid,
  since,
  isPartial: before === null,
  before,
  live: view.live,
  plan: null,
  starts: new Map(),
  stops: new Map(),
  updates: new Map(),
  noted: null,
});

const count = (one: Following, { plan }: View): void => {
  const kinds = { start: one.starts, stop: one.stops, update: one.updates } as const;
  for (const step of plan.steps) {
    if (isMarkOnly(step)) continue;
    const byJob = kinds[step.kind];
    const mine = byJob.get(step.job) ?? new Set<string>();
    byJob.set(step.job, mine.add(step.allocation));
  }
};

const jobsOf = ({ starts, stops, updates }: Following): ReadonlyMap<string, JobSeen> =>
  new Map(
    [...new Set([...starts.keys(), ...stops.keys(), ...updates.keys()])].map((job) => [
      job,
      {
        starts: starts.get(job)?.size ?? 0,
        stops: stops.get(job)?.size ?? 0,
        updates: updates.get(job)?.size ?? 0,
      },
    ]),
  );

/** null: under way, or held up by something that is not the commit. */
const endOf = ({ desired, plan, stale }: View): NoteEnd | null => {
  if (stale !== null) return null;
  const { deployments, steps, synced } = plan;
  const failed = deployments.filter(
    ({ status, commit }) => status === 'failed' && commit.oid === desired.commit.oid,
  );
  if (failed.length > 0) {
    const reasons = new Map(failed.map(({ job, reason }) => [job, reason ?? 'it failed']));
    return { kind: 'failed', reasons };
  }
  const isDone = deployments.every((one) => ENDED.has(one.status) && !isOnItsWay(one));
  return synced && steps.length === 0 && isDone ? { kind: 'in-sync' } : null;
};

/** Nothing of a rollout is left to come. */
const ENDED: ReadonlySet<DeploymentStatus> = new Set(['settled', 'degraded', 'stopped']);
