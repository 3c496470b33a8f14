// The real dig, as a person would ask: one question, one try.
// In: a server and words. Out: what it printed. Not here: what is expected.

import { tryCommand } from '../../node-runner/edge/command.ts';

export interface Server {
  readonly address: string;
  readonly port: number;
  /** Path of a network namespace to ask from; absent: this process's own. */
  readonly from?: string;
  /** How long an answer is waited for; what must not come is waited for less. */
  readonly seconds?: number;
}

export interface Dug {
  /** `NOERROR`, `NXDOMAIN`…; null: no answer came. */
  readonly status: string | null;
  /** Such as `qr aa rd ra`. */
  readonly flags: readonly string[];
  /** Data of the records of the answer, sorted. */
  readonly answers: readonly string[];
  readonly text: string;
}

/** Only what must not come is waited for a short time. */
const SECONDS = 20;

export const dig = async (server: Server, ...words: readonly string[]): Promise<Dug> => {
  const { address, port, from, seconds = SECONDS } = server;
  const args = [`@${address}`, '-p', String(port), '+tries=1', `+time=${seconds}`, ...words];
  const inside = from === undefined ? [] : [`--net=${from}`, '--', 'dig'];
  const program = from === undefined ? 'dig' : 'nsenter';
  const { stdout } = await tryCommand({ program, args: [...inside, ...args] });
  const section = /;; ANSWER SECTION:\n((?:[^;\n].*\n)*)/.exec(stdout)?.[1] ?? '';
  return {
    status: /status: (\w+)/.exec(stdout)?.[1] ?? null,
    flags: (/;; flags: ([\w ]*);/.exec(stdout)?.[1] ?? '').split(' '),
    answers: section
      .split('\n')
      .flatMap((line) => /^\S+\s+\d+\s+IN\s+\S+\s+(.*)$/.exec(line)?.[1] ?? [])
      .toSorted(),
    text: stdout,
  };
};
