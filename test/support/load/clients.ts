// Clients of a load test as processes of their own, each in the network namespace that it would live
// in. In: whom each asks, how often. Out: counts of all together, and failures as text. Not here:
// how a request is made (asker.ts).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { prefer } from '../../../cli/up/children.ts';
import type { Fault } from '../../../bench/support/ask.ts';
import { inNetns } from '../netns.ts';

/** `new`: a connection each; `kept`: connections are used again; `slow`: new, and takes 300 ms. */
export type Way = 'new' | 'kept' | 'slow';

export interface AskerPlan {
  readonly to:
    | { readonly kind: 'proxy'; readonly host: string; readonly port: number }
    /** Address of the name server. */
    | { readonly kind: 'dns'; readonly server: string };
  readonly services: readonly string[];
  readonly perSecond: Readonly<Partial<Record<Way, number>>>;
}

export interface AskerCounts {
  readonly asked: number;
  /** Those that ended, well or not. */
  readonly answered: number;
  readonly failed: number;
  readonly slowestMs: number;
  /** Longest until both names were known. */
  readonly slowestLookUpMs: number;
  /** Longest that the client did not run during one request. */
  readonly latestMs: number;
}

interface Failed {
  /** Milliseconds since 1970 at which it began. */
  readonly at: number;
  readonly way: Way;
  readonly whom: string;
  readonly fault: Fault;
  readonly tookMs: number;
  readonly connectedMs: number | null;
  readonly lateMs: number;
}

export type FromAsker =
  | { readonly kind: 'counts'; readonly counts: AskerCounts }
  | { readonly kind: 'failed'; readonly failure: Failed };

export interface ClientAsk {
  readonly name: string;
  /** null: the machine's. */
  readonly netns: string | null;
  readonly plan: AskerPlan;
}

export interface Clients {
  readonly counts: () => Readonly<Record<string, AskerCounts>>;
  /** Each with its reason, its time, the copy, and what was being changed. */
  readonly failures: readonly string[];
  /** Waits for the answers that are under way. */
  readonly stop: () => Promise<void>;
}

/** Of the asking processes, as of `nice`: they must not be what is late. */
const PRIORITY = -15;
const NONE: AskerCounts = {
  asked: 0,
  answered: 0,
  failed: 0,
  slowestMs: 0,
  slowestLookUpMs: 0,
  latestMs: 0,
};

/** `doing`: what was being changed at that instant. */
export const startClients = (
  asks: readonly ClientAsk[],
  doing: (at: number) => string,
): Clients => {
  const failures: string[] = [];
  const all = asks.map((ask) => {
    const child = startAsker(ask);
    let counts = NONE;
    child.on('message', (message: FromAsker) => {
      if (message.kind === 'counts') counts = message.counts;
      else failures.push(`${failureText(ask.name, message.failure)}; ${doing(message.failure.at)}`);
    });
    return { name: ask.name, child, ended: once(child, 'exit'), counts: () => counts };
  });
  return {
    failures,
    counts: () => Object.fromEntries(all.map(({ name, counts }) => [name, counts()])),
    stop: async () => {
      for (const { child } of all) if (child.connected) child.send('stop');
      const ends = await Promise.all(all.map(({ ended }) => ended));
      const died = ends.find(([code]) => code !== 0);
      if (died !== undefined) throw new Error(`a client ended with ${String(died)}`);
    },
  };
};

const startAsker = ({ netns, plan }: ClientAsk) => {
  const script = path.join(import.meta.dirname, 'asker.ts');
  const words = ['--import', 'tsx', script, JSON.stringify(plan)];
  const [command, ...args] = inNetns(netns, [process.execPath, ...words]);
  const child = spawn(command, args, {
    cwd: path.resolve(import.meta.dirname, '../../..'),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  if (child.pid !== undefined) prefer(child.pid, PRIORITY);
  return child;
};

const failureText = (client: string, failure: Failed): string => {
  const { at, way, whom, fault, tookMs, connectedMs, lateMs } = failure;
  const connection =
    connectedMs === null ? 'no connection' : `connection after ${connectedMs.toFixed(0)} ms`;
  return (
    `${new Date(at).toISOString()} ${client} (${way}): ${fault.kind}: ${whom}: ${fault.words}; ` +
    `${connection}, given up after ${tookMs.toFixed(0)} ms, the client did not run for ${lateMs.toFixed(0)}`
  );
};
