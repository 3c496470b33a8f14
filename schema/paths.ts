// Which document a path is: the path is the identity (rules 1.2).
// In: a path relative to the cluster's directory. Out: kind and names, or why the file is no
// document although it lies where documents lie. Not here: what is in the file (schema/parse.ts).

import { NAME_PATTERN, NODE_NAME_PATTERN } from './patterns.ts';
import type { DocumentKind } from './documents.ts';
import { shortened } from './plain.ts';
import { problemCodes } from './problem-codes.ts';
import type { Problem } from './problems.ts';

/**
 * What a path says; `namespace` and `name` are empty for cluster.yaml, `namespace` for nodes and
 * namespaces.
 */
export interface Identity {
  readonly kind: DocumentKind;
  readonly namespace: string;
  readonly name: string;
}

const NAME = new RegExp(NAME_PATTERN);
const NODE_NAME = new RegExp(NODE_NAME_PATTERN);

/** Folders of documents: kind, and folders between the first one and the file. */
const folders: Readonly<Record<string, { readonly kind: DocumentKind; readonly depth: number }>> = {
  nodes: { kind: 'node', depth: 2 },
  namespaces: { kind: 'namespace', depth: 2 },
  jobs: { kind: 'job', depth: 3 },
  scale: { kind: 'scale', depth: 3 },
};

/** The document that a path is, null for every other file. */
export const identityOf = (path: string): Identity | null => {
  if (path === 'cluster.yaml') return { kind: 'cluster', namespace: '', name: '' };
  const parts = path.split('/');
  const folder = folders[parts[0] ?? ''];
  const file = parts.at(-1) ?? '';
  if (folder === undefined || parts.length !== folder.depth || !file.endsWith('.yaml')) return null;
  const name = file.slice(0, -'.yaml'.length);
  const namespace = folder.depth === 3 ? (parts[1] ?? '') : '';
  const pattern = folder.kind === 'node' ? NODE_NAME : NAME;
  const named = pattern.test(name) && (folder.depth === 2 || NAME.test(namespace));
  return named ? { kind: folder.kind, namespace, name } : null;
};

/** A place where documents lie in a folder: `jobs`, `jobs/<namespace>`, `nodes` and so on. */
export const isFolderPlace = (path: string): boolean => {
  const [top = '', ...below] = path.split('/');
  const depth = folders[top]?.depth ?? 0;
  return below.length < depth - 1 && below.every((name) => NAME.test(name));
};

/** The kind of document that a path is, null for every other file. */
export const kindOf = (path: string): DocumentKind | null => identityOf(path)?.kind ?? null;

/** Of a path in a message: nobody reads the 4,000 characters that Git allows. */
const PATH_CHARACTERS = 120;

/** A YAML file that lies among the documents and is none; null where there is nothing to say. */
export const strayFile = (path: string): Problem | null => {
  const parts = path.split('/');
  const folder = folders[parts[0] ?? ''];
  const inRoot = /^cluster\.(yml|json)$/.test(path);
  if ((folder === undefined && !inRoot) || !/\.(ya?ml|json)$/.test(path)) return null;
  if (identityOf(path) !== null) return null;
  const problem = { file: path, line: 1, column: 1 };
  const shown = shortened(path, PATH_CHARACTERS);
  if (!path.endsWith('.yaml')) {
    return {
      ...problem,
      code: 'file-unknown',
      severity: problemCodes['file-unknown'].severity,
      message: `${shown} is not read: documents end in \`.yaml\`.`,
      advice: `Rename it to ${shown.replace(/\.(yml|json)$/, '.yaml')}.`,
    };
  }
  if (folder !== undefined && parts.length !== folder.depth) {
    const names = folder.depth === 3 ? '<namespace>/<job>' : '<name>';
    const where = parts.length < folder.depth ? 'not deep enough' : 'too deep';
    return {
      ...problem,
      code: 'file-unknown',
      severity: problemCodes['file-unknown'].severity,
      message: `${shown} is not read: it lies ${where} in \`${parts[0]}/\`.`,
      advice: `Move it to ${parts[0]}/${names}.yaml.`,
    };
  }
  return {
    ...problem,
    code: 'name-invalid',
    severity: problemCodes['name-invalid'].severity,
    message: `${shown} is not read: its path is no valid name.`,
    advice: problemCodes['name-invalid'].advice,
  };
};

/** A word as a person types it in a shell: a path with spaces stays one. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
