// The connection to one containerd: typed clients of all services over one channel. In: the
// socket's path and the containerd namespace. Out: the clients, with the namespace (and, for a
// pull, the lease) in the metadata of every call, and a time limit on every call that should be
// short. Not here: what errors mean to us (runtime-error.ts), and any retry: grpc reconnects,
// callers decide.

import { credentials } from '@grpc/grpc-js';
import {
  type Client,
  type ClientMiddleware,
  ClientError,
  createChannel,
  createClientFactory,
  Metadata,
  Status,
} from 'nice-grpc';
import { abortWith } from '../../../schema/abort-with.ts';
import { formatDuration } from '../../../schema/units.ts';
import { ContainersDefinition } from './generated/containerd/containers.ts';
import { ContentDefinition } from './generated/containerd/content.ts';
import { DiffDefinition } from './generated/containerd/diff.ts';
import { EventsDefinition } from './generated/containerd/events.ts';
import { ImagesDefinition } from './generated/containerd/images.ts';
import { LeasesDefinition } from './generated/containerd/leases.ts';
import { NamespacesDefinition } from './generated/containerd/namespaces.ts';
import { StoreDefinition } from './generated/containerd/sandbox.ts';
import { SnapshotsDefinition } from './generated/containerd/snapshots.ts';
import { TasksDefinition } from './generated/containerd/tasks.ts';
import { VersionDefinition } from './generated/containerd/version.ts';

export interface Services {
  readonly containers: Client<typeof ContainersDefinition>;
  readonly content: Client<typeof ContentDefinition>;
  readonly diff: Client<typeof DiffDefinition>;
  readonly events: Client<typeof EventsDefinition>;
  readonly images: Client<typeof ImagesDefinition>;
  readonly leases: Client<typeof LeasesDefinition>;
  readonly namespaces: Client<typeof NamespacesDefinition>;
  readonly sandboxes: Client<typeof StoreDefinition>;
  readonly snapshots: Client<typeof SnapshotsDefinition>;
  readonly tasks: Client<typeof TasksDefinition>;
  readonly version: Client<typeof VersionDefinition>;
}

export interface Containerd extends Services {
  readonly namespace: string;
  /** The same clients, with a lease that keeps what they write from garbage collection. */
  readonly leased: (lease: string) => Services;
  readonly close: () => void;
}

/**
 * The snapshotter that Purser uses: in every containerd, needs nothing but the kernel's overlayfs.
 */
export const SNAPSHOTTER = 'overlayfs';

/** containerd's own limit of a message, both ways; grpc-js would stop at 4 MiB. */
const MESSAGE_MAX_BYTES = 16 * 1024 * 1024;
/**
 * After a restart of containerd the first call succeeds after ~150 ms instead of 1 s with grpc's
 * defaults.
 */
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 500;
/**
 * An attempt to connect is given up after this time: nice-grpc reads it from an option whose name
 * speaks of back-off. On a busy machine containerd may need seconds to say its first word.
 */
const CONNECT_MAX_MS = 5_000;
/**
 * A call that only touches containerd's database or a shim: far above the worst seen (0.5 s under
 * load).
 */
const CALL_MAX_MS = 60_000;
/** Unpacking one layer: a gigabyte takes 20 s on a slow disk. */
const APPLY_MAX_MS = 30 * 60_000;

/** Opens the connection; it is made with the first call, and made again whenever it is lost. */
export const connectContainerd = (options: {
  readonly socket: string;
  readonly namespace: string;
}): Containerd => {
  const channel = createChannel(`unix://${options.socket}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
    'grpc.max_send_message_length': MESSAGE_MAX_BYTES,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_MIN_MS,
    'grpc.min_reconnect_backoff_ms': CONNECT_MAX_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
  });
  const factory = createClientFactory().use(limitTime);
  const services = (lease: string | null): Services => {
    const headers = {
      'containerd-namespace': options.namespace,
      ...(lease === null ? {} : { 'containerd-lease': lease }),
    };
    const defaults = { '*': { metadata: Metadata(headers) } };
    return {
      containers: factory.create(ContainersDefinition, channel, defaults),
      content: factory.create(ContentDefinition, channel, defaults),
      diff: factory.create(DiffDefinition, channel, defaults),
      events: factory.create(EventsDefinition, channel, defaults),
      images: factory.create(ImagesDefinition, channel, defaults),
      leases: factory.create(LeasesDefinition, channel, defaults),
      namespaces: factory.create(NamespacesDefinition, channel, defaults),
      sandboxes: factory.create(StoreDefinition, channel, defaults),
      snapshots: factory.create(SnapshotsDefinition, channel, defaults),
      tasks: factory.create(TasksDefinition, channel, defaults),
      version: factory.create(VersionDefinition, channel, defaults),
    };
  };
  return {
    ...services(null),
    namespace: options.namespace,
    leased: services,
    close: () => channel.close(),
  };
};

/**
 * Gives every unary call but Wait a time limit: a containerd that hangs must not hang the runner.
 */
const limitTime: ClientMiddleware = async function* (call, options) {
  const { path, requestStream, responseStream } = call.method;
  if (requestStream || responseStream || path.endsWith('/Wait'))
    return yield* call.next(call.request, options);
  const limitMs = path.endsWith('/Apply') ? APPLY_MAX_MS : CALL_MAX_MS;
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), limitMs);
  const apart = options.signal === undefined ? null : abortWith(options.signal, timeout);
  try {
    return yield* call.next(call.request, { ...options, signal: timeout.signal });
  } catch (error) {
    if (!timeout.signal.aborted || options.signal?.aborted === true) throw error;
    throw new ClientError(
      path,
      Status.DEADLINE_EXCEEDED,
      `no answer within ${formatDuration(limitMs)}`,
    );
  } finally {
    clearTimeout(timer);
    apart?.();
  }
};
