// A repository of which only that counts which the owners of its files have let through (rules 8.2).
// In: a source, and who is behind a commit. Out: the same source, whose trees have files as refused
// that no owner has let through yet. What is judged is recorded before it counts, so that it stays
// so while the forge is away. Where cluster.yaml names no owners every tree is handed on as it is.
// Not here: the judging (desired/judge), asking the forge (behinds).

import { NOBODY, openChanges, teamsIn, unjudged } from '../schema/behind.ts';
import type { Behind, GivenApproval } from '../schema/behind.ts';
import { heldWords } from '../schema/held-words.ts';
import { compareText } from '../schema/ids.ts';
import { problemCodes } from '../schema/problem-codes.ts';
import type { HeldFile, Judged, PassedContents } from '../schema/ledger.ts';
import { SIGNERS_FOLDER } from '../schema/signers.ts';
import type { Files, SourceTree } from '../schema/source.ts';
import { APPROVAL_MS, MACHINE_AUTHOR } from './config.ts';
import { CLUSTER_PATH } from './desired/cluster.ts';
import { heldIn, withHeld } from './desired/held-files.ts';
import * as judging from './desired/judge.ts';
import type { LogPort } from './ports.ts';
import { completeScreened } from './screened-histories.ts';
import {
  judgedIn,
  LINE_FIRST,
  wayTo,
  type Screenable,
  type ScreenedCommit,
  type Step,
  type Walking,
  type Way,
} from './screened-line.ts';

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
  /** What waits for its owners is said once. */
  readonly log?: Pick<LogPort, 'warn'>;
}

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
  const say = createSayer(options.log);
  let last: { readonly raw: SourceTree; readonly version: number; tree: SourceTree } | null = null;
  return {
    ...source,
    read: async () => {
      const raw = await source.read();
      const version = options.people.version();
      if (last?.raw === raw && last.version === version) return last.tree;
      const tree = isScreened(raw)
        ? await screened({ source, options, own, raw })
        : unscreened(raw);
      last = { raw, version, tree };
      say(tree.held ?? []);
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

/** What waits for its owners, each content once. Nothing is said until it is known who wrote it. */
const createSayer = (log: ScreenOptions['log']) => {
  let said = new Set<string>();
  return (held: readonly HeldFile[]): void => {
    const known = held.filter(({ by }) => by !== '');
    const nameOf = ({ path, blob }: HeldFile): string => `${path} ${blob}`;
    const { advice } = problemCodes['owners-wait'];
    for (const one of known) {
      const { path: file, commit } = one;
      if (!said.has(nameOf(one))) log?.warn({ file, commit }, `${heldWords(one)}. ${advice}`);
    }
    said = new Set(known.map(nameOf));
  };
};

const isScreened = ({ files, ledger }: SourceTree): boolean => {
  const cluster = files.get(CLUSTER_PATH);
  const mayName = cluster?.kind === 'text' && cluster.text.includes('owners');
  if (mayName && judging.hasRules(judging.judgedFrom('', cluster))) return true;
  const judged = judgedIn(ledger);
  return judged !== null && (judging.hasRules(judged) || judged.held.length > 0);
};

/** Nobody owns anything any more: nothing waits, and what never counted still does not. */
const unscreened = (raw: SourceTree): SourceTree => {
  const passed = judgedIn(raw.ledger)?.passed;
  return passed === undefined ? raw : { ...raw, passed };
};

interface Screening extends Walking {
  readonly options: ScreenOptions;
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
  const open = waiting(from, left, { files: raw.files, why });
  const held = heldIn(raw.files, open.held);
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
    ...(open.passed.length === 0 ? {} : { passed: open.passed }),
    ...(isDue ? { owed: [judged] } : {}),
  };
};

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

/** What no owner let through: the files that wait, and the contents that waited once. */
interface Kept {
  readonly held: readonly HeldFile[];
  readonly passed: readonly PassedContents[];
}

/**
 * What is held, and of commits that are not judged yet all that somebody owns, by the rules before
 * them or by those that one of them brings: no record says yet which of the two count.
 */
const waiting = (
  judged: Judged,
  steps: readonly Step[],
  { files, why }: { readonly files: Files; readonly why: string | null },
): Kept => {
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
  const sorted = [...held.values()].toSorted((a, b) => compareText(a.path, b.path));
  // Back at what counts: nothing waits there, and what stood in between counts for nothing.
  const back = sorted.flatMap(({ path, blob, accepted, since, commit }) =>
    blob === accepted ? [{ path, accepted, since, until: commit }] : [],
  );
  return {
    held: sorted.filter(({ blob, accepted }) => blob !== accepted),
    passed: [...(judged.passed ?? []), ...back],
  };
};
