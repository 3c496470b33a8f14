// The login of an http(s) repository that stands in a file. In: its path. Out: the login. Not here:
// who may read the file (cli/up), logins of a forge (forge-login).

import { readFile } from 'node:fs/promises';
import type { Auth } from './git/remote.ts';

/**
 * Read anew for every login, so that a token may be exchanged under a running reconciler. Throws
 * where the file cannot be read.
 */
export const readToken = async (file: string): Promise<Auth> => ({
  kind: 'token',
  token: (await readFile(file, 'utf8')).trim(),
});
