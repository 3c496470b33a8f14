// Fields that limit each other: deadlines of a rollout, asks and limits of resources.
// In: `update` and `resources` as written, in a job or among the cluster's defaults, and where they
// stand.
// Out: findings. Only fields that are written are compared: what a default adds is known in
// reconciler/desired.

import type { UpdateDefaultsFile } from './documents/job.ts';
import type { ResourcesFile } from './documents/task.ts';
import type { Finding } from './findings.ts';
import { parseCpu, parseDuration, parseSize } from './units.ts';

/** The kernel and a shim need this much; less memory never starts. */
const MIN_MEMORY_BYTES = 4 * 1024 ** 2;

export const checkUpdate = (
  update: UpdateDefaultsFile | undefined,
  pointer: string,
): readonly Finding[] => {
  const ms = (written: string | undefined) =>
    written === undefined ? null : parseDuration(written);
  const progress = ms(update?.progress_deadline);
  const deadline = ms(update?.healthy_deadline);
  const healthy = ms(update?.min_healthy_time);
  const findings: Finding[] = [];
  if (progress !== null && deadline !== null && progress <= deadline) {
    findings.push({
      pointer: `${pointer}/progress_deadline`,
      at: 'value',
      code: 'limits-disagree',
      message: '`progress_deadline` must be longer than `healthy_deadline`.',
      advice: `Write more than ${update?.healthy_deadline}.`,
    });
  }
  if (deadline !== null && healthy !== null && deadline <= healthy) {
    findings.push({
      pointer: `${pointer}/healthy_deadline`,
      at: 'value',
      code: 'limits-disagree',
      message: '`healthy_deadline` must be longer than `min_healthy_time`.',
      advice: `Write more than ${update?.min_healthy_time}.`,
    });
  }
  return findings;
};

export const checkResources = (
  resources: ResourcesFile | undefined,
  pointer: string,
): readonly Finding[] => {
  if (resources === undefined) return [];
  const { cpu, cpu_max: cpuMax, memory, memory_max: memoryMax } = resources;
  const findings: Finding[] = [];
  const smallest = [
    ['cpu', cpu, parseCpu, 1, '1m'],
    ['cpu_max', cpuMax, parseCpu, 1, '1m'],
    ['memory', memory, parseSize, MIN_MEMORY_BYTES, '4MiB'],
  ] as const;
  for (const [name, written, parse, least, shown] of smallest) {
    if (written !== undefined && (parse(written) ?? 0) < least) {
      const message = `\`${name}\` must be at least ${shown}; it is ${written}.`;
      findings.push({ pointer: `${pointer}/${name}`, at: 'value', code: 'value-range', message });
    }
  }
  const pairs = [
    ['cpu', cpu, cpuMax, parseCpu],
    ['memory', memory, memoryMax, parseSize],
  ] as const;
  for (const [name, ask, limit, parse] of pairs) {
    if (ask === undefined || limit === undefined || (parse(limit) ?? 0) >= (parse(ask) ?? 0)) {
      continue;
    }
    findings.push({
      pointer: `${pointer}/${name}_max`,
      at: 'value',
      code: 'limits-disagree',
      message: `\`${name}_max\` (${limit}) is less than \`${name}\` (${ask}).`,
      advice: `Write at least ${ask}, or leave \`${name}_max\` out.`,
    });
  }
  return findings;
};
