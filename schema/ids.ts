// Names that are computed, never drawn: allocation, container, deployment, slot (rules 10.2, 2.3).
// In: parts. Out: text. Not here: who counts attempts (reconciler/plan).

import { hashOf } from './hash.ts';

/** Order of ids everywhere: by code unit. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Sorted by name; the list itself where it is so already. */
export const byName = <Value extends { readonly name: string }>(
  values: readonly Value[],
): readonly Value[] =>
  values.every(({ name }, at) => compareText(values[at - 1]?.name ?? '', name) <= 0)
    ? values
    : values.toSorted((a, b) => compareText(a.name, b.name));

export interface AllocationKey {
  readonly namespace: string;
  readonly job: string;
  readonly group: string;
  readonly groupHash: string;
  readonly node: string;
  readonly index: number;
  readonly attempt: number;
}

/** 16 hex of hash(namespace, job, group, group hash, node) + `-` + index + `-` + attempt. */
export const allocationId = (key: AllocationKey): string => {
  const { namespace, job, group, groupHash, node, index, attempt } = key;
  const hash = hashOf([namespace, job, group, groupHash, node]).slice(0, 16);
  return `${hash}-${index}-${attempt}`;
};

/**
 * containerd's ids hold at most 76 characters; task names have at most 40 (schema), so this fits.
 */
export const containerId = (allocation: string, task: string): string => `${allocation}.${task}`;

export interface DeploymentKey {
  readonly cluster: string;
  readonly namespace: string;
  readonly job: string;
  readonly specHash: string;
  /** Commit that introduced the version. */
  readonly commit: string;
}

/** 16 hex characters (rules 2.3). */
export const deploymentId = (key: DeploymentKey): string =>
  hashOf([key.cluster, key.namespace, key.job, key.specHash, key.commit]).slice(0, 16);

/** What volumeFolder makes: five names between dots. */
export const VOLUME_FOLDER_PATTERN = '^[a-z0-9-]{1,40}(\\.[a-z0-9-]{1,40}){4}$';

/**
 * Folder of a named volume on its node: it belongs to the slot and outlives allocations (rules 14).
 * Names have no dots, so no two volumes share one.
 */
export const volumeFolder = (
  slot: Pick<AllocationKey, 'namespace' | 'job' | 'group' | 'index'>,
  volume: string,
): string => [slot.namespace, slot.job, slot.group, String(slot.index), volume].join('.');

/** `<namespace>/<job>/<group>[<index>]`: outlives allocations. */
export const slotName = (slot: {
  readonly namespace: string;
  readonly job: string;
  readonly group: string;
  readonly index: number;
}): string => `${slot.namespace}/${slot.job}/${slot.group}[${slot.index}]`;

/**
 * What people call a named volume: `shop/store/orders[0]`; the group stands in it where it is not
 * named as the job.
 */
export const volumeName = (home: {
  readonly namespace: string;
  readonly job: string;
  readonly group: string;
  readonly index: number;
  readonly volume: string;
}): string =>
  [
    home.namespace,
    home.job,
    ...(home.group === home.job ? [] : [home.group]),
    `${home.volume}[${home.index}]`,
  ].join('/');
