// The version of a group and of a job: hashes over the written fields that form it (rules 2.1).
// In: the long form with the cluster's defaults, and what its files and images turned out to be.
// Out: 64 hex characters. Formatting, comments, key order, short forms and units do not change
// them; built-in defaults are left out, so that a release with other defaults restarts nothing. Not
// here: fields changed in place (rules 2.2).

import type { GroupFile, groupOnlyFields } from '../../schema/documents/group.ts';
import type { JobFile, jobOnlyFields } from '../../schema/documents/job.ts';
import type { CheckFile, TaskFile, taskFields } from '../../schema/documents/task.ts';
import { hashOf, sha256, type Json } from '../../schema/hash.ts';
import { namesOnce } from '../../schema/lifecycle.ts';
import type { FileMount } from '../../schema/spec.ts';
import { cpuMilli, durationMs, sizeBytes } from './units.ts';
import { volumeForm } from './volumes.ts';

/** Raised only when the canonical form itself must change; then every copy is replaced once. */
const VERSION_FORMAT = 1;

/**
 * Names of the fields that form the version: the compiler insists that each has a canonical form
 * below.
 */
type VersionKeys<Fields> = {
  [K in keyof Fields]: Fields[K] extends { readonly 'x-class': 'version' } ? K : never;
}[keyof Fields];
type Forms<Fields> = { readonly [K in VersionKeys<Fields>]: Json | undefined };

/** One task, ready to be hashed. */
export interface TaskForm {
  readonly name: string;
  readonly written: TaskFile;
  /** `repository@sha256:…`, or the reference and the word `unresolved` (rules 3). */
  readonly image: string;
  /** `env_file` and `environment` merged, sorted by name. */
  readonly environment: readonly (readonly [string, string])[];
  readonly files: readonly FileMount[];
}

export interface GroupForm {
  readonly job: JobFile;
  readonly group: GroupFile;
  readonly tasks: readonly TaskForm[];
}

/**
 * Hash of one group. Neither its name nor the job's is in it: the path and the key are identities.
 */
export const groupHash = ({ job, group, tasks }: GroupForm): string =>
  hashOf({
    format: VERSION_FORMAT,
    ...jobForms(job),
    ...groupForms(group),
    tasks: Object.fromEntries(tasks.map((task) => [task.name, taskForms(task)])),
  });

/** The job's version: hash of its groups' hashes by name. */
export const jobHash = (
  groups: readonly { readonly name: string; readonly hash: string }[],
): string => hashOf(Object.fromEntries(groups.map(({ name, hash }) => [name, hash])));

const jobForms = (job: JobFile) =>
  ({
    type: job.type,
    restarted_at: job.restarted_at,
  }) satisfies Forms<typeof jobOnlyFields>;

const groupForms = ({ network, ports }: GroupFile) =>
  ({
    network: network && { mode: network.mode },
    ports: ports && mapValues(ports, (port) => (typeof port === 'number' ? { port } : { ...port })),
  }) satisfies Forms<typeof groupOnlyFields>;

const taskForms = ({ written, image, environment, files }: TaskForm) =>
  ({
    image,
    lifecycle: written.lifecycle,
    depends_on: written.depends_on && namesOnce(written.depends_on),
    entrypoint: written.entrypoint,
    command: written.command,
    environment:
      written.environment === undefined && written.env_file === undefined
        ? undefined
        : Object.fromEntries(environment),
    // Its content is in `environment`.
    env_file: undefined,
    user: written.user,
    working_dir: written.working_dir,
    read_only: written.read_only,
    tmpfs: written.tmpfs?.toSorted(),
    // The content counts, not where it lies in the repository.
    files:
      written.files &&
      Object.fromEntries(files.map(({ path, content }) => [path, sha256(content)])),
    // Mounts are made in the order of their paths, whatever the order in the file.
    volumes: written.volumes && Object.fromEntries(written.volumes.map(volumeEntry)),
    resources: written.resources && {
      cpu: optional(written.resources.cpu, cpuMilli),
      cpu_max: optional(written.resources.cpu_max, cpuMilli),
      memory: optional(written.resources.memory, sizeBytes),
      memory_max: optional(written.resources.memory_max, sizeBytes),
    },
    pids: written.pids,
    cap_add: written.cap_add?.toSorted(),
    cap_drop: written.cap_drop?.toSorted(),
    checks: checksForm(written),
    // Written out in `checks`.
    healthcheck: undefined,
    kill_signal: written.kill_signal,
  }) satisfies Forms<typeof taskFields>;

const volumeEntry = (volume: NonNullable<TaskFile['volumes']>[number]): [string, Json] => {
  const form = volumeForm(volume);
  return [form.path, form];
};

/** `healthcheck` is `ready` by its `retries` and `live` by three times as many (rules 4.1). */
const checksForm = ({ checks, healthcheck }: TaskFile): Json | undefined => {
  if (checks === undefined && healthcheck === undefined) return undefined;
  // Where `retries` is not written, three times the built-in default is a built-in default too: it
  // is left out, and the word keeps the form apart from a `live` whose own default applies.
  const live = healthcheck && {
    ...checkForm(healthcheck),
    retries: healthcheck.retries === undefined ? 'triple' : healthcheck.retries * 3,
  };
  return {
    startup: checks?.startup && checkForm(checks.startup),
    ready: optional(checks?.ready ?? healthcheck, checkForm),
    live: checks?.live ? checkForm(checks.live) : live,
  };
};

const checkForm = (check: CheckFile) => ({
  http: check.http,
  tcp: check.tcp,
  exec: check.exec,
  port: check.port,
  interval: optional(check.interval, durationMs),
  timeout: optional(check.timeout, durationMs),
  retries: check.retries,
});

const optional = <T, R>(value: T | undefined, form: (value: T) => R): R | undefined =>
  value === undefined ? undefined : form(value);

const mapValues = <T>(
  map: { readonly [key: string]: T },
  form: (value: T) => Json,
): { readonly [key: string]: Json } =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, form(value)]));
