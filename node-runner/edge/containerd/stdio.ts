// Where a task's output goes. In: the log's file. Out: what containerd is told, and the file of the
// next run. The shim that appends is containerd's own, so that logging needs nobody else alive. Not
// here: rotation and reading (store/logs.ts), the streams of an exec (exec-streams.ts).

import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { nextLogPath } from '../store/logs.ts';

export interface TaskOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** Like the shim's own: a person on the node may read along. */
const LOG_MODE = 0o644;

/** What the shim cannot read as an address without a scheme. */
const UNREADABLE_AS_ADDRESS = /[%\p{Cc}]/u;

/**
 * Both streams, appended to one file by two descriptors. The shim's `file://` shares one between
 * them and closes it when stdout ends, so the last words on stderr of a process that ends at once
 * are lost (seen with `ctr` alone: "error copying stderr", 2 of 40 under load). A path without a
 * scheme is opened for each stream, as long as the two are spelled differently; it must be there.
 * In: the file's address, empty for no log.
 */
export const openOutput = async (log: string): Promise<TaskOutput> => {
  if (log === '') return { stdout: '', stderr: '' };
  const path = fileURLToPath(log);
  // Both must be set: a shim that gets only one of them dies.
  if (UNREADABLE_AS_ADDRESS.test(path)) return { stdout: log, stderr: log };
  await (await open(path, 'a', LOG_MODE)).close();
  return { stdout: path, stderr: `${dirname(path)}/./${basename(path)}` };
};

/** Each run writes a log of its own, so that what the run before said can still be read. */
export const nextLog = async (first: string): Promise<string> => {
  const [, folder, task] = /^(file:.*)\/([^/]+)\.\d+\.log$/.exec(first) ?? [];
  if (folder === undefined || task === undefined) return first;
  return pathToFileURL(await nextLogPath(fileURLToPath(folder), task)).href;
};
