// The truth that checkers look at: what runs where, whose it is, what was ordered, accepted and
// reported.
// In: what the fakes let their watchers see. Out: answers about groups and slots. It sees through
// partitions.
// Not here: what is right or wrong (check.ts).

import { isPoststop, runsToEnd } from '../../schema/lifecycle.ts';
import type { AllocationBody, NodeOrders, NodeReport } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Machine, SimContainer } from './fake/machine.ts';
import type { NodeDisk } from './fake/node.ts';
import type { SimTime } from './time.ts';

/** One machine with what the world keeps about it. */
export interface SimNode {
  readonly name: string;
  readonly machine: Machine;
  readonly disk: NodeDisk;
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

/** A copy that runs now. */
export interface Copy {
  readonly allocation: string;
  readonly node: SimNode;
  readonly body: AllocationBody;
  readonly containers: readonly SimContainer[];
}

/** A copy that was well and was lost by something else than an order. */
export interface Loss {
  readonly at: Ms;
  readonly job: string;
  readonly allocation: string;
}

export interface Truth {
  readonly time: SimTime;
  readonly nodes: ReadonlyMap<string, SimNode>;
  readonly bodies: Map<string, AllocationBody>;
  /** When a copy was last reported as one that is free to stop (rules 4.2). */
  readonly freeAt: Map<string, Ms>;
  readonly losses: Loss[];
  /** Copies whose last report says that they serve (rules 16). */
  readonly serving: Set<string>;
  /** Copies with a running task, stopping ones included. */
  readonly running: () => readonly Copy[];
  readonly copiesOf: (job: string) => readonly Copy[];
  /** Every task of the copy that lives as long as it does answers its checks. */
  readonly well: (copy: Copy) => boolean;
  /** The runner was told to stop it, or it stands no longer in its orders. */
  readonly orderedToStop: (node: SimNode, allocation: string) => boolean;
}

export const createTruth = (time: SimTime, nodes: ReadonlyMap<string, SimNode>): Truth => {
  const bodies = new Map<string, AllocationBody>();
  const running = (): readonly Copy[] =>
    [...nodes.values()].flatMap((node) => {
      const byAllocation = new Map<string, SimContainer[]>();
      for (const container of node.machine.containers.values()) {
        const allocation = allocationOf(container);
        if (container.task !== 'running' || allocation === null) continue;
        byAllocation.set(allocation, [...(byAllocation.get(allocation) ?? []), container]);
      }
      return [...byAllocation].flatMap(([allocation, containers]) => {
        const body = bodies.get(allocation);
        return body === undefined ? [] : [{ allocation, node, body, containers }];
      });
    });
  return {
    time,
    nodes,
    bodies,
    freeAt: new Map(),
    losses: [],
    serving: new Set(),
    running,
    copiesOf: (job) => running().filter((copy) => idOf(copy.body) === job && !isEnding(copy)),
    well: ({ allocation, containers, body, node }) => {
      const living = body.spec.tasks.filter((task) => !runsToEnd(task));
      const ids = new Set(living.map(({ name }) => `${allocation}.${name}`));
      const here = containers.filter(({ id }) => ids.has(id));
      return here.length === living.length && here.every(node.machine.well);
    },
    orderedToStop: ({ disk }, allocation) => {
      const item = disk.orders?.items.find((entry) => entry.allocation === allocation);
      return item?.kind !== 'run';
    },
  };
};

/** Only what cleans up after the copy runs: it serves nobody any more. */
const isEnding = ({ allocation, containers, body }: Copy): boolean =>
  containers.every(({ id }) =>
    body.spec.tasks.some((task) => isPoststop(task) && id === `${allocation}.${task.name}`),
  );

/** A container's id is `<allocation>.<task>` (schema/ids). */
export const allocationOf = ({ id }: Pick<SimContainer, 'id'>): string | null =>
  id.includes('.') ? id.slice(0, id.indexOf('.')) : null;

export const idOf = ({ namespace, job }: Pick<AllocationBody, 'namespace' | 'job'>): string =>
  `${namespace}/${job}`;

/** `v3` of `registry.sim/web:v3@sha256:…`. */
export const tagOf = (reference: string): string => /:(v\d+)/.exec(reference)?.[1] ?? reference;

export const rememberReport = (truth: Truth, report: NodeReport): void => {
  for (const { allocation, body, health, everHealthy, ...rest } of report.allocations) {
    truth.bodies.set(allocation, body);
    const serves = health === 'healthy' || (health === 'unproven' && rest.wasHealthy === true);
    if (serves && rest.phase === 'running') truth.serving.add(allocation);
    else truth.serving.delete(allocation);
    const free = health === 'unhealthy' || !everHealthy;
    if (free) truth.freeAt.set(allocation, truth.time.now());
  }
};

export const rememberBodies = (truth: Truth, orders: NodeOrders): void => {
  truth.time.note(describeOrders(orders));
  for (const item of orders.items) {
    if (item.kind === 'run') truth.bodies.set(item.allocation, item.body);
  }
};

/** For the trace: what is ordered, in one line. */
const describeOrders = ({ node, generation, commit, items }: NodeOrders): string => {
  const words = items.map((item) => {
    if (item.kind === 'stop') return `stop ${item.allocation} (${item.reason})`;
    const { job, index, spec } = item.body;
    const image = spec.tasks[0]?.image.reference.split('@')[0]?.split(':')[1] ?? '';
    const after = item.after.length > 0 ? ` after ${item.after.join(' ')}` : '';
    return `run ${item.allocation} ${job}[${index}] ${image}${after}`;
  });
  return `ORDER ${node} ${generation} of ${commit.slice(0, 8)}: ${words.join('; ')}`;
};
