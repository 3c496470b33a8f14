// Reads the log of a task: its last lines, and what is added, over rotations and restarts of the
// task.
// In: allocation, task, options. Out: pieces of at most 64 KiB; the reader's pace is kept, nothing
// is read ahead. Not here: writing, rotating, telling stdout from stderr (the shim merges them).

import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { RuntimeError } from '../runtime-error.ts';
import { refuseBadName } from '../safe-name.ts';
import { layoutOf } from './layout.ts';
import { DEFAULT_LOG_LIMITS, chunksFrom, logPath, runsOf, sizeOf } from './logs.ts';

export interface ReadLogAsk {
  readonly root: string;
  readonly allocation: string;
  readonly task: string;
  /** Lines from the end; null: everything that is kept. */
  readonly tail: number | null;
  /** Goes on until `signal`, also into later runs of the task. */
  readonly follow: boolean;
  /** How many runs back: 0 is the present or last one. */
  readonly previous: number;
  readonly signal?: AbortSignal;
}

/** How long a new line may wait before a follower sees it; a look costs two stat calls. */
const POLL_MS = 200;

/**
 * Throws RuntimeError `not-found` when there is no such log; with `follow` it waits for one, and
 * ends when the allocation's logs are removed, with all that was written until then.
 */
export async function* readLog(ask: ReadLogAsk): AsyncGenerator<Uint8Array, void> {
  refuseBadName(ask.allocation);
  refuseBadName(ask.task);
  const folder = join(layoutOf(ask.root).logs, ask.allocation);
  const runs = await runsOf(folder, ask.task);
  const run = runs.at(-1 - ask.previous) ?? null;
  if (run === null && !(ask.follow && ask.previous === 0)) throw noLog(ask, runs.length);
  let followed = run === null ? null : await openRun(folder, { task: ask.task, run });
  try {
    if (followed !== null) followed.place = yield* readKept(followed.path, ask.tail);
    while (ask.follow && ask.signal?.aborted !== true) {
      const newest = (await runsOf(folder, ask.task)).at(-1) ?? 0;
      const isRemoved = followed !== null && (await followed.file.stat()).nlink === 0;
      if (followed !== null) followed.place = yield* readNew(followed);
      // Later runs go on; none, or earlier ones: the allocation's logs are gone, or on their way.
      if (isRemoved && newest <= (followed?.run ?? 0)) return;
      if (ask.previous > 0 && followed?.run !== newest) return;
      if (newest > (followed?.run ?? 0)) {
        await followed?.file.close();
        followed = await openRun(folder, { task: ask.task, run: newest });
        continue;
      }
      await sleep(POLL_MS, undefined, ask.signal === undefined ? {} : { signal: ask.signal }).catch(
        () => undefined,
      );
    }
  } finally {
    await followed?.file.close();
  }
}

/**
 * How far a reader came: a position, and which copy was the newest then (its inode, 0 when there
 * was none).
 */
interface Place {
  readonly at: number;
  readonly rotation: number;
}

/** Held open: a log that is removed between two looks can still be read to its end. */
interface OpenRun {
  readonly run: number;
  readonly path: string;
  readonly file: FileHandle;
  place: Place;
}

/** null: it was removed a moment ago. */
const openRun = async (
  folder: string,
  { task, run }: { readonly task: string; readonly run: number },
): Promise<OpenRun | null> => {
  const path = logPath(folder, task, run);
  const file = await open(path, 'r').catch(() => null);
  return file === null ? null : { run, path, file, place: { at: 0, rotation: 0 } };
};

const rotationOf = async (path: string): Promise<number> =>
  (await stat(`${path}.1`).catch(() => null))?.ino ?? 0;

/** Everything kept of a run, or its last lines, oldest file first. */
async function* readKept(path: string, tail: number | null): AsyncGenerator<Uint8Array, Place> {
  const rotation = await rotationOf(path);
  const files = [path];
  for (let age = 1; age < DEFAULT_LOG_LIMITS.files; age += 1) {
    if ((await sizeOf(`${path}.${age}`)) !== null) files.unshift(`${path}.${age}`);
  }
  const starts = tail === null ? files.map(() => 0) : await tailStarts(files, tail);
  let at = 0;
  for (const [index, file] of files.entries()) {
    const start = starts[index];
    if (start !== undefined && start !== null) at = yield* readFrom(file, start);
  }
  return { at, rotation };
}

async function* readNew({ path, file, place }: OpenRun): AsyncGenerator<Uint8Array, Place> {
  const rotation = await rotationOf(path);
  const { size, nlink } = await file.stat();
  // Removed: its copies went with it, so nothing tells of a rotation any more.
  if (nlink === 0) return { ...place, at: yield* chunksFrom(file, place.at) };
  // Between two renames of a rotation there is no newest copy: look again.
  if (rotation === 0 && place.rotation !== 0) return place;
  // A copy begins where the file began, so what was not read yet is in it at the same position.
  if (rotation !== place.rotation) {
    yield* readFrom(`${path}.1`, place.at);
    return { at: yield* chunksFrom(file, 0), rotation };
  }
  // Truncated a moment ago, its copy not yet seen: look again.
  if (size < place.at) return place;
  return { ...place, at: yield* chunksFrom(file, place.at) };
}

async function* readFrom(path: string, position: number): AsyncGenerator<Uint8Array, number> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return position;
  try {
    return yield* chunksFrom(file, position);
  } finally {
    await file.close();
  }
}

/**
 * For each file where its part of the last `lines` lines begins; null: it has none. Looks from
 * the end backwards.
 */
const tailStarts = async (
  files: readonly string[],
  lines: number,
): Promise<readonly (number | null)[]> => {
  const starts: (number | null)[] = files.map(() => null);
  let missing = lines;
  for (let index = files.length - 1; index >= 0 && missing > 0; index -= 1) {
    const file = await open(files[index] ?? '', 'r').catch(() => null);
    if (file === null) continue;
    try {
      const found = await startOfLines(file, missing);
      starts[index] = found.start;
      missing -= found.lines;
    } finally {
      await file.close();
    }
  }
  // The present file is always read: its end is where following goes on.
  const { length } = files;
  if (starts[length - 1] === null)
    starts[length - 1] = (await sizeOf(files[length - 1] ?? '')) ?? 0;
  return starts;
};

const NEWLINE = 10;
const BACK_BYTES = 64 * 1024;

const startOfLines = async (
  file: FileHandle,
  wanted: number,
): Promise<{ readonly start: number; readonly lines: number }> => {
  const { size } = await file.stat();
  let lines = 0;
  let end = size;
  while (end > 0) {
    const begin = Math.max(0, end - BACK_BYTES);
    const buffer = Buffer.alloc(end - begin);
    await file.read(buffer, 0, buffer.length, begin);
    for (let index = buffer.length - 1; index >= 0; index -= 1) {
      // The newline that ends the last line begins no line.
      if (buffer[index] !== NEWLINE || begin + index === size - 1) continue;
      lines += 1;
      if (lines === wanted) return { start: begin + index + 1, lines };
    }
    end = begin;
  }
  return { start: 0, lines: size === 0 ? 0 : lines + 1 };
};

const noLog = (ask: ReadLogAsk, runs: number): RuntimeError =>
  new RuntimeError(
    'not-found',
    runs === 0
      ? `task "${ask.task}" of ${ask.allocation} has no log: it has not started on this node`
      : `task "${ask.task}" of ${ask.allocation} has no earlier run: it ran ${runs === 1 ? 'once' : `${runs} times`}`,
  );
