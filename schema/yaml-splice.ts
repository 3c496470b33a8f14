// Where in a YAML text an edit goes: the parts of the text that are replaced.
// In: the text, its tree, the place. Out: splices. Whole lines are inserted and removed in block
// collections; flow collections are edited in their line. Comments stay, but for those inside or
// behind what is removed.
// Not here: whether the result says what was wanted (schema/yaml-edit.ts checks it).

import type { Json } from './hash.ts';
import { isCollection, writeBlock, writeEntry, writeInline } from './yaml-write.ts';
import type { YamlNode } from './yaml.ts';

/** A part of the text to be replaced. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A node and the nodes above it, the nearest last. */
export interface Spot {
  readonly node: YamlNode;
  readonly above: readonly YamlNode[];
}

/** Puts another value where a node stands. */
export const replaceValue = (text: string, spot: Spot, value: Json): readonly Splice[] => {
  const { node } = spot;
  const inFlow = spot.above.some((above) => 'flow' in above && above.flow);
  if ('flow' in node && !node.flow) return replaceBlock(text, spot, value);
  if (node.start === node.end) return fillEmpty(text, spot, { value, inFlow });
  return [{ start: node.start, end: node.end, text: writeInline(value) + tail(text, node.end) }];
};

/** Puts a new member into a map, or a new item behind the last of a list. */
export const insertChild = (
  text: string,
  node: YamlNode,
  [name, value]: readonly [string, Json],
): readonly Splice[] | null => {
  if (node.kind !== 'map' && node.kind !== 'list') return null;
  const written =
    node.kind === 'map' ? writeInline({ [name]: value }).slice(1, -1) : writeInline(value);
  const last = partsOf(text, node).at(-1);
  if (last === undefined) return [point(node.start + 1, written)];
  if (node.flow) return [point(last.end, `, ${written}`)];
  const lines = node.kind === 'map' ? writeEntry(name, value) : writeBlock([value]);
  const at = lineEnd(text, last.end);
  const newline = newlineOf(text);
  const indent = ' '.repeat(columnOf(text, node.start));
  const block = lines.map((line) => indent + line + newline).join('');
  return [point(at, at > 0 && text[at - 1] !== '\n' ? newline + block : block)];
};

/** Takes a member out of a map or an item out of a list. */
export const removeChild = (text: string, spot: Spot, name: string): readonly Splice[] | null => {
  const { node } = spot;
  if (node.kind !== 'map' && node.kind !== 'list') return null;
  const parts = partsOf(text, node);
  const index =
    node.kind === 'map' ? node.entries.findIndex(({ key }) => key === name) : Number(name);
  const part = parts[index];
  if (part === undefined) return null;
  const [before, next] = [parts[index - 1], parts[index + 1]];
  if (before === undefined && next === undefined) {
    return replaceValue(text, spot, node.kind === 'map' ? {} : []);
  }
  if (node.flow) {
    const [start, end] =
      next === undefined ? [before?.end ?? part.start, part.end] : [part.start, next.start];
    return [{ start, end, text: '' }];
  }
  const start = lineStart(text, part.start);
  if (text.slice(start, part.start).trim() === '') {
    return [{ start, end: lineEnd(text, part.end), text: '' }];
  }
  // The first of a compact map (`- name: x`): what comes next moves up to its place.
  return [{ start: part.start, end: next?.start ?? part.end, text: '' }];
};

interface Part {
  /** Where the key or the dash stands. */
  readonly start: number;
  readonly end: number;
}

const partsOf = (text: string, node: YamlNode): readonly Part[] => {
  if (node.kind === 'map') {
    return node.entries.map(({ keyStart, value }) => ({ start: keyStart, end: value.end }));
  }
  if (node.kind !== 'list') return [];
  return node.items.map(({ start, end }) => ({
    start: node.flow ? start : text.lastIndexOf('-', Math.max(0, start - 1)),
    end,
  }));
};

const replaceBlock = (text: string, { node, above }: Spot, value: Json): readonly Splice[] => {
  const parent = above.at(-1);
  const column = columnOf(text, node.start);
  const newline = newlineOf(text);
  if (isCollection(value)) {
    // A list may stand under its key without indentation, a map may not.
    const least =
      parent?.kind === 'map' && !Array.isArray(value) ? columnOf(text, parent.start) + 1 : 0;
    const extra = column < least ? '  ' : '';
    const lines = writeBlock(value).map((line) => extra + line);
    const block = lines.join(newline + ' '.repeat(column));
    return [{ start: node.start, end: node.end, text: block + tail(text, node.end) }];
  }
  const entry =
    parent?.kind === 'map' ? parent.entries.find((one) => one.value === node) : undefined;
  const colon = entry === undefined ? -1 : text.indexOf(':', entry.keyEnd);
  const inline = writeInline(value);
  if (colon < 0) return [{ start: node.start, end: node.end, text: inline + tail(text, node.end) }];
  const start = lineStart(text, node.start);
  return [point(colon + 1, ` ${inline}`), { start, end: lineEnd(text, node.end), text: '' }];
};

/** A key or a dash with nothing behind it, or an empty file. */
const fillEmpty = (
  text: string,
  { node, above }: Spot,
  { value, inFlow }: { readonly value: Json; readonly inFlow: boolean },
): readonly Splice[] => {
  const newline = newlineOf(text);
  const parent = above.at(-1);
  if (parent === undefined) {
    const gap = node.start === 0 || text[node.start - 1] === '\n' ? '' : newline;
    return [point(node.start, `${gap}${writeBlock(value).join(newline)}${newline}`)];
  }
  if (inFlow || parent.kind !== 'map' || !isCollection(value)) {
    const gap = /[:\-,[]/.test(text[node.start - 1] ?? '') ? ' ' : ': ';
    return [point(node.start, gap + writeInline(value))];
  }
  const indent = `${newline}${' '.repeat(columnOf(text, parent.start) + 2)}`;
  const block = writeBlock(value)
    .map((line) => indent + line)
    .join('');
  return [point(contentEnd(text, node.start), block)];
};

const point = (at: number, text: string): Splice => ({ start: at, end: at, text });

/** A block scalar ends behind its line; what takes its place must end the line too. */
const tail = (text: string, end: number): string =>
  end > 0 && text[end - 1] === '\n' ? newlineOf(text) : '';

const newlineOf = (text: string): string => (text.includes('\r\n') ? '\r\n' : '\n');

const lineStart = (text: string, offset: number): number =>
  offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;

const columnOf = (text: string, offset: number): number => offset - lineStart(text, offset);

/**
 * Behind the newline of the line in which a value ends; the value's end itself if that is behind
 * one already.
 */
const lineEnd = (text: string, offset: number): number => {
  if (offset > 0 && text[offset - 1] === '\n') return offset;
  const newline = text.indexOf('\n', offset);
  return newline < 0 ? text.length : newline + 1;
};

/** Before the newline of the line of an offset. */
const contentEnd = (text: string, offset: number): number => {
  const newline = text.indexOf('\n', offset);
  if (newline < 0) return text.length;
  return text[newline - 1] === '\r' ? newline - 1 : newline;
};
