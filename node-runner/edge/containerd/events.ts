// Exits and out-of-memory kills as they happen, for ever. In: a signal that ends it. Out: events;
// `resync` first, and again after every gap, because containerd keeps no history: who hears it
// lists anew. To know that the subscription stands, an event of our own is published until it comes
// back. Not here: what an exit means (decide).

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from 'nice-grpc';
import type { RuntimeEvent } from '../../ports.ts';
import { tolerate } from '../runtime-error.ts';
import type { Containerd } from './client.ts';
import type { Envelope } from './generated/containerd/events.ts';
import { TaskExit, TaskOOM } from './generated/containerd/task_events.ts';
import { toExit, UNKNOWN_EXIT } from './lifecycle.ts';

/** Between attempts to subscribe while containerd is down: its restart takes about 15 ms. */
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 500;
/** Between our own events until one comes back; usually the first does, within 2 ms. */
const MARK_EVERY_MS = 50;

/** Never throws; ends when the signal aborts. */
export const followEvents = async function* (
  containerd: Containerd,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  let delayMs = RETRY_MIN_MS;
  while (!signal.aborted) {
    try {
      for await (const event of subscribe(containerd, signal)) {
        delayMs = RETRY_MIN_MS;
        yield event;
      }
    } catch {
      // containerd went away or is not there yet: the next subscription begins with `resync`.
    }
    if (signal.aborted) return;
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
    delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
  }
};

const subscribe = async function* (
  containerd: Containerd,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const { namespace } = containerd;
  const mark = `/purser/mark/${randomUUID()}`;
  const topics = ['/tasks/exit', '/tasks/oom', mark];
  // A value with a slash must be quoted: unquoted it is accepted and never matches.
  const filters = topics.map((topic) => `namespace==${namespace},topic=="${topic}"`);
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const stream = containerd.events.subscribe({ filters }, { signal: both });
  let marked = false;
  const marking = publishUntil(containerd, { topic: mark, signal: both, done: () => marked });
  marking.catch(() => stop.abort());
  try {
    for await (const envelope of stream) {
      if (envelope.topic !== mark) {
        const event = decode(envelope);
        if (event?.kind === 'exit') yield await withShim(containerd, event, both);
        else if (event !== null) yield event;
      } else if (!marked) {
        marked = true;
        yield { kind: 'resync' };
      }
    }
  } finally {
    stop.abort();
    await marking.catch(() => undefined);
  }
};

const publishUntil = async (
  containerd: Containerd,
  ask: { readonly topic: string; readonly signal: AbortSignal; readonly done: () => boolean },
): Promise<void> => {
  const { topic, signal, done } = ask;
  while (!done() && !signal.aborted) {
    const event = { typeUrl: 'purser.mark', value: Buffer.from('{}') };
    await containerd.events.publish({ topic, event }, { signal });
    await sleep(MARK_EVERY_MS, undefined, { signal });
  }
};

/** An exec's exit carries its own id beside the container's, and is not the container's. */
const decode = ({ event }: Envelope): RuntimeEvent | null => {
  if (event?.typeUrl === 'containerd.events.TaskExit') {
    const { containerId, id, exitStatus, exitedAt } = TaskExit.decode(event.value);
    if (containerId !== id) return null;
    return { kind: 'exit', container: containerId, exit: toExit(exitStatus, exitedAt) };
  }
  if (event?.typeUrl === 'containerd.events.TaskOOM')
    return { kind: 'oom', container: TaskOOM.decode(event.value).containerId };
  return null;
};

type Exit = Extract<RuntimeEvent, { kind: 'exit' }>;

const SIGKILL = 9;

/**
 * When a shim dies, containerd kills its containers, tells exit 137 for each and forgets the task.
 * That is the platform's end, not the program's, and tells nothing of how the program would have
 * gone on: the exit is not known. A task that a program or the kernel ended is still there,
 * stopped, until somebody deletes it.
 */
const withShim = async (
  containerd: Containerd,
  event: Exit,
  signal: AbortSignal,
): Promise<Exit> => {
  if (event.exit.signal !== SIGKILL) return event;
  const isThere = await containerd.tasks.get({ containerId: event.container }, { signal }).then(
    () => true,
    () => false,
  );
  return isThere ? event : { ...event, exit: UNKNOWN_EXIT };
};

/** Makes containerd's namespace; there already is fine. */
export const ensureNamespace = async ({ namespaces, namespace }: Containerd): Promise<void> => {
  await tolerate(
    namespaces.create({ namespace: { name: namespace, labels: {} } }),
    Status.ALREADY_EXISTS,
  );
};
