// The written form of a task: one container of a group.
// In: nothing. Out: the schema and the type. Its fields may also stand at group level (a group
// without `tasks` is one task) and at job level (a job without `groups` is one group). Not here:
// what a task means once compiled (schema/spec.ts), checks of meaning (schema/check-job.ts).

import Type from 'typebox';
import {
  classesOf,
  closed,
  cpu,
  duration,
  field,
  mapOf,
  name,
  size,
  strings,
  text,
  type WrittenOf,
} from './field.ts';
import { LIFECYCLES } from '../lifecycle.ts';
import { NAME_PATTERN } from '../patterns.ts';

const ABSOLUTE = '^/';

/**
 * Most failures in a row that a check may ask for: at one a second, more than a quarter of an hour.
 */
const MAX_RETRIES = 1000;
/** Linux's own limit of process ids. */
const MAX_PIDS = 4_194_304;

const checkFields = {
  http: field('version', Type.String({ pattern: ABSOLUTE }), {
    description: 'Path of an HTTP GET; a status from 200 to 399 passes.',
    default: null,
  }),
  tcp: field('version', name, {
    description: 'Name of a port that must accept a connection.',
    default: null,
  }),
  exec: field('version', Type.Array(text(), { minItems: 1 }), {
    description: 'Command run in the container; exit code 0 passes.',
    default: null,
  }),
  port: field('version', name, {
    description: 'Name of the port that `http` asks. May be left out where the group has one port.',
    default: null,
  }),
  interval: field('version', duration, {
    description: 'Time from one check to the next.',
    default: '10s',
  }),
  timeout: field('version', duration, {
    description: 'A check that takes longer has failed.',
    default: '2s',
  }),
  retries: field('version', Type.Integer({ minimum: 1, maximum: MAX_RETRIES }), {
    description: 'Failures in a row before the check counts as failed.',
    default: '3',
  }),
};

export const checkSchema = Type.Object(checkFields, closed);

const checksSchema = Type.Object(
  {
    startup: field('version', checkSchema, {
      description: 'Until it passes once, the other checks do not run.',
      default: null,
    }),
    ready: field('version', checkSchema, {
      description: 'Gates rollouts and routing.',
      default: null,
    }),
    live: field('version', checkSchema, {
      description: 'Restarts the task, under `restart`, when it fails.',
      default: null,
    }),
  },
  closed,
);

export const resourceFields = {
  cpu: field('version', cpu, {
    description:
      'CPU that placement counts and that is guaranteed as a share: `250m`, `"1"`, `0.5`.',
    default: '100m',
  }),
  cpu_max: field('version', cpu, {
    description: 'Hard limit of CPU. Without it the task may use what is idle.',
    default: null,
  }),
  memory: field('version', size, {
    description: 'Memory that placement counts. The limit too, unless `memory_max` is given.',
    default: '128MiB',
  }),
  memory_max: field('version', size, {
    description: 'Hard limit of memory, at least `memory`.',
    default: null,
  }),
};

export const resourcesSchema = Type.Object(resourceFields, closed);

const volumeSchema = Type.Union([
  Type.String({ pattern: '^[^:]+:/[^:]*(:(ro|rw))?$', 'x-unit': 'volume' }),
  Type.Object(
    {
      name: { ...name, description: 'Name of the volume.' },
      path: Type.String({ pattern: ABSOLUTE, description: 'Where the task sees it.' }),
      read_only: field('version', Type.Boolean(), {
        description: 'The task may not write to it.',
        default: 'false',
      }),
      on_loss: field('version', Type.Enum(['wait', 'recreate']), {
        description:
          'When its node is lost: wait for the node, or start elsewhere with an empty volume.',
        default: 'wait',
      }),
    },
    closed,
  ),
]);

