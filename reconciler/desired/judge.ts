// Which content of owned files counts: commits of the branch judged one after the other, from the
// last one that was (rules 6.6, 8.2).
// In: what was judged so far, one commit with what it changed, who is behind it. Out: what is judged
// then. The rules are those of cluster.yaml as it was let through before the commit, so that a
// change cannot admit itself. Not here: asking who is behind a commit (reconciler/screen), what a
// held file means for a tree (held-files.ts).

import { letByAuthors, openChanges } from '../../schema/behind.ts';
import type { Behind, GivenApproval, OwnedChange } from '../../schema/behind.ts';
import { compareText } from '../../schema/ids.ts';
import type { HeldFile, Judged, PassedContents, UnprovenFile } from '../../schema/ledger.ts';
import { ownersOf, parseOwners, type OwnersOf } from '../../schema/owners.ts';
import { parseDocument } from '../../schema/parse.ts';
import type { Files, SourceFile } from '../../schema/source.ts';
import { CLUSTER_PATH } from './cluster.ts';

/** A file whose content one commit changed; null: there is none. */
export interface ChangedFile {
  readonly path: string;
  readonly before: string | null;
  readonly after: string | null;
}

export interface JudgedCommit {
  readonly commit: string;
  readonly changed: readonly ChangedFile[];
  /** cluster.yaml as it stands in the commit. */
  readonly cluster: SourceFile | undefined;
  /** With which a wait for it begins, where that is another: one that is not on the line. */
  readonly since?: string;
}

/** Files that differ between two commits, by path. */
export const changedBetween = (before: Files, after: Files): readonly ChangedFile[] => {
  if (before === after) return [];
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths]
    .map((path) => ({
      path,
      before: before.get(path)?.blob ?? null,
      after: after.get(path)?.blob ?? null,
    }))
    .filter((one) => one.before !== one.after)
    .toSorted((a, b) => compareText(a.path, b.path));
};

/** Everything that stands in a commit counts: where judging begins. */
export const judgedFrom = (commit: string, cluster: SourceFile | undefined): Judged => ({
  kind: 'judged',
  commit,
  ...(rulesIn(cluster) ?? NO_RULES),
  held: [],
});

type Rules = Pick<Judged, 'owners' | 'ownApproval'>;

const NO_RULES: Rules = { owners: '', ownApproval: false };

/** null: the file is no valid cluster.yaml, so the rules before it go on (rules 1.3). */
const rulesIn = (cluster: SourceFile | undefined): Rules | null => {
  if (cluster === undefined) return null;
  const { value } = parseDocument('cluster', CLUSTER_PATH, cluster);
  if (value === null) return null;
  return { owners: value.owners ?? '', ownApproval: value.guards?.own_approval ?? false };
};

/** Rules that name no owner hold nothing. */
export const hasRules = ({ owners }: Pick<Judged, 'owners'>): boolean =>
  parseOwners(owners).rules.length > 0;

const known = new Map<string, OwnersOf>();
/** Texts of rules that are remembered: those of one cluster, before and after a change. */
const KNOWN_MAX = 8;

export const ownersBy = ({ owners }: Pick<Judged, 'owners'>): OwnersOf => {
  const found = known.get(owners);
  if (found !== undefined) return found;
  if (known.size >= KNOWN_MAX) known.clear();
  const made = ownersOf(parseOwners(owners).rules);
  known.set(owners, made);
  return made;
};

/** What has to be judged of a commit: owned files whose content is not the one that counts. */
export const ownedIn = (
  judged: Judged,
  { changed }: Pick<JudgedCommit, 'changed'>,
): readonly ChangedFile[] => {
  const of = ownersBy(judged);
  const accepted = new Map(judged.held.map((one) => [one.path, one.accepted]));
  return changed.filter(
    ({ path, before, after }) =>
      of(path).length > 0 && after !== (accepted.has(path) ? accepted.get(path) : before),
  );
};

/**
 * Judged with one commit more. `behind` null: the machine's own, which only takes back and counts.
 */
