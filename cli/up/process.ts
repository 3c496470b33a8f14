// Which process is the `purser up` of a root, or the runner of a node that joined: written by it, read
// by the next one and by `down`.
// In: the path of the file. Out: a process id, or null. Numbers of processes are used again, after
// a reboot above all, so the file also holds when the process began: nothing else is ever ended.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Of a runner that no `up` started, in the node's folder. */
export const runnerPid = (root: string): string => join(root, 'runner.pid');

export const writePid = async (path: string): Promise<void> => {
  await writeFile(path, `${process.pid} ${await beganAt(process.pid)}\n`);
};

/** The process that wrote the file, while it runs. */
export const readPid = async (path: string): Promise<number | null> => {
  const [pid = '', began = ''] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
  if (!/^\d+$/.test(pid) || began === '') return null;
  return (await beganAt(Number(pid))) === began ? Number(pid) : null;
};

/** Ticks since the boot, as proc(5) says; empty when there is no such process. A zombie is none. */
const beganAt = async (pid: number): Promise<string> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name before the last bracket may hold anything; after it comes field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? '' : (fields[START_TIME - FIRST_FIELD] ?? '');
};

const START_TIME = 22;
const FIRST_FIELD = 3;
