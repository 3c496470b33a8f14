// Bodies, orders and marks for tests of the runner: small, and every field can be replaced.
// In: what matters to the test. Out: complete values. Not here: any behaviour.

import type { NodeFacts } from '../../node-runner/decide/inventory.ts';
import { compareText } from '../../schema/ids.ts';
import type { AllocationBody, NodeOrders, OrderItem } from '../../schema/orders.ts';
import type { CheckSpec, GroupSpec, TaskSpec } from '../../schema/spec.ts';
import { group, task } from './bodies.ts';

export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;

export const testNode: NodeFacts = {
  node: 'n1',
  cluster: 'test',
  address: '192.0.2.1',
  architecture: 'amd64',
  capacity: { cpuMilli: 4000, memoryBytes: 4 * GIB },
  attributes: [['node.arch', 'amd64']],
  cgroupParent: '/purser/n1',
  resolvConf: 'nameserver 192.0.2.53\n',
  diskReserveBytes: GIB,
};

export const testTask = (fields: Partial<TaskSpec> = {}): TaskSpec =>
  task({
    name: 'server',
    image: { reference: 'r/web:1', repository: 'r/web', digest: 'sha256:aa' },
    ...fields,
  });

export const tcpCheck = (fields: Partial<CheckSpec> = {}): CheckSpec => ({
  probe: { kind: 'tcp', port: 'http' },
  intervalMs: 10_000,
  timeoutMs: 2000,
  retries: 3,
  ...fields,
});

export const testGroup = (fields: Partial<GroupSpec> = {}): GroupSpec =>
  group({
    hash: 'ff'.repeat(32),
    ports: [{ name: 'http', port: 8080, host: null }],
    tasks: [testTask()],
    ...fields,
  });

export const testBody = (
  allocation: string,
  fields: Partial<AllocationBody> = {},
): AllocationBody => ({
  format: 1,
  allocation,
  cluster: 'test',
  namespace: 'default',
  job: 'web',
  group: 'web',
  index: 0,
  attempt: 1,
  node: 'n1',
  specHash: 'ab'.repeat(32),
  deployment: 'd'.repeat(16),
  commit: 'c'.repeat(40),
  settled: false,
  priority: 50,
  minHealthyMs: 10_000,
  spec: testGroup(),
  ...fields,
});

export const runItem = (body: AllocationBody, after: readonly string[] = []): OrderItem => ({
  kind: 'run',
  allocation: body.allocation,
  body,
  after,
});

export const stopItem = (allocation: string, killTimeoutMs = 10_000): OrderItem => ({
  kind: 'stop',
  allocation,
  reason: 'rollout',
  killTimeoutMs,
});

export const testOrders = (generation: number, items: readonly OrderItem[]): NodeOrders => ({
  node: 'n1',
  cluster: 'test',
  generation,
  commit: 'c'.repeat(40),
  items: items.toSorted((a, b) => compareText(a.allocation, b.allocation)),
});
