// Logs of tasks: one file a run, kept small by copying and truncating, since the shim holds the
// file open for append.
// In: the state folder. Out: paths for new runs, rotation, reading with tail and follow. Files of
// task t, run 2: `t.2.log` is written to, `t.2.log.1` is older, `t.2.log.2` older still. Not here:
// who writes them.

import { appendFile, copyFile, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { EndOfLogAsk } from '../../ports.ts';
import { errnoOf } from '../failure.ts';
import { layoutOf } from './layout.ts';

export interface LogLimits {
  /** A file is rotated when it is larger. */
  readonly fileBytes: number;
  /** Files kept a run, the one that is written to included. */
  readonly files: number;
  /** Runs kept a task, the present one included. */
  readonly runs: number;
}

/**
 * 10 MiB × 3 as Docker's and the kubelet's usual settings; runs as `previous` rarely goes further
 * back.
 */
export const DEFAULT_LOG_LIMITS: LogLimits = { fileBytes: 10 * 1024 * 1024, files: 3, runs: 3 };

const FILE_NAME = /^(.+)\.(\d+)\.log$/;

/** Runs of a task that have a log, oldest first. */
export const runsOf = async (folder: string, task: string): Promise<readonly number[]> => {
  const names = await readdir(folder).catch(noneWhenAbsent);
  return names
    .flatMap((name) => {
      const [, owner, run] = FILE_NAME.exec(name) ?? [];
      return owner === task ? [Number(run)] : [];
    })
    .toSorted((a, b) => a - b);
};

export const logPath = (folder: string, task: string, run: number): string =>
  join(folder, `${task}.${run}.log`);

/**
 * Where the next run of a task writes. The file is not made: while nobody writes there, the file
 * before it stays the present one, so asking again, or for a task that runs on, changes nothing.
 * An empty log is used again.
 */
export const nextLogPath = async (folder: string, task: string): Promise<string> => {
  const last = (await runsOf(folder, task)).at(-1) ?? 0;
  const { size } = await stat(logPath(folder, task, last)).catch(() => ({ size: 1 }));
  return logPath(folder, task, size === 0 ? last : last + 1);
};

/**
 * One pass over all logs below the state folder: rotates what is too large, removes runs that are
 * too old.
 */
export const rotateLogs = async (root: string, limits = DEFAULT_LOG_LIMITS): Promise<void> => {
  const logs = layoutOf(root).logs;
  for (const allocation of await readdir(logs).catch(noneWhenAbsent)) {
    const folder = join(logs, allocation);
    const names = await readdir(folder).catch(noneWhenAbsent);
    for (const task of new Set(names.flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []))) {
      const runs = await runsOf(folder, task);
      const kept = runs.slice(-limits.runs);
      for (const run of runs.filter((one) => !kept.includes(one)))
        await removeRun(logPath(folder, task, run), limits);
      for (const run of kept) await rotateFile(logPath(folder, task, run), limits);
    }
  }
};

const removeRun = async (path: string, limits: LogLimits): Promise<void> => {
  await rm(path, { force: true });
  for (let age = 1; age <= limits.files; age += 1) await rm(`${path}.${age}`, { force: true });
};

const rotateFile = async (path: string, limits: LogLimits): Promise<void> => {
  const size = await sizeOf(path);
  if (size === null || size <= limits.fileBytes) return;
  const partial = `${path}.partial`;
  await copyFile(path, partial);
  await copyRest(path, partial);
  // Truncate first, then show the copy: a follower that finds a new copy knows that the file begins
  // anew, and one that finds the file short and no new copy looks again.
  const file = await open(path, 'r+');
  try {
    await file.truncate(0);
  } finally {
    await file.close();
  }
  for (let age = limits.files - 1; age > 1; age -= 1)
    await rename(`${path}.${age - 1}`, `${path}.${age}`).catch(noneWhenAbsent);
  await rename(partial, `${path}.1`);
};

/**
 * What was written while we copied; what comes between the last look and the truncation
 * (microseconds) is lost.
 */
const copyRest = async (path: string, copy: string): Promise<void> => {
  for (let round = 0; round < COPY_ROUNDS; round += 1) {
    const done = (await sizeOf(copy)) ?? 0;
    if (((await sizeOf(path)) ?? 0) <= done) return;
    const file = await open(path, 'r');
    try {
      for await (const chunk of chunksFrom(file, done)) await appendFile(copy, chunk);
    } finally {
      await file.close();
    }
  }
};

/** A task that writes faster than we copy must not hold rotation for ever. */
const COPY_ROUNDS = 5;
/** Bytes a read, and the most that a slow reader keeps in memory. */
const CHUNK_BYTES = 64 * 1024;

/** Bytes from a position to the present end. */
export async function* chunksFrom(
  file: FileHandle,
  position: number,
): AsyncGenerator<Uint8Array, number> {
  let at = position;
  for (;;) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, at);
    if (bytesRead === 0) return at;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

export const sizeOf = async (path: string): Promise<number | null> =>
  (await stat(path).catch(nullWhenAbsent))?.size ?? null;

const nullWhenAbsent = (error: unknown): null => {
  if (errnoOf(error) === 'ENOENT') return null;
  throw error;
};

const noneWhenAbsent = (error: unknown): readonly string[] => {
  nullWhenAbsent(error);
  return [];
};

/** containerd's shim writes a program's last words a moment after its end is known. */
const STILL_MS = 100;
const STILL_LOOKS = 10;

/**
 * The last bytes of a run's log; those of the file before it too where it was just rotated. A run
 * that has written nothing is passed over: it was made and not started.
 */
export const endOfLog = async (
  folder: string,
  { task, run, bytes }: Omit<EndOfLogAsk, 'allocation'>,
): Promise<string> => {
  await untilStill(folder, task);
  const written: number[] = [];
  for (const one of await runsOf(folder, task)) {
    const path = logPath(folder, task, one);
    if ((await sizeOf(path)) !== 0 || (await sizeOf(`${path}.1`)) !== null) written.push(one);
  }
  const wanted = written.at(run === 'newest' ? -1 : -2);
  if (wanted === undefined) return '';
  const path = logPath(folder, task, wanted);
  const end = await endOfFile(path, bytes);
  const rest = bytes - end.length;
  const before = rest > 0 ? await endOfFile(`${path}.1`, rest) : Buffer.alloc(0);
  return Buffer.concat([before, end]).toString('utf8');
};

/** Waits until a log has something in it that grows no more, for STILL_LOOKS at most. */
const untilStill = async (folder: string, task: string): Promise<void> => {
  const written = async (): Promise<number> => {
    const runs = await runsOf(folder, task);
    const sizes = await Promise.all(runs.map((run) => sizeOf(logPath(folder, task, run))));
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  };
  let before = await written();
  for (let look = 0; look < STILL_LOOKS; look += 1) {
    await sleep(STILL_MS);
    const now = await written();
    if (now > 0 && now === before) return;
    before = now;
  }
};

const endOfFile = async (path: string, bytes: number): Promise<Buffer> => {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const length = Math.min(size, bytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};
