// When a group must stop because no reconciler answers (rules 9.3).
// In: the group's stop_after and when the newest acknowledged report was sent. Out: an instant.
// The same numbers serve the watchdog process that acts when the runner is dead. Not here:
// stopping.

import type { Ms } from '../../schema/spec.ts';

/**
 * The instant on the boot-time clock at which a group with this stop_after stops; null: never
 * (stop_after is 0). No contact in this boot: it must not run at all, so the answer lies in the
 * past (rules 9.4).
 */
export const stopAfterAt = (stopAfterMs: Ms, contactAt: Ms | null): Ms | null => {
  if (stopAfterMs <= 0) return null;
  return contactAt === null ? Number.NEGATIVE_INFINITY : contactAt + stopAfterMs;
};

/**
 * True when nothing of the group may be started before orders were heard anew: for so long without
 * contact the reconciler may have replaced it, and an acknowledged report does not say so (rules
 * 9.4).
 */
export const mustWait = (stopAfterMs: Ms, unheardMs: Ms): boolean =>
  stopAfterMs > 0 && unheardMs >= stopAfterMs;

/** True when the group must not run now. */
export const mustStop = (stopAfterMs: Ms, contactAt: Ms | null, now: Ms): boolean => {
  const at = stopAfterAt(stopAfterMs, contactAt);
  return at !== null && now >= at;
};
