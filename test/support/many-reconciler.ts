// One real reconciler for many runners: dist/main.js as a process that listens by TLS, on a loopback
// address of its own, so that a port that it gives up for a restart is nobody else's.
// In: a root folder, a repository. Out: a process that is killed and started anew at one address, what
// it costs. Not here: runners (many-runners.ts), who may come in (many-nodes.ts).

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../cli/client.ts';
import { prefer, RECONCILER_NODE_FLAGS, RECONCILER_PRIORITY } from '../../cli/up/children.ts';
import type { StateAnswer } from '../../schema/control.ts';
import { inNetns } from './netns.ts';

export interface ManyReconciler {
  /** `tls:HOST:PORT`, the same at every start. */
  readonly address: string;
  /** SIGKILL; gone when this resolves. */
  readonly kill: () => Promise<void>;
  /** Another one, at the same address; resolves once it listens, with the instant of its spawn. */
  readonly start: () => Promise<number>;
  readonly cost: () => ProcessCost;
  readonly state: () => Promise<StateAnswer>;
}

export interface ProcessCost {
  readonly cpuMs: number;
  readonly megabytes: number;
  readonly peakMegabytes: number;
}

export interface ManyReconcilerAsk {
  readonly root: string;
  readonly cluster: string;
  readonly repository: string;
  /** A network namespace, on all addresses of which it listens; absent: a loopback address of the machine. */
  readonly netns?: string;
}

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/main.js');
const START_MAX_MS = 60_000;

export const startManyReconciler = async (ask: ManyReconcilerAsk): Promise<ManyReconciler> => {
  const { root, cluster, repository, netns } = ask;
  const log = path.join(root, 'reconciler.log');
  const socket = path.join(root, 'control.sock');
  let listen = netns === undefined ? `${ownLoopback()}:0` : '0.0.0.0:7420';
  let child: ChildProcess | null = null;
  let starts = 0;
  const start = async (): Promise<number> => {
    const place = ['--root', root, '--socket', socket, '--repository', repository];
    const words = ['reconciler', ...place, '--cluster', cluster, '--listen', listen];
    fs.rmSync(socket, { force: true });
    const file = fs.openSync(log, 'a');
    const at = performance.timeOrigin + performance.now();
    const mine = [...RECONCILER_NODE_FLAGS, PROGRAM, ...words, '--end-with-stdin'];
    const [command, ...args] = inNetns(netns ?? null, [process.execPath, ...mine]);
    child = spawn(command, args, { stdio: ['pipe', file, file] });
    fs.closeSync(file);
    if (child.pid !== undefined) prefer(child.pid, RECONCILER_PRIORITY);
    starts += 1;
    listen = await addressIn(log, { starts, child });
    return at;
  };
  await start();
  return {
    address: `tls:${listen}`,
    start,
    kill: async () => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    cost: () => costOf(child?.pid ?? 0),
    state: async () => {
      const control = await connect(socket);
      try {
        return await control.call<StateAnswer>('state');
      } finally {
        control.close();
      }
    },
  };
};

/** One of 127.0.0.0/8 that no other program is likely to use. */
const ownLoopback = (): string =>
  `127.${1 + (process.pid % 250)}.${1 + (Math.floor(process.pid / 250) % 250)}.1`;

/** What the nth start says where it listens. */
const addressIn = async (
  log: string,
  { starts, child }: { readonly starts: number; readonly child: ChildProcess },
): Promise<string> => {
  const until = performance.now() + START_MAX_MS;
  for (;;) {
    const text = fs.readFileSync(log, 'utf8');
    const found = [...text.matchAll(/"tls":"([^"]+)"/g)][starts - 1]?.[1];
    if (found !== undefined) return found;
    if (child.exitCode !== null || performance.now() > until) {
      throw new Error(`the reconciler does not listen: ${text.slice(-LOG_CHARACTERS)}`);
    }
    await sleep(10);
  }
};

/** The end of a log that is shown where a start failed. */
const LOG_CHARACTERS = 2000;
/** Linux counts the CPU time of processes in these. */
const TICK_MS = 10;

/** Fields 14 and 15 of stat are user and system time. */
export const costOf = (pid: number): ProcessCost => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytesOf = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? Number.NaN) / 1024;
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    megabytes: megabytesOf('VmRSS'),
    peakMegabytes: megabytesOf('VmHWM'),
  };
};
