// The leader of three reconcilers is killed: from the end of its lease, as etcd itself has it, to the
// next plan, of the reconciler that leads then. Real programs, three real members of etcd, one
// repository, no nodes. Floor: the key is gone from etcd, after the kill; a bare look at the key every
// few milliseconds, in the same rounds, sees it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../cli/client.ts';
import { RECONCILER_NODE_FLAGS } from '../../cli/up/children.ts';
import type { StateAnswer } from '../../schema/control.ts';
import { startEtcd } from '../../test/support/etcd.ts';
import { type Ends, withEnds } from '../support/ends.ts';
import { type Figure, ms, quantile, spread } from '../support/figure.ts';
import { createHistory } from '../support/history.ts';

const MEMBERS = 3;
const JOBS = 100;
const ROUNDS = 8;
const LEASE_S = 3;
const GOAL_MS = 3000;
const LIMIT_MS = 120_000;
const LOOK_MS = 10;
const KEY = Buffer.from('purser/bench/leader').toString('base64');
const DIGEST = `sha256:${'a'.repeat(64)}`;
const PROGRAM = path.resolve(import.meta.dirname, '../../dist/main.js');

export const leaderLost: Figure = {
  name: 'leader-lost',
  what: "leader killed → the next leader's plan, beyond the end of the lease",
  run: ({ count, say }) =>
    withEnds(async (ends) => {
      const root = ends.folder();
      const etcd = await startEtcd();
      ends.add(etcd.close);
      const history = createHistory({
        root,
        jobs: JOBS,
        commits: 1,
        folders: 10,
        text: (job) => `image: bench.local/app${job}:1@${DIGEST}\n`,
        others: { 'cluster.yaml': 'name: bench\npolicies: { registries: [bench.local] }\n' },
      });
      const members = startMembers(ends, { root, repository: history.folder, etcd: etcd.hosts });
      const beyond: number[] = [];
      const leaseOver: number[] = [];
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        const leader = await planned(members, null);
        await allFollow(members, leader);
        const killedAt = performance.now();
        await leader.kill();
        const endedAt = await keyGone(etcd.hosts, leader.name);
        const next = await planned(members, leader);
        const late = Math.max(0, next.plannedAt - endedAt);
        beyond.push(late);
        leaseOver.push(endedAt - killedAt);
        say(
          `round ${round}: lease over after ${ms(endedAt - killedAt)}, planned ${ms(late)} later`,
        );
        leader.start();
      }
      const p99 = quantile(beyond, 0.99);
      return [
        {
          what: `leader of ${MEMBERS} killed → next plan, beyond the lease's end, lease of ${LEASE_S} s`,
          ours: `${spread(beyond)}, p99 ${ms(p99)}`,
          floor: `key gone from etcd ${spread(leaseOver)} after the kill`,
          result: `p99 ${ms(p99)}`,
          goal: `≤ ${GOAL_MS / 1000} s`,
          met: p99 <= GOAL_MS,
        },
      ];
    }),
};

interface Member {
  readonly name: string;
  readonly socket: string;
  readonly start: () => void;
  readonly kill: () => Promise<void>;
}

interface Shared {
  readonly root: string;
  readonly repository: string;
  readonly etcd: readonly string[];
}

const startMembers = (ends: Ends, { root, repository, etcd }: Shared): readonly Member[] =>
  Array.from({ length: MEMBERS }, (_, at) => {
    const name = `r${at + 1}`;
    const own = path.join(root, name);
    fs.mkdirSync(own);
    const place = ['--root', own, '--link', `unix:${own}/link.sock`, '--end-with-stdin'];
    const source = ['--repository', repository, '--cluster', 'bench', '--name', name];
    const net = etcd[0]?.replace(/\.\d+:\d+$/, '');
    const lead = ['--listen', `${net}.${at + 11}:7420`, '--etcd', etcd.join()];
    const words = [...place, ...source, ...lead, '--lease', `${LEASE_S}s`];
    let child: ChildProcess | null = null;
    const start = () => {
      const log = fs.openSync(path.join(root, `${name}.log`), 'a');
      const args = [...RECONCILER_NODE_FLAGS, PROGRAM, 'reconciler', ...words];
      child = spawn(process.execPath, args, { stdio: ['pipe', log, log] });
      fs.closeSync(log);
    };
    const kill = async () => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    };
    start();
    ends.add(kill);
    return { name, socket: path.join(own, 'control.sock'), start, kill };
  });

const stateOf = async ({ socket }: Member): Promise<StateAnswer | null> => {
  try {
    const control = await connect(socket);
    try {
      return await control.call<StateAnswer>('state');
    } finally {
      control.close();
    }
  } catch {
    return null;
  }
};

/** Until one of them leads, another than this one, and has planned since. */
const planned = async (
  members: readonly Member[],
  besides: Member | null,
): Promise<Member & { readonly plannedAt: number }> => {
  const limit = performance.now() + LIMIT_MS;
  const began = performance.now();
  /** When each was last seen not to lead. */
  const standby = new Map<string, number>();
  while (performance.now() < limit) {
    for (const member of members.filter(({ name }) => name !== besides?.name)) {
      const askedAt = performance.now();
      const { view = null, leader } = (await stateOf(member)) ?? {};
      if (leader?.leads !== true) standby.set(member.name, askedAt);
      if (view === null || leader?.leads !== true) continue;
      // A standby plans too: what counts is a plan that was made since it leads.
      const plannedAt = performance.now() - view.ageMs;
      if (plannedAt >= (standby.get(member.name) ?? began)) return { ...member, plannedAt };
    }
    await sleep(LOOK_MS);
  }
  throw new Error('nobody leads');
};

/** The others know who leads, so that they are as warm as they will be. */
const allFollow = async (members: readonly Member[], { name }: Member): Promise<void> => {
  const limit = performance.now() + LIMIT_MS;
  while (performance.now() < limit) {
    const states = await Promise.all(members.map(stateOf));
    if (states.every((state) => state?.leader?.leader?.name === name)) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`the others do not follow ${name}`);
};

/** Until etcd has the key no more, or it is another's. */
const keyGone = async (hosts: readonly string[], name: string): Promise<number> => {
  const limit = performance.now() + LIMIT_MS;
  while (performance.now() < limit) {
    const body = JSON.stringify({ key: KEY });
    const answer = await fetch(`http://${hosts[0]}/v3/kv/range`, { method: 'POST', body });
    const { kvs = [] } = (await answer.json()) as { readonly kvs?: readonly { value: string }[] };
    const [found] = kvs;
    const member = found && JSON.parse(Buffer.from(found.value, 'base64').toString('utf8'));
    if ((member as { name?: string } | undefined)?.name !== name) return performance.now();
    await sleep(LOOK_MS);
  }
  throw new Error('the lease does not end');
};
