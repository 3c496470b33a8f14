// Who Purser is on GitHub: by this it knows its own comments, statuses and reactions.
// In: the wire. Out: a login, asked once. Not here: what the account may do (cli's setup).

import type { ApiUser } from './answers.ts';
import type { Wire } from './wire.ts';

export interface Self {
  /** `purser-shop[bot]` for an App: nobody else can have a login with brackets. */
  readonly login: string;
}

export const createSelf = (wire: Wire): (() => Promise<Self>) => {
  let known: Promise<Self> | null = null;
  const ask = async (): Promise<Self> => {
    if (!wire.isApp) {
      return wire.poll({
        route: 'GET /user',
        params: {},
        pick: (data) => ({ login: (data as ApiUser).login }),
      });
    }
    return wire.poll({
      route: 'GET /app',
      params: {},
      pick: (data) => ({ login: `${(data as { readonly slug: string }).slug}[bot]` }),
    });
  };
  return () => {
    known ??= ask().catch((error: unknown) => {
      known = null;
      throw error;
    });
    return known;
  };
};
