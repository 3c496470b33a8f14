// Mistakes of meaning in one job file that need no other file.
// In: a job that fits its schema, and what its path says. Out: findings, for every group and task.
// Not here: what one task may say (schema/check-task.ts), and what needs cluster.yaml, the
// namespace, the nodes or other jobs: policies, the sum of rules 9.3, digests in a protected
// namespace, pinned ports that do not fit (desired, plan).

import { checkNamed } from './check-documents.ts';
import { checkLifecycle } from './check-lifecycle.ts';
import { checkUpdate } from './check-limits.ts';
import { checkServices } from './check-services.ts';
import { checkTask } from './check-task.ts';
import { groupOnlyFields } from './documents/group.ts';
import type { JobFile } from './documents/job.ts';
import { taskFields } from './documents/task.ts';
import type { Finding } from './findings.ts';
import type { Identity } from './paths.ts';
import { pointerOf } from './places.ts';
import { isAttribute, parseConstraint, parseVolume } from './references.ts';
import { parseDuration } from './units.ts';
import { writtenGroups, type WrittenGroup } from './written-job.ts';

/** Findings of a job file; `identity` null where the path is not known. */
export const checkJob = (job: JobFile, identity: Identity | null): readonly Finding[] => {
  const groups = writtenGroups(job, identity?.name ?? job.job ?? 'job');
  return [
    ...checkNamed('job', job.job, identity?.name),
    ...checkNamed('namespace', job.namespace, identity?.namespace),
    ...checkUpdate(job.update, '/update'),
    ...checkLevels(job),
    ...groups.flatMap((group) => checkGroup(job, group)),
  ];
};

/**
 * Fields of a level that is written out below may not stand above it too: nobody could say which
 * counts.
 */
const checkLevels = (job: JobFile): readonly Finding[] => {
  const findings: Finding[] = [];
  if (job.groups !== undefined) {
    findings.push(...misplaced(job, '', ['groups', 'group']));
    if (Object.keys(job.groups).length === 0) findings.push(empty('/groups', 'group'));
  }
  const groups = Object.entries(job.groups ?? {}).map(
    ([name, group]) => [pointerOf(['groups', name]), group] as const,
  );
  for (const [pointer, level] of [['', job] as const, ...groups]) {
    if (level.tasks === undefined || (pointer === '' && job.groups !== undefined)) continue;
    findings.push(...misplaced(level, pointer, ['tasks', 'task']));
    if (Object.keys(level.tasks).length === 0) findings.push(empty(`${pointer}/tasks`, 'task'));
  }
  return findings;
};

const misplaced = (
  level: object,
  pointer: string,
  [map, below]: readonly ['groups', 'group'] | readonly ['tasks', 'task'],
): readonly Finding[] =>
  Object.keys(level)
    .filter((name) =>
      map === 'groups'
        ? name !== 'labels' &&
          (name === 'tasks' ||
            Object.hasOwn(groupOnlyFields, name) ||
            Object.hasOwn(taskFields, name))
        : Object.hasOwn(taskFields, name),
    )
    .map((name) => ({
      pointer: `${pointer}/${name}`,
      at: 'key',
      code: 'field-misplaced',
      message: `\`${name}\` stands beside \`${map}\`: it would belong to no ${below}.`,
      advice: `Move it into the ${below} under \`${map}\` that it is meant for.`,
    }));

const empty = (pointer: string, what: string): Finding => ({
  pointer,
  at: 'key',
  code: 'field-missing',
  message: `There is no ${what} in it.`,
  advice: `Add a ${what}, or leave the key out.`,
});

const checkGroup = (job: JobFile, written: WrittenGroup): readonly Finding[] => [
  ...checkCount(written),
  ...checkPorts(written),
  ...checkPlacement(written),
  ...checkServices(written),
  ...checkReschedule(written),
  ...checkVolumes(job, written),
  ...checkSingleton(job, written),
  ...checkLifecycle(written.tasks),
  ...written.tasks.flatMap((task) => checkTask(task, Object.keys(written.group.ports ?? {}))),
];

const checkCount = ({ group, pointer }: WrittenGroup): readonly Finding[] => {
  const { count } = group;
  if (count === undefined || typeof count === 'number' || count.min <= count.max) return [];
  const message = `\`min\` (${count.min}) is more than \`max\` (${count.max}).`;
  return [{ pointer: `${pointer}/count/min`, at: 'value', code: 'limits-disagree', message }];
};

const checkPorts = ({ group, pointer }: WrittenGroup): readonly Finding[] => {
  const findings: Finding[] = [];
  const names = new Map<string, string>();
  const mode = group.network?.mode ?? 'bridge';
  const entries = Object.entries(group.ports ?? {});
  if (mode === 'none' && entries.length > 0) {
    const message = 'A group without a network (`mode: none`) has no ports.';
    findings.push({ pointer: `${pointer}/ports`, at: 'key', code: 'limits-disagree', message });
  }
  for (const [name, written] of entries) {
    const port = typeof written === 'number' ? { port: written } : written;
    const place = `${pointer}/ports/${name}`;
    for (const [side, number] of [['port', port.port] as const, ['host', port.host] as const]) {
      if (number === undefined) continue;
      const other = names.get(`${side} ${number}`);
      names.set(`${side} ${number}`, name);
      if (other === undefined) continue;
      const where = side === 'host' ? 'on the host' : 'in the container';
      findings.push({
        pointer: typeof written === 'number' ? place : `${place}/${side}`,
        at: 'value',
        code: 'port-twice',
        message: `Port ${number} ${where} is taken twice: by \`${other}\` and by \`${name}\`.`,
      });
    }
    if (mode === 'host' && port.host !== undefined && port.host !== port.port) {
      const message = 'On the network of the host, `port` and `host` are the same port.';
      findings.push({ pointer: `${place}/host`, at: 'value', code: 'limits-disagree', message });
    }
  }
  return findings;
};

