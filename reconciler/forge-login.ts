// The forge's login as a login of the repository: what opens the pull requests opens Git too.
// In: a forge, the repository's address. Out: a login for Git; null where it is another place's
// business. Not here: any other login (main.ts), the forge's loop (forge.ts).

import type { ForgeConfig } from './config.ts';
import { siteOf } from './edge/forge/options.ts';
import { placeOf, type Auth } from './edge/git/remote.ts';

export type Login = () => Promise<Auth>;

/**
 * null where the address is not one of the forge's (its token is nobody else's to see), is not
 * reached by http(s), or has a login of its own.
 */
export const forgeLogin = (
  { apiUrl }: Pick<ForgeConfig, 'apiUrl'>,
  repository: string,
  token: () => Promise<string>,
): Login | null => {
  const place = placeOf(repository);
  if (place.kind !== 'http' || place.auth.kind !== 'none') return null;
  if (new URL(place.url).origin !== new URL(siteOf(apiUrl)).origin) return null;
  return async () => ({ kind: 'token', user: 'x-access-token', token: await token() });
};
