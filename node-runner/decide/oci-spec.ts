// One task as an OCI runtime specification (1.0.2): complete, nothing left to decide.
// In: the task, its image, its user, paths, network, ports, the node. Out: JSON for containerd.
// No number above 2^53 stands in it and no rlimits: JSON would spoil the one, the node may forbid
// the other. Not here: the default lists (oci-defaults.ts), the seccomp profile (seccomp.ts),
// creating anything.

import { containerId, compareText, volumeFolder } from '../../schema/ids.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import type { TaskSpec } from '../../schema/spec.ts';
import type { ImageFacts, OciSpec, PreparedPaths, ResolvedUser } from '../ports.ts';
import { taskEnvironment } from './environment.ts';
import { generatedPaths } from './files.ts';
import type { NodeFacts, PortChoice } from './inventory.ts';
import type { OwnNetwork } from './network.ts';
import type { OciMount } from './oci-defaults.ts';
import {
  ALL_CAPABILITIES,
  DEFAULT_CAPABILITIES,
  DEFAULT_DEVICE_RULES,
  DEFAULT_MOUNTS,
  DEFAULT_NAMESPACES,
  HOST_NETWORK_SYS,
  MASKED_PATHS,
  READONLY_PATHS,
} from './oci-defaults.ts';
import { seccompProfile } from './seccomp.ts';

/**
 * Processes and threads of a task that sets no limit of its own: enough for large programs, an end
 * to fork bombs.
 */
export const DEFAULT_PIDS = 4096;

/** CPU quotas are given per this period, the kernel's own default. */
const CPU_PERIOD_US = 100_000;

/**
 * Under memory pressure of the whole machine a task goes before the machine's own services (0) do.
 */
const OOM_SCORE_ADJ = 500;

/**
 * In a network of its own a task that is not root may listen on port 80 too, as people expect of
 * containers.
 */
const OWN_NETWORK_SYSCTLS = { 'net.ipv4.ip_unprivileged_port_start': '0' };

/**
 * Containers of one value share a shim: a quarter of the memory (measured: 3.7 MB against 0.9 MB a
 * container).
 */
const SHIM_GROUP = 'io.containerd.runc.v2.group';

export interface SpecInput {
  readonly body: AllocationBody;
  readonly task: TaskSpec;
  readonly image: ImageFacts;
  readonly user: ResolvedUser;
  readonly paths: PreparedPaths;
  /** null: the host's network. */
  readonly network: OwnNetwork | null;
  readonly ports: readonly PortChoice[];
  readonly node: NodeFacts;
}

export const ociSpec = (input: SpecInput): OciSpec => {
  const { body, task, image, user, node } = input;
  const granted = capabilities(task);
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      args: taskArgs(task, image),
      env: taskEnvironment(task, image.environment, input),
      cwd: task.workingDir ?? (image.workingDir === '' ? '/' : image.workingDir),
      capabilities: { bounding: granted, effective: granted, permitted: granted },
      noNewPrivileges: true,
      oomScoreAdj: OOM_SCORE_ADJ,
    },
    root: { path: 'rootfs', readonly: task.readOnlyRoot },
    hostname: body.allocation,
    mounts: mounts(input),
    annotations: { [SHIM_GROUP]: body.allocation },
    linux: {
      namespaces: namespaces(input.network),
      cgroupsPath: taskCgroup(node.cgroupParent, body.allocation, task.name),
      resources: resources(task),
      ...(input.network === null ? {} : { sysctl: OWN_NETWORK_SYSCTLS }),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      seccomp: seccompProfile(node.architecture, granted),
    },
  };
};

/**
 * `<parent>/<container>`: flat, since runc removes a container's own group and never the one around
 * it.
 */
export const taskCgroup = (parent: string, allocation: string, task: string): string =>
  `${parent}/${containerId(allocation, task)}`;

/** As in Compose: an entrypoint of the job's own makes the image's command void. */
export const taskArgs = (task: TaskSpec, image: ImageFacts): readonly string[] => {
  const entrypoint = task.entrypoint ?? image.entrypoint;
  const command = task.command ?? (task.entrypoint === null ? image.command : []);
  return [...entrypoint, ...command];
};

