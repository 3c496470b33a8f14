// The written forms of cluster.yaml, nodes/<node>.yaml, namespaces/<namespace>.yaml and
// scale/<namespace>/<job>.yaml.
// In: nothing. Out: schemas and types. None of these fields is a job's, so their class says only
// whether copies may be replaced by a change: a cluster default that a job uses is part of its
// version (rules 2.1). Not here: what they mean once compiled (schema/desired.ts).

import Type from 'typebox';
import {
  closed,
  cpu,
  duration,
  field,
  labelsMap,
  name,
  schemaField,
  size,
  tagsField,
  text,
  type WrittenOf,
} from './field.ts';
import { EXTERNAL_ADDRESSES, NAMESPACE_SERVICES } from '../services.ts';
import { OWNERS_LENGTH_LIMIT } from '../owners.ts';
import { NAME_PATTERN, NODE_NAME_PATTERN } from '../patterns.ts';
import { MAX_COUNT, groupOnlyFields, rescheduleSchema, restartSchema } from './group.ts';
import { jobOnlyFields, updateDefaultsSchema } from './job.ts';
import { resourcesSchema, taskFields } from './task.ts';

/** More rollouts at once than this is no limit any more. */
const MAX_DEPLOYMENTS = 10_000;

const defaultsFields = {
  priority: jobOnlyFields.priority,
  update: field('in-place', updateDefaultsSchema, {
    description: '`update` of every job; single fields of the job win.',
    default: null,
  }),
  restart: field('in-place', restartSchema, {
    description: '`restart` of every group; single fields of the group win.',
    default: null,
  }),
  reschedule: field('in-place', rescheduleSchema, {
    description: '`reschedule` of every group; single fields of the group win.',
    default: null,
  }),
  shutdown_delay: groupOnlyFields.shutdown_delay,
  resources: field('version', resourcesSchema, {
    description: '`resources` of every task; single fields of the task win.',
    default: null,
  }),
  kill_signal: taskFields.kill_signal,
  kill_timeout: taskFields.kill_timeout,
};

const policiesSchema = Type.Object(
  {
    registries: field('in-place', Type.Array(Type.String({ minLength: 1 })), {
      description: 'Registries that images may come from. Without a list none is asked (rules 3).',
      default: 'none',
    }),
    host_paths: field(
      'in-place',
      Type.Array(Type.String({ pattern: '^/[^:]*(:(ro|rw))?$', 'x-unit': 'host-path' })),
      {
        description:
          'Paths of nodes that jobs may mount, with all below: `/srv/shared`, `/etc/ssl:ro`.',
        default: 'none',
      },
    ),
  },
  closed,
);

const signaturesSchema = Type.Object(
  {
    verify: field('in-place', Type.Enum(['none', 'head', 'strict']), {
      description:
        'Which commits must be signed by somebody whom `signers/` lists: none, the newest one, or every one of the branch since the last that was accepted. The commit before a change decides.',
      default: 'none',
    }),
  },
  closed,
);

export const defaultsSchema = Type.Object(defaultsFields, closed);

const clusterFields = {
  $schema: schemaField,
  allow_empty: field('in-place', Type.Boolean(), {
    description: 'A commit without any job is meant; must stand in an earlier commit (rules 1.3).',
    default: 'false',
  }),
  max_deployments: field('in-place', Type.Integer({ minimum: 1, maximum: MAX_DEPLOYMENTS }), {
    description: 'Jobs that roll at once (rules 5.6).',
    default: '5',
  }),
  lost_after: field('in-place', duration, {
    description: 'A silent node is lost after this time (rules 9.1).',
    default: '30s',
  }),
  guards: field(
    'in-place',
    Type.Object(
      {
        own_approval: field('in-place', Type.Boolean(), {
          description: "The author's own approval counts (rules 8.2).",
          default: 'false',
        }),
      },
      closed,
    ),
    { description: 'Guards against removing much by mistake.', default: null },
  ),
  owners: field('in-place', Type.String({ maxLength: OWNERS_LENGTH_LIMIT }), {
    description:
      'Who must approve changes of which files, in the syntax of CODEOWNERS, paths relative to the directory of cluster.yaml. The commit before a change decides (rules 8.2).',
    default: 'none',
  }),
  automation: field('in-place', Type.Array(Type.String({ minLength: 1, maxLength: 254 })), {
    description:
      'E-mail addresses of programs that commit, with `*` for any characters. What one wrote is held after its revert, until a person commits (rules 6.6). Names that end in `[bot]` need no line.',
    default: 'none',
  }),
  plan_visibility: field('in-place', Type.Enum(['counts', 'namespace', 'full']), {
    description:
      'What a forge is told of plans and rollouts: all; of the cluster only counts, but all of namespaces whose file says so; or only counts. The commit before a change decides.',
    default: 'full',
  }),
  policies: field('in-place', policiesSchema, {
    description: 'What jobs may use.',
    default: null,
  }),
  defaults: field('version', defaultsSchema, {
    description: 'Defaults for every job. Those that form a version and apply are part of it.',
    default: null,
  }),
  signatures: field('in-place', signaturesSchema, {
    description: 'Whose commits are acted on.',
    default: null,
  }),
  ledger: field('in-place', Type.Enum(['ref', 'branch']), {
    description:
      'Where the ledger stands: a ref, or a branch, without notes on commits, where the host takes nothing else (rules 11).',
    default: 'ref',
  }),
};

