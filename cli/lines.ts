// Pieces of a log become whole lines, with a name before each.
// In: bytes as they come, cut anywhere. Out: lines on stdout, as text or as JSON objects. Not here:
// which log, and what else of a person's asks.

import { StringDecoder } from 'node:string_decoder';
import { forTerminal } from '../schema/plain.ts';
import { toTerminal } from './attach.ts';

export interface LineWriter {
  readonly write: (stream: 'stdout' | 'stderr', data: Uint8Array) => Promise<void>;
  /** Shows a last line that has no end. */
  readonly flush: () => Promise<void>;
}

/** A longer line is cut into several: what is kept of it is bounded. */
const LINE_LENGTH = 64 * 1024;

/** As they are; on a terminal in whole lines, without what a terminal obeys. */
export const rawWriter = (): LineWriter => {
  if (!process.stdout.isTTY) return { write: toTerminal, flush: async () => undefined };
  const [out, err] = [lineWriter(tame), lineWriter(tame, 'stderr')];
  return {
    write: (stream, data) => (stream === 'stdout' ? out : err).write(stream, data),
    flush: async () => {
      await out.flush();
      await err.flush();
    },
  };
};

/** A line that a task printed, as it may stand on a terminal; into a pipe goes all of it. */
export const tame = (line: string): string => (process.stdout.isTTY ? forTerminal(line) : line);

export const lineWriter = (
  mark: (line: string) => string,
  to: 'stdout' | 'stderr' = 'stdout',
): LineWriter => {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const show = (lines: readonly string[]) =>
    toTerminal(to, Buffer.from(lines.map((line) => `${mark(line)}\n`).join('')));
  return {
    write: async (_stream, data) => {
      const lines = (rest + decoder.write(Buffer.from(data))).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_LENGTH) {
        lines.push(rest);
        rest = '';
      }
      if (lines.length > 0) await show(lines);
    },
    flush: async () => {
      const last = rest + decoder.end();
      rest = '';
      if (last !== '') await show([last]);
    },
  };
};
