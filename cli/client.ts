// How a command speaks to a running reconciler: the control socket.
// In: a path. Out: calls with typed answers. Not here: what the answers look like on a screen, how
// they travel (dial.ts).

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { CommandError, NoReconcilerError } from './command-error.ts';
import type { Control } from './dial.ts';

export type { Control };

export const connect = async (socket: string): Promise<Control> => {
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
