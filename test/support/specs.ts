// OCI specifications for tests: the product's own defaults around one command of the test image.

import {
  DEFAULT_CAPABILITIES,
  DEFAULT_DEVICE_RULES,
  DEFAULT_MOUNTS,
  DEFAULT_NAMESPACES,
  MASKED_PATHS,
  READONLY_PATHS,
} from '../../node-runner/decide/oci-defaults.ts';
import { seccompProfile } from '../../node-runner/decide/seccomp.ts';
import type { OciSpec } from '../../node-runner/ports.ts';

export interface SpecAsk {
  readonly args: readonly string[];
  /** Unique on the machine: cgroups are shared by all containerds. */
  readonly cgroup: string;
  readonly memoryBytes?: number;
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly seccomp?: boolean;
  readonly group?: string;
}

export const testSpec = (ask: SpecAsk): OciSpec => ({
  ociVersion: '1.0.2',
  ...(ask.group === undefined ? {} : { annotations: { 'io.containerd.runc.v2.group': ask.group } }),
  process: {
    args: ask.args,
    env: ['PATH=/bin'],
    cwd: '/',
    user: ask.user ?? { uid: 0, gid: 0 },
    noNewPrivileges: true,
    capabilities: {
      bounding: DEFAULT_CAPABILITIES,
      effective: DEFAULT_CAPABILITIES,
      permitted: DEFAULT_CAPABILITIES,
    },
  },
  root: { path: 'rootfs', readonly: false },
  hostname: 'test',
  mounts: DEFAULT_MOUNTS,
  linux: {
    cgroupsPath: ask.cgroup,
    namespaces: [...DEFAULT_NAMESPACES, { type: 'network' }],
    maskedPaths: MASKED_PATHS,
    readonlyPaths: READONLY_PATHS,
    resources: {
      devices: DEFAULT_DEVICE_RULES,
      ...(ask.memoryBytes === undefined
        ? {}
        : { memory: { limit: ask.memoryBytes, swap: ask.memoryBytes } }),
    },
    ...(ask.seccomp === true
      ? {
          seccomp: seccompProfile(
            process.arch === 'arm64' ? 'arm64' : 'amd64',
            DEFAULT_CAPABILITIES,
          ),
        }
      : {}),
  },
});
