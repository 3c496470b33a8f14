// A client of the jobs: reads addresses as a script would, from `status --json`, and has a process
// of its own ask every copy that is healthy and not stopping, all the time. In: a cluster. Out:
// counts, and failures with what is known of the copy. Not here: what happens to the jobs.

import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { prefer } from '../../cli/up/children.ts';
import type { Fault } from './ask.ts';
import type { BenchCluster } from './cluster.ts';
import { followCopies } from './copy-history.ts';
import { epochMs } from './repository.ts';

const READ_EVERY_MS = 1000;
/** Of the asking process, as of `nice`: it must not be what is late. */
const ASKER_PRIORITY = -15;

const exec = promisify(execFile);

/**
 * Addresses, and when they were asked for and had; instants are milliseconds since 1970. After
 * `goodUntil` nobody promises that they are any good: they are not asked.
 */
export interface Known {
  readonly copies: readonly { readonly allocation: string; readonly address: string }[];
  readonly askedAt: number;
  readonly readAt: number;
  readonly goodUntil: number;
}

export interface Failure {
  readonly allocation: string;
  readonly address: string;
  readonly path: string;
  /** The request began. */
  readonly at: number;
  readonly askedAt: number;
  readonly readAt: number;
  readonly fault: Fault;
  readonly tookMs: number;
  readonly connectedMs: number | null;
  readonly lateMs: number;
}

export interface AskerCounts {
  readonly asked: number;
  readonly failed: number;
  /** Longest until an answer, or until it was given up. */
  readonly slowestMs: number;
  /** Longest that the client did not run during one request. */
  readonly latestMs: number;
  /** How long in all nobody was asked, since the newest addresses were too old. */
  readonly withoutMs: number;
}

export type ToAsker = { readonly kind: 'known'; readonly known: Known } | { readonly kind: 'stop' };

export type ToParent =
  | { readonly kind: 'counts'; readonly counts: AskerCounts }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface Counts extends AskerCounts {
  readonly reads: number;
  /** Reads that failed. */
  readonly unread: number;
  readonly longestReadMs: number;
}

export interface Client {
  /** Resolves once so many copies are known. */
  readonly knows: (copies: number) => Promise<void>;
  readonly counts: () => Counts;
  /** The first ones, with what happened to their copies, for people. */
  readonly failures: () => readonly string[];
  readonly stop: () => Promise<void>;
}

/** What this client reads of `status --json`. */
interface Status {
  readonly jobs: readonly {
    readonly copies: readonly {
      readonly allocation: string;
      readonly health: string;
      readonly stopping: boolean;
      readonly addresses: readonly string[];
    }[];
  }[];
}

const FAILURES_SHOWN = 20;

/** `goodForMs`: so long after they were asked for addresses may be used (rules 10.6). */
export const startClient = async (cluster: BenchCluster, goodForMs: number): Promise<Client> => {
  const history = await followCopies(cluster);
  const asker = startAsker();
  let known: Known['copies'] = [];
  let stopped = false;
  const reading = { reads: 0, unread: 0, longestReadMs: 0 };
  const reader = async (): Promise<void> => {
    while (!stopped) {
      reading.reads += 1;
      const askedAt = epochMs();
      try {
        known = await readAddresses(cluster.root);
        const readAt = epochMs();
        reading.longestReadMs = Math.max(reading.longestReadMs, readAt - askedAt);
        const goodUntil = askedAt + goodForMs;
        asker.tell({ kind: 'known', known: { copies: known, askedAt, readAt, goodUntil } });
      } catch {
        reading.unread += 1;
      }
      await sleep(Math.max(0, READ_EVERY_MS - (epochMs() - askedAt)));
    }
  };
  const running = reader();
  return {
    knows: async (copies) => {
      while (known.length < copies) await sleep(READ_EVERY_MS);
    },
    counts: () => ({ ...asker.counts(), ...reading }),
    failures: () =>
      asker.failures
        .slice(0, FAILURES_SHOWN)
        .map((one) => `${failureText(one)}; ${history.tell(one.allocation, one.at)}`),
    stop: async () => {
      stopped = true;
      await Promise.all([running, asker.stop()]);
      history.close();
    },
  };
};

const readAddresses = async (root: string): Promise<Known['copies']> => {
  const program = path.resolve(import.meta.dirname, '../../dist/main.js');
  const args = [program, 'status', '--json', '--root', root];
  const { stdout } = await exec(process.execPath, args, { maxBuffer: 1 << 26 });
  const { jobs } = JSON.parse(stdout) as Status;
  return jobs
    .flatMap(({ copies }) => copies)
    .filter(({ health, stopping }) => health === 'healthy' && !stopping)
    .flatMap(({ allocation, addresses }) => addresses.map((address) => ({ allocation, address })));
};

const startAsker = () => {
  const child = fork(path.join(import.meta.dirname, 'asker.ts'), { stdio: 'inherit' });
  if (child.pid !== undefined) prefer(child.pid, ASKER_PRIORITY);
  let counts: AskerCounts = { asked: 0, failed: 0, slowestMs: 0, latestMs: 0, withoutMs: 0 };
  const failures: Failure[] = [];
  const ended = once(child, 'exit');
  child.on('message', (message: ToParent) => {
    if (message.kind === 'counts') counts = message.counts;
    else failures.push(message.failure);
  });
  const tell = (message: ToAsker): void => {
    if (child.connected) child.send(message);
  };
  return {
    tell,
    counts: () => counts,
    failures,
    stop: async () => {
      tell({ kind: 'stop' });
      await ended;
    },
  };
};

const failureText = (failure: Failure): string => {
  const { allocation, address, path: asked, at, askedAt, readAt, fault } = failure;
  const { tookMs, connectedMs, lateMs } = failure;
  const connection =
    connectedMs === null ? 'no connection' : `connection after ${connectedMs.toFixed(0)} ms`;
  return (
    `${fault.kind}: ${asked} of ${allocation} at ${address}: ${fault.words}; ${connection}, ` +
    `given up after ${tookMs.toFixed(0)} ms, of which the client did not run ${lateMs.toFixed(0)}; ` +
    `addresses asked for ${(at - askedAt).toFixed(0)} ms and had ${(at - readAt).toFixed(0)} ms before`
  );
};
