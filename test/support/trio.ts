// Three reconcilers of one cluster as real processes, over one Git server and three members of etcd:
// all of them in the machine's own network, or each on a host of its own.
// In: a cluster of cluster.ts whose reconciler is the first of them. Out: the three, who leads, ways
// to wait for that. Not here: what is deployed.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '../../cli/client.ts';
import type { StateAnswer } from '../../schema/control.ts';
import { RECONCILER_PRIORITY } from '../../cli/up/children.ts';
import type { Cluster, TestHost } from './cluster.ts';
import { type Program, program } from './cluster-process.ts';

const exec = promisify(execFile);
const MAIN = resolve(import.meta.dirname, '../../dist/main.js');

export interface Member {
  readonly name: string;
  readonly root: string;
  readonly program: Program;
  /** null: the machine's own network. */
  readonly host: TestHost | null;
}

export interface Trio {
  readonly members: readonly Member[];
  /** What each says that runs and answers. */
  readonly states: () => Promise<readonly Said[]>;
  /** Until this holds of one that leads; which one, and what it says. */
  readonly untilLed: (what: string, holds: (said: Said) => boolean) => Promise<Said>;
  readonly until: (what: string, holds: () => Promise<boolean>) => Promise<void>;
  /** Until the runners were told where all three are: they are with the answer to a report. */
  readonly known: () => Promise<void>;
  /** A command, asked of this one. */
  readonly purser: (member: Member, ...args: readonly string[]) => Promise<string>;
  /** A command that goes on, asked of this one: what it has said by now, and its end. */
  readonly follow: (member: Member, ...args: readonly string[]) => Following;
  readonly close: () => Promise<void>;
}

export interface Following {
  readonly said: () => string;
  readonly end: () => Promise<void>;
}

export interface Said {
  readonly member: Member;
  readonly state: StateAnswer;
}

export interface TrioOptions {
  readonly cluster: Cluster;
  /** Of the Git server. */
  readonly url: string;
  /** What all of them are told of etcd. */
  readonly words: readonly string[];
  /** Names of the cluster's hosts that they live on, the first's first; absent: beside each other. */
  readonly hosts?: readonly string[];
  /** How far the wall clocks of r2 and r3 are off, as `+10m`. */
  readonly clocks?: Readonly<Record<string, string>>;
}

const LIMIT_MS = 120_000;
const STEP_MS = 100;
/** One that is suspended answers nobody. */
const ANSWER_MS = 2000;
const LINES = 15;

/** Brings the second and the third up, from a backup of the first. */
export const startTrio = async (options: TrioOptions): Promise<Trio> => {
  const { cluster } = options;
  const { root, reconciler } = cluster;
  const first: Member = { name: 'r1', root, program: reconciler, host: hostAt(options, 1) };
  const backup = join(cluster.root, 'backup.tgz');
  await cluster.purser('backup', backup);
  const others = [2, 3].map((at) => memberOf(options, at));
  for (const { root: own, program: one } of others) {
    await purser(own, 'restore', backup);
    one.start();
  }
  const members = [first, ...others];
  const states = async () => {
    const all = await Promise.all(members.map((member) => ask(member)));
    return all.flatMap((said) => (said === null ? [] : [said]));
  };
  const until: Trio['until'] = async (what, holds) => {
    const end = performance.now() + LIMIT_MS;
    while (performance.now() < end) {
      if (await holds()) return;
      await sleep(STEP_MS);
    }
    const told = await Promise.all(members.map(describe));
    const nodes = cluster.nodes.map(({ runner }) => `${runner.name}\n${runner.tail(LINES)}`);
    throw new Error([`not within ${LIMIT_MS} ms: ${what}`, ...told, ...nodes].join('\n'));
  };
  return {
    members,
    states,
    until,
    untilLed: async (what, holds) => {
      let found: Said | undefined;
      await until(what, async () => {
        const led = (await states()).filter(({ state }) => state.leader?.leads === true);
        found = led.find(holds);
        return found !== undefined;
      });
      if (found === undefined) throw new Error(what);
      return found;
    },
    known: () =>
      until('the runners know of all three', async () =>
        cluster.nodes.every(({ root: own }) => placesOf(own).length === members.length),
      ),
    purser: ({ root: own }, ...args) => purser(own, ...args),
    follow,
    close: async () => {
      for (const { program: one } of others) await one.end('SIGTERM');
    },
  };
};

/** What a runner was told of where reconcilers are. */
const placesOf = (nodeRoot: string): readonly string[] => {
  const file = join(nodeRoot, 'reconcilers.json');
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly reconcilers: readonly string[] })
    .reconcilers;
};

const hostAt = ({ cluster, hosts }: TrioOptions, at: number): TestHost | null =>
  hosts === undefined ? null : cluster.host(hosts[at - 1] ?? '');

const memberOf = (options: TrioOptions, at: number): Member => {
  const { cluster, url, words } = options;
  const { root, hub, logins, proxy } = cluster;
  const name = `r${at}`;
  const host = hostAt(options, at);
  // Beside each other they need a port each.
  const listens = host === null ? `${hub}:${7419 + at}` : `${host.address}:7420`;
  const own = join(root, name);
  const place = ['--root', own, '--cluster', 'e2e', '--repository', url];
  const registries = ['--registry-credentials', logins, '--insecure-registry', proxy.host];
  const args = [MAIN, 'reconciler', ...place, ...registries, '--listen', listens];
  return {
    name,
    root: own,
    host,
    program: program({
      name: `the reconciler ${name}`,
      args: () => [...args, ...words, '--name', name, '--end-with-stdin'],
      log: join(root, `logs/${name}.log`),
      netns: host?.netns ?? null,
      env: {},
      priority: RECONCILER_PRIORITY,
      clock: () => options.clocks?.[name] ?? null,
    }),
  };
};

const purser = async (root: string, ...args: readonly string[]): Promise<string> =>
  (await exec(process.execPath, [MAIN, ...args, '--root', root])).stdout;

const follow = ({ root }: Member, ...args: readonly string[]): Following => {
  const child = spawn(process.execPath, [MAIN, ...args, '--root', root]);
  const ended = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  }
  return {
    said: () => said,
    end: async () => {
      child.kill('SIGINT');
      await ended;
    },
  };
};

/** null: it does not answer. */
const ask = async (member: Member): Promise<Said | null> => {
  if (!member.program.isRunning()) return null;
  try {
    const control = await connect(join(member.root, 'control.sock'));
    try {
      const late = sleep(ANSWER_MS, null, { ref: false });
      const state = await Promise.race([control.call<StateAnswer>('state'), late]);
      return state === null ? null : { member, state };
    } finally {
      control.close();
    }
  } catch {
    return null;
  }
};

const describe = async (member: Member): Promise<string> => {
  const state = (await ask(member))?.state;
  const said = JSON.stringify(state?.leader ?? null);
  return `--- ${member.name}: ${said} ${state?.failure ?? ''}\n${member.program.tail(LINES)}`;
};
