// The commits since what was judged last, each with what it changed and who made it (rules 8.2).
// In: a source, the newest tree of it. Out: where judging starts, and the steps from there. A branch
// that was led past what was judged is one step; one of which nothing is left that ever counted is
// refused. Not here: the judging (desired/judge), who is behind a commit (screen).

import type { MergeFacts } from '../schema/forge.ts';
import type { Judged, Ledger, LedgerRecord } from '../schema/ledger.ts';
import type { CommitInfo, Files, SourceTree } from '../schema/source.ts';
import { MACHINE_AUTHOR, PUSHED_TRAILER } from './config.ts';
import { CLUSTER_PATH } from './desired/cluster.ts';
import * as judging from './desired/judge.ts';
import type { EdgeFailure, SourcePort } from './ports.ts';

export interface Screenable extends Pick<SourcePort, 'read' | 'complete' | 'commit'> {
  readonly listCommits: (limit: number) => Promise<readonly CommitInfo[]>;
  readonly at: (commit: string) => Promise<Pick<SourceTree, 'head' | 'files'> | null>;
  /** Whose verified signature a commit bears, in lower case; absent: nobody's ever. */
  readonly signedBy?: (commit: string) => Promise<readonly string[]>;
  /** What Git knows of it as a merge; null: it is none. */
  readonly mergeOf?: (commit: string) => Promise<MergeFacts | null>;
  /** Whether it is signed with the key of this reconciler; absent: it has none. */
  readonly isOwn?: (commit: string) => Promise<boolean>;
}

/** A commit, and whose verified signature it bears. */
export interface ScreenedCommit extends CommitInfo {
  /** In lower case; absent: nobody's that is listed. */
  readonly signedBy?: readonly string[];
  /** Absent: it has one parent. */
  readonly merge?: MergeFacts;
}

/** Commits since the last one that was judged: usually one, seldom more than a push. */
export const LINE_FIRST = 32;
const LINE_MOST = 1000;

export interface Walking {
  readonly source: Screenable;
  /** Commits of the machine, of this session. */
  readonly own: ReadonlySet<string>;
  readonly raw: SourceTree;
}

export const judgedIn = (ledger: Ledger): Judged | null =>
  ledger.findLast((record) => record.kind === 'judged') ?? null;

export interface Step extends judging.JudgedCommit {
  readonly info: ScreenedCommit;
  /** Made by this machine, in this session or, as its signature proves, in an earlier one. */
  readonly isMachine: boolean;
}

export interface Way {
  readonly start: Judged;
  /** Oldest first. */
  readonly steps: readonly Step[];
}

/**
 * From the last commit that was judged, or where nothing was from the last that was in sync. Who
 * leads the line past the judged commit, by a merge with its parents swapped or by a rewrite, goes
 * past no rule: what differs from what was judged is one change then.
 */
export const wayTo = async (walking: Walking): Promise<Way> => {
  const { source, raw } = walking;
  const judged = judgedIn(raw.ledger);
  if (judged === null || !(judging.hasRules(judged) || judged.held.length > 0)) {
    const bases = [resumeIn(raw)?.commit, raw.lastSynced?.commit ?? raw.head.oid];
    const { line, base } = await lineTo(source, raw, bases);
    const files = await source.at(base);
    const steps = await stepsOn(walking, {
      line,
      files: files?.files ?? raw.files,
      leapFrom: null,
    });
    const start = judging.judgedFrom(base, files?.files.get(CLUSTER_PATH));
    const passed = judged?.passed;
    return { start: passed === undefined ? start : { ...start, passed }, steps };
  }
  const from = await countedLast(walking, judged);
  const { line, base } = await lineTo(source, raw, [from.commit]);
  if (base !== from.commit) {
    const leap = { line: await leapTo(walking), files: from.files, leapFrom: from.commit };
    return { start: judged, steps: await stepsOn(walking, leap) };
  }
  const steps = await stepsOn(walking, { line, files: from.files, leapFrom: null });
  // What was judged may be in the repository no more: its rules, and what they hold, go on.
  return { start: judged.commit === base ? judged : { ...judged, commit: base }, steps };
};

interface Counted {
  readonly commit: string;
  readonly files: Files;
}

/**
 * What the rest is compared with: what was judged last. Where Git has thrown that away, what was in
 * sync last, in which nothing waited for an owner; and where that is gone too, what a person has
 * resumed at since. Else nobody can say what counted, and nothing is followed.
 */
const countedLast = async ({ source, raw }: Walking, judged: Judged): Promise<Counted> => {
  const synced = raw.ledger.findLast((record) => record.kind === 'synced')?.commit;
  const resumed = resumeIn(raw, raw.ledger.indexOf(judged))?.commit;
  for (const commit of [judged.commit, synced, resumed]) {
    const found = commit === undefined ? null : await source.at(commit);
    if (commit !== undefined && found !== null) return { commit, files: found.files };
  }
  throw lost(raw, judged);
};

/** The newest one after a place in the ledger. */
const resumeIn = ({ ledger }: SourceTree, after = -1) =>
  ledger.slice(after + 1).findLast((record: LedgerRecord) => record.kind === 'resume');

