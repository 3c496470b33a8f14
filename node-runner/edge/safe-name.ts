// Which names from orders may become parts of paths and of commands.
// In: a name. Out: nothing, or a RuntimeError. Not here: names that we compute ourselves.

import { RuntimeError } from './runtime-error.ts';

/** Longest name of a file that Linux file systems take. */
const NAME_LIMIT = 255;

/**
 * Names come from orders: one that would leave its folder, or begin a new line of a batch of
 * commands, is refused, whoever sent it.
 */
export const refuseBadName = (name: string): void => {
  const fits = name !== '' && name.length <= NAME_LIMIT;
  if (fits && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)) return;
  const message = `"${name.slice(0, 80)}" cannot be a name on the node`;
  throw new RuntimeError('bad-spec', message);
};
