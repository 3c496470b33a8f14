// Network namespaces for several nodes on one machine: one each, joined by a bridge, reachable from
// the machine.
// In: node names. Out: namespaces with an address. A single node lives in the machine's own network
// instead.
// Not here: the namespaces of allocations (node-runner/edge/network).

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';

const exec = promisify(execFile);

export interface NodeNetwork {
  readonly netns: string;
  readonly address: string;
}

/**
 * 10.86.x.0/24 with x from the root's path, so that two clusters on one machine do not meet by
 * accident.
 */
const subnetOf = (root: string): string => {
  const byte = createHash('sha256').update(root).digest()[0] ?? 0;
  return `10.86.${byte}`;
};

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
  const subnet = subnetOf(root);
  if (!(await exists('link', 'show', hub))) {
    await ip('link', 'add', hub, 'type', 'bridge');
    await ip('address', 'add', `${subnet}.1/24`, 'dev', hub);
    await ip('link', 'set', hub, 'up');
  }
  const made = new Map<string, NodeNetwork>();
  for (const [index, node] of nodes.entries()) {
    const netns = netnsName(root, node);
    const address = `${subnet}.${10 + index}`;
    if (!(await exists('netns', 'exec', netns, 'true'))) {
      await joinNode({ hub, netns, address, gateway: `${subnet}.1`, veth: `${hub}-${index}` });
    }
    made.set(node, { netns, address });
  }
  return made;
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
  for (const node of nodes) {
    const netns = netnsName(root, node);
    if (await exists('netns', 'exec', netns, 'true')) await ip('netns', 'del', netns);
  }
  const hub = hubName(root);
  if (await exists('link', 'show', hub)) await ip('link', 'del', hub);
};
