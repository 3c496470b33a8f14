// The folder of a task that containerd has forgotten, in the way of a new task of its name.
// In: the answer that names it. Out: the folder is gone, with what still ran from it. containerd died
// while it made the task; the next one clears up behind it within five seconds or not at all (its
// shim's `delete` took longer on a busy machine), and refuses the name from then on. Not here: tasks
// that containerd knows (lifecycle.ts).

import { readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ClientError } from 'nice-grpc';
import { runCommand, tryCommand } from '../command.ts';

export interface LeftoverOf {
  readonly id: string;
  readonly namespace: string;
  /** runc's state folder; below it one for each namespace. */
  readonly runcRoot: string;
}

/** In the words of 1.6 and 1.7, and without the first of them of 2. */
const REFUSAL = /(?:^|: )mkdir (\/.+\/io\.containerd\.runtime\.v2\.task\/.+): file exists$/;
/** One mount upon the other: a shim mounts the container's files once for each attempt. */
const MOUNTS_MAX = 8;

/**
 * Takes away what the answer says is in the way; false: the answer says something else, or names
 * what is not this container's. Throws where the folder cannot be taken away.
 */
export const clearLeftover = async (error: unknown, of: LeftoverOf): Promise<boolean> => {
  const folder = error instanceof ClientError ? (REFUSAL.exec(error.details)?.[1] ?? null) : null;
  if (folder === null || basename(folder) !== of.id) return false;
  if (basename(dirname(folder)) !== of.namespace) return false;
  const root = join(of.runcRoot, of.namespace);
  // A container that was never made is no error here.
  await tryCommand({ program: 'runc', args: ['--root', root, 'delete', '--force', of.id] });
  await endShims(folder);
  await unmount(join(folder, 'rootfs'));
  // Folders whose name begins with a dot are nothing to containerd, should this end half way.
  const aside = join(dirname(folder), `.${of.id}`);
  await rm(aside, { recursive: true, force: true });
  await rename(folder, aside);
  await rm(aside, { recursive: true, force: true });
  return true;
};

/** A shim works in the folder of its task. */
const endShims = async (folder: string): Promise<void> => {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    if ((await readlink(`/proc/${pid}/cwd`).catch(() => null)) !== folder) continue;
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    if (!name.startsWith('containerd-shim')) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
};

/** What is mounted there are files of the container: they must not be removed with the folder. */
const unmount = async (path: string): Promise<void> => {
  for (let left = MOUNTS_MAX; left > 0 && (await isMounted(path)); left -= 1) {
    await runCommand({ program: 'umount', args: ['--lazy', path] });
  }
  if (await isMounted(path)) throw new Error(`${path} is still mounted: unmount it`);
};

const isMounted = async (path: string): Promise<boolean> => {
  const [own, above] = await Promise.all([
    stat(path).catch(() => null),
    stat(dirname(path)).catch(() => null),
  ]);
  return own !== null && above !== null && own.dev !== above.dev;
};
