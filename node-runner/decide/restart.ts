// Whether a task that ended is started again, and when (rules 2.2: restart applies in place).
// In: the group's restart rules, the restarts so far, now. Out: an instant, or the end.
// No jitter: what a group does must be told from its numbers. Not here: what counts as an end
// (advance.ts).

import type { Ms, RestartSpec } from '../../schema/spec.ts';

export type Verdict =
  | { readonly kind: 'restart'; readonly startAt: Ms; readonly restartTimes: readonly Ms[] }
  | { readonly kind: 'dead' };

/**
 * `attempts` restarts within `intervalMs`, each after `delayMs`; one more is the end (`fail`) or
 * waits until the oldest of them is an interval ago (`delay`). Example: attempts 2, interval 30
 * min, restarts at 0:00 and 0:01, an end at 0:05: `fail` says dead, `delay` says restart at 0:30.
 */
export const restartVerdict = (
  spec: RestartSpec,
  restartTimes: readonly Ms[],
  now: Ms,
): Verdict => {
  const recent = restartTimes.filter((at) => at > now - spec.intervalMs && at <= now);
  if (recent.length < spec.attempts) {
    return { kind: 'restart', startAt: now + spec.delayMs, restartTimes: [...recent, now] };
  }
  if (spec.mode === 'fail') return { kind: 'dead' };
  const oldest = recent[0] ?? now;
  const startAt = Math.max(now + spec.delayMs, oldest + spec.intervalMs);
  return { kind: 'restart', startAt, restartTimes: [...recent.slice(1), now] };
};
