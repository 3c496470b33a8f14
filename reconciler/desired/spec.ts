// The compiled job: built-in defaults applied, units as numbers, groups sorted (schema/spec.ts).
// In: the long form with its files, the digests of its images, and the counts of the scale file.
// Out: the JobSpec.
// The built-in defaults stand here and in the descriptions of the schema, and nowhere else
// (product, defaults).
// Not here: what forms the version (version.ts), what is wrong with a job (draft.ts, policy.ts).

import { serviceName } from '../../schema/check-services.ts';
import type { GroupFile } from '../../schema/documents/group.ts';
import type { JobFile } from '../../schema/documents/job.ts';
import type { CheckFile, TaskFile } from '../../schema/documents/task.ts';
import { compareText } from '../../schema/ids.ts';
import { kindOf, namesOnce, type TaskKind } from '../../schema/lifecycle.ts';
import { parseConstraint, type ImageReference } from '../../schema/references.ts';
import type {
  CheckSpec,
  ChecksSpec,
  ConstraintSpec,
  FileMount,
  GroupSpec,
  JobSpec,
  TaskSpec,
  UpdateSpec,
  VolumeMount,
} from '../../schema/spec.ts';
import { cpuMilli, durationMs, sizeBytes } from './units.ts';
import { groupHash, jobHash } from './version.ts';

/** A task with everything that its file points at. */
export interface TaskContent {
  readonly name: string;
  readonly written: TaskFile;
  readonly image: ImageReference;
  readonly environment: readonly (readonly [string, string])[];
  readonly files: readonly FileMount[];
  readonly volumes: readonly VolumeMount[];
}

export interface GroupContent {
  readonly name: string;
  readonly written: GroupFile;
  /** Sorted by name. */
  readonly tasks: readonly TaskContent[];
}

export interface JobContent {
  readonly namespace: string;
  readonly job: string;
  readonly written: JobFile;
  /** Sorted by name. */
  readonly groups: readonly GroupContent[];
}

/** Key of a task's image: `<group> <task>`. Names hold no spaces. */
export const imageKey = (group: string, task: string): string => `${group} ${task}`;

export interface Found {
  /** By `imageKey`; an image that is missing is not resolved. */
  readonly digests: ReadonlyMap<string, string>;
  /** Group → count, where the machine owns it and has written it (rules 7). */
  readonly scale: { readonly [group: string]: number };
}

const DAY_MS = 86_400_000;
const HOUR_MS = DAY_MS / 24;
const MINUTE_MS = HOUR_MS / 60;
const SECOND_MS = 1000;
const MIB = 1024 * 1024;

export const jobSpec = (content: JobContent, found: Found): JobSpec => {
  const { namespace, job, written } = content;
  const stopped = written.stopped ?? false;
  const groups = content.groups.map((group) => groupSpec({ group, written, stopped, found }));
  return {
    id: `${namespace}/${job}`,
    namespace,
    job,
    type: 'service',
    priority: written.priority ?? 50,
    stopped,
    update: updateSpec(written.update ?? {}),
    specHash: jobHash(groups),
    groups,
  };
};

const updateSpec = (update: NonNullable<JobFile['update']>): UpdateSpec => {
  const parallel = update.max_parallel ?? 1;
  return {
    maxParallel:
      typeof parallel === 'number'
        ? { kind: 'count', copies: parallel }
        : { kind: 'percent', percent: Number.parseInt(parallel, 10) },
    order: update.order ?? 'stop-first',
    canary: update.canary ?? 0,
    autoPromote: update.auto_promote ?? false,
    autoRevert: update.auto_revert ?? true,
    minHealthyMs: duration(update.min_healthy_time, 10 * SECOND_MS),
    healthyDeadlineMs: duration(update.healthy_deadline, 5 * MINUTE_MS),
    progressDeadlineMs: duration(update.progress_deadline, 10 * MINUTE_MS),
    maxFailures: update.max_failures ?? 2,
    paused: update.paused ?? false,
    promote: update.promote ?? null,
  };
};

