// Images as containerd keeps them: documents, what they say, and the labels that keep their parts
// together. In: blobs of manifests and configurations. Out: ImageFacts, and complete images in the
// store. The label rules are containerd's garbage collector's: a blob or snapshot that nothing with
// a name refers to is deleted. Not here: where bytes come from (pull.ts, import.ts), snapshots
// (unpack.ts).

import { Status } from 'nice-grpc';
import {
  choosePlatform,
  type Descriptor,
  type ImageDocument,
  MANIFEST_MAX_BYTES,
  parseImageDocument,
  type Platform,
  platformsOf,
} from '../../../schema/image-reference.ts';
import type { ImageFacts } from '../../ports.ts';
import { RuntimeError, tolerate } from '../runtime-error.ts';
import type { Services } from './client.ts';
import { labelBlob, readBlob, writeBlob } from './content.ts';
import { hasSnapshot, type LayerStep, layerSteps } from './unpack.ts';

/** A small blob, held whole. */
export interface Document {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** Everything that names an image's parts. */
export interface ImageParts {
  /** What the reference's digest names: the index where there is one, else the manifest. */
  readonly target: Document;
  readonly manifest: Document;
  readonly config: Document;
  readonly layers: readonly Descriptor[];
  readonly steps: readonly LayerStep[];
}

/** Configurations with long histories reach some hundred kilobytes. */
export const CONFIG_MAX_BYTES = 8 * 1024 * 1024;

/** The platform of this process, as images name it. */
export const ownPlatform = (): Platform => {
  if (process.arch === 'x64') return { os: 'linux', architecture: 'amd64', variant: null };
  if (process.arch === 'arm64') return { os: 'linux', architecture: 'arm64', variant: 'v8' };
  return { os: 'linux', architecture: process.arch, variant: null };
};

/** Name in the store: `repository@digest`. */
export const imageName = (image: { repository: string; digest: string }): string =>
  `${image.repository}@${image.digest}`;

/** Gets a document by descriptor, from the store or from elsewhere, already verified. */
export type GetDocument = (wanted: {
  readonly digest: string;
  readonly mediaType: string | null;
  readonly maxBytes: number;
}) => Promise<Document>;

/** Follows target → (index →) manifest → configuration, for this node's platform. */
export const readParts = async (
  name: string,
  digest: string,
  get: GetDocument,
): Promise<ImageParts> => {
  const target = await get({ digest, mediaType: null, maxBytes: MANIFEST_MAX_BYTES });
  const first = documentOf(name, target);
  const own = ownPlatform();
  if (first.kind === 'manifest') return readManifest(name, { target, manifest: target, get });
  const chosen = choosePlatform(first, own);
  if (chosen === null)
    throw new RuntimeError(
      'no-platform',
      `${name} has no image for ${own.os}/${own.architecture}, only for ${platformsOf(first)}. ` +
        'Build it for this platform too, or keep the job off such nodes.',
    );
  const { mediaType } = chosen;
  const manifest = await get({ digest: chosen.digest, mediaType, maxBytes: MANIFEST_MAX_BYTES });
  return readManifest(name, { target, manifest, get });
};

/** What a complete image says, from its parts. */
export const factsOf = (name: string, parts: ImageParts): ImageFacts => {
  const config = record(record(json(parts.config.bytes))['config']);
  const stopSignal = config['StopSignal'];
  return {
    name,
    digest: parts.target.digest,
    chainId: parts.steps.at(-1)?.chainId ?? '',
    sizeBytes: parts.layers.reduce(
      (sum, { sizeBytes }) => sum + sizeBytes,
      parts.config.bytes.length,
    ),
    entrypoint: strings(config['Entrypoint']),
    command: strings(config['Cmd']),
    environment: strings(config['Env']),
    workingDir: text(config['WorkingDir']),
    user: text(config['User']),
    stopSignal: typeof stopSignal === 'string' && stopSignal !== '' ? stopSignal : null,
  };
};

/** Reads an image back from the store; null when it is not there, or not complete and unpacked. */
export const readStored = async (services: Services, name: string): Promise<ImageFacts | null> => {
  const found = await tolerate(services.images.get({ name }), Status.NOT_FOUND);
  const digest = found?.image?.target?.digest;
  if (digest === undefined) return null;
  const parts = await tolerate(
    readParts(name, digest, async (wanted) => ({
      digest: wanted.digest,
      mediaType: wanted.mediaType ?? '',
      bytes: await readBlob(services, wanted.digest, wanted.maxBytes),
    })),
    Status.NOT_FOUND,
  );
  if (parts === null) return null;
  const facts = factsOf(name, parts);
  return (await hasSnapshot(services, facts.chainId)) ? facts : null;
};

/**
 * Writes the documents with labels that hold everything together. What the labels name need not be
 * there yet.
 */
export const putDocuments = async (
  services: Services,
  { name, parts, source }: { name: string; parts: ImageParts; source: Record<string, string> },
): Promise<void> => {
  const { target, manifest, config, layers, steps } = parts;
  const top = steps.at(-1)?.chainId ?? '';
  await putDocument(services, config, {
    ...source,
    'containerd.io/gc.ref.snapshot.overlayfs': top,
  });
  const layerRefs = layers.map(({ digest }, index) => [
    `containerd.io/gc.ref.content.l.${index}`,
    digest,
  ]);
  await putDocument(services, manifest, {
    ...source,
    'containerd.io/gc.ref.content.config': config.digest,
    ...Object.fromEntries(layerRefs),
  });
  if (target.digest !== manifest.digest) {
    const index = documentOf(name, target);
    const children = index.kind === 'index' ? index.manifests : [];
    const refs = children.map(({ digest }, n) => [`containerd.io/gc.ref.content.m.${n}`, digest]);
    await putDocument(services, target, { ...source, ...Object.fromEntries(refs) });
  }
};

/** Names an image whose documents and snapshots are there: from here on nothing of it is garbage. */
export const nameImage = async (
  services: Services,
  name: string,
  { target }: ImageParts,
): Promise<void> => {
  const { digest, bytes, mediaType } = target;
  const image = { name, target: { mediaType, digest, size: BigInt(bytes.length) } };
  if ((await tolerate(services.images.create({ image }), Status.ALREADY_EXISTS)) === null)
    await services.images.update({ image, updateMask: ['target'] });
};

const putDocument = async (
  services: Services,
  document: Document,
  labels: Record<string, string>,
): Promise<void> => {
  const { digest, bytes } = document;
  const source = async (offset: number): Promise<AsyncIterable<Uint8Array>> => once(bytes, offset);
  await writeBlob(services, { digest, sizeBytes: bytes.length, labels, source });
  // A blob that was there before keeps its labels at the commit, so they are set in any case.
  await labelBlob(services, digest, labels);
};

/** Bytes in memory as a source of a write. */
export const once = async function* (bytes: Uint8Array, offset: number): AsyncIterable<Uint8Array> {
  yield bytes.subarray(offset);
};

const documentOf = (name: string, { bytes }: Document): ImageDocument => {
  const document = parseImageDocument(json(bytes));
  if (document !== null) return document;
  throw new RuntimeError(
    'image-not-found',
    `${name} is not an image: the registry has neither a manifest nor an index under that digest.`,
  );
};

const readManifest = async (
  name: string,
  { target, manifest, get }: { target: Document; manifest: Document; get: GetDocument },
): Promise<ImageParts> => {
  const document = documentOf(name, manifest);
  if (document.kind === 'index')
    throw new RuntimeError('image-not-found', `${name} is an index of indexes, which nobody runs.`);
  const { digest, mediaType } = document.config;
  const config = await get({ digest, mediaType, maxBytes: CONFIG_MAX_BYTES });
  const fields = record(json(config.bytes));
  const architecture = fields['architecture'];
  const own = ownPlatform();
  if (typeof architecture === 'string' && architecture !== '' && architecture !== own.architecture)
    throw new RuntimeError(
      'no-platform',
      `${name} is built for ${architecture}, and this node is ${own.architecture}. ` +
        'Build it for this platform too, or keep the job off such nodes.',
    );
  const diffIds = strings(record(fields['rootfs'])['diff_ids']);
  if (diffIds.length !== document.layers.length || diffIds.length === 0)
    throw new RuntimeError(
      'image-not-found',
      `${name} is not a container image: it has ${document.layers.length} layers, and its ` +
        `configuration speaks of ${diffIds.length}.`,
    );
  const { layers } = document;
  const ownType = manifest.mediaType === '' ? mediaTypeOf(manifest) : manifest.mediaType;
  const typed = { ...manifest, mediaType: ownType };
  const targetTyped =
    target.digest === manifest.digest ? typed : { ...target, mediaType: mediaTypeOf(target) };
  return {
    target: targetTyped,
    manifest: typed,
    config,
    layers,
    steps: layerSteps(layers, diffIds),
  };
};

/** Documents say themselves what they are; those that do not are OCI's. */
const mediaTypeOf = ({ bytes }: Document): string => {
  const fields = record(json(bytes));
  if (typeof fields['mediaType'] === 'string') return fields['mediaType'];
  const kind = Array.isArray(fields['manifests']) ? 'index' : 'manifest';
  return `application/vnd.oci.image.${kind}.v1+json`;
};

const json = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return null;
  }
};

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const strings = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
