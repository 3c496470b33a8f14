// A repository on this machine: where its parts lie, what its refs say, and moving a ref by
// compare-and-swap. In: a path. Out: Repository, commit ids. Reads are synchronous: refs are files
// of 41 bytes, read in every cycle. Not here: objects (objects), remotes (remote). Reftable and
// SHA-256 repositories are refused in words.

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Owner } from './command.ts';
import { broken, codeOf, messageOf, retry } from './failure.ts';
import { REF_LOCK_MS } from './limits.ts';
import { releaseLock, scratchPath, tryLock } from './lock.ts';
import { own, syncFolder } from './objects.ts';

export interface Repository {
  /** As given by the user. */
  readonly path: string;
  /** HEAD, index and the state of merges. */
  readonly gitDir: string;
  /** objects, refs, packed-refs, config: another folder only for a linked work tree. */
  readonly commonDir: string;
  /** null: bare. */
  readonly workTree: string | null;
  /** Whom new files must belong to; null when that is who we are. */
  readonly owner: Owner | null;
}

/** Finds the repository at exactly this path. Throws GitFailure (`broken`). */
export const openRepository = (place: string): Repository => {
  const root = path.resolve(place);
  if (!fs.existsSync(root)) {
    throw broken(`there is no repository at ${place}: the folder does not exist. Check the path`);
  }
  const inner = path.join(root, '.git');
  const hasInner = fs.existsSync(inner);
  const gitDir = hasInner ? followGitFile(inner) : root;
  if (!fs.existsSync(path.join(gitDir, 'HEAD'))) {
    throw broken(`${place} is not a Git repository. Make it one with: purser init, or git init`);
  }
  const commonDir = followCommonDir(gitDir);
  const config = readText(path.join(commonDir, 'config')) ?? '';
  if (/^\s*refstorage\s*=\s*reftable/im.test(config)) {
    throw broken(
      `${place} keeps its refs as a reftable, which Purser does not read. ` +
        'Run: git refs migrate --ref-format=files',
    );
  }
  if (/^\s*objectformat\s*=\s*sha256/im.test(config)) {
    throw broken(`${place} is a SHA-256 repository; Purser reads SHA-1 repositories only`);
  }
  const bare = !hasInner || /^\s*bare\s*=\s*true/im.test(config);
  return { path: place, gitDir, commonDir, workTree: bare ? null : root, owner: ownerOf(gitDir) };
};

const followGitFile = (inner: string): string => {
  if (fs.statSync(inner).isDirectory()) return inner;
  const target = /^gitdir: (.+)$/m.exec(fs.readFileSync(inner, 'utf8'))?.[1];
  if (target === undefined) throw broken(`${inner} is neither a folder nor a link to one`);
  return path.resolve(path.dirname(inner), target.trim());
};

const followCommonDir = (gitDir: string): string => {
  const common = readText(path.join(gitDir, 'commondir'));
  return common === null ? gitDir : path.resolve(gitDir, common.trim());
};

const ownerOf = (gitDir: string): Owner | null => {
  const { uid, gid } = fs.statSync(gitDir);
  return process.getuid?.() === 0 && uid !== 0 ? { uid, gid } : null;
};

/** null where the file does not exist. */
export const readText = (file: string): string | null => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' || codeOf(error) === 'EISDIR') {
      return null;
    }
    throw retry(`${file} cannot be read: ${messageOf(error)}`);
  }
};

/** Symbolic refs that point to symbolic refs: git's own bound. */
const SYMREF_DEPTH = 5;

/** The commit that a full ref name (`refs/heads/main`) stands at; null when it does not exist. */
export const readRef = (repository: Repository, ref: string): string | null => {
  let name = ref;
  for (let depth = 0; depth < SYMREF_DEPTH; depth += 1) {
    const text = readText(`${repository.commonDir}/${name}`)?.trim();
    if (text === undefined) return packedRef(repository, name);
    if (!text.startsWith('ref: ')) return OID.test(text) ? text : null;
    name = text.slice('ref: '.length);
  }
  return null;
};

const OID = /^[0-9a-f]{40}$/;

/** The branch that HEAD of the work tree is on (`refs/heads/main`); null when detached. */
export const checkedOut = (repository: Repository): string | null => {
  const text = readText(path.join(repository.gitDir, 'HEAD'))?.trim() ?? '';
  return text.startsWith('ref: ') ? text.slice('ref: '.length) : null;
};

/** packed-refs may hold thousands of tags: parsed again only when the file is another one. */
const packedMemory = new Map<string, { readonly stamp: string; readonly refs: PackedRefs }>();
type PackedRefs = ReadonlyMap<string, string>;

