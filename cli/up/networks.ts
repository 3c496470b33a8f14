// Network namespaces for several nodes on one machine: one each, joined by a bridge, reachable from
// the machine.
// In: node names. Out: namespaces with an address. A single node lives in the machine's own network
// instead.
// Not here: the namespaces of allocations (node-runner/edge/network).

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import {
  addressOf,
  chooseSubnet,
  gatewayOf,
  parseSubnet,
  type Subnet,
} from '../../node-runner/edge/network/subnet.ts';
import { CommandError } from '../command-error.ts';

const exec = promisify(execFile);

export interface NodeNetwork {
  readonly netns: string;
  readonly address: string;
}

/** Nodes of one machine: a /24 each cluster, addresses .10 and up. */
const RANGE = { within: { base: 10 * 2 ** 24 + 86 * 2 ** 16, prefixLength: 16 }, prefixLength: 24 };

const shortOf = (root: string): string =>
  createHash('sha256').update(root).digest('hex').slice(0, 6);

/** Names of one root's bridge and of its nodes' namespaces. */
export const hubName = (root: string): string => `psr-${shortOf(root)}`;
export const netnsName = (root: string, node: string): string => `purser-${shortOf(root)}-${node}`;

const ip = async (...args: readonly string[]): Promise<string> =>
  (await exec('ip', [...args])).stdout;

const exists = (...args: readonly string[]): Promise<boolean> =>
  ip(...args).then(
    () => true,
    () => false,
  );

/** Makes what is missing; safe to repeat. At most 200 nodes: addresses are .10 and up. */
export const joinNodes = async (
  root: string,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, NodeNetwork>> => {
  const hub = hubName(root);
  const present = await subnetOfHub(hub);
  if (present !== null) await keepMac(hub);
  const subnet = present ?? (await makeHub(root, hub));
  const gateway = gatewayOf(subnet);
  const made = new Map<string, NodeNetwork>();
  for (const [index, node] of nodes.entries()) {
    const netns = netnsName(root, node);
    const address = addressOf(subnet, 10 + index);
    if (!(await exists('netns', 'exec', netns, 'true'))) {
      await joinNode({ hub, netns, address, gateway, veth: `${hub}-${index}` });
    }
    made.set(node, { netns, address });
  }
  return made;
};

/** Locally administered: nobody else was given it. */
const macOf = (short: string): string => `02:70:73:${short.replaceAll(/(..)(?=.)/g, '$1:')}`;

interface Shown {
  /** Hardware address. */
  readonly address?: string;
  readonly ifname?: string;
  readonly dst?: string;
  readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number }[];
}

const shown = async (...args: readonly string[]): Promise<readonly Shown[]> =>
  JSON.parse((await ip('-j', ...args)) || '[]') as readonly Shown[];

/** What an earlier `up` chose; null: there is no bridge, or one without an address. */
const subnetOfHub = async (hub: string): Promise<Subnet | null> => {
  const [link] = await shown('-4', 'address', 'show', 'dev', hub).catch(() => []);
  const [address] = link?.addr_info ?? [];
  return address === undefined ? null : parseSubnet(`${address.local}/${address.prefixlen}`);
};

/**
 * A bridge whose hardware address nobody set has the lowest of its links': it changes when that
 * one goes, and what the nodes send to the old one is lost. One of an earlier release keeps what it
 * has.
 */
const keepMac = async (hub: string): Promise<void> => {
  const [link] = await shown('link', 'show', hub);
  if (link?.address !== undefined) await ip('link', 'set', hub, 'address', link.address);
};

/**
 * A subnet that nothing on this machine routes elsewhere: a VPN, another cluster, a bridge of
 * Docker's.
 */
const makeHub = async (root: string, hub: string): Promise<Subnet> => {
  const routes = await shown('-4', 'route', 'show', 'table', 'all');
  const taken = routes.flatMap(({ dst }) => parseSubnet(dst ?? '') ?? []);
  const subnet = chooseSubnet(root, taken, RANGE);
  if (subnet === null) {
    throw new CommandError(
      'several nodes need a /24 of 10.86.0.0/16, and routes of this machine take all of it: see `ip route`',
    );
  }
  if (!(await exists('link', 'show', hub))) await ip('link', 'add', hub, 'type', 'bridge');
  const address = `${gatewayOf(subnet)}/${subnet.prefixLength}`;
  await ip('link', 'set', hub, 'address', macOf(shortOf(root)));
  await ip('address', 'add', address, 'dev', hub);
  await ip('link', 'set', hub, 'up');
  return subnet;
};

interface Join {
  readonly hub: string;
  readonly netns: string;
  readonly address: string;
  readonly gateway: string;
  readonly veth: string;
}

const joinNode = async ({ hub, netns, address, gateway, veth }: Join): Promise<void> => {
  await ip('netns', 'add', netns);
  await ip('link', 'add', veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
  await ip('link', 'set', veth, 'master', hub, 'up');
  await ip('-n', netns, 'link', 'set', 'lo', 'up');
  await ip('-n', netns, 'address', 'add', `${address}/24`, 'dev', 'eth0');
  await ip('-n', netns, 'link', 'set', 'eth0', 'up');
  await ip('-n', netns, 'route', 'add', 'default', 'via', gateway);
};

/** Removes the namespaces and the bridge; absent is fine. */
export const partNodes = async (root: string, nodes: readonly string[]): Promise<void> => {
  const hub = hubName(root);
  // The kernel would take them with their namespaces, but later, when it has the time.
  const cables = await shown('link', 'show', 'master', hub).catch(() => []);
  for (const { ifname } of cables) {
    if (ifname !== undefined) await ip('link', 'del', ifname).catch(() => undefined);
  }
  for (const node of nodes) {
    const netns = netnsName(root, node);
    if (await exists('netns', 'exec', netns, 'true')) await ip('netns', 'del', netns);
  }
  if (await exists('link', 'show', hub)) await ip('link', 'del', hub);
};