const lost = ({ branch, head }: SourceTree, { commit }: Judged): EdgeFailure => ({
  kind: 'edge-failure',
  consequence: 'broken',
  refused: head.oid,
  message:
    `the branch ${branch} was rewritten: commit ${commit.slice(0, 12)}, by whose owners files are ` +
    'judged, is not in the repository any more, so nobody can say what they let through. Nothing is ' +
    'synced until it is pushed again (git push --force, from a clone that has it), or until somebody ' +
    `who has looked at the branch runs \`purser resume --at ${head.oid}\``,
});

interface Line {
  /** Oldest first. */
  readonly line: readonly CommitInfo[];
  /** Before the first of them. */
  readonly files: Files;
  /** The commit that was judged, where it is not before them: the first stands for all that differs. */
  readonly leapFrom: string | null;
}

const stepsOn = async (screening: Walking, { line, ...from }: Line): Promise<readonly Step[]> => {
  const { source, raw } = screening;
  const steps: Step[] = [];
  let { files } = from;
  for (const [at, info] of line.entries()) {
    const now = info.oid === raw.head.oid ? raw.files : (await source.at(info.oid))?.files;
    if (now === undefined) throw stale(raw);
    const cluster = now.get(CLUSTER_PATH);
    const changed = judging.changedBetween(files, now);
    const leapFrom = at === 0 ? from.leapFrom : null;
    const known = changed.length === 0 ? info : await knownOf(source, info);
    // It brings more than a pull request that it came by, which says nothing of it then.
    const told = leapFrom !== null ? { ...known, merge: { theirs: '', isExact: false } } : known;
    const isMachine = leapFrom === null && (await isOwnCommit(screening, info));
    // No content of this line counts then but the one that did before.
    const since = leapFrom === null ? {} : { since: leapFrom };
    steps.push({ commit: info.oid, info: told, changed, cluster, isMachine, ...since });
    files = now;
  }
  return steps;
};

/** The newest commit that the machine has not made, by which it all is judged, and those after it. */
const leapTo = async (walking: Walking): Promise<readonly CommitInfo[]> => {
  const { source, raw } = walking;
  const commits = await source.listCommits(LINE_FIRST);
  const head = commits.findIndex(({ oid }) => oid === raw.head.oid);
  if (head < 0) throw stale(raw);
  const line: CommitInfo[] = [];
  for (const info of commits.slice(head)) {
    line.unshift(info);
    if (!(await isOwnCommit(walking, info))) break;
  }
  return line;
};

/**
 * What Git itself knows of who is behind a commit. One that this machine made for a person is that
 * person's, as the machine has signed: it knew who pressed the button, or who gave the command.
 */
const knownOf = async (source: Screenable, info: CommitInfo): Promise<ScreenedCommit> => {
  const signers = (await source.signedBy?.(info.oid)) ?? [];
  const isMade = signers.length === 0 && (await source.isOwn?.(info.oid)) === true;
  const signedBy = isMade ? [info.author.email.toLowerCase()] : signers;
  const merge = (await source.mergeOf?.(info.oid)) ?? null;
  const signed = signedBy.length === 0 ? {} : { signedBy };
  return { ...info, ...signed, ...(merge === null ? {} : { merge }) };
};

/**
 * Of this session, or of an earlier one by its signature, which also covers that the machine made
 * it for this branch: one that it offered was brought here by somebody else, whoever may push. A
 * record that a commit answers a failure is no proof: it is written for whichever commit has the
 * trailers, and anybody may write those.
 */
const isOwnCommit = async (walking: Walking, info: CommitInfo): Promise<boolean> => {
  const { source, own, raw } = walking;
  if (own.has(info.oid)) return true;
  const isPushed = info.trailers.some(([key, to]) => key === PUSHED_TRAILER && to === raw.branch);
  const mayBe = isPushed && info.author.email === MACHINE_AUTHOR.email;
  return mayBe && (await source.isOwn?.(info.oid)) === true;
};

/** Commits after the first of these bases that is on the line, oldest first. */
const lineTo = async (
  source: Screenable,
  raw: SourceTree,
  bases: readonly (string | null | undefined)[],
): Promise<{ readonly line: readonly CommitInfo[]; readonly base: string }> => {
  for (const limit of [LINE_FIRST, LINE_MOST]) {
    const commits = await source.listCommits(limit);
    const head = commits.findIndex(({ oid }) => oid === raw.head.oid);
    if (head < 0) throw stale(raw);
    const [wanted] = bases.filter((base) => base !== null && base !== undefined);
    const isWhole = commits.length < limit || limit === LINE_MOST;
    for (const base of isWhole ? bases : [wanted]) {
      const at = commits.findIndex(({ oid }) => oid === base);
      if (at < head || base === null || base === undefined) continue;
      return { line: commits.slice(head, at).toReversed(), base };
    }
    // A branch that was rewritten: judged from as far back as is looked.
    const oldest = commits.at(-1);
    if (isWhole && oldest !== undefined) {
      return { line: commits.slice(head, -1).toReversed(), base: oldest.oid };
    }
  }
  throw stale(raw);
};

const stale = ({ head }: SourceTree): EdgeFailure => ({
  kind: 'edge-failure',
  consequence: 'stale',
  message: `commit ${head.oid.slice(0, 12)} is not the newest any more`,
});