const packedRefs = (repository: Repository): PackedRefs => {
  const file = `${repository.commonDir}/packed-refs`;
  const stat = fs.statSync(file, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return new Map();
  const stamp = `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
  const known = packedMemory.get(file);
  if (known?.stamp === stamp) return known.refs;
  const refs = new Map<string, string>();
  for (const line of (readText(file) ?? '').split('\n')) {
    if (line.startsWith('#') || line.startsWith('^')) continue;
    if (line.length > 41) refs.set(line.slice(41), line.slice(0, 40));
  }
  packedMemory.set(file, { stamp, refs });
  return refs;
};

const packedRef = (repository: Repository, ref: string): string | null =>
  packedRefs(repository).get(ref) ?? null;

/** Names of the branches that exist, for a message; at most ten. */
export const someBranches = (repository: Repository): readonly string[] => {
  const names = [...packedRefs(repository).keys()].filter((ref) => ref.startsWith('refs/heads/'));
  const heads = path.join(repository.commonDir, 'refs/heads');
  const loose = fs.existsSync(heads) ? fs.readdirSync(heads, { recursive: true }) : [];
  for (const entry of loose) {
    const ref = `refs/heads/${String(entry)}`;
    if (readRef(repository, ref) !== null) names.push(ref);
  }
  return [...new Set(names.map((ref) => ref.slice('refs/heads/'.length)))].toSorted().slice(0, 10);
};

export interface RefMove {
  readonly ref: string;
  readonly to: string;
  /** What it must stand at now: null = must not exist, undefined = whatever it is. */
  readonly from: string | null | undefined;
  /** A line for the reflog, where the repository keeps one. */
  readonly note: string;
  readonly by: { readonly name: string; readonly email: string };
  readonly epochSeconds: number;
}

/**
 * Moves a ref as git does: lock file, compare, fsync, rename. False when it stood somewhere else.
 * The value is written beside the lock, not into it, so that the lock says to the end who holds it.
 */
export const moveRef = async (repository: Repository, move: RefMove): Promise<boolean> => {
  const file = path.join(repository.commonDir, move.ref);
  const lock = `${file}.lock`;
  await makeFolders(repository, path.dirname(file));
  await takeLock(lock, repository);
  const value = scratchPath(repository.commonDir, 'ref');
  try {
    const now = readRef(repository, move.ref);
    if (move.from !== undefined && now !== move.from) return false;
    await fs.promises.writeFile(value, `${move.to}\n`, { mode: 0o644, flush: true });
    own(value, repository.owner);
    await fs.promises.rename(value, file);
    await syncFolder(path.dirname(file));
    appendReflogs(repository, move, now);
    return true;
  } catch (error) {
    throw retry(`${move.ref} in ${repository.path} cannot be moved: ${messageOf(error)}`);
  } finally {
    fs.rmSync(value, { force: true });
    releaseLock(lock);
  }
};

const takeLock = async (lock: string, repository: Repository): Promise<void> => {
  const pauseMs = 20;
  for (let waitedMs = 0; tryLock(lock, repository.commonDir) === 'held'; waitedMs += pauseMs) {
    if (waitedMs >= REF_LOCK_MS) {
      throw retry(`${lock} is held. If no git command is running, remove it: rm -f ${lock}`);
    }
    await sleep(pauseMs);
  }
};

const makeFolders = async (repository: Repository, folder: string): Promise<void> => {
  if (fs.existsSync(folder)) return;
  await makeFolders(repository, path.dirname(folder));
  try {
    await fs.promises.mkdir(folder, { recursive: true });
    own(folder, repository.owner);
  } catch (error) {
    throw broken(`${folder} cannot be made: ${messageOf(error)}. Check permissions`);
  }
};

/**
 * Only where git keeps reflogs already (work trees do): `git reflog` must show what moved the
 * branch.
 */
const appendReflogs = (repository: Repository, move: RefMove, from: string | null): void => {
  const who = `${move.by.name} <${move.by.email}> ${move.epochSeconds} +0000`;
  const line = `${from ?? '0'.repeat(40)} ${move.to} ${who}\t${move.note.split('\n')[0]}\n`;
  const logs = [path.join(repository.commonDir, 'logs', move.ref)];
  if (checkedOut(repository) === move.ref) logs.push(path.join(repository.gitDir, 'logs/HEAD'));
  for (const log of logs) if (fs.existsSync(log)) fs.appendFileSync(log, line);
};

/** Removes a ref that only this program uses (a mirror's). */
export const dropRef = (repository: Repository, ref: string): void =>
  fs.rmSync(path.join(repository.commonDir, ref), { force: true });
