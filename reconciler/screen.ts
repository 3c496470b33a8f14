// A repository of which only that counts which the owners of its files have let through (rules 8.2).
// In: a source, and who is behind a commit. Out: the same source, whose trees have files as refused
// that no owner has let through yet. What is judged is recorded before it counts, so that it stays
// so while the forge is away. Where cluster.yaml names no owners every tree is handed on as it is.
// Not here: the judging (desired/judge), asking the forge (behinds).

import { NOBODY, openChanges, teamsIn, unjudged } from '../schema/behind.ts';
import type { Behind, GivenApproval } from '../schema/behind.ts';
import { compareText } from '../schema/ids.ts';
import type { HeldFile, Judged, Ledger } from '../schema/ledger.ts';
import type { MergeFacts } from '../schema/forge.ts';
import { SIGNERS_FOLDER } from '../schema/signers.ts';
import type { CommitInfo, Files, SourceTree } from '../schema/source.ts';
import { APPROVAL_MS, MACHINE_AUTHOR, OFFERED_TRAILER } from './config.ts';
import { CLUSTER_PATH } from './desired/cluster.ts';
import { heldIn, withHeld } from './desired/held-files.ts';
import * as judging from './desired/judge.ts';
import type { EdgeFailure, SourcePort } from './ports.ts';
import { completeScreened } from './screened-histories.ts';

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

export interface People {
  /** undefined: not known yet, and asked for. */
  readonly behind: (commit: ScreenedCommit, teams: readonly string[]) => Behind | undefined;
  /** What keeps it from being known; null: nothing. Absent: nothing ever does. */
  readonly why?: (commit: ScreenedCommit, teams: readonly string[]) => string | null;
  /** Another number once more is known. */
  readonly version: () => number;
}

export interface ScreenOptions {
  readonly people: People;
  /** Milliseconds since 1970. */
  readonly epochMs: () => number;
}

/** Commits since the last one that was judged: usually one, seldom more than a push. */
const LINE_FIRST = 32;
const LINE_MOST = 1000;
/** Commits that need no judging are recorded in passing, so that the way back stays short. */
const RECORD_EVERY = LINE_FIRST - 2;

/**
 * Without a forge a commit is that signer's whose verified signature it bears; else its author's, by
 * the address that it names: no proof of it.
 */
export const byAddress: People = {
  behind: ({ author: { email }, signedBy: [signer, ...more] = [] }) =>
    signer === undefined
      ? {
          authors: [{ name: email, as: [email.toLowerCase()] }],
          approvals: [],
          isUnproven: true,
        }
      : { authors: [{ name: signer, as: [signer, ...more] }], approvals: [] },
  version: () => 0,
};

/** Where nobody can be asked, as in a plan of a pull request: what is not judged waits. */
export const unasked: People = { behind: () => undefined, version: () => 0 };

export const createScreen = <S extends Screenable>(source: S, options: ScreenOptions): S => {
  const own = new Set<string>();
  let last: { readonly raw: SourceTree; readonly version: number; tree: SourceTree } | null = null;
  return {
    ...source,
    read: async () => {
      const raw = await source.read();
      const version = options.people.version();
      if (last?.raw === raw && last.version === version) return last.tree;
      const tree = isScreened(raw) ? await screened({ source, options, own, raw }) : raw;
      last = { raw, version, tree };
      return tree;
    },
    complete: completeScreened(source),
    commit: async (ask) => {
      const oid = await source.commit(ask);
      if (ask.author.email === MACHINE_AUTHOR.email) own.add(oid);
      return oid;
    },
  };
};

const judgedIn = (ledger: Ledger): Judged | null =>
  ledger.findLast((record) => record.kind === 'judged') ?? null;

const isScreened = ({ files, ledger }: SourceTree): boolean => {
  const cluster = files.get(CLUSTER_PATH);
  const mayName = cluster?.kind === 'text' && cluster.text.includes('owners');
  if (mayName && judging.hasRules(judging.judgedFrom('', cluster))) return true;
  const judged = judgedIn(ledger);
  return judged !== null && (judging.hasRules(judged) || judged.held.length > 0);
};

interface Screening {
  readonly source: Screenable;
  readonly options: ScreenOptions;
  /** Commits of the machine, of this session. */
  readonly own: ReadonlySet<string>;
  readonly raw: SourceTree;
}