const checkPlacement = ({ group, pointer }: WrittenGroup): readonly Finding[] => [
  ...(group.constraints ?? []).flatMap((written, index) =>
    checkRule(written, `${pointer}/constraints/${index}`),
  ),
  ...(group.affinities ?? []).flatMap((affinity, index) =>
    checkRule(affinity.rule, `${pointer}/affinities/${index}/rule`),
  ),
  ...(group.affinities === undefined ? [] : [noEffect(pointer, 'affinities')]),
  ...(group.spread ?? []).flatMap((spread, index): readonly Finding[] =>
    isAttribute(spread.attribute)
      ? []
      : [
          {
            pointer: `${pointer}/spread/${index}/attribute`,
            at: 'value',
            code: 'constraint-form',
            message: `${JSON.stringify(spread.attribute)} is no attribute of nodes.`,
            advice: 'Write an attribute such as `node.zone`.',
          },
        ],
  ),
];

const checkRule = (written: string, pointer: string): readonly Finding[] => {
  const reading = parseConstraint(written);
  if (reading.kind === 'ok') return [];
  if (reading.kind === 'later') {
    return [
      {
        pointer,
        at: 'value',
        code: 'not-supported',
        message: `The operator \`${reading.operator}\` is not evaluated in this release.`,
        advice: 'Use `=` or `!=`, for example on a label of the nodes: `node.size = large`.',
      },
    ];
  }
  const message = `${JSON.stringify(written)} is no constraint.`;
  return [{ pointer, at: 'value', code: 'constraint-form', message }];
};

const noEffect = (pointer: string, field: string): Finding => ({
  pointer: `${pointer}/${field}`,
  at: 'key',
  code: 'no-effect-yet',
  message: `\`${field}\` is read and checked, and has no effect in this release.`,
});

const checkReschedule = ({ group, pointer }: WrittenGroup): readonly Finding[] => {
  const { delay, max_delay: most } = group.reschedule ?? {};
  if (delay === undefined || most === undefined) return [];
  if ((parseDuration(delay) ?? 0) <= (parseDuration(most) ?? 0)) return [];
  const message = `\`delay\` (${delay}) is longer than \`max_delay\` (${most}).`;
  return [
    { pointer: `${pointer}/reschedule/delay`, at: 'value', code: 'limits-disagree', message },
  ];
};

/**
 * A named volume means the same everywhere in its group, and two live copies never hold one (rules
 * 14).
 */
const checkVolumes = (job: JobFile, { tasks }: WrittenGroup): readonly Finding[] => {
  const findings: Finding[] = [];
  const seen = new Map<string, string>();
  for (const task of tasks) {
    for (const [index, written] of (task.task.volumes ?? []).entries()) {
      const volume = parseVolume(written);
      if (volume?.kind !== 'named') continue;
      const other = seen.get(volume.name);
      seen.set(volume.name, volume.onLoss);
      if (other === undefined || other === volume.onLoss) continue;
      findings.push({
        pointer: `${task.pointer}/volumes/${index}`,
        at: 'value',
        code: 'volume-twice',
        message: `Volume \`${volume.name}\` has \`on_loss: ${other}\` elsewhere in the group.`,
      });
    }
  }
  if (seen.size === 0) return findings;
  if ((job.update?.canary ?? 0) > 0) {
    const message = `A group with the named volume \`${[...seen.keys()][0]}\` cannot have canaries.`;
    findings.push({ pointer: '/update/canary', at: 'value', code: 'canary-with-volume', message });
  }
  if (job.update?.order === 'start-first') {
    findings.push(orderForced(`it has the named volume \`${[...seen.keys()][0]}\``));
  }
  return findings;
};

const orderForced = (why: string): Finding => ({
  pointer: '/update/order',
  at: 'value',
  code: 'order-forced',
  message: `A group is replaced stop-first although \`order\` says start-first: ${why}.`,
});

const checkSingleton = (job: JobFile, { group, pointer }: WrittenGroup): readonly Finding[] => {
  if (group.singleton !== true) return [];
  const findings: Finding[] = [];
  if ((parseDuration(group.stop_after ?? '0s') ?? 0) === 0) {
    findings.push({
      pointer: `${pointer}/singleton`,
      at: 'key',
      code: 'singleton-needs',
      message: '`singleton: true` needs `stop_after`: else two copies could live.',
    });
  }
  if (job.update?.order === 'start-first') findings.push(orderForced('it is a singleton'));
  if ((job.update?.canary ?? 0) > 0) {
    findings.push({
      pointer: '/update/canary',
      at: 'value',
      code: 'order-forced',
      message: 'A singleton has no canaries: `canary` counts as 0 for its group.',
      advice: 'Leave `canary` out.',
    });
  }
  return findings;
};
