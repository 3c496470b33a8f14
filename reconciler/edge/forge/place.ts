// Which repository on GitHub is followed: by its id, since names change.
// In: the wire, the name in forge.yaml. Out: whether an event is of it; a word for people where it
// has another name by now. Not here: what an event says (clicks).

import type { Wire } from './wire.ts';

export interface Place {
  /** Asked once, and again where GitHub leads to another name. */
  readonly know: () => Promise<void>;
  /** Of this id; until it is known: of this name. */
  readonly isOurs: (repository: RepositoryName) => boolean;
  readonly notice: () => string | null;
}

export interface RepositoryName {
  readonly id: unknown;
  /** `owner/repo`. */
  readonly name: unknown;
}

export const createPlace = (wire: Wire, name: string): Place => {
  let known: { readonly id: number; readonly name: string } | null = null;
  let moves = -1;
  return {
    know: async () => {
      const now = wire.moves();
      if (known !== null && now === moves) return;
      known = await wire.poll({
        route: 'GET /repos/{owner}/{repo}',
        params: {},
        pick: (data) => {
          const found = data as { readonly id: number; readonly full_name: string };
          return { id: found.id, name: found.full_name };
        },
        once: true,
      });
      moves = now;
    },
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
