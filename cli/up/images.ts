// The images of the example shop, made on the spot from this machine's busybox: no registry, no
// internet.
// In: busybox-static. Out: two images in every node's containerd, and their digests in the
// example's job files.
// Not here: how an image is put together (image-build.ts).

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { socketOf } from '../../node-runner/edge/containerd/daemon.ts';
import { createContainerdRuntime } from '../../node-runner/edge/containerd/runtime.ts';
import { CONTAINERD_NAMESPACE } from '../../node-runner/main.ts';
import { CommandError } from '../command-error.ts';
import type { Io } from '../command.ts';
import type { BuiltImage, LayerEntry } from '../image-build.ts';
import { buildImage } from '../image-build.ts';
import { STORE_PROGRAM, STORE_PAGE, WEB_PROGRAM } from './shop.ts';
import type { NodeLayout } from './layout.ts';

/** Example images and how the job files name them. */
export interface Example {
  readonly images: readonly { readonly repository: string; readonly image: BuiltImage }[];
  /** Puts the digests into a job file's text. */
  readonly edit: (text: string) => string;
}

const BUSYBOX_PLACES = ['/bin/busybox', '/usr/bin/busybox'];

/** Everything that the shop's scripts call. */
const APPLETS = ['sh', 'httpd', 'cat', 'sleep', 'mkdir', 'date', 'hostname', 'ls', 'sed', 'wget'];

export const prepareExample = async (): Promise<Example> => {
  const busybox = await firstFile(BUSYBOX_PLACES);
  const base: readonly LayerEntry[] = [
    { kind: 'file', path: 'bin/busybox', content: busybox, mode: 0o755 },
    ...APPLETS.map((name): LayerEntry => ({
      kind: 'link',
      path: `bin/${name}`,
      target: 'busybox',
    })),
    { kind: 'folder', path: 'tmp', mode: 0o1777 },
  ];
  const program = (path: string, content: string): LayerEntry => ({
    kind: 'file',
    path,
    content,
    mode: 0o755,
  });
  const web = await buildImage({
    layers: [base, [program('bin/shop-web', WEB_PROGRAM)]],
    config: { entrypoint: ['/bin/shop-web'], environment: ['PATH=/bin'] },
  });
  const store = await buildImage({
    layers: [
      base,
      [program('bin/shop-store', STORE_PROGRAM), program('www/cgi-bin/orders', STORE_PAGE)],
    ],
    config: { entrypoint: ['/bin/shop-store'], environment: ['PATH=/bin'] },
  });
  const images = [
    { repository: 'purser.local/shop/web', image: web },
    { repository: 'purser.local/shop/store', image: store },
  ];
  return {
    images,
    edit: (text) =>
      images.reduce(
        (edited, { repository, image }) =>
          edited.replaceAll(
            new RegExp(
              `(${repository.replaceAll('.', '\\.')}:[\\w.]+)(@sha256:[0-9a-f]{64})?`,
              'g',
            ),
            `$1@${image.digest}`,
          ),
        text,
      ),
  };
};

const firstFile = async (paths: readonly string[]): Promise<Uint8Array> => {
  for (const path of paths) {
    const bytes = await readFile(path).catch(() => null);
    if (bytes !== null) return bytes;
  }
  throw new CommandError(
    'busybox is missing: apt-get install -y --no-install-recommends busybox-static',
  );
};

/** How long a node's containerd may take to come up. */
const PATIENCE_MS = 20_000;
const PATIENCE_STEP_MS = 50;

/** Into every node's containerd; an image that is there costs two look-ups. */
export const importExampleImages = async (
  { images }: Example,
  nodes: readonly NodeLayout[],
  io: Io,
): Promise<void> => {
  const until = performance.now() + PATIENCE_MS;
  for (const node of nodes) {
    const folder = join(node.root, 'containerd');
    const runtime = createContainerdRuntime({
      socket: socketOf(folder),
      namespace: CONTAINERD_NAMESPACE,
      runcRoot: join(node.root, 'runc'),
      execFolder: join(node.root, 'exec'),
      registry: { loginsPath: null, insecure: [] },
    });
    try {
      for (const { repository, image } of images) {
        await retry(() => runtime.importImage(image, repository), until, io.signal);
      }
    } finally {
      runtime.close();
    }
  }
};

const retry = async <T>(call: () => Promise<T>, until: number, signal: AbortSignal): Promise<T> => {
  while (true) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > until || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, PATIENCE_STEP_MS));
    }
  }
};
