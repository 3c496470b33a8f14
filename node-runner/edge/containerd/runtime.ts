// The runtime port on a real containerd: the parts of this folder put together, errors in words at
// the door. In: the socket and folders of one node. Out: RuntimePort, and what only this edge has:
// import and close. Not here: starting containerd (daemon.ts), when anything is done (tick).

import { constants } from 'node:os';
import { Status } from 'nice-grpc';
import { compareText } from '../../../schema/ids.ts';
import type { ImageFacts, ResolvedUser, RuntimePort } from '../../ports.ts';
import { atDoor, tolerate } from '../runtime-error.ts';
import { type Containerd, connectContainerd } from './client.ts';
import type { Image } from './generated/containerd/images.ts';
import { ensureNamespace, followEvents } from './events.ts';
import { endLeftExecs, execIn } from './exec.ts';
import { readStored } from './image-store.ts';
import { importImage, type WholeImage } from './import.ts';
import { createLifecycle } from './lifecycle.ts';
import { createPull } from './pull.ts';
import { createRegistry, type Registry, type RegistryOptions } from './registry.ts';
import { resolveUser } from './users.ts';

export interface RuntimeOptions {
  /** Path of containerd's socket. */
  readonly socket: string;
  /** containerd's namespace: everything in it is taken for ours. */
  readonly namespace: string;
  /**
   * runc's state folder, one for each runner: two containerds that share one kill each other's
   * containers.
   */
  readonly runcRoot: string;
  /** For FIFOs of exec sessions: private, on a local file system. */
  readonly execFolder: string;
  readonly registry: RegistryOptions;
}

export interface ContainerdRuntime extends RuntimePort {
  /** An image that was built here, into the store under `repository@digest`. */
  readonly importImage: (image: WholeImage, repository: string) => Promise<ImageFacts>;
  /** Ends exec sessions that an earlier life left behind; returns how many. Before the first. */
  readonly endLeftExecs: () => Promise<number>;
  /** Ends connections; containers go on. */
  readonly close: () => void;
}

const keyOf = ({ name, target }: Image): string => `${name} ${target?.digest ?? ''}`;

/** Look-ups of users by image and text, remembered: images do not change. */
const USERS_MAX = 1_000;

/** Makes the port; the namespace is made with the first call that writes. */
export const createContainerdRuntime = (options: RuntimeOptions): ContainerdRuntime => {
  const containerd = connectContainerd(options);
  const registry = createRegistry(options.registry);
  const lifecycle = createLifecycle(containerd, options.runcRoot);
  let named: Promise<void> | null = null;
  /** Once a connection; a failure is forgotten, so that the next call tries again. */
  const ready = (): Promise<void> => {
    named ??= ensureNamespace(containerd).catch((error: unknown) => {
      named = null;
      throw error;
    });
    return named;
  };
  return {
    version: () =>
      atDoor(
        'ask for the version of containerd',
        async () => (await containerd.version.version({})).version,
      ),
    list: () => atDoor('list containers', lifecycle.list),
    ...imageCalls({ containerd, registry, ready }),
    create: (ask) =>
      atDoor(`create container ${ask.id}`, async () => {
        await ready();
        return lifecycle.create(ask);
      }),
    start: (id) => atDoor(`start container ${id}`, () => lifecycle.start(id)),
    kill: (id, signal, how) =>
      atDoor(`send ${signalName(signal)} to container ${id}`, () =>
        lifecycle.kill(id, signal, how),
      ),
    remove: (id) => atDoor(`remove container ${id}`, () => lifecycle.remove(id)),
    restart: (id, spec) => atDoor(`restart container ${id}`, () => lifecycle.restart(id, spec)),
    relabel: (id, labels) => atDoor(`relabel container ${id}`, () => lifecycle.relabel(id, labels)),
    exec: (ask) =>
      atDoor(`run ${ask.args[0] ?? 'nothing'} in container ${ask.container}`, () =>
        execIn(containerd, options.execFolder, ask),
      ),
    events: (signal) => followEvents(containerd, signal),
    endLeftExecs: () =>
      atDoor('end sessions that were left behind', () =>
        endLeftExecs(containerd, options.execFolder),
      ),
    close: () => {
      registry.close();
      containerd.close();
    },
  };
};

type ImageCalls = Pick<
  ContainerdRuntime,
  'images' | 'pull' | 'removeImage' | 'resolveUser' | 'importImage'
>;

const imageCalls = (parts: {
  readonly containerd: Containerd;
  readonly registry: Registry;
  readonly ready: () => Promise<void>;
}): ImageCalls => {
  const { containerd, registry, ready } = parts;
  const pull = createPull(containerd, registry);
  const users = new Map<string, ResolvedUser>();
  /** Facts of listed images: they never change, and a listing is asked for often. */
  const listed = new Map<string, ImageFacts>();
  return {
    images: () =>
      atDoor('list images', async () => {
        const { images } = await containerd.images.list({ filters: [] });
        const read = async (image: Image): Promise<ImageFacts | null> =>
          listed.get(keyOf(image)) ?? readStored(containerd, image.name);
        const facts = await Promise.all(images.map(read));
        // Only what is there now is remembered, so that the memory is as large as the store.
        listed.clear();
        for (const [index, image] of images.entries()) {
          const each = facts[index];
          if (each !== null && each !== undefined) listed.set(keyOf(image), each);
        }
        const complete = facts.filter((each): each is ImageFacts => each !== null);
        return complete.toSorted((a, b) => compareText(a.name, b.name));
      }),
    pull: (image, asked) =>
      atDoor(`pull ${image.repository}@${image.digest}`, async () => {
        await ready();
        return pull(image, asked);
      }),
    removeImage: (name) =>
      atDoor(`remove image ${name}`, async () => {
        await tolerate(containerd.images.delete({ name, sync: true }), Status.NOT_FOUND);
      }),
    resolveUser: (image, user) =>
      atDoor(`look up user "${user}" in ${image.name}`, async () => {
        const key = `${image.chainId} ${user}`;
        const known = users.get(key);
        if (known !== undefined) return known;
        const found = await resolveUser(containerd, image, user);
        if (users.size >= USERS_MAX) users.clear();
        users.set(key, found);
        return found;
      }),
    importImage: (image, repository) =>
      atDoor(`import an image as ${repository}`, async () => {
        await ready();
        return importImage(containerd, image, repository);
      }),
  };
};

/** SIGTERM for 15; signals without a name by their number. */
const signalName = (signal: number): string =>
  Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ??
  `signal ${signal}`;
