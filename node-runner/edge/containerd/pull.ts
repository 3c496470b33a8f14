// Pulls one image by digest: documents and layers from its registry into containerd, unpacked and
// named. In: repository and digest. Out: ImageFacts. Layers are downloaded side by side while those
// below are being unpacked; what a broken pull has fetched stays under a lease for a day, so that
// the next one goes on there. Not here: HTTP and logins (registry.ts), labels (image-store.ts),
// applying (unpack.ts), retries of a whole pull.

import { createHash } from 'node:crypto';
import { Status } from 'nice-grpc';
import {
  type Descriptor,
  type ImageReference,
  parseImageReference,
} from '../../../schema/image-reference.ts';
import type { ImageFacts, PullProgress } from '../../ports.ts';
import { hasCode, RuntimeError, tolerate } from '../runtime-error.ts';
import { createLimit } from '../limit.ts';
import type { Containerd, Services } from './client.ts';
import { digestOf, readBlob, writeBlob } from './content.ts';
import {
  type Document,
  factsOf,
  type GetDocument,
  imageName,
  type ImageParts,
  nameImage,
  putDocuments,
  readParts,
  readStored,
} from './image-store.ts';
import { createDownloadOrder } from './order.ts';
import type { Registry } from './registry.ts';
import { unpackLayer } from './unpack.ts';

export interface PullAsk {
  readonly repository: string;
  readonly digest: string;
}

export interface PullOptions {
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
}

/** Layers of one image that are downloaded at a time; more gained nothing in measurements. */
const DOWNLOADS_MAX = 4;
/** Progress is told at most this often. */
const PROGRESS_EVERY_MS = 100;
/** How long what a broken pull has fetched is kept: a lease lives between one and two of these. */
const LEASE_HALF_MS = 12 * 60 * 60_000;

/** Returns the pull of one node: pulls of the same image wait for each other. */
export const createPull = (
  containerd: Containerd,
  registry: Registry,
): ((ask: PullAsk, options: PullOptions) => Promise<ImageFacts>) => {
  const inFlight = new Map<string, Promise<unknown>>();
  return async (ask, options) => {
    const name = imageName(ask);
    for (let other = inFlight.get(name); other !== undefined; other = inFlight.get(name))
      await orAborted(other, options.signal);
    const stored = readStored(containerd, name).then(
      (facts) => facts ?? pullNow({ containerd, registry, ask, options }),
    );
    const settled = stored.catch(() => undefined).finally(() => inFlight.delete(name));
    inFlight.set(name, settled);
    return stored;
  };
};

interface Job {
  readonly containerd: Containerd;
  readonly registry: Registry;
  readonly ask: PullAsk;
  readonly options: PullOptions;
}

const pullNow = async ({ containerd, registry, ask, options }: Job): Promise<ImageFacts> => {
  const name = imageName(ask);
  const reference = parseImageReference(name);
  if (reference === null)
    throw new RuntimeError('image-not-found', `${name} is not a valid image reference.`);
  options.signal?.throwIfAborted();
  const lease = await openLease(containerd, name);
  const services = containerd.leased(lease);
  // One failure ends the other downloads; what they have stays for the next attempt.
  const stop = new AbortController();
  const signals = options.signal === undefined ? [stop.signal] : [stop.signal, options.signal];
  const signal = AbortSignal.any(signals);
  try {
    const get = documents({ services, registry, reference, signal });
    const parts = await readParts(name, ask.digest, get);
    const source = { [`containerd.io/distribution.source.${reference.registry}`]: reference.path };
    await Promise.all([
      fetchAndUnpack(parts, { services, registry, reference, signal, source, options, name }),
      putDocuments(services, { name, parts, source }),
    ]);
    await nameImage(services, name, parts);
    await tolerate(containerd.leases.delete({ id: lease, sync: false }), Status.NOT_FOUND);
    return factsOf(name, parts);
  } catch (error) {
    stop.abort();
    options.signal?.throwIfAborted();
    throw error;
  }
};

interface Fetch {
  readonly services: Services;
  readonly registry: Registry;
  readonly reference: ImageReference;
  readonly signal: AbortSignal;
}

