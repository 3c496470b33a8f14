// Git's lock files, taken so that one left behind by a reconciler that was killed is known as such
// and taken over. In: a lock's path. Out: taken or held. The lock holds who took it, from the first
// moment on: it is written elsewhere and linked into place. Locks of git itself hold no such words
// and are respected for ever. Not here: what is done under a lock (refs, work-tree).

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { broken, codeOf, messageOf } from './failure.ts';

/**
 * Takes the lock, or says that somebody who lives holds it. Throws GitFailure (`broken`) where it
 * cannot be made.
 */
export const tryLock = (lock: string, scratchFolder: string): 'taken' | 'held' => {
  if (held.has(lock)) return 'held';
  const taken = take(lock, scratchFolder);
  if (taken) held.add(lock);
  return taken ? 'taken' : 'held';
};

/** Gives back what `tryLock` took. */
export const releaseLock = (lock: string): void => {
  held.delete(lock);
  fs.rmSync(lock, { force: true });
};

/**
 * A file of our own beside git's, for a moment. Its name says who made it, so that one left behind
 * by a process that was killed is known as such.
 */
export const scratchPath = (folder: string, what: 'index' | 'lock' | 'ref'): string => {
  const { pid } = process;
  const chance = randomBytes(4).toString('hex');
  return path.join(folder, `purser-${what}-${pid}-${beganAt(pid)}-${chance}`);
};

/** `.lock`: git's own, beside a copy of the index that it worked on. */
const SCRATCH = /^purser-(?:index|lock|ref)-(\d+)-(\d+|gone)-[0-9a-f]{8}(?:\.lock)?$/;

/** Removes what processes that are gone have left in a folder. What cannot be read is left. */
export const sweepScratch = (folder: string): void => {
  for (const name of namesIn(folder)) {
    const [, pid, began] = SCRATCH.exec(name) ?? [];
    if (pid === undefined || beganAt(Number(pid)) === began) continue;
    fs.rmSync(path.join(folder, name), { force: true });
  }
};

/** Removes the locks in a folder that processes that are gone have left: git respects them. */
export const sweepLocks = (folder: string, reach: 'here' | 'below'): void => {
  for (const name of namesIn(folder, reach)) {
    const lock = path.join(folder, name);
    if (name.endsWith('.lock') && isLeftOver(lock)) fs.rmSync(lock, { force: true });
  }
};

const namesIn = (folder: string, reach: 'here' | 'below' = 'here'): readonly string[] => {
  try {
    return fs.readdirSync(folder, { recursive: reach === 'below', encoding: 'utf8' });
  } catch {
    return [];
  }
};

/**
 * What this process holds: a lock with its name that is not among these was carried off with its
 * folder while it was held, and brought back.
 */
const held = new Set<string>();

const take = (lock: string, scratchFolder: string): boolean => {
  const words = scratchPath(scratchFolder, 'lock');
  try {
    fs.writeFileSync(words, `${markOf(process.pid)}\n`, { mode: 0o644 });
    if (place(words, lock)) return true;
    if (!isLeftOver(lock)) return false;
    fs.rmSync(lock, { force: true });
    return place(words, lock);
  } catch (error) {
    throw broken(`${lock} cannot be written: ${messageOf(error)}. Check permissions`);
  } finally {
    fs.rmSync(words, { force: true });
  }
};

/** File systems without hard links: then the words follow a moment later. */
const NO_LINKS: ReadonlySet<string | null | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EXDEV',
  'EMLINK',
]);

const place = (words: string, lock: string): boolean => {
  try {
    fs.linkSync(words, lock);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    if (!NO_LINKS.has(codeOf(error))) throw error;
  }
  try {
    fs.copyFileSync(words, lock, fs.constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
};

/** Ours, and its process is gone or does not know of it. */
const isLeftOver = (lock: string): boolean => {
  const [name, pid, began] = textOf(lock).trim().split(' ');
  if (name !== 'purser' || pid === undefined || began === undefined) return false;
  if (Number(pid) === process.pid) return !held.has(lock);
  return markOf(Number(pid)) !== `purser ${pid} ${began}`;
};

/** Numbers of processes are used again: when it began, and in which boot, tells them apart. */
const markOf = (pid: number): string => {
  const boot = textOf('/proc/sys/kernel/random/boot_id').trim();
  return `purser ${pid} ${beganAt(pid)}@${boot}`;
};

/** In ticks since the boot; `gone` where there is no such process. */
const beganAt = (pid: number): string => {
  const stat = textOf(`/proc/${pid}/stat`);
  // The name of the program stands in brackets and may hold blanks; the beginning is the 20th word
  // after it.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
};

const textOf = (file: string): string => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
