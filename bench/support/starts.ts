// When containers started, as containerd itself says it: the same clock for Purser and for `ctr`.
// In: a containerd. Out: instants by container. Not here: what starts them.

import { connectContainerd } from '../../node-runner/edge/containerd/client.ts';
import { TaskExit } from '../../node-runner/edge/containerd/generated/containerd/task_events.ts';

export interface Seen {
  readonly container: string;
  readonly namespace: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface Starts {
  readonly started: Seen[];
  readonly ended: Seen[];
  /** Resolves once so many starts (or ends) were seen since `clear`. */
  readonly until: (kind: 'started' | 'ended', count: number, limitMs: number) => Promise<void>;
  readonly clear: () => void;
  readonly close: () => void;
}

export const watchStarts = async (socket: string): Promise<Starts> => {
  const containerd = connectContainerd({ socket, namespace: 'bench' });
  const stop = new AbortController();
  const started: Seen[] = [];
  const ended: Seen[] = [];
  let changed: () => void = () => undefined;
  const filters = ['topic=="/tasks/start"', 'topic=="/tasks/exit"'];
  const follow = async (): Promise<void> => {
    for await (const { topic, namespace, event, timestamp } of containerd.events.subscribe(
      { filters },
      { signal: stop.signal },
    )) {
      if (event === undefined || timestamp === undefined) continue;
      // Both kinds of event name the container in field 1; nothing else is read here.
      const { containerId: container } = TaskExit.decode(event.value);
      const list = topic === '/tasks/start' ? started : ended;
      list.push({ container, namespace, at: timestamp.getTime() });
      changed();
    }
  };
  void follow().catch(() => undefined);
  await new Promise((done) => setTimeout(done, 200));
  return {
    started,
    ended,
    until: async (kind, count, limitMs) => {
      const limit = performance.now() + limitMs;
      while ((kind === 'started' ? started : ended).length < count) {
        const left = limit - performance.now();
        if (left <= 0) {
          const seen = kind === 'started' ? started : ended;
          throw new Error(`only ${seen.length} of ${count} containers ${kind} in ${limitMs} ms`);
        }
        await new Promise<void>((done) => {
          const timer = setTimeout(done, left);
          changed = () => {
            clearTimeout(timer);
            done();
          };
        });
      }
    },
    clear: () => {
      started.length = 0;
      ended.length = 0;
    },
    close: () => {
      stop.abort();
      containerd.close();
    },
  };
};
