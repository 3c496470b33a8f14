// Notes on the commits of the branch: one when a commit is in step with the cluster, has failed, or
// was superseded before. In: views, one after the other. Out: notes, written beside the loop; a
// write that fails is tried again with a later view. Nothing is kept: a reconciler that starts finds
// the note that is there, and does not write it again. Not here: words (render/note), Git (edge).

import { isMarkOnly } from '../schema/mark-only.ts';
import type { DeploymentStatus } from '../schema/plan.ts';
import type { View } from './cycle.ts';
import { RETRY_LONGEST_MS } from './config.ts';
import type { LogPort } from './ports.ts';
import { noteText, type CommitSeen, type JobSeen } from './render/note.ts';

export interface NotesPort {
  readonly read: (commit: string) => Promise<string | null>;
  readonly write: (commit: string, text: string) => Promise<void>;
}

export interface NoterOptions {
  readonly notes: NotesPort;
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
  readonly starts: Map<string, Set<string>>;
  readonly stops: Map<string, Set<string>>;
  readonly updates: Map<string, Set<string>>;
  /** Kind of the end that was noted last. */
  noted: CommitSeen['end']['kind'] | null;
}

/** Commits whose notes wait: of more that come while Git cannot be written, the oldest go. */
const WAITING = 50;

export const createNoter = ({ notes, epochMs, log }: NoterOptions): Noter => {
  let following: Following | null = null;
  let notBefore = 0;
  let said = '';
  const waiting = new Map<string, string>();
  let writing: Promise<void> | null = null;

  const drain = async (): Promise<void> => {
    for (const [commit, text] of waiting) {
      try {
        const before = await notes.read(commit);
        if (!isTold(before, text)) await notes.write(commit, text);
        if (waiting.get(commit) === text) waiting.delete(commit);
        said = '';
      } catch (error) {
        notBefore = epochMs() + RETRY_LONGEST_MS;
        const message = error instanceof Error ? error.message : String(error);
        const what = 'a note on a commit could not be written and will be tried again';
        if (message !== said) log.warn({ message }, what);
        said = message;
        break;
      }
    }
    writing = null;
  };

  const note = (one: Following, view: View, end: CommitSeen['end']): void => {
    if (one.noted === end.kind) return;
    one.noted = end.kind;
    const now = epochMs();
    const seen = { cluster: view.desired.cluster.name, jobs: jobsOf(one), end };
    const at = `${new Date(now).toISOString().slice(0, 19)}Z`;
    const tookMs = now - one.since;
    waiting.set(one.commit, noteText({ ...seen, tookMs, at, isPartial: one.isPartial }));
    const [oldest] = waiting.keys();
    if (waiting.size > WAITING && oldest !== undefined) waiting.delete(oldest);
  };

  return {
    look: (view) => {
      const { oid } = view.desired.commit;
      if (following !== null && following.commit !== oid && following.noted === null) {
        note(following, view, { kind: 'superseded', by: oid });
      }
      if (following?.commit !== oid) following = follow(oid, epochMs(), following === null);
      count(following, view);
      const end = endOf(view);
      if (end !== null) note(following, view, end);
      if (waiting.size > 0 && epochMs() >= notBefore) writing ??= drain();
    },
    idle: async () => {
      await writing;
    },
  };
};

/** What an earlier life noted counts: it saw more of it. */
const isTold = (before: string | null, text: string): boolean =>
  before !== null && wordOf(before) === wordOf(text);

/** `sync/shop: in sync` and the like. */
const wordOf = (note: string): string => note.split(' at ')[0] ?? '';

const follow = (commit: string, since: number, isPartial: boolean): Following => ({
  commit,
  since,
  isPartial,
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
const endOf = ({ desired, plan, stale }: View): CommitSeen['end'] | null => {
  if (stale !== null) return null;
  const { deployments, steps, synced } = plan;
  const failed = deployments.filter(
    ({ status, commit }) => status === 'failed' && commit.oid === desired.commit.oid,
  );
  if (failed.length > 0) {
    const reasons = new Map(failed.map(({ job, reason }) => [job, reason ?? 'it failed']));
    return { kind: 'failed', reasons };
  }
  const isDone =
    synced && steps.length === 0 && deployments.every(({ status }) => ENDED.has(status));
  return isDone ? { kind: 'in-sync' } : null;
};

/** Nothing of a rollout is left to come. */
const ENDED: ReadonlySet<DeploymentStatus> = new Set(['settled', 'degraded', 'stopped']);
