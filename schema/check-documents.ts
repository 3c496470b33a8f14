// Mistakes of meaning in cluster, node and namespace files that need no other file.
// In: documents that fit their schema. Out: findings. Not here: jobs (schema/check-job.ts), lines
// (schema/findings.ts).

import type { ClusterFile } from './documents/cluster.ts';
import type { Finding } from './findings.ts';
import { ownersOf, parseOwners } from './owners.ts';
import { parseHostPath } from './references.ts';
import { parseDuration } from './units.ts';
import { checkUpdate, checkResources } from './check-limits.ts';

/** Shortest `lost_after`: below it a busy node would be lost at every hiccup. */
const MIN_LOST_AFTER_MS = 5000;
/** A registry as in an image reference: host, maybe a port, no scheme, no path. */
const REGISTRY = /^[a-zA-Z0-9.-]+(:[0-9]{1,5})?$/;

export const checkCluster = (cluster: ClusterFile): readonly Finding[] => [
  ...checkLostAfter(cluster),
  ...checkOwners(cluster),
  ...(cluster.policies?.registries ?? []).flatMap(checkRegistry),
  ...(cluster.policies?.host_paths ?? []).flatMap(checkHostPath),
  ...checkUpdate(cluster.defaults?.update, '/defaults/update'),
  ...checkResources(cluster.defaults?.resources, '/defaults/resources'),
];

/** The name in a file must agree with its path, where it stands (rules 1.2). */
export const checkNamed = (
  key: string,
  written: string | undefined,
  name: string | undefined,
): readonly Finding[] =>
  written === undefined || name === undefined || written === name
    ? []
    : [
        {
          pointer: `/${key}`,
          at: 'value',
          code: 'identity-mismatch',
          message: `\`${key}\` is \`${written}\`, but the path says \`${name}\`.`,
          advice: `Leave \`${key}\` out, or write \`${key}: ${name}\`.`,
        },
      ];

const checkLostAfter = ({ lost_after: lostAfter }: ClusterFile): readonly Finding[] =>
  lostAfter === undefined || (parseDuration(lostAfter) ?? 0) >= MIN_LOST_AFTER_MS
    ? []
    : [
        {
          pointer: '/lost_after',
          at: 'value',
          code: 'value-range',
          message: `\`lost_after\` must be at least 5s; it is ${lostAfter}.`,
        },
      ];

/** Rules that fit, but leave the file that holds them to anybody, protect nothing. */
const checkOwners = ({ owners }: ClusterFile): readonly Finding[] => {
  if (owners === undefined) return [];
  const { rules, faults } = parseOwners(owners);
  // A text of several lines begins below its `|`.
  const isBlock = owners.includes('\n');
  const isOpen = rules.length > 0 && ownersOf(rules)('cluster.yaml').length === 0;
  return [
    ...faults.map(({ line, message, advice }): Finding => {
      const at = { pointer: '/owners', at: 'value' } as const;
      return { ...at, below: isBlock ? line + 1 : 0, code: 'owners-syntax', message, advice };
    }),
    ...(isOpen
      ? [
          {
            pointer: '/owners',
            at: 'key',
            code: 'owners-open',
            message: 'No line of `owners` is about cluster.yaml, so anybody can change the rules.',
          } as const,
        ]
      : []),
  ];
};

const checkRegistry = (registry: string, index: number): readonly Finding[] =>
  REGISTRY.test(registry)
    ? []
    : [
        {
          pointer: `/policies/registries/${index}`,
          at: 'value',
          code: 'value-form',
          message: `${JSON.stringify(registry)} is no registry.`,
          advice: 'Write the host, and the port if there is one: `registry.example:5000`.',
        },
      ];

const checkHostPath = (written: string, index: number): readonly Finding[] =>
  parseHostPath(written)
    .path.split('/')
    .slice(1)
    .every((part) => part !== '..' && part !== '.')
    ? []
    : [
        {
          pointer: `/policies/host_paths/${index}`,
          at: 'value',
          code: 'value-form',
          message: `${JSON.stringify(written)} has \`.\` or \`..\` in it.`,
          advice: 'Write the path without them.',
        },
      ];
