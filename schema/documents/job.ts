// The written form of jobs/<namespace>/<job>.yaml: job, groups, tasks, and the short forms without
// the lower levels.
// In: nothing. Out: the schema and the type. Whether group and task fields stand at a level where
// they may is checked in schema/check-job.ts, with a message that a schema cannot give. Not here:
// the compiled job (schema/spec.ts).

import Type from 'typebox';
import {
  classesOf,
  closed,
  duration,
  field,
  mapOf,
  name,
  parallel,
  schemaField,
  text,
  type WrittenOf,
} from './field.ts';
import { NAME_PATTERN } from '../patterns.ts';
import { groupFields, groupSchema } from './group.ts';

const MAX_CANARIES = 1000;
const MAX_FAILURES = 1000;

/** What cluster.yaml may set for all jobs too. */
const updateDefaults = {
  max_parallel: field('in-place', parallel, {
    description: 'Copies replaced at once: a number, or a percentage of count (at least 1).',
    default: '1',
  }),
  order: field('in-place', Type.Enum(['stop-first', 'start-first']), {
    description: 'Stop the old copy before starting the new one, or after.',
    default: 'stop-first',
  }),
  canary: field('in-place', Type.Integer({ minimum: 0, maximum: MAX_CANARIES }), {
    description: 'Copies of a new version that run beside the old ones until promotion.',
    default: '0',
  }),
  auto_promote: field('in-place', Type.Boolean(), {
    description: 'Healthy canaries are promoted without a commit.',
    default: 'false',
  }),
  auto_revert: field('in-place', Type.Boolean(), {
    description: 'A failed version is reverted by a commit (rules 6).',
    default: 'true',
  }),
  min_healthy_time: field('in-place', duration, {
    description: 'A new copy must be healthy for so long.',
    default: '10s',
  }),
  healthy_deadline: field('in-place', duration, {
    description: 'A copy that is not healthy by then has failed.',
    default: '5m',
  }),
  progress_deadline: field('in-place', duration, {
    description: 'A rollout without progress for so long has failed. Over `healthy_deadline`.',
    default: '10m',
  }),
  max_failures: field('in-place', Type.Integer({ minimum: 1, maximum: MAX_FAILURES }), {
    description: 'Dead copies of a new version that make it a failed one.',
    default: '2',
  }),
};

export const updateDefaultsSchema = Type.Object(updateDefaults, closed);
export const updateSchema = Type.Object(
  {
    ...updateDefaults,
    paused: field('in-place', Type.Boolean(), {
      description: 'The rollout stands still.',
      default: 'false',
    }),
    promote: field('in-place', text({ pattern: '^[0-9a-f]{12}$' }), {
      description: 'Promotes the canaries of the version whose first 12 characters these are.',
      default: null,
    }),
  },
  closed,
);

/** Fields of a job but for those of its only group and its only task. */
export const jobOnlyFields = {
  $schema: schemaField,
  job: field('identity', name, {
    description: 'Name of the job. The path says it already; must agree with it.',
    default: 'from the path',
  }),
  namespace: field('identity', name, {
    description: 'Namespace. The path says it already; must agree with it.',
    default: 'from the path',
  }),
  type: field('version', Type.Enum(['service', 'batch', 'cron', 'system']), {
    description: 'Kind of job. Only `service` runs in this release.',
    default: 'service',
  }),
  priority: field('in-place', Type.Integer({ minimum: 1, maximum: 100 }), {
    description: 'From 1 to 100; higher is placed first.',
    default: '50',
  }),
  update: field('in-place', updateSchema, {
    description: 'How a new version is rolled out (rules 5).',
    default: 'max_parallel 1, stop-first, auto_revert',
  }),
  stopped: field('in-place', Type.Boolean(), {
    description: 'All copies go, volumes stay. Written by `purser stop`.',
    default: 'false',
  }),
  restarted_at: field('version', text({ minLength: 1, maxLength: 64 }), {
    description: 'Any change makes a new version. Written by `purser restart`.',
    default: null,
  }),
};

export const groupsField = {
  groups: field('version', mapOf(NAME_PATTERN, groupSchema), {
    description: 'Groups by name. A job without `groups` is one group, named as the job.',
    default: null,
  }),
};

export const jobFields = { ...groupFields, ...jobOnlyFields, ...groupsField };
export const jobSchema = Type.Object(jobFields, closed);
export const jobOnlyClasses = classesOf(jobOnlyFields);
export const jobClasses = classesOf(jobFields);

/** A job file as written: every short form is still short. */
export type JobFile = WrittenOf<typeof jobSchema>;
export type UpdateFile = WrittenOf<typeof updateSchema>;
export type UpdateDefaultsFile = WrittenOf<typeof updateDefaultsSchema>;