const containerFields = {
  image: field('version', Type.String({ minLength: 1, maxLength: 512 }), {
    description: 'Image reference; a tag is resolved once to a digest (rules 3). Required.',
    default: null,
  }),
  entrypoint: field('version', strings, {
    description: "Replaces the image's entrypoint and drops its command, as in Compose.",
    default: "the image's",
  }),
  command: field('version', strings, {
    description: "Replaces the image's command, as in Compose.",
    default: "the image's",
  }),
  environment: field('version', mapOf('^[A-Za-z_][A-Za-z0-9_.-]*$', text()), {
    description:
      'Environment variables. Values keep their source text (`1.10` stays `1.10`); `${node.…}` is filled in.',
    default: null,
  }),
  env_file: field('version', Type.Union([Type.String(), Type.Array(Type.String())]), {
    description: 'Files in the repository with `NAME=value` lines; `environment` wins over them.',
    default: null,
  }),
  user: field('version', text({ minLength: 1 }), {
    description: 'User, `uid` or `uid:gid` that the task runs as.',
    default: "the image's",
  }),
  working_dir: field('version', Type.String({ pattern: ABSOLUTE }), {
    description: 'Working directory.',
    default: "the image's",
  }),
  read_only: field('version', Type.Boolean(), {
    description: 'The root file system is read-only.',
    default: 'false',
  }),
  tmpfs: field('version', Type.Array(Type.String({ pattern: ABSOLUTE })), {
    description: 'Paths that get an empty file system in memory.',
    default: null,
  }),
  files: field('version', mapOf('^/.+', Type.String({ minLength: 1 })), {
    description:
      'Path in the container → path in the repository. The content is part of the version.',
    default: null,
  }),
  volumes: field('version', Type.Array(volumeSchema), {
    description:
      'Named volumes (`data:/var/lib/web`, or the long form `{name, path, on_loss}`) and host paths (`/srv/shared:/shared:ro`) that policy allows.',
    default: null,
  }),
};

export const taskFields = {
  ...containerFields,
  lifecycle: field('version', Type.Enum([...LIFECYCLES]), {
    description:
      'When it runs (rules 15): `prestart` to its end before the main tasks, `sidecar` beside them and a little longer, `poststart` to its end once they are healthy, `poststop` to its end when all others have ended.',
    default: 'a main task',
  }),
  depends_on: field('version', Type.Array(name), {
    description:
      'Tasks of the group that it starts after: they are completed, or started and healthy.',
    default: null,
  }),
  resources: field('version', resourcesSchema, {
    description: 'CPU and memory.',
    default: 'cpu 100m, memory 128MiB',
  }),
  pids: field('version', Type.Integer({ minimum: 1, maximum: MAX_PIDS }), {
    description: 'Most processes and threads that the task may have.',
    default: null,
  }),
  cap_add: field('version', Type.Array(Type.String({ pattern: '^[A-Z_]+$' })), {
    description: 'Linux capabilities to add, without `CAP_`.',
    default: null,
  }),
  cap_drop: field('version', Type.Array(Type.String({ pattern: '^[A-Z_]+$' })), {
    description: 'Linux capabilities to drop, without `CAP_`; `ALL` drops all.',
    default: null,
  }),
  checks: field('version', checksSchema, {
    description: 'Health checks (rules 4).',
    default: null,
  }),
  healthcheck: field('version', checkSchema, {
    description: 'Short form: `ready` by its `retries`, `live` by three times as many.',
    default: null,
  }),
  kill_signal: field('version', Type.String({ pattern: '^SIG[A-Z0-9+-]+$' }), {
    description: 'Signal that asks the task to end.',
    default: 'SIGTERM',
  }),
  kill_timeout: field('in-place', duration, {
    description:
      'Time from that signal to SIGKILL. A `poststop` task has so long to run, from its turn on.',
    default: '10s',
  }),
};

export const taskSchema = Type.Object(taskFields, closed);
export const taskClasses = classesOf(taskFields);
export const tasksSchema = mapOf(NAME_PATTERN, taskSchema);

export type TaskFile = WrittenOf<typeof taskSchema>;
export type CheckFile = WrittenOf<typeof checkSchema>;
export type ChecksFile = WrittenOf<typeof checksSchema>;
export type ResourcesFile = WrittenOf<typeof resourcesSchema>;
export type VolumeFile = WrittenOf<typeof volumeSchema>;
