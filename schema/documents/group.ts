// The written form of a task group: what is placed together on one node, `count` times.
// In: nothing. Out: the schema and the type. Its fields may also stand at job level (a job without
// `groups` is one group named as the job). Not here: the compiled group (schema/spec.ts), checks of
// meaning (schema/check-job.ts).

import Type from 'typebox';
import {
  classesOf,
  closed,
  duration,
  field,
  labelsMap,
  mapOf,
  name,
  tagsField,
  type WrittenOf,
} from './field.ts';
import { NAME_PATTERN } from '../patterns.ts';
import { GROUP_SERVICES } from '../services.ts';
import { taskFields, tasksSchema } from './task.ts';

/** Most copies of one group: more is a slip of the finger. */
export const MAX_COUNT = 100_000;
const MAX_PORT = 65_535;
/** Most restarts or reschedules that may be written. */
const MAX_ATTEMPTS = 1000;

const copies = Type.Integer({ minimum: 0, maximum: MAX_COUNT });
const port = Type.Integer({ minimum: 1, maximum: MAX_PORT });
const ruleText = Type.String({ minLength: 1, maxLength: 256 });

const countSchema = Type.Union([copies, Type.Object({ min: copies, max: copies }, closed)]);

const portSchema = Type.Union([
  port,
  Type.Object(
    {
      port: { ...port, description: "The container's port." },
      host: field('version', port, {
        description: 'Fixed port on the host.',
        default: 'a free port from 20000 to 32000',
      }),
    },
    closed,
  ),
]);

const networkSchema = Type.Object(
  {
    mode: field('version', Type.Enum(['bridge', 'host', 'none']), {
      description: 'Network of the copy: its own address, the host’s, or none.',
      default: 'bridge',
    }),
  },
  closed,
);

export const restartSchema = Type.Object(
  {
    attempts: field('in-place', Type.Integer({ minimum: 0, maximum: MAX_ATTEMPTS }), {
      description: 'Restarts on the same node within `interval`.',
      default: '2',
    }),
    interval: field('in-place', duration, {
      description: 'Window in which `attempts` count.',
      default: '30m',
    }),
    delay: field('in-place', duration, {
      description: 'Wait before a restart.',
      default: '15s',
    }),
    mode: field('in-place', Type.Enum(['fail', 'delay']), {
      description:
        'When attempts are used up: the copy is dead (`fail`), or waits for the interval to end (`delay`).',
      default: 'fail',
    }),
  },
  closed,
);

export const rescheduleSchema = Type.Object(
  {
    delay: field('in-place', duration, {
      description: 'Wait before a dead copy gets a new place.',
      default: '30s',
    }),
    delay_function: field('in-place', Type.Enum(['constant', 'exponential', 'fibonacci']), {
      description: 'How the wait grows.',
      default: 'exponential',
    }),
    max_delay: field('in-place', duration, {
      description: 'The wait never grows over this.',
      default: '1h',
    }),
    unlimited: field('in-place', Type.Boolean(), {
      description: 'Try for ever.',
      default: 'true',
    }),
    attempts: field('in-place', Type.Integer({ minimum: 0, maximum: MAX_ATTEMPTS }), {
      description: 'Tries, where `unlimited` is false.',
      default: '0',
    }),
  },
  closed,
);

const weight = (minimum: number) => Type.Integer({ minimum, maximum: 100 });

const affinitySchema = Type.Object(
  {
    rule: { ...ruleText, description: 'Attribute, operator, value, as in `constraints`.' },
    weight: field('in-place', weight(-100), {
      description: 'From -100 (avoid) to 100 (prefer).',
      default: '50',
    }),
  },
  closed,
);

const spreadSchema = Type.Object(
  {
    attribute: { ...ruleText, description: 'Attribute of nodes, such as `node.zone`.' },
    weight: field('in-place', weight(1), {
      description: 'From 1 to 100.',
      default: '50',
    }),
  },
  closed,
);

const serviceSchema = Type.Object(
  {
    name: field('in-place', name, {
      description: 'Name: `web` in the namespace `shop` is found as `web.shop.svc.purser`.',
      default: "the group's name",
    }),
    port: field('in-place', name, {
      description: 'Name of the port in `ports` that the service is reached at.',
      default: "the group's only port",
    }),
    tags: tagsField,
  },
  closed,
);

/** Fields of a group but for those of its only task. */
export const groupOnlyFields = {
  count: field('in-place', countSchema, {
    description:
      'Copies. `{min: 2, max: 20}`: a machine owns the count, in the scale file (rules 7).',
    default: '1',
  }),
  network: field('version', networkSchema, { description: 'Network.', default: 'mode bridge' }),
  ports: field('version', mapOf(NAME_PATTERN, portSchema), {
    description:
      "Name → the container's port (the host's is dynamic), or `{port, host}` with a fixed host port.",
    default: null,
  }),
  constraints: field('in-place', Type.Array(ruleText), {
    description: 'Nodes that may run it: `attribute operator value`, such as `node.pool = web`.',
    default: null,
  }),
  affinities: field('in-place', Type.Array(affinitySchema), {
    description: 'Nodes that are preferred.',
    default: null,
  }),
  spread: field('in-place', Type.Array(spreadSchema), {
    description: 'Copies are spread evenly over the values of an attribute.',
    default: null,
  }),
  restart: field('in-place', restartSchema, {
    description: 'Restarts of a task on its node.',
    default: '2 in 30m after 15s, mode fail',
  }),
  reschedule: field('in-place', rescheduleSchema, {
    description: 'A new place for a copy that is dead.',
    default: '30s exponential to 1h, unlimited',
  }),
  stop_after: field('in-place', duration, {
    description:
      'The node stops the copy when no reconciler has answered for so long; 0s is off (rules 9.3).',
    default: '0s',
  }),
  singleton: field('in-place', Type.Boolean(), {
    description:
      'Never two copies of a slot, at the price of a gap (rules 9.3). Needs `stop_after`.',
    default: 'false',
  }),
  shutdown_delay: field('in-place', duration, {
    description:
      'Least time between the moment at which a copy that stops is found no more and the kill signal.',
    default: '0s',
  }),
  services: field('in-place', Type.Array(serviceSchema, { maxItems: GROUP_SERVICES }), {
    description:
      'Names under which the copies that are ready are found (rules 16): `[{name: web, port: http}]`.',
    default: null,
  }),
  labels: field('in-place', labelsMap, {
    description: 'Labels for people and tools.',
    default: null,
  }),
};

export const tasksField = {
  tasks: field('version', tasksSchema, {
    description: 'Tasks by name. A group without `tasks` is one task, named as the group.',
    default: null,
  }),
};

export const groupFields = { ...groupOnlyFields, ...taskFields, ...tasksField };
export const groupSchema = Type.Object(groupFields, closed);
export const groupOnlyClasses = classesOf(groupOnlyFields);

export type GroupFile = WrittenOf<typeof groupSchema>;
export type PortFile = WrittenOf<typeof portSchema>;
export type CountFile = WrittenOf<typeof countSchema>;
export type RestartFile = WrittenOf<typeof restartSchema>;
export type RescheduleFile = WrittenOf<typeof rescheduleSchema>;
export type SpreadFile = WrittenOf<typeof spreadSchema>;
export type ServiceFile = WrittenOf<typeof serviceSchema>;
export type AffinityFile = WrittenOf<typeof affinitySchema>;
