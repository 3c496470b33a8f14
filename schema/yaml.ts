// YAML with positions: a text becomes a tree whose nodes know where they stand.
// In: text. Out: a tree, or faults with offsets. Limits on aliases and depth keep a small file from
// growing into a large value. Plain scalars are read by YAML 1.2's core rules; where the schema
// says so their source text counts.
// Not here: what the values mean (schema/parse.ts), edits (schema/yaml-edit.ts).

import {
  EVENT_ID,
  NOT_RESOLVED,
  boolCoreTag,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  nullCoreTag,
  type Event,
} from 'js-yaml';
import type { Json } from './hash.ts';
import { shortened } from './plain.ts';
import type { ProblemCode } from './problem-codes.ts';
import { eventsOf, type YamlFault } from './yaml-events.ts';

/** Most aliases in a file; a job with more is a program, not a document. */
const MAX_ALIASES = 50;
/** Most nodes once aliases are followed: what validation will look at. */
const MAX_NODES = 20_000;
/** Most faults told of one file: whoever has so many mends the first ones and looks again. */
const MAX_FAULTS = 100;
/** Of a name in a message: longer ones are no names. */
const NAME_CHARACTERS = 60;
const PLAIN_STYLE = 1;
const LITERAL_STYLE = 4;
const FLOW_STYLE = 2;

/**
 * Offsets are of the text; `start`..`end` is what an edit would replace, quotes and brackets
 * included.
 */
export type YamlNode =
  | {
      readonly kind: 'scalar';
      readonly start: number;
      readonly end: number;
      /** Quotes and escapes undone. */
      readonly text: string;
      /** Written without quotes: may be a number, a boolean or null. */
      readonly plain: boolean;
    }
  | {
      readonly kind: 'map';
      readonly start: number;
      readonly end: number;
      readonly flow: boolean;
      readonly entries: readonly YamlEntry[];
    }
  | {
      readonly kind: 'list';
      readonly start: number;
      readonly end: number;
      readonly flow: boolean;
      readonly items: readonly YamlNode[];
    }
  | {
      readonly kind: 'alias';
      readonly start: number;
      readonly end: number;
      readonly target: YamlNode;
    };

export interface YamlEntry {
  readonly key: string;
  readonly keyStart: number;
  /** After the closing quote, before the colon. */
  readonly keyEnd: number;
  readonly value: YamlNode;
}

export type YamlResult =
  /** `faults` are those that leave a tree to look at, such as a key that stands twice. */
  | { readonly kind: 'tree'; readonly root: YamlNode; readonly faults: readonly YamlFault[] }
  | { readonly kind: 'failed'; readonly fault: YamlFault };

/** Reads one document. All faults that do not hide each other are returned at once. */
export const readYaml = (text: string): YamlResult => {
  const events = eventsOf(text);
  if ('offset' in events) return { kind: 'failed', fault: events };
  const documents = events.events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
  if (documents === 0) {
    return failed(0, 'yaml-empty', 'The file is empty.');
  }
  if (documents > 1) {
    const offset = Math.max(0, text.search(/(?<=\n)---/));
    return failed(offset, 'yaml-many-documents', `The file holds ${documents} YAML documents.`);
  }
  const state: State = {
    text,
    events: events.events,
    next: 1,
    cursor: 0,
    anchors: new Map(),
    sizes: new Map(),
    faults: [],
    aliases: 0,
  };
  const root = readNode(state);
  if (root.kind === 'scalar' && root.plain && root.text === '') {
    return failed(0, 'yaml-empty', 'The file is empty.');
  }
  if (sizeOf(state, root) > MAX_NODES) {
    const alias = firstAlias(root);
    if (alias === null) {
      return failed(0, 'yaml-too-many', `The file has over ${MAX_NODES} values.`);
    }
    const message = `With all aliases followed the file has over ${MAX_NODES} values.`;
    return failed(alias.start, 'yaml-alias-limit', message);
  }
  return { kind: 'tree', root, faults: state.faults };
};

