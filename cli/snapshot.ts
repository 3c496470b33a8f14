// `purser snapshot [FILE]`: everything that a plan is made from, to plan without a cluster or to
// show what was seen.
// In: a control connection. Out: JSON in a file or on stdout. Holds file texts and addresses, no
// credentials.

import { writeFile } from 'node:fs/promises';
import type { Snapshot } from '../schema/snapshot.ts';
import { many } from '../reconciler/render/words.ts';
import { toJson } from '../schema/snapshot.ts';
import type { CommandSpec } from './command.ts';
import { CommandError, fileTrouble } from './command-error.ts';
import { ask } from './state.ts';

export const snapshot: CommandSpec = {
  usage: 'snapshot [file]',
  summary: 'save what the reconciler sees, for `purser plan --snapshot`',
  examples: [
    ['purser snapshot s.json', 'to a file'],
    ['purser snapshot | gzip > s.json.gz', 'to a pipe'],
  ],
  define: (command) => command,
  run: async ({ args, common, io }) => {
    const taken = await ask<Snapshot>(common, 'snapshot');
    const [file] = args;
    if (file === undefined) {
      io.out(toJson(taken));
      return 0;
    }
    // It holds all that is mounted into containers: for the owner's eyes.
    await writeFile(file, toJson(taken), { mode: 0o600 }).catch((error: unknown) => {
      throw new CommandError(`${file} cannot be written: ${fileTrouble(error)}`);
    });
    const { tree, live } = taken;
    if (common.json)
      io.out(JSON.stringify({ file, commit: tree.head.oid, takenAt: taken.takenAt }));
    else {
      io.out(
        `Saved ${many(tree.files.size, 'file')} at ${tree.head.oid.slice(0, 12)} and ${many(live.nodes.length, 'node')} to ${file}`,
      );
    }
    return 0;
  },
};