const groupSpec = ({
  group,
  written: job,
  stopped,
  found,
}: {
  readonly group: GroupContent;
  readonly written: JobFile;
  readonly stopped: boolean;
  readonly found: Found;
}): GroupSpec => {
  const { name, written } = group;
  const digestOf = (task: TaskContent): string | null =>
    task.image.digest ?? found.digests.get(imageKey(name, task.name)) ?? null;
  const tasks = group.tasks.map((task) => taskSpec(task, written, digestOf(task)));
  const forms = group.tasks.map((task) => ({ ...task, image: imageForm(task, digestOf(task)) }));
  return {
    name,
    hash: groupHash({ job, group: written, tasks: forms }),
    ...countOf(written, { stopped, fromFile: found.scale[name] }),
    networkMode: written.network?.mode ?? 'bridge',
    ports: portSpecs(written),
    constraints: (written.constraints ?? []).map(constraintOf),
    spread: (written.spread ?? []).map(({ attribute, weight = 50 }) => ({ attribute, weight })),
    ...restartAndReschedule(written),
    stopAfterMs: duration(written.stop_after, 0),
    singleton: written.singleton ?? false,
    shutdownDelayMs: duration(written.shutdown_delay, 0),
    ...servicesOf(name, written),
    volumes: namedVolumes(tasks),
    tasks,
    ask: { cpuMilli: mostAtOnce(tasks, 'cpuMilli'), memoryBytes: mostAtOnce(tasks, 'memoryBytes') },
    labels: sorted(Object.entries(written.labels ?? {})),
  };
};

/**
 * The most that a copy asks for at any time (rules 15): the sidecars with either the prestart tasks
 * or the main and poststart ones; at the end the poststop tasks alone. Without an order, the sum.
 */
const mostAtOnce = (tasks: readonly TaskSpec[], of: 'cpuMilli' | 'memoryBytes'): number => {
  const sum = (...kinds: readonly TaskKind[]): number =>
    tasks.reduce((all, task) => all + (kinds.includes(kindOf(task)) ? task[of] : 0), 0);
  const living = sum('sidecar') + Math.max(sum('prestart'), sum('main', 'poststart'));
  return Math.max(living, sum('poststop'));
};

const constraintOf = (text: string): ConstraintSpec => {
  const reading = parseConstraint(text);
  if (reading.kind !== 'ok') throw new Error(`"${text}" passed the checks but is no constraint`);
  return reading.constraint;
};

/** Rules 3: digests stand in the version; without one it holds the word `unresolved`. */
const imageForm = (task: TaskContent, digest: string | null): string =>
  digest === null
    ? `${task.image.repository}:${task.image.tag ?? ''} unresolved`
    : `${task.image.repository}@${digest}`;

/**
 * Rules 7: people's count, or the machine's within its bounds; without a scale file the planner
 * takes what lives.
 */
const countOf = (
  { count = 1 }: GroupFile,
  { stopped, fromFile }: { readonly stopped: boolean; readonly fromFile: number | undefined },
): Pick<GroupSpec, 'count' | 'scale'> => {
  if (typeof count === 'number') return { count: stopped ? 0 : count, scale: null };
  const { min, max } = count;
  const clamped = Math.min(max, Math.max(min, fromFile ?? min));
  return { count: stopped ? 0 : clamped, scale: { min, max, fromFile: fromFile !== undefined } };
};

const portSpecs = ({ ports = {} }: GroupFile): GroupSpec['ports'] =>
  Object.entries(ports)
    .map(([name, port]) =>
      typeof port === 'number'
        ? { name, port, host: null }
        : { name, port: port.port, host: port.host ?? null },
    )
    .toSorted((a, b) => compareText(a.name, b.name));

/** Nothing where there are none, so that bodies of groups without services stay as they were. */
const servicesOf = (
  group: string,
  { services = [], ports = {} }: GroupFile,
): Pick<GroupSpec, 'services'> => {
  if (services.length === 0) return {};
  const specs = services.map((service) => ({
    name: serviceName(service, group),
    port: service.port ?? Object.keys(ports)[0] ?? '',
    tags: namesOnce(service.tags ?? []),
  }));
  return { services: specs.toSorted((a, b) => compareText(a.name, b.name)) };
};

