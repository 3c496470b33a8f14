// Where a value stands in its file: JSON pointers to lines and columns.
// In: text, tree, pointer. Out: 1-based lines and columns. A pointer that leads nowhere is placed
// at the nearest value above it, so that every problem has a line. Not here: reading
// (schema/yaml.ts), messages (schema/parse-messages.ts).

import type { YamlEntry, YamlNode } from './yaml.ts';

/** 1-based; columns count UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * `key`: where the key stands (for list items and the whole file: the value). `value`: where its
 * value starts.
 */
export interface Places {
  readonly key: Place;
  readonly value: Place;
}

/** JSON pointer → where it stands. Total. */
export type Positions = (pointer: string) => Places;

const START: Place = { line: 1, column: 1 };

/** For a file without a tree: everything is at 1:1. */
export const noPositions: Positions = () => ({ key: START, value: START });

/** `['groups', 'a/b']` → `/groups/a~1b`. */
export const pointerOf = (path: readonly string[]): string =>
  path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** `/groups/a~1b` → `['groups', 'a/b']`; the empty pointer is the whole document. */
export const pathOf = (pointer: string): readonly string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Positions of all values of a tree. */
export const positionsOf = (text: string, root: YamlNode): Positions => {
  const place = placer(text);
  return (pointer) => {
    const found = find(root, pathOf(pointer));
    return { key: place(found.key), value: place(found.value) };
  };
};

/** Offset → line and column. */
export const placer = (text: string): ((offset: number) => Place) => {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
};

/** The entry or item of a node under a name, aliases followed. */
export const childOf = (node: YamlNode, name: string): YamlEntry | YamlNode | undefined => {
  if (node.kind === 'alias') return childOf(node.target, name);
  if (node.kind === 'map') return node.entries.findLast((entry) => entry.key === name);
  if (node.kind === 'list') return node.items[Number(name)];
  return undefined;
};

const find = (root: YamlNode, path: readonly string[]) => {
  let offsets = { key: root.start, value: root.start };
  let node = root;
  for (const part of path) {
    const child = childOf(node, part);
    if (child === undefined) return offsets;
    const entry = 'value' in child ? child : null;
    node = 'value' in child ? child.value : child;
    offsets = { key: entry?.keyStart ?? node.start, value: node.start };
  }
  return offsets;
};
