// Git's own formats: commits and trees, bytes to values and back.
// In: bytes. Out: values.
// Not here: where the bytes come from (objects), what files mean (files).

import { compareText } from '../../../schema/ids.ts';
import type { CommitInfo } from '../../../schema/source.ts';

export interface Commit extends CommitInfo {
  readonly tree: string;
  readonly parents: readonly string[];
}

/** Longer messages are cut: they are shown to people, and carried in every tree. */
const MESSAGE_CHARACTERS = 64 * 1024;

/** Throws Error when the bytes are no commit. */
export const parseCommit = (oid: string, data: Buffer): Commit => {
  const text = data.toString('utf8');
  const split = text.indexOf('\n\n');
  const head = split < 0 ? text : text.slice(0, split);
  const tree = /^tree ([0-9a-f]{40})$/m.exec(head)?.[1];
  if (tree === undefined) throw new Error(`commit ${oid} names no tree`);
  const parents = [...head.matchAll(/^parent ([0-9a-f]{40})$/gm)].map((match) => match[1] ?? '');
  const author = /^author (.*) <(.*)> (-?\d+) [+-]\d+$/m.exec(head);
  const message = split < 0 ? '' : text.slice(split + 2, split + 2 + MESSAGE_CHARACTERS);
  return {
    oid,
    tree,
    parents,
    parent: parents[0] ?? null,
    author: { name: author?.[1] ?? '', email: author?.[2] ?? '' },
    authoredAt: Number(author?.[3] ?? 0),
    message,
    trailers: parseTrailers(message),
  };
};

/**
 * The last paragraph when each of its lines is `Key: value` or continues one; the subject is never
 * one.
 */
export const parseTrailers = (message: string): readonly (readonly [string, string])[] => {
  const paragraphs = message.trimEnd().split(/\n[ \t]*\n+/);
  if (paragraphs.length < 2) return [];
  const trailers: [string, string][] = [];
  for (const line of (paragraphs.at(-1) ?? '').split('\n')) {
    const match = /^([A-Za-z0-9-]+)\s*:\s*(.*)$/.exec(line);
    const last = trailers.at(-1);
    if (match !== null) trailers.push([match[1] ?? '', (match[2] ?? '').trim()]);
    else if (/^\s/.test(line) && last !== undefined) last[1] += ` ${line.trim()}`;
    else return [];
  }
  return trailers;
};

export interface Identity {
  readonly name: string;
  readonly email: string;
  readonly epochSeconds: number;
}

export interface NewCommit {
  readonly tree: string;
  readonly parents: readonly string[];
  readonly by: Identity;
  readonly message: string;
}

export const formatCommit = ({ tree, parents, by, message }: NewCommit): Buffer => {
  const who = `${plain(by.name)} <${plain(by.email)}> ${by.epochSeconds} +0000`;
  const head = [
    `tree ${tree}`,
    ...parents.map((parent) => `parent ${parent}`),
    `author ${who}`,
    `committer ${who}`,
  ];
  return Buffer.from(`${head.join('\n')}\n\n${message.trimEnd()}\n`);
};

/** Names must not end their own field. */
const plain = (text: string): string => text.replace(/[<>\n\0]/g, '').trim() || 'Purser';

/** `100644`, `100755`, `120000` (symlink), `160000` (submodule), `40000` (folder). */
export interface TreeEntry {
  readonly mode: string;
  readonly name: string;
  readonly oid: string;
}

/** Throws Error when the bytes are no tree. */
export const parseTree = (data: Buffer): TreeEntry[] => {
  const entries: TreeEntry[] = [];
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(32, at);
    const zero = data.indexOf(0, space);
    if (space < 0 || zero < 0 || zero + 21 > data.length) throw new Error('a tree is cut short');
    entries.push({
      mode: data.toString('latin1', at, space),
      name: data.toString('utf8', space + 1, zero),
      oid: data.toString('hex', zero + 1, zero + 21),
    });
    at = zero + 21;
  }
  return entries;
};

/** Git's order: as bytes, folders as if their name ended in a slash. */
export const formatTree = (entries: readonly TreeEntry[]): Buffer => {
  const rows = entries.map((entry) => ({
    sort: Buffer.from(entry.mode === FOLDER ? `${entry.name}/` : entry.name),
    bytes: Buffer.concat([
      Buffer.from(`${entry.mode} ${entry.name}\0`),
      Buffer.from(entry.oid, 'hex'),
    ]),
  }));
  rows.sort((a, b) => Buffer.compare(a.sort, b.sort));
  return Buffer.concat(rows.map((row) => row.bytes));
};

export const FOLDER = '40000';
export const PLAIN_FILE = '100644';
export const SYMLINK = '120000';
export const SUBMODULE = '160000';

/** `''` and `'.'` are the root; no leading or trailing slash. */
export const normalDirectory = (directory: string): string =>
  directory
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');

/** A path inside a directory of the repository. */
export const within = (directory: string, path: string): string =>
  directory === '' ? path : `${directory}/${path}`;

/** By path, in code-unit order. */
export const byPath = <Entry extends readonly [string, unknown]>(a: Entry, b: Entry): number =>
  compareText(a[0], b[0]);
