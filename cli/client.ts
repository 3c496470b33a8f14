// How a command speaks to a running reconciler: the control socket, or TLS and a token.
// In: a path or an address. Out: calls with typed answers. Not here: what the answers look like on a screen, how
// they travel (dial.ts).

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { formatToken, parseToken, TLS_SCHEME } from '../schema/identity.ts';
import { CommandError, NoReconcilerError } from './command-error.ts';
import type { Control } from './dial.ts';

export type { Control };

/** A socket's path, or `tls:host:port` of a reconciler on another machine, commas between several. */
export const connect = async (socket: string): Promise<Control> => {
  if (socket.startsWith(TLS_SCHEME)) {
    const [first = '', ...others] = socket.slice(TLS_SCHEME.length).split(',');
    if (others.length === 0) return connectTls(first);
    const { connectAny } = await import('./any-of.ts');
    return connectAny([first, ...others], connectTls);
  }
  try {
    await access(socket, constants.R_OK | constants.W_OK);
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
    if (code === 'EACCES') {
      throw new CommandError(`you may not open ${socket}: only root may, so run it with sudo`);
    }
    throw new NoReconcilerError(
      `no reconciler answers at ${socket}: start one with \`purser up\`, or name another place with --root`,
    );
  }
  const { dial } = await import('./dial.ts');
  return dial(socket);
};

/** By the token in PURSER_TOKEN, which says whom to trust there. */
const connectTls = async (address: string): Promise<Control> => {
  const token = parseToken(process.env['PURSER_TOKEN'] ?? '');
  if (token === null || token.kind === 'join') {
    throw new CommandError(
      'a reconciler on another machine wants a token in PURSER_TOKEN: `purser node token --role view` makes one there',
    );
  }
  const { fetchAuthority } = await import('./trust.ts');
  const { dialTls } = await import('./dial.ts');
  const authority = await fetchAuthority(address, token.authority);
  return dialTls(address, { authority, token: formatToken(token) });
};