const restartAndReschedule = ({
  restart = {},
  reschedule = {},
}: GroupFile): Pick<GroupSpec, 'restart' | 'reschedule'> => ({
  restart: {
    attempts: restart.attempts ?? 2,
    intervalMs: duration(restart.interval, 30 * MINUTE_MS),
    delayMs: duration(restart.delay, 15 * SECOND_MS),
    mode: restart.mode ?? 'fail',
  },
  reschedule: {
    delayMs: duration(reschedule.delay, 30 * SECOND_MS),
    delayFunction: reschedule.delay_function ?? 'exponential',
    maxDelayMs: duration(reschedule.max_delay, HOUR_MS),
    unlimited: reschedule.unlimited ?? true,
    attempts: reschedule.attempts ?? 0,
  },
});

/** Tasks may share a volume; it is one volume of the group. */
const namedVolumes = (tasks: readonly TaskSpec[]): GroupSpec['volumes'] => {
  const byName = new Map<string, GroupSpec['volumes'][number]>();
  for (const { volumes } of tasks) {
    for (const volume of volumes) {
      if (volume.kind === 'named') {
        byName.set(volume.name, { name: volume.name, onLoss: volume.onLoss });
      }
    }
  }
  return [...byName.values()].toSorted((a, b) => compareText(a.name, b.name));
};

const taskSpec = (task: TaskContent, group: GroupFile, digest: string | null): TaskSpec => {
  const { name, written, image, environment, files, volumes } = task;
  const { resources = {} } = written;
  const max = resources.memory_max;
  return {
    name,
    ...(written.lifecycle === undefined ? {} : { lifecycle: written.lifecycle }),
    ...(written.depends_on === undefined ? {} : { dependsOn: namesOnce(written.depends_on) }),
    image: { reference: written.image ?? '', repository: image.repository, digest },
    entrypoint: written.entrypoint ?? null,
    command: written.command ?? null,
    environment,
    user: written.user ?? null,
    workingDir: written.working_dir ?? null,
    readOnlyRoot: written.read_only ?? false,
    tmpfs: written.tmpfs?.toSorted() ?? [],
    files,
    volumes,
    cpuMilli: resources.cpu === undefined ? 100 : cpuMilli(resources.cpu),
    cpuMaxMilli: resources.cpu_max === undefined ? null : cpuMilli(resources.cpu_max),
    memoryBytes: resources.memory === undefined ? 128 * MIB : sizeBytes(resources.memory),
    memoryMaxBytes: max === undefined ? null : sizeBytes(max),
    pidsMax: written.pids ?? null,
    capAdd: written.cap_add?.toSorted() ?? [],
    capDrop: written.cap_drop?.toSorted() ?? [],
    checks: checksSpec(written, Object.keys(group.ports ?? {})),
    killSignal: written.kill_signal ?? 'SIGTERM',
    killTimeoutMs: duration(written.kill_timeout, 10 * SECOND_MS),
  };
};

/** Failures in a row before a check has failed, where the file says nothing. */
const RETRIES = 3;

/** Rules 4.1: `healthcheck` is `ready` by its `retries` and `live` by three times as many. */
const checksSpec = (
  { checks = {}, healthcheck }: TaskFile,
  ports: readonly string[],
): ChecksSpec => {
  const ready = checks.ready ?? healthcheck;
  const live =
    checks.live ??
    (healthcheck && { ...healthcheck, retries: 3 * (healthcheck.retries ?? RETRIES) });
  return {
    startup: checks.startup ? checkSpec(checks.startup, ports) : null,
    ready: ready ? checkSpec(ready, ports) : null,
    live: live ? checkSpec(live, ports) : null,
  };
};

const checkSpec = (check: CheckFile, ports: readonly string[]): CheckSpec => ({
  probe: probeOf(check, ports),
  intervalMs: duration(check.interval, 10 * SECOND_MS),
  timeoutMs: duration(check.timeout, 2 * SECOND_MS),
  retries: check.retries ?? RETRIES,
});

/** The port of `http` may be left out where the group has one. */
const probeOf = (check: CheckFile, ports: readonly string[]): CheckSpec['probe'] => {
  if (check.exec !== undefined) return { kind: 'exec', command: check.exec };
  if (check.tcp !== undefined) return { kind: 'tcp', port: check.tcp };
  return { kind: 'http', path: check.http ?? '/', port: check.port ?? ports[0] ?? '' };
};

const duration = (written: string | undefined, fallbackMs: number): number =>
  written === undefined ? fallbackMs : durationMs(written);

const sorted = (
  pairs: readonly (readonly [string, string])[],
): readonly (readonly [string, string])[] => pairs.toSorted(([a], [b]) => compareText(a, b));
