// What nodes report, complete, with any field changed. In: what differs. Out: reports and copies in
// them. Not here: bodies (bodies.ts).

import type { AllocationBody, AllocationReport, NodeReport } from '../../schema/orders.ts';

/** A node with a little room, that accepted nothing and holds nothing. */
export const reportWith = (
  changes: Pick<NodeReport, 'node' | 'cluster'> & Partial<NodeReport>,
): NodeReport => ({
  acceptedGeneration: 0,
  acceptedCommit: '',
  acceptedHash: '',
  accepted: [],
  capacity: { cpuMilli: 1000, memoryBytes: 1024 ** 3 },
  attributes: [],
  address: '127.0.0.1',
  allocations: [],
  foreign: 0,
  conditions: [],
  portsTaken: [],
  ...changes,
});

/** It runs, and nothing is known of its health. */
export const copyWith = (
  body: AllocationBody,
  changes: Partial<AllocationReport> = {},
): AllocationReport => ({
  allocation: body.allocation,
  body,
  phase: 'running',
  health: 'unproven',
  everHealthy: false,
  tasks: body.spec.tasks.map(({ name }) => ({
    name,
    state: 'running',
    restarts: 0,
    health: 'unproven',
    lastCheck: null,
    exit: null,
    pid: 7,
  })),
  failure: null,
  ports: [],
  address: null,
  usage: null,
  acceptedForMs: 100,
  firstStartedForMs: 90,
  runningForMs: 90,
  healthyForMs: null,
  firstHealthyForMs: null,
  deadForMs: null,
  ...changes,
});
