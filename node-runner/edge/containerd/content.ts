// Blobs in containerd's content store: written from a source that can start at any offset, read
// back whole. In: bytes and the digest that they must have. Out: blobs that containerd itself has
// verified. A write that was cut goes on where it stopped, in this process or the next. Not here:
// where the bytes come from (registry.ts, import.ts), and which labels keep a blob from garbage
// collection (pull.ts).

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from 'nice-grpc';
import { codeOf, hasCode, isAbort, RuntimeError, tolerate } from '../runtime-error.ts';
import type { Services } from './client.ts';
import { WriteAction, type WriteContentRequest } from './generated/containerd/content.ts';

export interface BlobWrite {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The bytes from an offset on. */
  readonly source: (offset: number) => Promise<AsyncIterable<Uint8Array>>;
  /** Called with the number of bytes that are in the store now. */
  readonly onBytes?: (doneBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** One message of a write; containerd's limit is 16 MiB, and larger ones gain nothing. */
const CHUNK_MAX_BYTES = 1024 * 1024;
/** Small reads of the network are joined up to this size: a message costs about 0.1 ms of CPU. */
const CHUNK_MIN_BYTES = 64 * 1024;
/**
 * Broken connections in one blob before the pull fails; each attempt goes on where the last one
 * stopped.
 */
const ATTEMPTS_MAX = 5;
const RETRY_DELAY_MS = 200;
/** How long another writer of the same blob is waited for: a slow gigabyte. */
const LOCK_WAIT_MAX_MS = 10 * 60_000;

/** SHA-256 in the form that registries and containerd use. */
export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Makes sure that the blob is in the store. */
export const writeBlob = async (services: Services, blob: BlobWrite): Promise<void> => {
  let failures = 0;
  let waitedMs = 0;
  for (;;) {
    try {
      return await writeOnce(services, blob);
    } catch (error) {
      if (hasCode(error, Status.ALREADY_EXISTS)) return blob.onBytes?.(blob.sizeBytes);
      if (isLocked(error) && waitedMs < LOCK_WAIT_MAX_MS) waitedMs += RETRY_DELAY_MS;
      else if (isMismatch(error)) throw await mismatch(services, blob, error);
      else if (isAbort(error) || !mayRetry(error) || ++failures >= ATTEMPTS_MAX) throw error;
    }
    await sleep(
      RETRY_DELAY_MS,
      undefined,
      blob.signal === undefined ? {} : { signal: blob.signal },
    );
  }
};

/** Reads a blob that is known to be small. */
export const readBlob = async (
  services: Services,
  digest: string,
  maxBytes: number,
): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const { data } of services.content.read({ digest, offset: 0n, size: 0n })) {
    bytes += data.length;
    if (bytes > maxBytes)
      throw new RuntimeError(
        'other',
        `${digest} is larger than ${maxBytes} bytes, which is refused.`,
      );
    chunks.push(data);
  }
  return Buffer.concat(chunks);
};

/** Sets labels on a blob that may have been there before. */
export const labelBlob = async (
  services: Services,
  digest: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> => {
  const paths = Object.keys(labels).map((key) => `labels.${key}`);
  await services.content.update({ info: { digest, size: 0n, labels }, updateMask: paths });
};

/** One write stream: ask where to go on, send from there, commit. */
const writeOnce = async (services: Services, blob: BlobWrite): Promise<void> => {
  const ref = `purser-${blob.digest}`;
  const started = deferred<number>();
  let sourceFailure: unknown = null;
  const message = (fields: Partial<WriteContentRequest>): WriteContentRequest => ({
    action: WriteAction.STAT,
    ref,
    total: BigInt(blob.sizeBytes),
    expected: blob.digest,
    offset: 0n,
    data: new Uint8Array(0),
    labels: {},
    ...fields,
  });
  const messages = async function* (): AsyncGenerator<WriteContentRequest> {
    yield message({});
    let offset = await started.promise;
    try {
      if (offset < blob.sizeBytes)
        for await (const data of chunked(await blob.source(offset))) {
          yield message({ action: WriteAction.WRITE, offset: BigInt(offset), data });
          offset += data.length;
          blob.onBytes?.(offset);
        }
    } catch (error) {
      sourceFailure = error;
      throw error;
    }
    yield message({ action: WriteAction.COMMIT, offset: BigInt(offset), labels: blob.labels });
  };
  try {
    const options = blob.signal === undefined ? {} : { signal: blob.signal };
    for await (const answer of services.content.write(messages(), options))
      if (answer.action === WriteAction.STAT) started.resolve(Number(answer.offset));
  } catch (error) {
    started.reject(error);
    throw sourceFailure ?? error;
  }
};

const chunked = async function* (source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of source) {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < CHUNK_MIN_BYTES) continue;
    const joined = held.length === 1 ? chunk : Buffer.concat(held);
    for (let at = 0; at < joined.length; at += CHUNK_MAX_BYTES)
      yield joined.subarray(at, at + CHUNK_MAX_BYTES);
    held = [];
    heldBytes = 0;
  }
  if (heldBytes > 0) yield Buffer.concat(held);
};

const textOf = (error: unknown): string => (error instanceof Error ? error.message : '');

/** Somebody else writes the same blob. */
const isLocked = (error: unknown): boolean =>
  hasCode(error, Status.UNAVAILABLE) && textOf(error).includes('locked');

const isMismatch = (error: unknown): boolean =>
  hasCode(error, Status.FAILED_PRECONDITION, Status.OUT_OF_RANGE) &&
  /unexpected commit (digest|size)|exceeds|digest mismatch/.test(textOf(error));

/**
 * Network trouble is tried again at once, from where it stopped; an answer of the registry is not.
 */
const mayRetry = (error: unknown): boolean => {
  if (error instanceof RuntimeError)
    return error.cause !== undefined && error.reason === 'registry';
  const code = codeOf(error);
  if (code !== null) return code === Status.UNAVAILABLE || isShort(error);
  return error instanceof Error && 'code' in error;
};

/** The stream ended early without an error: containerd misses bytes at the commit. */
const isShort = (error: unknown): boolean => textOf(error).includes('failed size validation');

const mismatch = async (
  services: Services,
  blob: BlobWrite,
  cause: unknown,
): Promise<RuntimeError> => {
  await tolerate(services.content.abort({ ref: `purser-${blob.digest}` }), Status.NOT_FOUND);
  return new RuntimeError(
    'digest-mismatch',
    `The bytes that the registry sent for ${blob.digest} have another digest. ` +
      'The registry or something on the way is damaged.',
    cause,
  );
};

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

const deferred = <T>(): Deferred<T> => {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // The sender may never come to wait for it.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
};