/** What a plain scalar is by YAML 1.2's core rules: null, boolean, number, else the text itself. */
export const resolvePlain = (text: string): null | boolean | number | string => {
  for (const tag of [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag]) {
    const value = tag.resolve(text, false, '');
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
};

/**
 * Says for a place in the document whether scalars keep their source text, and for the places below
 * it.
 */
export interface TextFields {
  readonly keeps: boolean;
  readonly at: (key: string) => TextFields;
}

/** Nothing keeps its source text. */
export const noTextFields: TextFields = { keeps: false, at: () => noTextFields };

/** The value of a tree. Keys come in the order written. */
export const valueOf = (node: YamlNode, fields: TextFields = noTextFields): Json => {
  switch (node.kind) {
    case 'scalar':
      return node.plain && !fields.keeps ? resolvePlain(node.text) : node.text;
    case 'alias':
      return valueOf(node.target, fields);
    case 'list':
      return node.items.map((item, index) => valueOf(item, fields.at(String(index))));
    case 'map':
      return Object.fromEntries(
        node.entries.map((entry) => [entry.key, valueOf(entry.value, fields.at(entry.key))]),
      );
    default:
      return node satisfies never;
  }
};

/** Numbers that would lose digits, where a number is what counts. Aliases are not followed. */
export const lostNumbers = (node: YamlNode, fields: TextFields): readonly YamlFault[] => {
  switch (node.kind) {
    case 'scalar': {
      const value = node.plain && !fields.keeps ? resolvePlain(node.text) : null;
      if (typeof value !== 'number' || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return [];
      const message = `The number ${node.text} cannot be kept exactly.`;
      return [{ offset: node.start, code: 'yaml-number', message }];
    }
    case 'alias':
      return [];
    case 'list':
      return node.items.flatMap((item, index) => lostNumbers(item, fields.at(String(index))));
    case 'map':
      return node.entries.flatMap((entry) => lostNumbers(entry.value, fields.at(entry.key)));
    default:
      return node satisfies never;
  }
};

/** The first offset at or after `offset` that is no white space and no comment. */
export const skipTrivia = (text: string, offset: number): number => {
  const trivia = /(?:[ \t\r\n\uFEFF]+|#[^\n]*)*/y;
  trivia.lastIndex = offset;
  trivia.exec(text);
  return Math.max(offset, trivia.lastIndex);
};

interface State {
  readonly text: string;
  readonly events: readonly Event[];
  next: number;
  /** End of what has been read: where an empty value stands. */
  cursor: number;
  readonly anchors: Map<string, YamlNode | null>;
  readonly sizes: Map<YamlNode, number>;
  readonly faults: YamlFault[];
  aliases: number;
}

const failed = (offset: number, code: ProblemCode, message: string): YamlResult => ({
  kind: 'failed',
  fault: { offset, code, message },
});

const readNode = (state: State): YamlNode => {
  const event = state.events[state.next];
  state.next += 1;
  switch (event?.type) {
    case EVENT_ID.SCALAR:
      return anchored(state, event, () => readScalar(state, event));
    case EVENT_ID.SEQUENCE:
      return anchored(state, event, () => readList(state, event));
    case EVENT_ID.MAPPING:
      return anchored(state, event, () => readMap(state, event));
    case EVENT_ID.ALIAS:
      return readAlias(state, event);
    case EVENT_ID.DOCUMENT:
    case EVENT_ID.POP:
    case undefined:
      // Between nodes only: the parser gives one node for each place that readNode is called at.
      return emptyScalar(state);
    default:
      return event satisfies never;
  }
};

type Anchorable = Extract<Event, { anchorStart: number; tagStart: number }>;

/**
 * Remembers the node under its anchor; while it is being read the name is known but has no node
 * yet.
 */
const anchored = (state: State, event: Anchorable, read: () => YamlNode): YamlNode => {
  if (event.tagStart >= 0) {
    const tag = state.text.slice(event.tagStart, event.tagEnd);
    const shown = shortened(tag, NAME_CHARACTERS);
    fault(state, event.tagStart, ['yaml-tag', `The tag \`${shown}\` means nothing here.`]);
  }
  const name = event.anchorStart >= 0 ? state.text.slice(event.anchorStart, event.anchorEnd) : null;
  state.cursor = Math.max(state.cursor, event.anchorEnd, event.tagEnd);
  if (name !== null) state.anchors.set(name, null);
  const node = read();
  if (name !== null) state.anchors.set(name, node);
  return node;
};

const fault = (state: State, offset: number, [code, message]: readonly [ProblemCode, string]) => {
  if (state.faults.length < MAX_FAULTS) state.faults.push({ offset, code, message });
};

const emptyScalar = (state: State): YamlNode => ({
  kind: 'scalar',
  start: state.cursor,
  end: state.cursor,
  text: '',
  plain: true,
});

const readScalar = (state: State, event: Extract<Event, { valueStart: number }>): YamlNode => {
  if (event.valueStart < 0) return emptyScalar(state);
  const text = getScalarValue(state.text, event);
  const plain = event.style === PLAIN_STYLE;
  const quoted = !plain && event.style < LITERAL_STYLE;
  const start = quoted
    ? event.valueStart - 1
    : plain
      ? event.valueStart
      : skipTrivia(state.text, state.cursor);
  const end = quoted ? event.valueEnd + 1 : event.valueEnd;
  state.cursor = end;
  return { kind: 'scalar', start, end, text, plain };
};

const readList = (state: State, event: Extract<Event, { start: number }>): YamlNode => {
  const flow = event.style === FLOW_STYLE;
  const items: YamlNode[] = [];
  state.cursor = event.start;
  while (state.events[state.next]?.type !== EVENT_ID.POP) {
    // Past `-`, `[` or `,`, so that an empty item knows its place.
    const mark = skipTrivia(state.text, state.cursor);
    if (/[-[,]/.test(state.text[mark] ?? '')) state.cursor = mark + 1;
    items.push(readNode(state));
  }
  state.next += 1;
  closeFlow(state, flow);
  return { kind: 'list', start: event.start, end: state.cursor, flow, items };
};

/** A flow collection ends behind its bracket, a block collection behind its last value. */
const closeFlow = (state: State, flow: boolean): void => {
  if (!flow) return;
  let end = skipTrivia(state.text, state.cursor);
  while (/[,[{]/.test(state.text[end] ?? '')) end = skipTrivia(state.text, end + 1);
  state.cursor = end + 1;
};

const readMap = (state: State, event: Extract<Event, { start: number }>): YamlNode => {
  const flow = event.style === FLOW_STYLE;
  const entries: YamlEntry[] = [];
  const seen = new Map<string, number>();
  state.cursor = event.start;
  while (state.events[state.next]?.type !== EVENT_ID.POP) {
    const key = readNode(state);
    const name = key.kind === 'scalar' ? key.text : '';
    if (key.kind !== 'scalar' || key.start === key.end) {
      fault(state, key.start, ['yaml-tag', 'A key must be a text.']);
    }
    const colon = skipTrivia(state.text, key.end);
    state.cursor = state.text[colon] === ':' ? colon + 1 : key.end;
    const value = readNode(state);
    const first = key.kind === 'scalar' ? seen.get(name) : undefined;
    // Beyond the limit no line is looked up either: each costs a walk through the text.
    if (first !== undefined && state.faults.length < MAX_FAULTS) {
      const line = state.text.slice(0, first).split('\n').length;
      const shown = shortened(name, NAME_CHARACTERS);
      const message = `The key \`${shown}\` stands here a second time; the first is in line ${line}.`;
      fault(state, key.start, ['yaml-duplicate-key', message]);
    }
    if (!seen.has(name)) seen.set(name, key.start);
    entries.push({ key: name, keyStart: key.start, keyEnd: key.end, value });
  }
  state.next += 1;
  closeFlow(state, flow);
  return { kind: 'map', start: event.start, end: state.cursor, flow, entries };
};

const readAlias = (state: State, event: Extract<Event, { type: 5 }>): YamlNode => {
  const name = state.text.slice(event.anchorStart, event.anchorEnd);
  const start = event.anchorStart - 1;
  const target = state.anchors.get(name);
  state.aliases += 1;
  state.cursor = event.anchorEnd;
  if (state.aliases === MAX_ALIASES + 1) {
    const message = `The file uses more than ${MAX_ALIASES} aliases.`;
    fault(state, start, ['yaml-alias-limit', message]);
  }
  if (target === undefined || target === null) {
    const shown = shortened(name, NAME_CHARACTERS);
    const message =
      target === null
        ? `\`*${shown}\` stands inside the value that it names.`
        : `There is no anchor \`&${shown}\` before this alias.`;
    fault(state, start, ['yaml-alias', message]);
    return emptyScalar(state);
  }
  return { kind: 'alias', start, end: event.anchorEnd, target };
};

/**
 * Nodes once aliases are followed; each node is counted once and remembered, so a bomb costs
 * nothing to measure.
 */
const sizeOf = (state: State, node: YamlNode): number => {
  const known = state.sizes.get(node);
  if (known !== undefined) return known;
  const size =
    node.kind === 'alias'
      ? sizeOf(state, node.target)
      : childrenOf(node).reduce((sum, child) => sum + sizeOf(state, child), 1);
  state.sizes.set(node, size);
  return size;
};

const childrenOf = (node: YamlNode): readonly YamlNode[] => {
  if (node.kind === 'list') return node.items;
  return node.kind === 'map' ? node.entries.map((entry) => entry.value) : [];
};

const firstAlias = (node: YamlNode): YamlNode | null => {
  if (node.kind === 'alias') return node;
  for (const child of childrenOf(node)) {
    const found = firstAlias(child);
    if (found !== null) return found;
  }
  return null;
};
