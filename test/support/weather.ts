// Bad weather between hosts of a test cluster: packets that are lost in one direction or both, some or
// all of them, and lines that are slow. By nftables and traffic control inside the hosts' own
// namespaces, so that nothing outlives them.
// In: hosts. Out: a way to undo each. Not here: a cable that is cut (`ip link`, cable below), what
// comes of it.
//
// Packets are dropped where they arrive: who sends them is told nothing, as on a real network. Lines
// are made slow by their rate (tbf): what is sent waits in the queue. Debian's kernels have netem,
// which delays without that, as a module; kernels of virtual machines often do not.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { TestHost } from './cluster.ts';

const exec = promisify(execFile);

/** Ends this piece of bad weather; safe to repeat. */
export type Clearing = () => Promise<void>;

const inside = ({ netns }: Pick<TestHost, 'netns'>, ...words: readonly string[]) =>
  exec('nsenter', [`--net=/run/netns/${netns}`, ...words]);

const once = (clear: () => Promise<unknown>): Clearing => {
  let isOver = false;
  return async () => {
    if (isOver) return;
    isOver = true;
    await clear();
  };
};

export interface Loss {
  readonly from: Pick<TestHost, 'address'>;
  readonly to: Pick<TestHost, 'netns'>;
  /** Absent: all of it. */
  readonly percent?: number;
}

/** What one host sends to another does not arrive; the other direction is as it was. */
export const lose = async ({ from, to, percent = 100 }: Loss): Promise<Clearing> => {
  const table = `weather-${randomBytes(4).toString('hex')}`;
  const some = percent === 100 ? '' : `numgen random mod 100 < ${percent} `;
  const hook = 'type filter hook prerouting priority -400; policy accept;';
  const rule = `ip saddr ${from.address} ${some}drop;`;
  const rules = `table ip ${table} { chain arrivals { ${hook} ${rule} }; }`;
  const set = inside(to, 'nft', '-f', '-');
  set.child.stdin?.end(rules);
  await set;
  return once(() => inside(to, 'nft', 'delete', 'table', 'ip', table));
};

/** Two hosts that hear nothing of each other; others hear both. */
export const part = async (one: TestHost, other: TestHost): Promise<Clearing> =>
  all([await lose({ from: one, to: other }), await lose({ from: other, to: one })]);

/** A host that hears nothing of an address outside the test's namespaces, and so cannot reach it. */
export const deafen = (to: TestHost, address: string): Promise<Clearing> =>
  lose({ from: { address }, to });

/** A host's cable is slow in both directions, in kbit a second. */
export const slow = async (host: TestHost, kbits: number): Promise<Clearing> => {
  const rate = ['root', 'tbf', 'rate', `${kbits}kbit`, 'burst', '3000', 'latency', '5s'];
  await inside(host, 'tc', 'qdisc', 'replace', 'dev', 'eth0', ...rate);
  await exec('tc', ['qdisc', 'replace', 'dev', host.cable, ...rate]);
  return once(async () => {
    await inside(host, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root');
    await exec('tc', ['qdisc', 'del', 'dev', host.cable, 'root']);
  });
};

/** The cable itself is cut, for all that goes through it. */
export const cut = async ({ cable }: Pick<TestHost, 'cable'>): Promise<Clearing> => {
  await exec('ip', ['link', 'set', cable, 'down']);
  return once(() => exec('ip', ['link', 'set', cable, 'up']));
};

export const all =
  (clearings: readonly Clearing[]): Clearing =>
  async () => {
    for (const clear of clearings) await clear();
  };
