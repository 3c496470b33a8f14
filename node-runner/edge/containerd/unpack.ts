// Layers become snapshots: each layer is applied on top of the one before. In: layers that are in
// the content store, in order, and the digests of their uncompressed content. Out: the chain id of
// the top snapshot. Not here: downloading (pull.ts overlaps it with this), whiteouts (containerd's
// work).

import { createHash, randomUUID } from 'node:crypto';
import { Status } from 'nice-grpc';
import type { Descriptor } from '../../../schema/image-reference.ts';
import { RuntimeError, tolerate } from '../runtime-error.ts';
import { type Services, SNAPSHOTTER } from './client.ts';
import { labelBlob } from './content.ts';
import { prepareSnapshot } from './snapshots.ts';

export interface LayerStep {
  readonly layer: Descriptor;
  readonly diffId: string;
  /** Chain id of the layer below, '' for the first. */
  readonly parent: string;
  readonly chainId: string;
}

/**
 * Chain ids (OCI image specification): the first is its diff id, each further one is the SHA-256 of
 * `<chain id below> <diff id>`.
 */
export const layerSteps = (
  layers: readonly Descriptor[],
  diffIds: readonly string[],
): readonly LayerStep[] => {
  const steps: LayerStep[] = [];
  let parent = '';
  for (const [index, layer] of layers.entries()) {
    const diffId = diffIds[index] ?? '';
    const chainId =
      parent === ''
        ? diffId
        : `sha256:${createHash('sha256').update(`${parent} ${diffId}`).digest('hex')}`;
    steps.push({ layer, diffId, parent, chainId });
    parent = chainId;
  }
  return steps;
};

/** Whether a committed snapshot of this name is there. */
export const hasSnapshot = async (services: Services, chainId: string): Promise<boolean> =>
  (await tolerate(
    services.snapshots.stat({ snapshotter: SNAPSHOTTER, key: chainId }),
    Status.NOT_FOUND,
  )) !== null;

/** Applies one layer; another process that does the same at the same time is no harm. */
export const unpackLayer = async (
  services: Services,
  step: LayerStep,
  signal?: AbortSignal,
): Promise<void> => {
  if (await hasSnapshot(services, step.chainId)) return;
  const key = `extract-${randomUUID()} ${step.chainId}`;
  const labels = { 'containerd.io/snapshot.ref': step.chainId };
  const at = { snapshotter: SNAPSHOTTER, key };
  const mounts = await prepareSnapshot(services, { key, parent: step.parent, labels });
  try {
    const { mediaType, digest, sizeBytes } = step.layer;
    const diff = { mediaType, digest, size: BigInt(sizeBytes) };
    const options = signal === undefined ? {} : { signal };
    const { applied } = await services.diff.apply({ diff, mounts }, options);
    if (applied?.digest !== step.diffId)
      throw new RuntimeError(
        'digest-mismatch',
        `Layer ${digest} unpacks to ${applied?.digest ?? 'nothing'}, but the image says ` +
          `${step.diffId}. The image was built wrongly; build and push it again.`,
      );
    const commit = { ...at, name: step.chainId, labels };
    if ((await tolerate(services.snapshots.commit(commit), Status.ALREADY_EXISTS)) === null)
      await services.snapshots.remove(at);
  } catch (error) {
    await services.snapshots.remove(at).catch(() => undefined);
    throw error;
  }
  await labelBlob(services, step.layer.digest, { 'containerd.io/uncompressed': step.diffId });
};
