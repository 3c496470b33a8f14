// One long-lived `git cat-file --batch`: objects that lie in packs, some 20 µs each, no process
// start on the way. In: object ids. Out: objects; null where missing. Objects larger than asked for
// are thrown away as they arrive. Not here: loose objects (objects), which are read faster without
// it.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { gitEnvironment } from './command.ts';
import { messageOf, retry } from './failure.ts';
import { BATCH_SILENT_MS } from './limits.ts';

export interface GitObject {
  /** `commit`, `tree`, `blob` or `tag`. */
  readonly type: string;
  readonly size: number;
  /** null: larger than asked for. */
  readonly data: Buffer | null;
}

export interface Batch {
  /** Rejects with GitFailure (`retry`) when the process dies; the next read starts another. */
  readonly read: (oid: string, maxBytes: number) => Promise<GitObject | null>;
  readonly close: () => void;
}

interface Waiting {
  readonly maxBytes: number;
  readonly resolve: (object: GitObject | null) => void;
  readonly reject: (error: Error) => void;
}

export const createBatch = (gitDir: string): Batch => {
  let process: BatchProcess | null = null;
  return {
    read: (oid, maxBytes) => {
      if (process === null || process.ended()) process = startBatch(gitDir);
      return process.read(oid, maxBytes);
    },
    close: () => {
      process?.close();
      process = null;
    },
  };
};

interface BatchProcess extends Batch {
  readonly ended: () => boolean;
}

const startBatch = (gitDir: string): BatchProcess => {
  const child = spawn('git', [`--git-dir=${gitDir}`, 'cat-file', '--batch'], {
    env: gitEnvironment({ GIT_NO_LAZY_FETCH: '1' }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  hold(child, false);
  const waiting: Waiting[] = [];
  let ended = false;
  const end = (why: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(silence);
    child.kill('SIGKILL');
    const error = retry(`git cat-file in ${gitDir} ended: ${why}`);
    for (const one of waiting.splice(0)) one.reject(error);
  };
  const silence = setTimeout(() => {
    if (waiting.length > 0) end(`no answer for ${BATCH_SILENT_MS / 1000} s`);
  }, BATCH_SILENT_MS).unref();
  let lastWords = '';
  child.stderr.on('data', (chunk: Buffer) => {
    lastWords = chunk.toString('utf8').trim().slice(0, 500);
  });
  child.on('error', (error) => end(messageOf(error)));
  child.on('close', (code) => end(lastWords === '' ? `exit code ${code}` : lastWords));
  child.stdin.on('error', (error) => end(messageOf(error)));
  const parse = createParser(waiting);
  child.stdout.on('data', (chunk: Buffer) => {
    silence.refresh();
    parse(chunk);
    if (waiting.length === 0) hold(child, false);
  });
  return {
    ended: () => ended,
    close: () => end('closed'),
    read: (oid, maxBytes) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) {
          silence.refresh();
          hold(child, true);
        }
        waiting.push({ maxBytes, resolve, reject });
        child.stdin.write(`${oid}\n`);
      }),
  };
};

/** An idle child must not keep a finished program alive; one that owes an answer must. */
export const hold = (child: ChildProcessWithoutNullStreams, held: boolean): void => {
  const verb = held ? 'ref' : 'unref';
  child[verb]();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if (stream instanceof Socket) stream[verb]();
  }
};

interface Arriving {
  readonly type: string;
  readonly size: number;
  /** null: larger than asked for. */
  readonly into: Buffer | null;
  filled: number;
}

/** Reads `<oid> <type> <size>\n<bytes>\n` and `<oid> missing\n` from chunks of any size. */
const createParser = (waiting: Waiting[]): ((chunk: Buffer) => void) => {
  let head = Buffer.alloc(0);
  let arriving: Arriving | null = null;
  const answer = (object: GitObject | null) => waiting.shift()?.resolve(object);
  const takeHead = (chunk: Buffer, at: number): number => {
    const newline = chunk.indexOf(10, at);
    if (newline < 0) {
      head = Buffer.concat([head, chunk.subarray(at)]);
      return chunk.length;
    }
    const line = Buffer.concat([head, chunk.subarray(at, newline)]).toString('latin1');
    head = Buffer.alloc(0);
    const [, type, size] = line.split(' ');
    if (type === undefined || size === undefined) answer(null);
    else {
      const bytes = Number(size);
      const wanted = bytes <= (waiting[0]?.maxBytes ?? 0);
      arriving = { type, size: bytes, into: wanted ? Buffer.allocUnsafe(bytes) : null, filled: 0 };
    }
    return newline + 1;
  };
  const takeBody = (chunk: Buffer, at: number, body: Arriving): number => {
    const missing = body.size - body.filled;
    const end = Math.min(chunk.length, at + missing);
    if (body.into !== null) chunk.copy(body.into, body.filled, at, end);
    body.filled += end - at;
    if (body.filled < body.size || end >= chunk.length) return end;
    arriving = null;
    answer({ type: body.type, size: body.size, data: body.into });
    return end + 1; // The newline behind the body.
  };
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      at = arriving === null ? takeHead(chunk, at) : takeBody(chunk, at, arriving);
    }
  };
};
