// Bodies, orders and marks for tests of the runner: small, and every field can be replaced.
// In: what matters to the test. Out: complete values. Not here: any behaviour.

import type { NodeFacts } from '../../node-runner/decide/inventory.ts';
import { compareText } from '../../schema/ids.ts';
import type { AllocationBody, NodeOrders, OrderItem } from '../../schema/orders.ts';
import type { CheckSpec, GroupSpec, TaskSpec } from '../../schema/spec.ts';

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

export const testTask = (fields: Partial<TaskSpec> = {}): TaskSpec => ({
  name: 'server',
  image: { reference: 'r/web:1', repository: 'r/web', digest: 'sha256:aa' },
  entrypoint: null,
  command: null,
  environment: [],
  user: null,
  workingDir: null,
  readOnlyRoot: false,
  tmpfs: [],
  files: [],
  volumes: [],
  cpuMilli: 100,
  cpuMaxMilli: null,
  memoryBytes: 128 * MIB,
  memoryMaxBytes: null,
  pidsMax: null,
  capAdd: [],
  capDrop: [],
  checks: { startup: null, ready: null, live: null },
  killSignal: 'SIGTERM',
  killTimeoutMs: 10_000,
  ...fields,
});

export const tcpCheck = (fields: Partial<CheckSpec> = {}): CheckSpec => ({
  probe: { kind: 'tcp', port: 'http' },
  intervalMs: 10_000,
  timeoutMs: 2000,
  retries: 3,
  ...fields,
});

export const testGroup = (fields: Partial<GroupSpec> = {}): GroupSpec => ({
  name: 'web',
  hash: 'ff'.repeat(32),
  count: 1,
  scale: null,
  networkMode: 'bridge',
  ports: [{ name: 'http', port: 8080, host: null }],
  constraints: [],
  spread: [],
  restart: { attempts: 2, intervalMs: 1_800_000, delayMs: 15_000, mode: 'fail' },
  reschedule: {
    delayMs: 30_000,
    delayFunction: 'exponential',
    maxDelayMs: 3_600_000,
    unlimited: true,
    attempts: 0,
  },
  stopAfterMs: 0,
  singleton: false,
  shutdownDelayMs: 0,
  volumes: [],
  tasks: [testTask()],
  ask: { cpuMilli: 100, memoryBytes: 128 * MIB },
  labels: [],
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
