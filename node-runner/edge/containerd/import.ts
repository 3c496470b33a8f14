// Puts an image that was built on the spot into containerd, without a registry. In: an image's
// bytes, whole (example images: a few megabytes). Out: ImageFacts, under `repository@digest`. Not
// here: how the image is built (cli/image-build.ts).

import { Status } from 'nice-grpc';
import type { ImageFacts } from '../../ports.ts';
import { RuntimeError, tolerate } from '../runtime-error.ts';
import type { Containerd } from './client.ts';
import { digestOf, writeBlob } from './content.ts';
import {
  factsOf,
  imageName,
  nameImage,
  once,
  putDocuments,
  readParts,
  readStored,
} from './image-store.ts';
import { openLease } from './pull.ts';
import { unpackLayer } from './unpack.ts';

/** An image whole in memory: a manifest, and every blob that it names. */
export interface WholeImage {
  readonly manifest: Uint8Array;
  /** Configuration and layers, by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** Safe to repeat; an image that is there already costs two look-ups. */
export const importImage = async (
  containerd: Containerd,
  image: WholeImage,
  repository: string,
): Promise<ImageFacts> => {
  const digest = digestOf(image.manifest);
  const name = imageName({ repository, digest });
  const stored = await readStored(containerd, name);
  if (stored !== null) return stored;
  const bytesOf = (wanted: string): Uint8Array => {
    const bytes = wanted === digest ? image.manifest : image.blobs.get(wanted);
    if (bytes !== undefined) return bytes;
    throw new RuntimeError(
      'image-not-found',
      `${name} cannot be imported: its ${wanted} is missing.`,
    );
  };
  const lease = await openLease(containerd, name);
  const services = containerd.leased(lease);
  const parts = await readParts(name, digest, async (wanted) => ({
    digest: wanted.digest,
    mediaType: wanted.mediaType ?? '',
    bytes: Buffer.from(bytesOf(wanted.digest)),
  }));
  for (const step of parts.steps) {
    const { digest: blob, sizeBytes } = step.layer;
    const source = async (offset: number): Promise<AsyncIterable<Uint8Array>> =>
      once(bytesOf(blob), offset);
    await writeBlob(services, { digest: blob, sizeBytes, labels: {}, source });
    await unpackLayer(services, step);
  }
  await putDocuments(services, { name, parts, source: {} });
  await nameImage(services, name, parts);
  await tolerate(containerd.leases.delete({ id: lease, sync: false }), Status.NOT_FOUND);
  return factsOf(name, parts);
};
