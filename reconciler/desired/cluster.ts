// cluster.yaml, namespaces and nodes as the planner sees them: built-in defaults applied, units as
// numbers.
// In: checked documents. Out: ClusterSpec, NamespaceSpec, ExpectedNode. The built-in defaults stand
// here and in the descriptions of the schema. Not here: which content counts when a file is invalid
// (held.ts).

import type {
  ClusterFile,
  DefaultsFile,
  NamespaceFile,
  NodeFile,
} from '../../schema/documents/cluster.ts';
import type { ClusterSpec, ExpectedNode, NamespaceSpec } from '../../schema/desired.ts';
import { byName, compareText } from '../../schema/ids.ts';
import { namesOnce } from '../../schema/lifecycle.ts';
import { parseHostPath } from '../../schema/references.ts';
import type { CommitInfo, Files } from '../../schema/source.ts';
import type { CommitRef } from '../../schema/desired.ts';
import type { Reader } from './read.ts';
import { cpuMilli, durationMs, sizeBytes } from './units.ts';

export const CLUSTER_PATH = 'cluster.yaml';
export const namespacePath = (namespace: string): string => `namespaces/${namespace}.yaml`;

const MAX_DEPLOYMENTS = 5;
const LOST_AFTER_MS = 30_000;

/** What a job is compiled under: policy and defaults of one commit. */
export interface Settings {
  readonly cluster: ClusterSpec;
  readonly defaults: DefaultsFile;
  /** The job's namespace is protected. */
  readonly protected: boolean;
  /** What may be written about the job's failures (rules 6.4). */
  readonly evidence: NamespaceSpec['evidence'];
}

export const clusterSpec = (file: ClusterFile): ClusterSpec => ({
  name: file.name,
  maxDeployments: file.max_deployments ?? MAX_DEPLOYMENTS,
  lostAfterMs: file.lost_after === undefined ? LOST_AFTER_MS : durationMs(file.lost_after),
  allowEmpty: file.allow_empty ?? false,
  ownApproval: file.guards?.own_approval ?? false,
  registries: file.policies?.registries?.toSorted() ?? [],
  hostPaths: (file.policies?.host_paths ?? [])
    .map(parseHostPath)
    .toSorted((a, b) => compareText(a.path, b.path)),
  ...(file.signatures?.verify === undefined || file.signatures.verify === 'none'
    ? {}
    : { verify: file.signatures.verify }),
  ...(file.plan_visibility === undefined || file.plan_visibility === 'full'
    ? {}
    : { planVisibility: file.plan_visibility }),
  ...(file.owners === undefined ? {} : { owners: file.owners }),
  ...(file.automation === undefined ? {} : { automation: file.automation }),
});

export const NO_DEFAULTS: DefaultsFile = {};

/**
 * Settings of another commit; what is invalid there keeps what counted before it (rules 1.3), which
 * is asked for only then. `evidence` is today's.
 */
export const settingsAt = (
  files: Files,
  namespace: string,
  { before, evidence, read }: SettingsBefore,
): Settings => {
  const clusterFile = files.get(CLUSTER_PATH);
  const cluster = clusterFile && read('cluster', CLUSTER_PATH, clusterFile).value;
  const path = namespacePath(namespace);
  const namespaceFile = files.get(path);
  const written = namespaceFile && read('namespace', path, namespaceFile).value;
  const kept = (): boolean => (namespaceFile === undefined ? false : before().protected);
  return {
    cluster: cluster ? clusterSpec(cluster) : before().cluster,
    defaults: cluster ? (cluster.defaults ?? NO_DEFAULTS) : before().defaults,
    protected: written ? (written.protected ?? false) : kept(),
    evidence,
  };
};

interface SettingsBefore extends Pick<Settings, 'evidence'> {
  readonly before: () => Settings;
  readonly read: Reader;
}

/** A namespace needs no file: without one it has no quota and is not protected. */
export const namespaceSpec = (name: string, file: NamespaceFile | null): NamespaceSpec => ({
  name,
  protected: file?.protected ?? false,
  quota: quotaOf(file),
  evidence: file?.evidence ?? 'codes',
  ...(file?.plan_visibility === 'full' ? { planVisibility: 'full' } : {}),
  ...externalOf(file),
});

const externalOf = (file: NamespaceFile | null): Pick<NamespaceSpec, 'external'> => {
  const services = file?.services ?? [];
  if (services.length === 0) return {};
  const external = services.map(({ name, address, addresses, port, tags = [] }) => ({
    name,
    addresses: namesOnce(addresses ?? (address === undefined ? [] : [address])),
    port,
    tags: namesOnce(tags),
  }));
  return { external: byName(external) };
};

/** A resource that the quota does not name is not limited: the largest integer that is exact. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

const quotaOf = (file: NamespaceFile | null): NamespaceSpec['quota'] => {
  const { cpu, memory } = file?.quota ?? {};
  if (cpu === undefined && memory === undefined) return null;
  return {
    cpuMilli: cpu === undefined ? UNLIMITED : cpuMilli(cpu),
    memoryBytes: memory === undefined ? UNLIMITED : sizeBytes(memory),
  };
};

export const expectedNode = (name: string, file: NodeFile): ExpectedNode => ({
  name,
  labels: Object.entries(file.labels ?? {}).toSorted(([a], [b]) => compareText(a, b)),
  pool: file.pool ?? null,
  drain: drainOf(file.drain),
});

const drainOf = (drain: NodeFile['drain']): ExpectedNode['drain'] => {
  if (typeof drain === 'object') return 'volumes';
  return drain === true || drain === 'yes' ? 'yes' : 'no';
};

export const commitRef = (commit: CommitInfo): CommitRef => ({
  oid: commit.oid,
  author: commit.author.name,
  email: commit.author.email,
  subject: commit.message.split('\n', 1)[0] ?? '',
});