const screened = async (screening: Screening): Promise<SourceTree> => {
  const { raw } = screening;
  const { start, steps } = await wayTo(screening);
  const given = approvalsIn(screening);
  const { judged, isDue, why } = judgeAll(screening, { start, steps, given });
  const from = isDue ? start : judged;
  const left = isDue
    ? steps
    : steps.slice(steps.findIndex(({ commit }) => commit === from.commit) + 1);
  const held = heldIn(raw.files, waiting(from, left, { files: raw.files, why }));
  const { lastSynced } = raw;
  const unproven = (from.unproven ?? []).filter(
    ({ path, blob }) => (raw.files.get(path)?.blob ?? null) === blob,
  );
  return {
    ...raw,
    files: withHeld(raw.files, held),
    lastSynced: lastSynced && { ...lastSynced, files: withHeld(lastSynced.files, held) },
    ...(held.length === 0 ? {} : { held }),
    ...(unproven.length === 0 ? {} : { unproven }),
    ...(isDue ? { owed: [judged] } : {}),
  };
};

interface Step extends judging.JudgedCommit {
  readonly info: ScreenedCommit;
  /** Made by this machine, in this session or, as its signature proves, in an earlier one. */
  readonly isMachine: boolean;
}

interface Way {
  readonly start: Judged;
  /** Oldest first. */
  readonly steps: readonly Step[];
}

/**
 * From the last commit that was judged, or where nothing was from the last that was in sync. Who
 * leads the line past the judged commit, by a merge with its parents swapped or by a rewrite, goes
 * past no rule: what differs from what was judged is one change then.
 */
const wayTo = async (screening: Screening): Promise<Way> => {
  const { source, raw } = screening;
  const judged = judgedIn(raw.ledger);
  const known = judged !== null && (judging.hasRules(judged) || judged.held.length > 0);
  const resumed = raw.ledger.findLast((record) => record.kind === 'resume')?.commit;
  const bases = [known ? judged.commit : null, resumed, raw.lastSynced?.commit ?? raw.head.oid];
  const { line, base } = await lineTo(source, raw, bases);
  if (known && judged.commit !== base) {
    const before = await source.at(judged.commit);
    const way = {
      line: await leapTo(screening),
      files: before?.files ?? raw.files,
      leapFrom: judged.commit,
    };
    if (before !== null) return { start: judged, steps: await stepsOn(screening, way) };
  }
  const before = await source.at(base);
  const files = before?.files ?? raw.files;
  const steps = await stepsOn(screening, { line, files, leapFrom: null });
  if (!known) return { start: judging.judgedFrom(base, before?.files.get(CLUSTER_PATH)), steps };
  // What was judged is in the repository no more: its rules, and what they hold, go on.
  return { start: judged.commit === base ? judged : { ...judged, commit: base }, steps };
};

interface Line {
  /** Oldest first. */
  readonly line: readonly CommitInfo[];
  /** Before the first of them. */
  readonly files: Files;
  /** The commit that was judged, where it is not before them: the first stands for all that differs. */
  readonly leapFrom: string | null;
}

