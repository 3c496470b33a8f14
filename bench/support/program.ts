// A program of the bench as the product's are built and started: bundled by esbuild.mjs, forked with
// the reconciler's flags and priority. In: its file, a folder for the bundle, arguments. Out: a
// child with a channel for messages. Not here: what they say to each other.

import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { prefer, RECONCILER_NODE_FLAGS, RECONCILER_PRIORITY } from '../../cli/up/children.ts';

export interface ProgramAsk {
  /** Below the root of the repository: `bench/timed-pulls.ts`. */
  readonly entry: string;
  /** Folder for the bundle. */
  readonly folder: string;
  readonly args: readonly string[];
}

export const forkProgram = ({ entry, folder, args }: ProgramAsk): ChildProcess => {
  const root = path.resolve(import.meta.dirname, '../..');
  execFileSync(process.execPath, ['esbuild.mjs', entry, folder], { cwd: root, stdio: 'inherit' });
  const execArgv = [...RECONCILER_NODE_FLAGS];
  const child = fork(path.join(folder, 'main.js'), [...args], { execArgv });
  if (child.pid !== undefined) prefer(child.pid, RECONCILER_PRIORITY);
  return child;
};

/** It ends when its channel does; resolves once it has, also where it ended before. */
export const endProgram = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  if (child.connected) child.disconnect();
  await ended;
};
