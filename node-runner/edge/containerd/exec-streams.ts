// Our ends of an exec's FIFOs as a session's streams. In: descriptors of stdin and the outputs.
// Out: bytes, tagged and with backpressure both ways, and an orderly end. Not here: how the FIFOs
// are made and who is at the other end (exec.ts).

import { once } from 'node:events';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecSession } from '../../ports.ts';
import { RuntimeError } from '../runtime-error.ts';

export interface Streams {
  readonly output: ExecSession['output'];
  readonly write: (data: Uint8Array) => Promise<void>;
  /** Resolves when all that was written is in the FIFO and our end is closed. */
  readonly closeInput: () => Promise<void>;
  /** To be called when the process has ended: resolves when no more output can come. */
  readonly finish: () => Promise<void>;
}

type Chunk = { readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array };

/** Output that waits for a slow reader; beyond it the process itself waits. */
const QUEUE_MAX_BYTES = 1024 * 1024;
/**
 * After the process has ended, its children may hold the streams open (`sh -c 'server &'`): when
 * nothing has come for this long, the session ends anyway.
 */
const SILENCE_MAX_MS = 1_000;

/** The first descriptor is stdin, then stdout and, without a terminal, stderr. */
export const connectPipes = (fds: readonly number[]): Streams => {
  const [stdinFd, ...outputFds] = fds;
  const stdin = new Socket({ fd: stdinFd ?? -1, readable: false, writable: true });
  stdin.on('error', () => undefined);
  const outputs = outputFds.map((fd) => new Socket({ fd, readable: true, writable: false }));
  const queue: Chunk[] = [];
  let queuedBytes = 0;
  let open = outputs.length;
  let wake = (): void => undefined;
  let changed = new Promise<void>((resolve) => (wake = resolve));
  const signal = (): void => {
    wake();
    changed = new Promise<void>((resolve) => (wake = resolve));
  };
  for (const [index, socket] of outputs.entries()) {
    const stream = index === 0 ? 'stdout' : 'stderr';
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      queue.push({ stream, data });
      queuedBytes += data.length;
      if (queuedBytes >= QUEUE_MAX_BYTES) for (const each of outputs) each.pause();
      signal();
    });
    socket.on('close', () => {
      open -= 1;
      signal();
    });
  }
  const read = async function* (): AsyncGenerator<Chunk> {
    try {
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) {
          queuedBytes -= next.data.length;
          if (queuedBytes < QUEUE_MAX_BYTES) for (const each of outputs) each.resume();
          yield next;
        } else if (open === 0) return;
        else await changed;
      }
    } finally {
      for (const each of outputs) each.destroy();
    }
  };
  return {
    output: read(),
    write: (data) => writeAll(stdin, data),
    closeInput: async () => {
      if (stdin.destroyed) return;
      const closed = once(stdin, 'close');
      stdin.end();
      await closed;
    },
    finish: async () => {
      stdin.destroy();
      while (open > 0) {
        const silence = sleep(SILENCE_MAX_MS, true, { ref: false });
        const silent = await Promise.race([changed.then(() => false), silence]);
        if (silent && queuedBytes === 0) break;
      }
      for (const each of outputs) each.destroy();
    },
  };
};

const writeAll = (stdin: Socket, data: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    const ended = 'The process takes no more input: it has ended, or its input was closed.';
    if (stdin.destroyed || stdin.writableEnded) return reject(new RuntimeError('not-found', ended));
    stdin.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(new RuntimeError('not-found', ended, error));
    });
  });
