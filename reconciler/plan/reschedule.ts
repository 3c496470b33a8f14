// How long a slot waits after a death before it is given to a new allocation.
// In: the policy, the number of deaths. Out: a delay. Not here: which version comes next (group).

import type { RescheduleSpec } from '../../schema/spec.ts';

/**
 * The delay after the n-th death (n from 1). Worked example, 5 s: constant 5, 5, 5; exponential 5,
 * 10, 20; fibonacci 5, 5, 10. Never more than maxDelayMs.
 */
export const rescheduleDelay = (spec: RescheduleSpec, deaths: number): number => {
  let [now, next] = [spec.delayMs, spec.delayMs];
  for (let n = 1; n < deaths && now < spec.maxDelayMs; n += 1) {
    switch (spec.delayFunction) {
      case 'constant':
        return Math.min(now, spec.maxDelayMs);
      case 'exponential':
        now *= 2;
        break;
      case 'fibonacci':
        [now, next] = [next, now + next];
        break;
    }
  }
  return spec.delayFunction === 'constant' ? spec.delayMs : Math.min(now, spec.maxDelayMs);
};