const fullName = (name: string): string => {
  const upper = name.toUpperCase();
  return upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
};

/**
 * Default set, plus cap_add, minus cap_drop; `ALL` means every one. What is both added and dropped
 * stays.
 */
export const capabilities = (task: TaskSpec): readonly string[] => {
  const added = task.capAdd.map(fullName);
  const dropped = task.capDrop.map(fullName);
  const base = dropped.includes('CAP_ALL')
    ? []
    : added.includes('CAP_ALL')
      ? ALL_CAPABILITIES.filter((name) => !dropped.includes(name))
      : DEFAULT_CAPABILITIES.filter((name) => !dropped.includes(name));
  const named = added.filter((name) => name !== 'CAP_ALL');
  return [...new Set([...base, ...named])].toSorted(compareText);
};

/** Without a path runc makes a fresh one, and sets its loopback up. */
const namespaces = (network: OwnNetwork | null): readonly object[] => {
  if (network === null) return DEFAULT_NAMESPACES;
  const { path } = network;
  return [...DEFAULT_NAMESPACES, { type: 'network', ...(path === null ? {} : { path }) }];
};

/**
 * cpuMilli becomes a share of contended CPU (1000 → 1024), cpuMaxMilli a quota (1500 → 150 ms each
 * 100 ms), memory a limit without swap.
 */
const resources = (task: TaskSpec): object => {
  const limit = task.memoryMaxBytes ?? task.memoryBytes;
  const shares = Math.max(2, Math.round((task.cpuMilli * 1024) / 1000));
  const quota =
    task.cpuMaxMilli === null
      ? {}
      : {
          quota: Math.max(1000, Math.round((task.cpuMaxMilli * CPU_PERIOD_US) / 1000)),
          period: CPU_PERIOD_US,
        };
  return {
    devices: DEFAULT_DEVICE_RULES,
    memory: { limit, swap: limit, reservation: Math.min(limit, task.memoryBytes) },
    cpu: { shares, ...quota },
    pids: { limit: task.pidsMax ?? DEFAULT_PIDS },
  };
};

/** Defaults first; then the job's by path, so that a mount below another comes after it. */
const mounts = (input: SpecInput): readonly OciMount[] => {
  const base =
    input.network === null
      ? DEFAULT_MOUNTS.map((mount) => (mount.destination === '/sys' ? HOST_NETWORK_SYS : mount))
      : DEFAULT_MOUNTS;
  const own = new Map<string, OciMount>();
  for (const mount of generatedMounts(input)) own.set(mount.destination, mount);
  for (const mount of jobMounts(input)) own.set(mount.destination, mount);
  const later = [...own.values()].toSorted((a, b) => compareText(a.destination, b.destination));
  return [...base.filter(({ destination }) => !own.has(destination)), ...later];
};

const bind = (source: string, destination: string, mode: 'ro' | 'rw'): OciMount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind', 'rprivate', 'nosuid', 'nodev', mode],
});

const generatedMounts = ({ task, paths, network }: SpecInput): readonly OciMount[] => {
  if (network === null) {
    return ['/etc/hosts', '/etc/resolv.conf'].map((path) => bind(path, path, 'ro'));
  }
  return generatedPaths.flatMap((path) => {
    const source = paths.files[`${task.name}\n${path}`];
    return source === undefined ? [] : [bind(source, path, 'ro')];
  });
};

const jobMounts = ({ body, task, paths }: SpecInput): readonly OciMount[] => {
  const files = task.files.flatMap(({ path }) => {
    const source = paths.files[`${task.name}\n${path}`];
    return source === undefined ? [] : [bind(source, path, 'ro')];
  });
  const volumes = task.volumes.flatMap((volume) => {
    const source =
      volume.kind === 'host' ? volume.source : paths.volumes[volumeFolder(body, volume.name)];
    if (source === undefined) return [];
    return [bind(source, volume.path, volume.readOnly ? 'ro' : 'rw')];
  });
  const tmpfs = task.tmpfs.map((destination) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'mode=1777'],
  }));
  return [...tmpfs, ...volumes, ...files];
};
