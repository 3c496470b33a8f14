// The merge as Git makes it, where the one in memory meets a file that both sides changed: Git puts
// lines together and finds renames, and so do the hosts. In: two commits, where their objects lie.
// Out: a merge, its new objects in memory only. The system's git works in a folder of its own, with
// none of the user's or the repository's settings, so no driver and no hook of theirs runs, and
// writes nothing to the repository. Not here: merges where each file has one side (merge).

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compareText } from '../../../schema/ids.ts';
import { runGit } from './command.ts';
import { FILE_BYTES, MERGE_CONFLICTS, TREE_BYTES } from './limits.ts';
import { mergeCommit, type Merge, type MergeAsk, type MergeStore } from './merge.ts';
import { createObjects } from './objects.ts';
import { hasGit } from './store.ts';
import { isSameCluster, matters } from './tree.ts';

/** Trees and files that a merge makes anew: more is no pull request that somebody reads. */
const NEW_OBJECTS = 5000;
const MERGE_MS = 10_000;
/** `merge-tree --write-tree` says so; anything else is no answer. */
const CLEAN = 0;
const CONFLICTS = 1;

/** null: there is no git, an old one, or it gave no answer in time. */
export const mergeByGit = async (
  store: MergeStore,
  commonDir: string,
  ask: MergeAsk,
): Promise<Merge | null> => {
  if (!hasGit()) return null;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'purser-merge-'));
  try {
    prepare(folder, commonDir);
    const verb = ['merge-tree', '--write-tree', '-z', '--name-only'];
    const { code, stdout } = await runGit({
      args: [`--git-dir=${folder}`, ...verb, ask.base, ask.head],
      env: { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_NO_LAZY_FETCH: '1' },
      timeoutMs: MERGE_MS,
    });
    if (code !== CLEAN && code !== CONFLICTS) return null;
    const [tree = '', ...words] = stdout.toString('utf8').split('\0');
    const files = conflictsIn(words).flatMap((name) => belowDirectory(name, ask.directory));
    if (files.length > 0) return conflictIn(files);
    if (!(await take(store, folder))) return null;
    const { folders } = store;
    const ours = await folders.commit(ask.base);
    if (await isSameCluster(folders, [ours.tree, tree], ask.directory)) return UNTOUCHED;
    return { kind: 'merged', commit: await mergeCommit(store, { ...ask, tree }) };
  } catch {
    // What the merge in memory said stands.
    return null;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
};

const UNTOUCHED: Merge = { kind: 'untouched' };

/**
 * Files in conflict, an empty word, and for each message: how many paths, the paths, its kind, its
 * text. Files that a renamed folder would take along, with another one in their way, stand in a
 * message alone.
 */
const conflictsIn = (words: readonly string[]): readonly string[] => {
  const end = words.indexOf('');
  const names = words.slice(0, Math.max(end, 0));
  const told: string[] = [];
  for (let at = end + 1; Number(words[at]) > 0;) {
    const kindAt = at + 1 + Number(words[at]);
    const paths = words.slice(at + 1, kindAt);
    const isNamed = paths.some((one) => names.includes(one));
    if (!isNamed && words[kindAt]?.startsWith('CONFLICT') === true) told.push(...paths);
    at = kindAt + 2;
  }
  return [...names, ...told];
};

/** A repository without settings that sees the objects of the other one. */
const prepare = (folder: string, commonDir: string): void => {
  for (const name of ['refs', 'objects/info']) {
    fs.mkdirSync(path.join(folder, name), { recursive: true });
  }
  fs.writeFileSync(path.join(folder, 'HEAD'), 'ref: refs/heads/none\n');
  const objects = path.resolve(commonDir, 'objects');
  fs.writeFileSync(path.join(folder, 'objects/info/alternates'), `${objects}\n`);
};

/** The path below the cluster's directory, where it matters to the cluster. */
const belowDirectory = (name: string, directory: string): readonly string[] => {
  const prefix = directory === '' ? '' : `${directory}/`;
  if (name === '' || !name.startsWith(prefix)) return [];
  const inner = name.slice(prefix.length);
  return matters({ name: inner.split('/')[0] ?? '' }) ? [inner] : [];
};

const conflictIn = (files: readonly string[]): Merge => ({
  kind: 'conflict',
  files: [...new Set(files)].toSorted(compareText).slice(0, MERGE_CONFLICTS),
});

/** What Git has made is brought into memory; false: it is too much. */
const take = async (store: MergeStore, folder: string): Promise<boolean> => {
  const objects = createObjects({ commonDir: folder, owner: null, batch: null });
  const made = fs
    .readdirSync(path.join(folder, 'objects'))
    .filter((shard) => /^[0-9a-f]{2}$/.test(shard))
    .flatMap((shard) =>
      fs.readdirSync(path.join(folder, 'objects', shard)).map((rest) => shard + rest),
    );
  if (made.length > NEW_OBJECTS) return false;
  for (const oid of made) {
    const object = await objects.read(oid, Math.max(FILE_BYTES, TREE_BYTES));
    if (object === null || object.data === null) return false;
    if (object.type !== 'tree' && object.type !== 'blob') return false;
    store.add({ type: object.type, data: object.data });
  }
  return true;
};
