// The environment of a task: the image's, the job's, and what Purser tells every task.
// In: body, task, image, chosen ports, node. Out: `NAME=value` lines as the OCI specification wants
// them. PURSER_* and `${node.*}` do not form the version (product.md). Not here: the rest of the
// specification.

import type { AllocationBody } from '../../schema/orders.ts';
import type { TaskSpec } from '../../schema/spec.ts';
import { compareText } from '../../schema/ids.ts';
import type { NodeFacts, PortChoice } from './inventory.ts';
import { DEFAULT_PATH } from './oci-defaults.ts';

/**
 * Later ones win: image, Purser's own, the job's. A task without PATH gets the usual one: runc
 * finds no command without it.
 */
export const taskEnvironment = (
  task: TaskSpec,
  imageEnvironment: readonly string[],
  place: {
    readonly body: AllocationBody;
    readonly ports: readonly PortChoice[];
    readonly node: NodeFacts;
  },
): readonly string[] => {
  const merged = new Map<string, string>([['PATH', DEFAULT_PATH]]);
  for (const line of imageEnvironment) {
    const at = line.indexOf('=');
    if (at > 0) merged.set(line.slice(0, at), line.slice(at + 1));
  }
  for (const [name, value] of purserVariables(task.name, place)) merged.set(name, value);
  for (const [name, value] of task.environment) merged.set(name, replaceNode(value, place));
  return [...merged].map(([name, value]) => `${name}=${value}`).toSorted(compareText);
};

/**
 * PURSER_JOB, PURSER_PORT_<name> (inside), PURSER_HOST_PORT_<name>, PURSER_ADDR_<name> (from other
 * nodes)…
 */
export const purserVariables = (
  task: string,
  place: {
    readonly body: AllocationBody;
    readonly ports: readonly PortChoice[];
    readonly node: NodeFacts;
  },
): readonly (readonly [string, string])[] => {
  const { body, ports, node } = place;
  return [
    ['PURSER_NAMESPACE', body.namespace],
    ['PURSER_JOB', body.job],
    ['PURSER_GROUP', body.group],
    ['PURSER_INDEX', String(body.index)],
    ['PURSER_TASK', task],
    ['PURSER_ALLOCATION', body.allocation],
    ['PURSER_NODE', node.node],
    ...ports.flatMap(({ name, port, host }) => {
      const suffix = name.replaceAll('-', '_');
      return [
        [`PURSER_PORT_${suffix}`, String(port)],
        [`PURSER_HOST_PORT_${suffix}`, String(host)],
        [`PURSER_ADDR_${suffix}`, `${node.address}:${host}`],
      ] as const;
    }),
  ];
};

/**
 * `${node.name}`, `${node.address}` and every attribute of the node, those from Git before its own;
 * what nobody knows stays as written, so that the mistake can be seen in the container.
 */
const replaceNode = (
  value: string,
  { body, node }: { readonly body: AllocationBody; readonly node: NodeFacts },
): string => {
  if (!value.includes('${node.')) return value;
  const known = new Map<string, string>([
    ...node.attributes,
    ...(body.nodeAttributes ?? []),
    ['node.name', node.node],
    ['node.address', node.address],
  ]);
  return value.replaceAll(/\$\{(node\.[^}]*)\}/g, (text, name: string) => known.get(name) ?? text);
};
