// Which repository on GitHub is followed: by its id, since names change.
// In: the wire, the name in forge.yaml. Out: whether an event is of it; a word for people where it
// has another name by now. Not here: what an event says (clicks).

import type { ClockPort } from '../../ports.ts';
import type { Wire } from './wire.ts';

export interface Place {
  /** Asked again once a minute, and where GitHub leads to another name. */
  readonly know: () => Promise<void>;
  /** Of this id; until it is known: of this name. */
  readonly isOurs: (repository: RepositoryName) => boolean;
  /** How often it was another repository of the same name: all must be told anew. */
  readonly renewals: () => number;
  readonly notice: () => string | null;
}

/**
 * A repository may be deleted and made anew under its name. What is delivered meanwhile is found in
 * GitHub's list, which is looked through ten minutes back.
 */
const ASK_AGAIN_MS = 60_000;

export interface RepositoryName {
  readonly id: unknown;
  /** `owner/repo`. */
  readonly name: unknown;
}

export const createPlace = (wire: Wire, name: string, clock: ClockPort): Place => {
  let known: { readonly id: number; readonly name: string } | null = null;
  let moves = -1;
  let asked = Number.NEGATIVE_INFINITY;
  let renewals = 0;
  return {
    know: async () => {
      const now = wire.moves();
      const at = clock.now();
      if (known !== null && now === moves && at < asked + ASK_AGAIN_MS) return;
      const found = await wire.poll({
        route: 'GET /repos/{owner}/{repo}',
        params: {},
        pick: (data) => {
          const { id, full_name } = data as { readonly id: number; readonly full_name: string };
          return { id, name: full_name };
        },
      });
      if (known !== null && known.id !== found.id) {
        renewals += 1;
        wire.forget();
      }
      known = found;
      asked = at;
      moves = now;
    },
    renewals: () => renewals,
    isOurs: (repository) => {
      if (known !== null) return repository.id === known.id;
      return typeof repository.name === 'string' && isSame(repository.name, name);
    },
    notice: () =>
      known === null || isSame(known.name, name)
        ? null
        : `${name} is ${known.name} on GitHub now. It is found by its old name until somebody takes ` +
          `that: write \`repository: ${known.name}\` into forge.yaml, and give \`purser up\` the ` +
          'new address',
  };
};

const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
