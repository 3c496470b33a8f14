// Real members of etcd for tests (Debian's etcd-server): processes of their own on loopback, or each on
// a host of its own, with a folder of its own. In: how many. Out: where they answer, and ways to kill,
// suspend and start each. Not here: what is kept there.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inNetns } from './netns.ts';

export interface Etcd {
  /** `host:port` of each member. */
  readonly hosts: readonly string[];
  /** SIGKILL; resolves when it is gone. */
  readonly kill: (member: number) => Promise<void>;
  /** Starts one that was killed, with the data that it had. */
  readonly start: (member: number) => void;
  readonly signal: (member: number, signal: 'SIGSTOP' | 'SIGCONT') => void;
  /** Until a member answers that a majority is there. */
  readonly ready: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface EtcdExtra {
  /** More words for each member, which all answer at these addresses. */
  readonly flags?: (hosts: readonly string[]) => readonly string[];
  readonly scheme?: 'http' | 'https';
  /** One for each member, which also answers on that host's own loopback, as LOCAL_ETCD. */
  readonly hosts?: readonly { readonly netns: string; readonly address: string }[];
}

/** What a program on a member's own host is told. */
export const LOCAL_ETCD = '127.0.0.1:2379';

/** Far longer than a start takes on a busy machine. */
const READY_LIMIT_MS = 60_000;
const READY_STEP_MS = 50;

/** Addresses of this loopback are our own: ports need not be looked for, which would be a race. */
const loopback = (): string => {
  const part = () => 1 + Math.floor(Math.random() * 250);
  return `127.${part()}.${part()}`;
};

export const startEtcd = async (count = 3, extra: EtcdExtra = {}): Promise<Etcd> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'petcd-'));
  const net = loopback();
  const scheme = extra.scheme ?? 'http';
  const members = Array.from({ length: count }, (_, at) => ({
    name: `m${at}`,
    host: extra.hosts?.[at]?.address ?? `${net}.${at + 1}`,
  }));
  const cluster = members.map(({ name, host }) => `${name}=http://${host}:2380`).join(',');
  const flags = extra.flags?.(members.map(({ host }) => host)) ?? [];
  const running = new Map<number, ChildProcess>();
  let said = '';
  const start = (at: number) => {
    const { name, host } = members[at] ?? { name: '', host: '' };
    const client = `${scheme}://${host}:2379`;
    const netns = extra.hosts?.[at]?.netns ?? null;
    const local = netns === null ? '' : `,${scheme}://${LOCAL_ETCD}`;
    const words = [
      ['--name', name],
      ['--data-dir', path.join(folder, name)],
      ['--listen-peer-urls', `http://${host}:2380`],
      ['--initial-advertise-peer-urls', `http://${host}:2380`],
      ['--listen-client-urls', client + local],
      ['--advertise-client-urls', client],
      // How it is asked whether it is there, however others have to show who they are.
      ['--listen-metrics-urls', `http://${host}:2381`],
      ['--initial-cluster', cluster],
      ['--initial-cluster-token', net],
      ['--logger', 'zap'],
      ['--log-outputs', 'stderr'],
    ].flat();
    const [command, ...args] = inNetns(netns, ['etcd', ...words, ...flags]);
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (data: Buffer) => {
      said = (said + data.toString()).slice(-4000);
    });
    running.set(at, child);
  };
  const kill = async (at: number) => {
    const child = running.get(at);
    running.delete(at);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const isReady = async (): Promise<boolean> => {
    for (const { host } of members) {
      const answer = await fetch(`http://${host}:2381/health`).catch(() => null);
      if (answer?.ok === true) return true;
    }
    return false;
  };
  const ready = async () => {
    const until = performance.now() + READY_LIMIT_MS;
    while (!(await isReady())) {
      if (performance.now() > until) throw new Error(`etcd did not start: ${said}`);
      await sleep(READY_STEP_MS);
    }
  };
  for (const at of members.keys()) start(at);
  await ready();
  return {
    hosts: members.map(({ host }) => `${host}:2379`),
    kill,
    start,
    signal: (at, signal) => void running.get(at)?.kill(signal),
    ready,
    close: async () => {
      await Promise.all(members.map((_, at) => kill(at)));
      await rm(folder, { recursive: true, force: true });
    },
  };
};
