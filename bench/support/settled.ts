// A cluster whose every job settled long ago. In: a repository. Out: its HEAD, and a ledger that says
// so. Not here: the records (bench/settle.ts), which another process writes.

import { once } from 'node:events';
import path from 'node:path';
import type { FigureOptions } from './figure.ts';
import { forkProgram } from './program.ts';

export type Settled =
  | { readonly kind: 'settled'; readonly commit: string }
  | { readonly kind: 'problem'; readonly text: string };

/** Returns HEAD. */
export const settleAll = async (repository: string, { say }: FigureOptions): Promise<string> => {
  const folder = path.join(repository, '../settle');
  const child = forkProgram({ entry: 'bench/settle.ts', folder, args: [repository] });
  let head: string | null = null;
  child.on('message', (message: Settled) => {
    if (message.kind === 'problem') say(message.text);
    else head = message.commit;
  });
  await once(child, 'exit');
  if (head === null) throw new Error('the ledger of the benchmark could not be written');
  return head;
};
