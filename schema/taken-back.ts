// Taking back all that one commit changed: the edits that undo it at HEAD (rules 6.3).
// In: what the commit changed, and what stands at HEAD now. Out: edits, files that somebody changed
// since, files that cannot be written. Where a person asks for it a file may have changed elsewhere:
// what came to other fields since, such as a promotion or a restart, stays. Counts that a machine
// wrote stay (rules 7). Not here: whether it may be done, the commit.

import type { FileEdit } from './desired.ts';
import { canonical, type Json } from './hash.ts';
import { pathOf } from './places.ts';
import type { CommitChange } from './source.ts';
import { editsBetween, editYaml, type YamlEdit } from './yaml-edit.ts';
import { readYaml, valueOf } from './yaml.ts';

/** Rules 7: reverting a deploy never touches a count that a machine wrote. */
const COUNTS = 'scale/';

export interface TakenBack {
  /** Sorted by path; none: all of it is back already. */
  readonly edits: readonly FileEdit[];
  /** Paths that somebody has changed since; by fields, of which the same was changed. */
  readonly changed: readonly string[];
  /** Paths that are no text, before the commit or now. */
  readonly unwritable: readonly string[];
}

type Changed = NonNullable<CommitChange['files']>[number];

export interface TakingBack {
  /** What a person asked for keeps other fields of a file that was changed since (rules 6.3). */
  readonly byFields: boolean;
}

export const takenBack = (files: readonly Changed[], { byFields }: TakingBack): TakenBack => {
  const open = files.filter((file) => !file.path.startsWith(COUNTS) && !isBack(file));
  const isChanged = ({ head, after }: Changed) => head?.blob !== after?.blob;
  const back = open.map((file) => {
    const isSame = !isChanged(file);
    if (isSame && isUnwritable(file)) return { file, edit: null };
    const content = isSame ? textIn(file.before) : byFields ? undone(file) : null;
    const edit = { path: file.path, content, base: file.head?.blob ?? null };
    return { file, edit: isSame || content !== null ? edit : null };
  });
  const stuck = back.flatMap(({ file, edit }) => (edit === null ? [file] : []));
  return {
    changed: stuck.filter(isChanged).map(({ path }) => path),
    unwritable: stuck.filter((file) => !isChanged(file)).map(({ path }) => path),
    edits: back.flatMap(({ edit }) => edit ?? []),
  };
};

const textIn = (file: Changed['head']): string | null => (file?.kind === 'text' ? file.text : null);

/** Its text now without what the commit changed in it; null: the same was changed since. */
const undone = ({ path, before, after, head }: Changed): string | null => {
  if (!path.endsWith('.yaml') || head?.kind !== 'text') return null;
  const [was, became, is] = [valueIn(before), valueIn(after), valueIn(head)];
  if (was === undefined || became === undefined || is === undefined) return null;
  const edits = editsBetween(became, was);
  const isKept = ({ pointer }: YamlEdit): boolean => {
    const at = pathOf(pointer);
    return canonical(memberAt(is, at) ?? null) === canonical(memberAt(became, at) ?? null);
  };
  if (!edits.every(isKept)) return null;
  const edited = editYaml(head.text, edits);
  return edited.kind === 'ok' ? edited.text : null;
};

/** undefined: it is no YAML that can be edited. */
const valueIn = (file: Changed['head']): Json | undefined => {
  if (file?.kind !== 'text') return undefined;
  const read = readYaml(file.text);
  return read.kind === 'tree' && read.faults.length === 0 ? valueOf(read.root) : undefined;
};

const memberAt = (value: Json, path: readonly string[]): Json | undefined => {
  let at: Json | undefined = value;
  for (const name of path) {
    if (at === null || typeof at !== 'object') return undefined;
    at = Array.isArray(at) ? at[Number(name)] : (at as Readonly<Record<string, Json>>)[name];
  }
  return at;
};

const isUnwritable = ({ before, head }: Changed): boolean =>
  before?.kind === 'refused' || head?.kind === 'refused';

/** Only its mode was changed, or somebody has taken it back already. */
const isBack = ({ before, head }: Changed): boolean => head?.blob === before?.blob;
