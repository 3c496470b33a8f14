// Who is behind a change and who has approved it, and whether that is enough for its owners (rules
// 6.6, 8.2).
// In: persons as a forge or a commit names them, owners of paths. Out: what still lacks an approval,
// and of whom. Not here: how persons are found (edge/forge, desired), the rules' syntax (owners).

/** Somebody who wrote or approved a change. */
export interface Person {
  /** For people: a login, or an e-mail address. */
  readonly name: string;
  /** Owners that this person speaks for, in lower case: `@ada`, `@shop/team`, `ada@example.org`. */
  readonly as: readonly string[];
}

/** Who is behind a change. Persons by name. */
export interface Behind {
  /** Who wrote its commits, and who opened its pull request. */
  readonly authors: readonly Person[];
  /** People with write access who approved it as it is, the newest word of each. */
  readonly approvals: readonly Person[];
  /** Authors are known by the addresses in a commit alone, which whoever may push can write. */
  readonly isUnproven?: true;
  /** Teams of which the forge does not say who is in them; absent: none. */
  readonly unread?: UnreadTeams;
}

export interface UnreadTeams {
  /** In lower case. */
  readonly teams: readonly string[];
  /** What keeps it from saying so, with the way to mend it. */
  readonly why: string;
}

export const NOBODY: Behind = { authors: [], approvals: [] };

/** A changed file that somebody owns. */
export interface OwnedChange {
  /** Below the cluster's directory. */
  readonly path: string;
  /** Its content after the change; null: it is gone. */
  readonly blob: string | null;
  /** As written in cluster.yaml. */
  readonly owners: readonly string[];
}

/** Approvals in the ledger: of contents, whichever commit brings them. */
export interface GivenApproval {
  readonly by: string;
  readonly as?: readonly string[];
  readonly files?: readonly { readonly path: string; readonly blob: string | null }[];
}

export interface Judging {
  /** cluster.yaml lets the author's own approval count. */
  readonly ownApproval: boolean;
  /** Those that count, of the ledger. */
  readonly given: readonly GivenApproval[];
}

/**
 * Changed files that no owner has let through: one must have approved, or, where the author's own
 * approval counts, have written the change. Of several authors each must be an owner: the change is
 * theirs together.
 */
export const openChanges = (
  changes: readonly OwnedChange[],
  { authors, approvals }: Behind,
  { ownApproval, given }: Judging,
): readonly OwnedChange[] =>
  changes.filter(({ path, blob, owners }) => {
    if (owners.length === 0) return false;
    const names = new Set(owners.map((owner) => owner.toLowerCase()));
    const speaks = ({ as }: Person): boolean => as.some((name) => names.has(name));
    if (ownApproval && authors.length > 0 && authors.every(speaks)) return false;
    const of = given.filter(({ files }) =>
      files?.some((file) => file.path === path && file.blob === blob),
    );
    const all = [...approvals, ...of.map(({ by, as }) => ({ name: nameOf(by), as: as ?? [] }))];
    const isOwn = (one: Person): boolean => authors.some((author) => isSame(author, one));
    return !all.some((one) => speaks(one) && (ownApproval || !isOwn(one)));
  });

/** Of changes that were let through those that only their authors' own word let through. */
export const letByAuthors = (
  changes: readonly OwnedChange[],
  behind: Behind,
  judging: Judging,
): readonly OwnedChange[] => {
  if (!judging.ownApproval) return [];
  const open = new Set(openChanges(changes, behind, judging));
  const alone = openChanges(changes, behind, { ...judging, ownApproval: false });
  return alone.filter((change) => !open.has(change));
};

/** Why nobody can say whether an owner has let these through; null: it is known. */
export const unjudged = (
  open: readonly OwnedChange[],
  unread: UnreadTeams | undefined,
): string | null => {
  const teams = new Set(unread?.teams);
  const isOfOne = open.some(({ owners }) => owners.some((one) => teams.has(one.toLowerCase())));
  return unread !== undefined && isOfOne ? unread.why : null;
};

/** `ada <583231+ada@forge>` is `ada`; an e-mail address is its own name. */
const nameOf = (by: string): string => /^(\S+) <[^<>]*@forge>$/.exec(by)?.[1] ?? by;

const isSame = (a: Person, b: Person): boolean => a.name.toLowerCase() === b.name.toLowerCase();

/** Teams among owners, each once, in lower case: `@shop/team`. */
export const teamsIn = (changes: readonly OwnedChange[]): readonly string[] => {
  const teams = changes.flatMap(({ owners }) => owners.filter((owner) => owner.includes('/')));
  return [...new Set(teams.map((team) => team.toLowerCase()))].toSorted();
};

/** `shop/web` for a job's file, else the path. */
export const ownedName = (path: string): string =>
  /^jobs\/([^/]+\/[^/]+)\.yaml$/.exec(path)?.[1] ?? path;
