// Edits of a YAML text that keep comments and formatting: what a machine's commit changes is what
// it says it changes.
// In: the text and edits by JSON pointer. Out: the new text, or why it cannot be done. Every result
// is read again and compared with the value that was wanted, so that a wrong edit is refused and
// never committed.
// Not here: which edits to make (reconciler/desired), reading (schema/yaml.ts), writing values
// (schema/yaml-write.ts).

import { canonical, type Json } from './hash.ts';
import { pathOf, pointerOf } from './places.ts';
import { insertChild, removeChild, replaceValue, type Splice } from './yaml-splice.ts';
import { readYaml, valueOf, type YamlNode } from './yaml.ts';

/** `value` undefined removes what stands at the pointer; `/list/-` appends to a list. */
export interface YamlEdit {
  readonly pointer: string;
  readonly value: Json | undefined;
}

export type EditResult =
  | { readonly kind: 'ok'; readonly text: string }
  | { readonly kind: 'failed'; readonly why: string };

/** Most edits of one file in one commit; a revert of a large job needs a few hundred. */
const MAX_EDITS = 2000;

/**
 * Applies the edits one after the other. Setting a value that stands there already changes nothing;
 * removing what is not there changes nothing; maps above a new value are made. Lines that no edit
 * concerns stay as they are.
 */
export const editYaml = (text: string, edits: readonly YamlEdit[]): EditResult => {
  if (edits.length > MAX_EDITS) return { kind: 'failed', why: `over ${MAX_EDITS} edits at once` };
  let current = text;
  for (const edit of edits) {
    const result = editOnce(current, edit);
    if (result.kind === 'failed') return result;
    current = result.text;
  }
  return { kind: 'ok', text: current };
};

const editOnce = (text: string, edit: YamlEdit): EditResult => {
  const read = readYaml(text);
  const empty = read.kind === 'failed' && read.fault.code === 'yaml-empty';
  if (read.kind === 'failed' && !empty) return { kind: 'failed', why: read.fault.message };
  if (read.kind === 'tree' && read.faults[0] !== undefined) {
    return { kind: 'failed', why: read.faults[0].message };
  }
  const root: YamlNode =
    read.kind === 'tree'
      ? read.root
      : { kind: 'scalar', start: text.length, end: text.length, text: '', plain: true };
  const before = read.kind === 'tree' ? valueOf(root) : null;
  const wanted = withEdit(before, pathOf(edit.pointer), edit.value);
  if (wanted === undefined) return { kind: 'failed', why: `nothing can stand at ${edit.pointer}` };
  if (canonical(wanted) === canonical(before)) return { kind: 'ok', text };
  const splices = splicesFor({ text, root }, pathOf(edit.pointer), edit.value);
  const edited = splices === null ? null : applySplices(text, splices);
  if (edited === null || !says(edited, wanted)) {
    const why = `the value at ${edit.pointer} is written with an anchor or an alias; edit it by hand`;
    return { kind: 'failed', why };
  }
  return { kind: 'ok', text: edited };
};

const says = (text: string, wanted: Json): boolean => {
  const read = readYaml(text);
  if (read.kind === 'failed') return false;
  return read.faults.length === 0 && canonical(valueOf(read.root)) === canonical(wanted);
};

/** The value with one edit; undefined where the pointer leads through a scalar. */
const withEdit = (
  value: Json | undefined,
  path: readonly string[],
  edit: Json | undefined,
): Json | undefined => {
  const [name, ...rest] = path;
  if (name === undefined) return edit;
  if (value === undefined || value === null) {
    return edit === undefined ? (value ?? null) : { [name]: withEdit(undefined, rest, edit) };
  }
  if (typeof value !== 'object') return undefined;
  if (isList(value)) return listWithEdit(value, path, edit);
  const { [name]: member, ...others } = value;
  if (rest.length === 0 && edit === undefined) return others;
  if (member === undefined && edit === undefined) return value;
  const below = withEdit(member, rest, edit);
  return below === undefined ? undefined : { ...value, [name]: below };
};

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

const listWithEdit = (
  list: readonly Json[],
  [name = '', ...rest]: readonly string[],
  edit: Json | undefined,
): Json | undefined => {
  const index = name === '-' ? list.length : Number(name);
  if (!Number.isInteger(index) || index < 0 || index > list.length) return undefined;
  if (index === list.length && edit === undefined) return list;
  if (rest.length === 0 && edit === undefined) return list.toSpliced(index, 1);
  const below = withEdit(list[index], rest, edit);
  return below === undefined ? undefined : list.toSpliced(index, 1, below);
};

/** null where the way leads through an alias: the edit would change other places too. */
const splicesFor = (
  source: { readonly text: string; readonly root: YamlNode },
  path: readonly string[],
  value: Json | undefined,
): readonly Splice[] | null => {
  const { text } = source;
  const above: YamlNode[] = [];
  let node = source.root;
  for (const [depth, name] of path.entries()) {
    if (node.kind === 'alias') return null;
    const child = memberOf(node, name);
    if (child === undefined) {
      if (value === undefined) return [];
      const made = wrap(path.slice(depth + 1), value);
      // A key without a value, or an empty file: the map is made where the nothing stands.
      if (node.kind === 'scalar') return replaceValue(text, { node, above }, { [name]: made });
      return insertChild(text, node, [name, made]);
    }
    above.push(node);
    node = child;
  }
  if (value !== undefined) return replaceValue(text, { node, above }, value);
  const parent = above.pop();
  return parent === undefined
    ? null
    : removeChild(text, { node: parent, above }, path.at(-1) ?? '');
};

const memberOf = (node: YamlNode, name: string): YamlNode | undefined => {
  if (node.kind === 'map') return node.entries.find((entry) => entry.key === name)?.value;
  return node.kind === 'list' ? node.items[Number(name)] : undefined;
};

const wrap = (path: readonly string[], value: Json): Json =>
  path.reduceRight<Json>((below, name) => ({ [name]: below }), value);

/** Splices do not overlap; they are applied from the end, so that offsets stay true. */
const applySplices = (text: string, splices: readonly Splice[]): string =>
  splices
    .toSorted((a, b) => b.start - a.start || b.end - a.end)
    .reduce(
      (done, splice) => done.slice(0, splice.start) + splice.text + done.slice(splice.end),
      text,
    );

/** The edits that turn one value into another: the deepest members that differ, removals first. */
export const editsBetween = (
  from: Json,
  to: Json,
  path: readonly string[] = [],
): readonly YamlEdit[] => {
  if (canonical(from) === canonical(to)) return [];
  const maps = isMap(from) && isMap(to);
  if (!maps) return [{ pointer: pointerOf(path), value: to }];
  const gone = Object.keys(from)
    .filter((name) => to[name] === undefined)
    .map((name) => ({ pointer: pointerOf([...path, name]), value: undefined }));
  const set = Object.entries(to).flatMap(([name, value]) =>
    value === undefined ? [] : editsBetween(from[name] ?? null, value, [...path, name]),
  );
  return [...gone, ...set];
};

const isMap = (value: Json): value is { readonly [key: string]: Json | undefined } =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