const stepsOn = async (screening: Screening, { line, ...from }: Line): Promise<readonly Step[]> => {
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
const leapTo = async ({ source, own, raw }: Screening): Promise<readonly CommitInfo[]> => {
  const commits = await source.listCommits(LINE_FIRST);
  const head = commits.findIndex(({ oid }) => oid === raw.head.oid);
  if (head < 0) throw stale(raw);
  const line: CommitInfo[] = [];
  for (const info of commits.slice(head)) {
    line.unshift(info);
    if (!own.has(info.oid) && (await source.isOwn?.(info.oid)) !== true) break;
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
 * Of this session, or of an earlier one by its signature. A record that a commit answers a failure
 * is no proof: it is written for whichever commit has the trailers, and anybody may write those.
 */
const isOwnCommit = async ({ source, own }: Screening, info: CommitInfo): Promise<boolean> => {
  if (own.has(info.oid)) return true;
  // One that it offered was brought to the branch by somebody else, whoever may push.
  if (info.trailers.some(([key]) => key === OFFERED_TRAILER)) return false;
  const mayBe = source.isOwn !== undefined && info.author.email === MACHINE_AUTHOR.email;
  return mayBe && source.isOwn(info.oid);
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

const approvalsIn = ({ raw, options }: Screening): readonly GivenApproval[] =>
  raw.ledger.flatMap((record) => {
    if (record.kind !== 'approval' || record.files === undefined) return [];
    return options.epochMs() - Date.parse(record.at) <= APPROVAL_MS ? [record] : [];
  });

interface JudgedLine {
  readonly judged: Judged;
  /** It must be recorded to count. */
  readonly isDue: boolean;
  /** What keeps the rest from being judged; null: it is being asked. */
  readonly why: string | null;
}

/** As far as it is known who is behind the commits. */
const judgeAll = (
  { options, raw }: Screening,
  { start, steps, given }: Way & { readonly given: readonly GivenApproval[] },
): JudgedLine => {
  let judged = judging.heal(start, given, raw.files.get(CLUSTER_PATH));
  let isDue = judged !== start || judgedIn(raw.ledger) !== start;
  for (const [at, step] of steps.entries()) {
    const owned = judging.ownedIn(judged, step);
    const touches = judged.held.some(({ path }) => step.changed.some((one) => one.path === path));
    const isAsked = owned.length > 0 && !step.isMachine;
    const behind = isAsked ? behindOf(step, judged, { options, given }) : null;
    if (typeof behind === 'string') return { judged, isDue, why: behind || null };
    const next = judging.judgeCommit(judged, step, { behind, given });
    const isOther = next.owners !== judged.owners || next.ownApproval !== judged.ownApproval;
    const isLate = step.since !== undefined || at >= RECORD_EVERY;
    if (owned.length > 0 || touches || isOther || isLate) isDue = true;
    judged = next;
  }
  return { judged, isDue, why: null };
};

/** Nobody is asked where approvals in the ledger let all of it through. A text: why it waits. */
const behindOf = (
  step: Step,
  judged: Judged,
  { options, given }: { readonly options: ScreenOptions; readonly given: readonly GivenApproval[] },
): Behind | string => {
  const { people } = options;
  const of = judging.ownersBy(judged);
  const owned = judging
    .ownedIn(judged, step)
    .map(({ path, after }) => ({ path, blob: after, owners: of(path) }));
  const teams = teamsIn(owned);
  const info = provenIn(step.info, judged);
  const known = people.behind(info, teams);
  const judge = { ownApproval: judged.ownApproval, given };
  if (known !== undefined) {
    return unjudged(openChanges(owned, known, judge), known.unread) ?? known;
  }
  const isOpen = given.length === 0 || openChanges(owned, NOBODY, judge).length > 0;
  return isOpen ? (people.why?.(info, teams) ?? '') : NOBODY;
};

/** A list of signers that waits for its owner proves nobody: it may name a key of anybody's. */
const provenIn = (info: ScreenedCommit, { held }: Judged): ScreenedCommit => {
  if (!held.some(({ path }) => path.startsWith(`${SIGNERS_FOLDER}/`))) return info;
  const { signedBy: _, ...plain } = info;
  return plain;
};

/**
 * What is held, and of commits that are not judged yet all that somebody owns, by the rules before
 * them or by those that one of them brings: no record says yet which of the two count.
 */
const waiting = (
  judged: Judged,
  steps: readonly Step[],
  { files, why }: { readonly files: Files; readonly why: string | null },
): readonly HeldFile[] => {
  const rules = [judging.ownersBy(judged)];
  const held = new Map(judged.held.map((one) => [one.path, one]));
  for (const step of steps) {
    for (const { path, before } of step.changed) {
      const old = held.get(path);
      const owners = old?.owners ?? rules.map((of) => of(path)).find((found) => found.length > 0);
      if (path === CLUSTER_PATH)
        rules.unshift(judging.ownersBy(judging.judgedFrom('', step.cluster)));
      if (owners === undefined) continue;
      const accepted = old === undefined ? before : old.accepted;
      const since = old?.since ?? step.since ?? step.commit;
      const blob = files.get(path)?.blob ?? null;
      const asked = { by: '', ...(why === null ? {} : { why }) };
      held.set(path, { path, blob, accepted, commit: step.commit, since, owners, ...asked });
    }
  }
  return [...held.values()]
    .filter(({ blob, accepted }) => blob !== accepted)
    .toSorted((a, b) => compareText(a.path, b.path));
};