/** Documents come from the store where they are there already, else from the registry, verified. */
const documents = ({ services, registry, reference, signal }: Fetch): GetDocument => {
  return async ({ digest, mediaType, maxBytes }): Promise<Document> => {
    const held = await tolerate(readBlob(services, digest, maxBytes), Status.NOT_FOUND);
    if (held !== null) return { digest, mediaType: mediaType ?? '', bytes: held };
    const isConfig = mediaType !== null && !/manifest|index/.test(mediaType);
    const bytes = isConfig
      ? await collect(await registry.blob({ reference, digest, offset: 0, signal }), maxBytes)
      : await registry.manifest(reference, digest, signal);
    const found = digestOf(bytes);
    if (found === digest) return { digest, mediaType: mediaType ?? '', bytes };
    throw new RuntimeError(
      'digest-mismatch',
      `Registry ${reference.registry} was asked for ${digest} and sent ${found}. ` +
        'The registry or something on the way is damaged.',
    );
  };
};

interface LayerFetch extends Fetch {
  readonly source: Record<string, string>;
  readonly options: PullOptions;
  readonly name: string;
}

/** Downloads run ahead; each layer is applied when it and everything below it is there. */
const fetchAndUnpack = async (parts: ImageParts, fetch: LayerFetch): Promise<void> => {
  const { services, registry, reference, signal, source } = fetch;
  const progress = progressOf(parts.layers, fetch);
  const order = createDownloadOrder(parts.layers.length, signal);
  const slots = createLimit(DOWNLOADS_MAX);
  const download = async (layer: Descriptor, index: number): Promise<void> => {
    await order.turn(index);
    await slots(() =>
      writeBlob(services, {
        digest: layer.digest,
        sizeBytes: layer.sizeBytes,
        labels: source,
        source: async (offset) =>
          order.watched(await registry.blob({ reference, digest: layer.digest, offset, signal })),
        onBytes: (bytes) => {
          if (bytes >= layer.sizeBytes) order.ended(index);
          progress(index, bytes);
        },
        signal,
      }),
    );
  };
  const downloads = parts.layers.map(download);
  const unpack = async (): Promise<void> => {
    for (const [index, step] of parts.steps.entries()) {
      await downloads[index];
      await unpackLayer(services, step, signal);
    }
  };
  await Promise.all([...downloads, unpack()]);
};

const progressOf = (
  layers: readonly Descriptor[],
  { options, name }: LayerFetch,
): ((index: number, bytes: number) => void) => {
  const done = layers.map(() => 0);
  const totalBytes = layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let toldAt = -PROGRESS_EVERY_MS;
  return (index, bytes) => {
    done[index] = bytes;
    const doneBytes = done.reduce((sum, value) => sum + value, 0);
    if (doneBytes < totalBytes && performance.now() - toldAt < PROGRESS_EVERY_MS) return;
    toldAt = performance.now();
    options.onProgress?.({ image: name, doneBytes, totalBytes });
  };
};

/**
 * The lease of a pull has the same name in every attempt of the same half day, so that a second
 * attempt finds what the first one wrote, and is never given a lease that is about to end.
 */
export const openLease = async (containerd: Containerd, name: string): Promise<string> => {
  const half = Math.floor(Date.now() / LEASE_HALF_MS);
  const expires = new Date((half + 2) * LEASE_HALF_MS).toISOString();
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  const id = `purser-pull-${hash}-${half}`;
  const labels = { 'containerd.io/gc.expire': expires };
  try {
    await containerd.leases.create({ id, labels });
  } catch (error) {
    if (!hasCode(error, Status.ALREADY_EXISTS)) throw error;
  }
  return id;
};

const collect = async (stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new RuntimeError(
        'registry',
        `An image configuration is larger than ${maxBytes} bytes.`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/** Waits for another pull, but not longer than the caller wants to. */
const orAborted = (other: Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> => {
  if (signal === undefined) return other;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    void other.then(resolve).finally(() => signal.removeEventListener('abort', stop));
  });
};
