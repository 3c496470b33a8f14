// What became of each copy: as the reconciler showed it, and when its processes started and ended as
// containerd says. In: a cluster. Out: one line of text for a copy, with times that count from an
// instant of interest. Not here: whose fault it is.

import type { StateAnswer } from '../../schema/control.ts';
import type { BenchCluster } from './cluster.ts';
import { epochMs } from './repository.ts';
import { watchStarts } from './starts.ts';

export interface CopyHistory {
  /** `at`: milliseconds since 1970. */
  readonly tell: (allocation: string, at: number) => string;
  readonly close: () => void;
}

interface Change {
  readonly at: number;
  readonly text: string;
}

export const followCopies = async (cluster: BenchCluster): Promise<CopyHistory> => {
  const stop = new AbortController();
  const changes = new Map<string, Change[]>();
  const events = await Promise.all(cluster.sockets.map(watchStarts));
  const follow = async (): Promise<void> => {
    for await (const state of cluster.control.watch<StateAnswer>('state', stop.signal)) {
      note(changes, state);
    }
  };
  const following = follow().catch(() => undefined);
  return {
    tell: (allocation, at) => {
      const isOf = ({ container }: { readonly container: string }): boolean =>
        container.startsWith(`${allocation}.`);
      const all = [
        ...(changes.get(allocation) ?? []).map((change) => ({
          ...change,
          text: `shown ${change.text}`,
        })),
        ...events.flatMap(({ started }) => started.filter(isOf).map(withText('process started'))),
        ...events.flatMap(({ ended }) => ended.filter(isOf).map(withText('process ended'))),
      ].toSorted((a, b) => a.at - b.at);
      const told = all.map((change) => `${timeText(change.at - at)} ${change.text}`);
      return told.length === 0 ? 'nothing is known of the copy' : told.join(', ');
    },
    close: () => {
      stop.abort();
      for (const one of events) one.close();
      void following;
    },
  };
};

const withText =
  (text: string) =>
  ({ at }: { readonly at: number }): Change => ({ at, text });

const timeText = (ms: number): string => `${ms < 0 ? '' : '+'}${ms.toFixed(0)} ms`;

/** Where it is another than before. */
const note = (changes: Map<string, Change[]>, { view }: StateAnswer): void => {
  const at = epochMs();
  const seen = new Set<string>();
  for (const { allocations } of view?.live.nodes ?? []) {
    for (const { allocation, phase, health, stopping } of allocations) {
      seen.add(allocation);
      add(changes, allocation, {
        at,
        text: stopping ? `${health}, stopping` : `${phase}, ${health}`,
      });
    }
  }
  for (const [allocation] of changes) {
    if (!seen.has(allocation)) add(changes, allocation, { at, text: 'gone' });
  }
};

const add = (changes: Map<string, Change[]>, allocation: string, change: Change): void => {
  const known = changes.get(allocation) ?? [];
  if (known.at(-1)?.text === change.text) return;
  changes.set(allocation, [...known, change]);
};
