// The body of an allocation: what a runner is told, made in one place.
// In: job version, group, slot, attempt, node. Out: AllocationBody. Also: are two bodies the same,
// and where not.
// Not here: which slot or node (group, place).

import type { DesiredJob } from '../../schema/desired.ts';
import { allocationId } from '../../schema/ids.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import type { GroupSpec, JobSpec } from '../../schema/spec.ts';

/** The version that a body is made from: HEAD's, or the fallback's. */
export interface Version {
  readonly cluster: string;
  readonly spec: JobSpec;
  readonly deployment: string;
  readonly commit: string;
  readonly settled: boolean;
  /** Evidence of a failure may hold log lines (rules 6.4). */
  readonly evidence?: 'logs';
}

const evidenceOf = ({ evidence }: Pick<Version, 'evidence'>): Pick<Version, 'evidence'> =>
  evidence === undefined ? {} : { evidence };

export const headVersion = (job: DesiredJob, cluster: string, settled: boolean): Version => ({
  cluster,
  spec: job.spec,
  deployment: job.deployment,
  commit: job.commit.oid,
  settled,
  ...evidenceOf(job),
});

/** null when no other version of the job ever settled. */
export const fallbackVersion = (job: DesiredJob, cluster: string): Version | null =>
  job.fallback === null
    ? null
    : {
        cluster,
        spec: job.fallback.spec,
        deployment: job.fallback.deployment,
        commit: job.fallback.commit.oid,
        settled: true,
        ...evidenceOf(job),
      };

/**
 * The count is left out of what a node is told: scaling a job must not touch the copies that stay.
 */
const forNode = (group: GroupSpec): GroupSpec => ({ ...group, count: 0, scale: null });

export const makeBody = (
  version: Version,
  group: GroupSpec,
  where: {
    readonly index: number;
    readonly attempt: number;
    readonly node: string;
    readonly attributes?: AllocationBody['nodeAttributes'];
  },
): AllocationBody => {
  const { namespace, job, priority, specHash, update } = version.spec;
  const { attributes: nodeAttributes, ...place } = where;
  const key = { namespace, job, group: group.name, groupHash: group.hash, ...place };
  return {
    format: 1,
    allocation: allocationId(key),
    cluster: version.cluster,
    namespace,
    job,
    group: group.name,
    index: where.index,
    attempt: where.attempt,
    node: where.node,
    specHash,
    deployment: version.deployment,
    commit: version.commit,
    settled: version.settled,
    priority,
    minHealthyMs: update.minHealthyMs,
    ...(nodeAttributes !== undefined && usesNode(group) ? { nodeAttributes } : {}),
    ...evidenceOf(version),
    spec: forNode(group),
  };
};

const usesNode = (group: GroupSpec): boolean =>
  group.tasks.some(({ environment }) => environment.some(([, value]) => value.includes('${node.')));

/**
 * The body that a copy of this version should have now: all as it is, but for what changes in
 * place.
 */
export const refreshBody = (
  { evidence: _before, ...body }: AllocationBody,
  version: Version,
  group: GroupSpec,
): AllocationBody => ({
  ...body,
  ...evidenceOf(version),
  specHash: version.spec.specHash,
  deployment: version.deployment,
  commit: version.commit,
  settled: version.settled,
  priority: version.spec.priority,
  minHealthyMs: version.spec.update.minHealthyMs,
  spec: forNode(group),
});

/**
 * Names of the fields that differ, sorted; fields of the group by their own name. Empty: the same.
 */
export const changedFields = (a: AllocationBody, b: AllocationBody): readonly string[] => {
  if (same(a, b)) return [];
  const { spec: specA, ...restA } = a;
  const { spec: specB, ...restB } = b;
  const rest = differing(restA, restB);
  return specA === specB ? rest : [...rest, ...differing(specA, specB)].toSorted();
};

const differing = (a: object, b: object): readonly string[] => {
  const left = new Map<string, unknown>(Object.entries(a));
  const right = new Map<string, unknown>(Object.entries(b));
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => !same(left.get(key), right.get(key)))
    .toSorted();
};

/**
 * Equal as JSON values. Equal references are equal at once, which is the usual case; no memory is
 * used.
 */
export const same = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  let fields = 0;
  for (const key in a) {
    if (!same(a[key], b[key])) return false;
    fields += 1;
  }
  for (const _key in b) fields -= 1;
  return fields === 0;
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