export const judgeCommit = (
  judged: Judged,
  one: JudgedCommit,
  { behind, given }: { readonly behind: Behind | null; readonly given: readonly GivenApproval[] },
): Judged => {
  const { commit, changed, cluster } = one;
  const of = ownersBy(judged);
  const owned = ownedIn(judged, one).map(({ path, after }) => ({
    path,
    blob: after,
    owners: of(path),
  }));
  const { ownApproval } = judged;
  const open = behind === null ? [] : openChanges(owned, behind, { ownApproval, given });
  const passed = () => (behind === null ? [] : letByAuthors(owned, behind, { ownApproval, given }));
  const touched = new Map(changed.map((file) => [file.path, file]));
  const before = new Map(judged.held.map((held) => [held.path, held]));
  const by = behind?.authors.map(({ name }) => name).join(', ') ?? '';
  const held = [
    ...judged.held.filter(({ path }) => !touched.has(path)),
    ...open.map(({ path, blob, owners }): HeldFile => {
      const old = before.get(path);
      const accepted = old === undefined ? (touched.get(path)?.before ?? null) : old.accepted;
      const since = old?.since ?? one.since ?? commit;
      return { path, blob, accepted, commit, since, owners, by };
    }),
  ];
  const unproven = unprovenAfter(
    judged,
    one,
    behind?.isUnproven === true ? { by, let: passed() } : null,
  );
  const { unproven: _, ...rest } = judged;
  const after = { ...rest, commit, held, ...(unproven.length === 0 ? {} : { unproven }) };
  const ruled = touched.has(CLUSTER_PATH) ? withRules(after, cluster) : after;
  return withPassed(judged, ruled, (old) => {
    const now = touched.get(old.path);
    return now === undefined ? old : { blob: now.after, commit };
  });
};

/** Of one file; the oldest two become one when there are more, and what stood between waits too. */
const PASSED_KEPT = 4;

/**
 * What waited does so no more, and what stood there before never counted. A file that goes begins
 * anew, so nothing of it is kept. `counting`: what counts now, and since which commit.
 */
const withPassed = (
  before: Judged,
  after: Judged,
  counting: (old: HeldFile) => Pick<HeldFile, 'blob' | 'commit'>,
): Judged => {
  const waits = new Set(after.held.map(({ path }) => path));
  const ended = before.held.filter(({ path }) => !waits.has(path));
  if (ended.length === 0) return after;
  const byPath = new Map<string, readonly PassedContents[]>();
  for (const one of before.passed ?? [])
    byPath.set(one.path, [...(byPath.get(one.path) ?? []), one]);
  for (const old of ended) {
    const { path, accepted, since } = old;
    const { blob, commit: until } = counting(old);
    if (blob === null) byPath.delete(path);
    else if (until !== since) {
      byPath.set(path, merged([...(byPath.get(path) ?? []), { path, accepted, since, until }]));
    }
  }
  const { passed: _, ...rest } = after;
  const passed = [...byPath.values()].flat();
  return passed.length === 0 ? rest : { ...rest, passed };
};

const merged = (all: readonly PassedContents[]): readonly PassedContents[] => {
  const [first, second, ...rest] = all;
  if (first === undefined || second === undefined || all.length <= PASSED_KEPT) return all;
  return [{ ...first, until: second.until }, ...rest];
};

/** Files that are remembered as let through without proof: the newest. */
const UNPROVEN_KEPT = 50;

const unprovenAfter = (
  { unproven = [] }: Judged,
  { commit, changed }: JudgedCommit,
  now: { readonly by: string; readonly let: readonly OwnedChange[] } | null,
): readonly UnprovenFile[] => {
  const touched = new Set(changed.map(({ path }) => path));
  const before = unproven.filter(({ path }) => !touched.has(path));
  const fresh = now?.let.map(({ path, blob }) => ({ path, blob, commit, by: now.by })) ?? [];
  return [...before, ...fresh].slice(-UNPROVEN_KEPT);
};

/** The rules of cluster.yaml, once it counts; files that nobody owns any more are let through. */
const withRules = (judged: Judged, cluster: SourceFile | undefined): Judged => {
  if (judged.held.some(({ path }) => path === CLUSTER_PATH)) return sorted(judged);
  const rules = rulesIn(cluster);
  if (rules === null) return sorted(judged);
  const of = ownersBy(rules);
  const held = judged.held.filter(({ path }) => of(path).length > 0);
  return sorted({ ...judged, ...rules, held });
};

const sorted = (judged: Judged): Judged => ({
  ...judged,
  held: judged.held.toSorted((a, b) => compareText(a.path, b.path)),
});

/** Held contents that an owner has approved since; `cluster` as it stands at HEAD. */
export const heal = (
  judged: Judged,
  given: readonly GivenApproval[],
  cluster: SourceFile | undefined,
): Judged => {
  const { ownApproval } = judged;
  const open = judged.held.filter(({ path, blob, owners, by }) => {
    const authors = by === '' ? [] : by.split(', ').map((name) => ({ name, as: [] }));
    const behind = { authors, approvals: [] };
    return openChanges([{ path, blob, owners }], behind, { ownApproval, given }).length > 0;
  });
  if (open.length === judged.held.length) return judged;
  const healed = { ...judged, held: open };
  const wasHeld = judged.held.some(({ path }) => path === CLUSTER_PATH);
  return withPassed(judged, wasHeld ? withRules(healed, cluster) : healed, (old) => old);
};
