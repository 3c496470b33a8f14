// The probes of a running task that are due.
// In: the task, its checks, where it answers. Out: probe work, and when the next one is due.
// Not here: what the answers mean (probe.ts), who connects (edge/probes).

import type { CheckSpec, Ms, TaskSpec } from '../../schema/spec.ts';
import type { Intent, ProbeWork, TaskPlace } from './action.ts';
import { intent, probeKey } from './action.ts';
import type { AllocationMark, ContainerFacts, Inventory, TaskMark } from './inventory.ts';
import type { OwnNetwork } from './network.ts';
import { networkOf } from './network.ts';
import { activeRoles, probeDueAt, probeWakeAt } from './probe.ts';

export const probeSteps = (
  look: {
    readonly mark: AllocationMark;
    readonly spec: TaskSpec;
    readonly task: TaskMark;
    readonly inventory: Inventory;
  },
  at: {
    readonly place: TaskPlace;
    readonly container: ContainerFacts | undefined;
    readonly now: Ms;
  },
): { readonly intents: readonly Intent[]; readonly until: Ms } => {
  const { mark, spec, task, inventory } = look;
  const intents: Intent[] = [];
  let until: Ms = Number.POSITIVE_INFINITY;
  for (const role of activeRoles(spec.checks, task)) {
    const check = spec.checks[role];
    if (check === null || inventory.inFlight.has(probeKey(at.place.container, role))) continue;
    if (at.now < probeDueAt(task, role)) {
      until = Math.min(until, probeWakeAt(check, task, role));
      continue;
    }
    const work = probeWork(check, mark, { inventory, pid: at.container?.pid ?? null });
    if (work === null) continue;
    intents.push(intent({ kind: 'probe', place: at.place, role, work }));
  }
  return { intents, until };
};

/**
 * In a network of its own a task is asked at its address; without one, inside its name space. null:
 * the process that holds its name space is not known, so there is nobody to ask.
 */
const probeWork = (
  check: CheckSpec,
  mark: AllocationMark,
  at: { readonly inventory: Inventory; readonly pid: number | null },
): ProbeWork | null => {
  const { probe, timeoutMs } = check;
  if (probe.kind === 'exec') return { kind: 'exec', command: probe.command, timeoutMs };
  const network = networkOf(mark.allocation, mark.body.spec, at.inventory);
  const place = network === 'host' || network === 'missing' ? null : network;
  const inside = mark.ports?.find(({ name }) => name === probe.port)?.port;
  const netns = place === null || place.address !== null ? null : netnsOf(place, at.pid);
  if (netns === undefined) return null;
  const ask = {
    kind: probe.kind,
    address: place?.address ?? '127.0.0.1',
    port: inside ?? (Number(probe.port) || 0),
    path: probe.kind === 'http' ? probe.path : '',
    timeoutMs,
    netns,
  };
  return { kind: 'network', ask };
};

const netnsOf = ({ path }: OwnNetwork, pid: number | null): string | undefined =>
  path ?? (pid === null ? undefined : `/proc/${pid}/ns/net`);
