// Container images built on the spot, byte for byte the same each time: for examples and tests. In:
// files of each layer, and what the image runs. Out: manifest, configuration and layers, with
// digests. Times are zero and layers are not compressed unless asked, because another zlib would
// give another digest. Not here: where the image goes (containerd's import, a registry in tests).

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from '../schema/image-reference.ts';

/** One entry of a layer. Folders above it are made by whoever unpacks. */
export type LayerEntry =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: string | Uint8Array;
      /** Permission bits; 0o644 when left out. */
      readonly mode?: number;
      readonly uid?: number;
    }
  | {
      readonly kind: 'folder';
      readonly path: string;
      readonly mode?: number;
      readonly uid?: number;
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  /** Deletes what a layer below has at this path. */
  | { readonly kind: 'whiteout'; readonly path: string };

/** What the image runs; names as in the OCI image configuration, all may be left out. */
export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly stopSignal?: string;
}

export interface ImageAsk {
  /** From the bottom up. */
  readonly layers: readonly (readonly LayerEntry[])[];
  readonly config: ImageConfig;
  /** As OCI names it; that of this process when left out. */
  readonly architecture?: string;
  readonly gzip?: boolean;
}

export interface BuiltImage {
  /** Digest of the manifest: `repository@digest` names the image. */
  readonly digest: string;
  readonly manifest: Uint8Array;
  /** Configuration and layers by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** Builds the image in memory. */
export const buildImage = async (ask: ImageAsk): Promise<BuiltImage> => {
  const blobs = new Map<string, Uint8Array>();
  const put = (bytes: Uint8Array, mediaType: string): Descriptor => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const entries of ask.layers) {
    const tar = await packTar(entries.map(toTarEntry));
    diffIds.push(digestOf(tar));
    layers.push(ask.gzip === true ? put(gzipSync(tar), OCI_LAYER_GZIP) : put(tar, OCI_LAYER));
  }
  const config = put(encode(configOf(ask, diffIds)), OCI_CONFIG);
  const manifest = encode({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers });
  return { digest: digestOf(manifest), manifest, blobs };
};

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';

const configOf = (ask: ImageAsk, diffIds: readonly string[]): object => ({
  architecture: ask.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
  os: 'linux',
  config: {
    Entrypoint: ask.config.entrypoint,
    Cmd: ask.config.command,
    Env: ask.config.environment,
    WorkingDir: ask.config.workingDir,
    User: ask.config.user,
    StopSignal: ask.config.stopSignal,
  },
  rootfs: { type: 'layers', diff_ids: diffIds },
});

const toTarEntry = (entry: LayerEntry): TarEntry => {
  const name = entry.path.replace(/^\//, '');
  const base = { name, mtime: new Date(0), gid: 0, size: 0 };
  switch (entry.kind) {
    case 'file': {
      const body = typeof entry.content === 'string' ? encodeText(entry.content) : entry.content;
      const { mode = 0o644, uid = 0 } = entry;
      return { header: { ...base, type: 'file', mode, uid, size: body.length }, body };
    }
    case 'folder': {
      const { mode = 0o755, uid = 0 } = entry;
      return { header: { ...base, name: `${name}/`, type: 'directory', mode, uid } };
    }
    case 'link':
      return { header: { ...base, type: 'symlink', mode: 0o777, uid: 0, linkname: entry.target } };
    case 'whiteout': {
      const slash = name.lastIndexOf('/') + 1;
      const hidden = `${name.slice(0, slash)}.wh.${name.slice(slash)}`;
      const body = new Uint8Array(0);
      return { header: { ...base, name: hidden, type: 'file', mode: 0o644, uid: 0 }, body };
    }
  }
};

const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text);
const encode = (value: object): Uint8Array => encodeText(JSON.stringify(value));
