// The next steps of an allocation that must go: signal, wait, SIGKILL, remove, network, files,
// forget. In: its mark and the inventory. Out: work that may begin now, when to look again, and
// whether nothing is left. All tasks get their signal at once, so that a group never takes longer
// than its slowest task. Not here: why it stops (decide.ts), when a check demands a kill
// (advance.ts).

import { containerId } from '../../schema/ids.ts';
import type { Ms, TaskSpec } from '../../schema/spec.ts';
import type { Intent, TaskPlace } from './action.ts';
import { containerKey, intent } from './action.ts';
import type { AllocationMark, Inventory, TaskMark } from './inventory.ts';
import { needsNetwork } from './network.ts';
import { SIGKILL, signalNumber } from './words.ts';

/**
 * SIGKILL is sent again after this long: a process in uninterruptible sleep, or a call that was
 * lost.
 */
export const FORCE_AGAIN_MS: Ms = 5000;

/** SIGTERM or the task's own signal, then SIGKILL to all its processes `timeoutMs` later. */
export const killSteps = (
  spec: TaskSpec,
  task: TaskMark,
  at: { readonly place: TaskPlace; readonly now: Ms },
): { readonly intents: readonly Intent[]; readonly until: Ms } => {
  const { kill } = task;
  const { place, now } = at;
  if (kill === null) return { intents: [], until: Number.POSITIVE_INFINITY };
  if (kill.signalledAt === null) {
    if (now < kill.signalAt) return { intents: [], until: kill.signalAt };
    const signal = signalNumber(spec.killSignal);
    const all = signal === SIGKILL;
    return {
      intents: [intent({ kind: 'kill', place, signal, all })],
      until: Number.POSITIVE_INFINITY,
    };
  }
  const forceAt =
    kill.forcedAt === null ? kill.signalledAt + kill.timeoutMs : kill.forcedAt + FORCE_AGAIN_MS;
  if (now < forceAt) return { intents: [], until: forceAt };
  return {
    intents: [intent({ kind: 'kill', place, signal: SIGKILL, all: true })],
    until: Number.POSITIVE_INFINITY,
  };
};

export interface StopSteps {
  readonly intents: readonly Intent[];
  readonly until: Ms;
  /** Nothing of it is left: the mark can go. */
  readonly done: boolean;
}

export const stopSteps = (mark: AllocationMark, inventory: Inventory, now: Ms): StopSteps => {
  const intents: Intent[] = [];
  let until: Ms = Number.POSITIVE_INFINITY;
  let alive = false;
  const left: string[] = [];
  for (const [position, spec] of mark.body.spec.tasks.entries()) {
    const task = mark.tasks[position];
    const container = containerId(mark.allocation, spec.name);
    const busy = inventory.inFlight.has(containerKey(container));
    const present = inventory.containers.has(container);
    if (present) left.push(container);
    if (busy || (present && task?.run === 'open')) alive = true;
    if (task?.run !== 'open' || !present || busy) continue;
    const place = { allocation: mark.allocation, task: spec.name, container };
    const steps = killSteps(spec, task, { place, now });
    intents.push(...steps.intents);
    until = Math.min(until, steps.until);
  }
  if (alive) return { intents, until, done: false };
  if (left.length > 0) {
    const removals = left.map((container) => intent({ kind: 'remove', container }));
    return { intents: [...intents, ...removals], until, done: false };
  }
  return cleanUp(mark, inventory);
};

const cleanUp = (
  { allocation, stop, body }: AllocationMark,
  { networks }: Inventory,
): StopSteps => {
  const intents: Intent[] = [];
  const hasNetwork = needsNetwork(body.spec) || networks.has(allocation);
  if (stop?.networkGone !== true && hasNetwork) {
    intents.push(intent({ kind: 'tear-down-network', allocation }));
  }
  if (stop?.filesGone !== true) intents.push(intent({ kind: 'discard-files', allocation }));
  return { intents, until: Number.POSITIVE_INFINITY, done: intents.length === 0 };
};
