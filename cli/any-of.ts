// Several reconcilers of one cluster, any of which will do: a standby hands on to the leader.
// In: addresses, how to dial one. Out: calls that go on with the next one where one is away; what
// changes something is asked once. Not here: dialling (dial.ts), who leads (the reconcilers).

import { setTimeout as sleep } from 'node:timers/promises';
import { CHANGING, PERHAPS_DONE } from '../schema/control.ts';
import { CommandError, NoReconcilerError } from './command-error.ts';
import type { Control } from './dial.ts';

/** What is watched goes on with another one after this time, all of them tried. */
const AGAIN_MS = 500;
/** All of them away for so long: the cluster is down, or this machine is cut off. */
const PATIENCE_MS = 60_000;

/** Throws NoReconcilerError, which names all, where none answers. */
export const connectAny = async (
  places: readonly string[],
  dial: (place: string) => Promise<Control>,
): Promise<Control> => {
  let at = 0;
  let current: Control | null = null;
  /** The one that is dialled, or the next that can be. */
  const dialled = async (): Promise<Control> => {
    const said = new Set<string>();
    for (const _ of current === null ? places : []) {
      try {
        current = await dial(places[at % places.length] ?? '');
        break;
      } catch (error) {
        if (!(error instanceof NoReconcilerError)) throw error;
        said.add(error.message);
        at += 1;
      }
    }
    if (current === null) throw new NoReconcilerError([...said].join('; '));
    return current;
  };
  const leave = (): void => {
    current?.close();
    current = null;
    at += 1;
  };
  const first = await dialled();
  return {
    raw: first.raw,
    explain: first.explain,
    close: () => current?.close(),
    call: async (method, argument) => {
      for (const _ of places) {
        const control = await dialled();
        try {
          return await control.call(method, argument);
        } catch (error) {
          if (!(error instanceof NoReconcilerError)) throw error;
          leave();
          if (CHANGING.has(method)) throw new CommandError(`${error.message}; ${PERHAPS_DONE}`);
        }
      }
      return (await dialled()).call(method, argument);
    },
    watch: async function* watch<Answer>(method: string, signal: AbortSignal, argument?: unknown) {
      let awaySince: number | null = null;
      while (!signal.aborted) {
        try {
          for await (const answer of (await dialled()).watch<Answer>(method, signal, argument)) {
            yield answer;
            awaySince = null;
          }
          return;
        } catch (error) {
          awaySince ??= performance.now();
          const isLate = performance.now() - awaySince > PATIENCE_MS;
          if (!(error instanceof NoReconcilerError) || isLate) throw error;
          leave();
        }
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    },
  };
};
