// The next steps of an allocation that must go: signal, wait, SIGKILL, poststop tasks, remove,
// network, files, forget. In: its mark and the inventory. Out: work that may begin now, when to look
// again, and whether nothing is left. Tasks without an order get their signal at once, so that the
// group never takes longer than its slowest task. Not here: why it stops (decide.ts), who is told to
// end when (advance.ts, order.ts).

import { containerId } from '../../schema/ids.ts';
import { isPoststop } from '../../schema/lifecycle.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Intent } from './action.ts';
import { containerKey, intent } from './action.ts';
import type { AllocationMark, Inventory } from './inventory.ts';
import { killSteps } from './kill.ts';
import { needsNetwork } from './network.ts';
import { isEnding, toldAt } from './order.ts';
import { lastSteps } from './start.ts';

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
    if (isPoststop(spec)) continue;
    if (busy || (present && task?.run === 'open')) alive = true;
    if (task?.run !== 'open' || !present || busy) continue;
    const place = { allocation: mark.allocation, task: spec.name, container };
    const steps = killSteps(spec, task, { place, now });
    intents.push(...steps.intents);
    until = Math.min(until, steps.until);
  }
  if (alive) return { intents, until, done: false };
  if (isEnding(mark)) return { ...lastSteps(mark, inventory, now), done: false };
  if (left.length > 0) {
    const removals = left.map((container) => intent({ kind: 'remove', container }));
    return { intents: [...intents, ...removals], until, done: false };
  }
  return cleanUp(mark, inventory, now);
};

const cleanUp = (mark: AllocationMark, { networks }: Inventory, now: Ms): StopSteps => {
  const { allocation, stop, body } = mark;
  const intents: Intent[] = [];
  const hasNetwork = needsNetwork(body.spec) || networks.has(allocation);
  if (stop?.networkGone !== true && hasNetwork) {
    intents.push(intent({ kind: 'tear-down-network', allocation }));
  }
  if (stop?.filesGone !== true) intents.push(intent({ kind: 'discard-files', allocation }));
  const until = toldAt(mark) ?? now;
  if (intents.length === 0 && now < until) return { intents, until, done: false };
  return { intents, until: Number.POSITIVE_INFINITY, done: intents.length === 0 };
};
