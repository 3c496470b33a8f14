// The login with which `purser up` reads a repository before a reconciler runs: the same that the
// reconciler will have.
// In: what was given on the command line. Out: a login; null: what the URL holds, or none. Loaded
// only where one is given. Not here: reading (repository.ts).

import type { Login } from '../../reconciler/forge-login.ts';

interface Given {
  readonly tokenFile: string | null;
  /** The forge's file: what is wrong in it is said at once. */
  readonly forge: string | null;
}

export const loginOf = async (url: string, given: Given): Promise<Login | null> => {
  const { tokenFile, forge } = given;
  const config =
    forge === null ? null : await (await import('../forge-file.ts')).readForgeFile(forge);
  if (tokenFile !== null) {
    const { readToken } = await import('../../reconciler/edge/token-file.ts');
    return () => readToken(tokenFile);
  }
  if (config === null) return null;
  const { forgeLogin } = await import('../../reconciler/forge-login.ts');
  return forgeLogin(config, url, async () => {
    const { createWire } = await import('../../reconciler/edge/forge/wire.ts');
    const { createClock } = await import('../../reconciler/edge/clock.ts');
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    return createWire({ config, cluster: '', branch: '', clock: createClock(), log }).token();
  });
};