export const clusterSchema = Type.Object(
  { name: { ...name, description: 'Name of the cluster. Required.' }, ...clusterFields },
  closed,
);

export const nodeSchema = Type.Object(
  {
    $schema: schemaField,
    node: field('identity', text({ pattern: NODE_NAME_PATTERN, 'x-unit': 'node-name' }), {
      description: 'Name of the node. The path says it already; must agree with it.',
      default: 'from the path',
    }),
    labels: field('in-place', labelsMap, {
      description: 'Attributes for constraints and spread: `zone: a` is `node.zone`.',
      default: null,
    }),
    pool: field('in-place', name, { description: 'Pool: `node.pool`.', default: null }),
    drain: field(
      'in-place',
      Type.Union([
        Type.Boolean(),
        Type.Enum(['yes', 'no']),
        Type.Object({ volumes: Type.Literal('stop') }, closed),
      ]),
      {
        description:
          'Copies move away. `{volumes: stop}` stops those with named volumes too (rules 14).',
        default: 'no',
      },
    ),
  },
  closed,
);

/** A port of something outside the cluster. */
const outsidePort = Type.Integer({ minimum: 1, maximum: 65_535 });
const outsideAddress = Type.String({ minLength: 1, maxLength: 253, 'x-unit': 'address' });

const externalSchema = Type.Object(
  {
    name: {
      ...name,
      description: 'Name: `mail` in the namespace `shop` is `mail.shop.svc.purser`.',
    },
    address: field('in-place', outsideAddress, {
      description: 'Where it is: an IPv4 or IPv6 address, or a host name.',
      default: null,
    }),
    addresses: field(
      'in-place',
      Type.Array(outsideAddress, { minItems: 1, maxItems: EXTERNAL_ADDRESSES }),
      {
        description: 'Several addresses, in the place of `address`; no host names.',
        default: null,
      },
    ),
    port: { ...outsidePort, description: 'Port at these addresses.' },
    tags: tagsField,
  },
  closed,
);

export const namespaceSchema = Type.Object(
  {
    $schema: schemaField,
    namespace: field('identity', name, {
      description: 'Name of the namespace. The path says it already; must agree with it.',
      default: 'from the path',
    }),
    protected: field('in-place', Type.Boolean(), {
      description: 'Every removal waits for approval, and images need a digest.',
      default: 'false',
    }),
    quota: field(
      'in-place',
      Type.Object(
        {
          cpu: field('in-place', cpu, { description: 'CPU of all its jobs.', default: null }),
          memory: field('in-place', size, {
            description: 'Memory of all its jobs.',
            default: null,
          }),
        },
        closed,
      ),
      { description: 'Limits of what its jobs may ask for.', default: null },
    ),
    services: field('in-place', Type.Array(externalSchema, { maxItems: NAMESPACE_SERVICES }), {
      description:
        'Names for addresses outside the cluster, found as its own services are (rules 16).',
      default: null,
    }),
    evidence: field('in-place', Type.Enum(['codes', 'logs']), {
      description:
        'What a revert commit may quote: exit codes and failed checks, or with `logs` also the last ten lines of a failed task’s log. Git never forgets.',
      default: 'codes',
    }),
    plan_visibility: field('in-place', Type.Enum(['counts', 'full']), {
      description:
        'What a forge is told of its jobs where cluster.yaml says `plan_visibility: namespace`.',
      default: 'counts',
    }),
  },
  closed,
);

/** Group → count. `$schema` may stand in the file; the parser takes it out. */
export const scaleSchema = Type.Unsafe<{ [group: string]: number }>({
  type: 'object',
  properties: { $schema: schemaField },
  patternProperties: { [NAME_PATTERN]: Type.Integer({ minimum: 0, maximum: MAX_COUNT }) },
  additionalProperties: false,
});

export type ClusterFile = WrittenOf<typeof clusterSchema>;
export type DefaultsFile = WrittenOf<typeof defaultsSchema>;
export type NodeFile = WrittenOf<typeof nodeSchema>;
export type ExternalFile = WrittenOf<typeof externalSchema>;
export type NamespaceFile = WrittenOf<typeof namespaceSchema>;
export type ScaleFile = WrittenOf<typeof scaleSchema>;
