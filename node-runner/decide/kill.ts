// The signals of a kill: the task's own, then SIGKILL.
// In: a task that must end and how far its kill has come. Out: the next signal that is due, and when
// to look again. Not here: why it must end and since when (advance.ts, order.ts).

import type { Ms, TaskSpec } from '../../schema/spec.ts';
import type { Intent, TaskPlace } from './action.ts';
import { intent } from './action.ts';
import type { TaskMark } from './inventory.ts';
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
