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
 * What this process holds: a lock with its name that is not among these was carried off with its
 * folder while it was held, and brought back.
 */
const held = new Set<string>();

const take = (lock: string, scratchFolder: string): boolean => {
  const words = path.join(scratchFolder, `purser-lock-${randomBytes(4).toString('hex')}`);
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
  if (Number(pid) === process.pid) return true;
  return markOf(Number(pid)) !== `purser ${pid} ${began}`;
};

/** Numbers of processes are used again: when it began, and in which boot, tells them apart. */
const markOf = (pid: number): string => {
  const stat = textOf(`/proc/${pid}/stat`);
  // The name of the program stands in brackets and may hold blanks; the beginning is the 20th word
  // after it.
  const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
  const boot = textOf('/proc/sys/kernel/random/boot_id').trim();
  return `purser ${pid} ${began}@${boot}`;
};

const textOf = (file: string): string => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
