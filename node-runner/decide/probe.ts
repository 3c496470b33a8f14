// Checks: which probe is due, what its answers add up to, and the health that follows (rules 4).
// In: a task's checks and what its probes said. Out: due probes, and healthy, unhealthy or
// unproven. `startup` gates the other two; `ready` is health; `live` and `startup` end the task
// when they fail. Not here: connecting (edge/probes), ending the task (advance.ts).

import { canonical } from '../../schema/hash.ts';
import { runsToEnd } from '../../schema/lifecycle.ts';
import type { Health } from '../../schema/orders.ts';
import type { ChecksSpec, CheckSpec, Ms, TaskSpec } from '../../schema/spec.ts';
import type { ProbeAnswer } from '../ports.ts';
import type { CheckMark, CheckRole, TaskMark } from './inventory.ts';

/**
 * During the first interval after a start a check is tried this often and its failures do not
 * count: a task that is up after two seconds should not be told unproven for the ten that its
 * interval may be.
 */
export const EARLY_PROBE_MS: Ms = 1000;

/** Longest text of a failed check that is kept. */
export const CHECK_MESSAGE_CHARS = 300;

/**
 * Checks that are tried now: startup alone until it was good once, then ready and live. Where those
 * two ask the same question as often, one probe answers both and stands under `ready`.
 */
export const activeRoles = (checks: ChecksSpec, task: TaskMark): readonly CheckRole[] => {
  if (checks.startup !== null && task.checks.startup?.ok !== true) return ['startup'];
  const roles: CheckRole[] = [];
  if (checks.ready !== null) roles.push('ready');
  if (checks.live !== null && !sameQuestion(checks)) roles.push('live');
  return roles;
};

/** Roles whose check one answer is for: that of the probe, and `live` where it rides along. */
export const answeredRoles = (checks: ChecksSpec, role: CheckRole): readonly CheckRole[] =>
  role === 'ready' && sameQuestion(checks) ? ['ready', 'live'] : [role];

/** Specifications are values that never change, and every look asks for all of them. */
const compared = new WeakMap<ChecksSpec, boolean>();

/** `ready` and `live` differ in their retries at most, as they do in a `healthcheck`. */
const sameQuestion = (checks: ChecksSpec): boolean => {
  const known = compared.get(checks);
  if (known !== undefined) return known;
  const { ready, live } = checks;
  const same =
    ready !== null &&
    live !== null &&
    canonical({ ...ready, retries: 0 }) === canonical({ ...live, retries: 0 });
  compared.set(checks, same);
  return same;
};

/** When the next probe of this role is due; at once after a start. */
export const probeDueAt = (task: TaskMark, role: CheckRole): Ms =>
  task.checks[role]?.dueAt ?? task.runSince ?? 0;

/** Most that a check waits for company: a twentieth of its interval, up to this. */
export const COMPANY_MS: Ms = 500;

/**
 * When the runner wakes for a probe that is not due yet. Checks that are good wait a little for
 * company, at instants that are the same for all of them, so that fifty copies checked every 10 s
 * cost twenty looks and not fifty. One that is not good yet, or no longer, is asked on time.
 * With an interval of 10 s, one due at 12,340 is asked at 12,500.
 */
export const probeWakeAt = (spec: CheckSpec, task: TaskMark, role: CheckRole): Ms => {
  const dueAt = probeDueAt(task, role);
  const companyMs = Math.min(COMPANY_MS, Math.floor(spec.intervalMs / 20));
  if (companyMs === 0 || task.checks[role]?.ok !== true) return dueAt;
  return Math.ceil(dueAt / companyMs) * companyMs;
};

/** The check's mark after one more answer. */
export const withAnswer = (
  spec: CheckSpec,
  task: TaskMark,
  result: { readonly role: CheckRole; readonly answer: ProbeAnswer; readonly now: Ms },
): CheckMark => {
  const { role, answer, now } = result;
  const before = task.checks[role];
  if (answer.ok) {
    return { dueAt: now + spec.intervalMs, ok: true, failuresInRow: 0, message: null };
  }
  const message = answer.message.slice(0, CHECK_MESSAGE_CHARS);
  const early = before?.ok !== true && now < (task.runSince ?? now) + spec.intervalMs;
  if (early) {
    const dueAt = now + Math.min(EARLY_PROBE_MS, spec.intervalMs);
    return { dueAt, ok: null, failuresInRow: 0, message };
  }
  const failuresInRow = (before?.failuresInRow ?? 0) + 1;
  // Until its retries are used up a check stands by its last good answer.
  const ok = failuresInRow >= spec.retries ? false : (before?.ok ?? null);
  return { dueAt: now + spec.intervalMs, ok, failuresInRow, message };
};

/** The check that demands the task's end, and its text; null when none does. */
export const fatalCheck = (
  checks: ChecksSpec,
  task: TaskMark,
): { readonly role: CheckRole; readonly message: string } | null => {
  for (const role of ['startup', 'live'] as const) {
    const mark = task.checks[role];
    if (checks[role] !== null && mark?.ok === false) return { role, message: mark.message ?? '' };
  }
  return null;
};

/**
 * Health of one task; a task without checks is healthy while it runs (rules 4.2), and one that runs
 * to its end once it has (rules 15).
 */
export const taskHealth = (spec: TaskSpec, task: TaskMark): Health => {
  if (runsToEnd(spec)) {
    if (task.completed === true) return task.trouble === undefined ? 'healthy' : 'unhealthy';
    return task.run === 'ended' ? 'unhealthy' : 'unproven';
  }
  if (task.run === 'none') return 'unproven';
  if (task.run === 'ended' || task.kill?.cause === 'check') return 'unhealthy';
  const answers = (['startup', 'ready', 'live'] as const)
    .filter((role) => spec.checks[role] !== null)
    .map((role) => (role === 'startup' && started(task) ? true : (task.checks[role]?.ok ?? null)));
  if (answers.includes(false)) return 'unhealthy';
  return answers.includes(null) ? 'unproven' : 'healthy';
};

const started = (task: TaskMark): boolean => task.checks.startup?.ok === true;

/** Unhealthy as soon as one task is, healthy when all are, else unproven. */
export const groupHealth = (healths: readonly Health[]): Health => {
  if (healths.includes('unhealthy')) return 'unhealthy';
  return healths.includes('unproven') ? 'unproven' : 'healthy';
};

/** Text of the newest failed check of the task, or of its trouble, for the report. */
export const lastCheck = (task: TaskMark): string | null =>
  task.trouble?.message ??
  task.checks.startup?.message ??
  task.checks.ready?.message ??
  task.checks.live?.message ??
  null;
