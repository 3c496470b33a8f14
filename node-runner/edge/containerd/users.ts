// Who a container's process is: `app`, `1000`, `app:staff`, `1000:29` become numbers, by the
// image's own files. In: an image and the text as in Compose. Out: uid, gid and further groups. The
// files are read straight from the snapshot's folders, top layer first; links are followed inside
// the image only, never into the node. Not here: mounting anything.

import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Status } from 'nice-grpc';
import type { ImageFacts, ResolvedUser } from '../../ports.ts';
import { RuntimeError, tolerate } from '../runtime-error.ts';
import { type Services, SNAPSHOTTER } from './client.ts';
import type { Mount } from './generated/containerd/types.ts';

/** /etc/passwd of an image: a few kilobytes; more than this is not read. */
const FILE_MAX_BYTES = 1024 * 1024;
/** As the kernel. */
const LINKS_MAX = 40;
/** Highest id that the kernel gives meaning to. */
const ID_MAX = 2 ** 32 - 2;

/** Looks the user up; `''` is root. Throws `bad-spec` when the image does not know it. */
export const resolveUser = async (
  services: Services,
  image: ImageFacts,
  user: string,
): Promise<ResolvedUser> => {
  const [name = '', group = null] = user === '' ? ['0'] : user.split(':');
  const uid = idOf(name);
  const gid = group === null ? null : idOf(group);
  if (uid !== null && gid !== null) return { uid, gid, additionalGids: [] };
  const files = await readFiles(services, image);
  const account = files.passwd.find((line) =>
    uid === null ? line[0] === name : idOf(line[2]) === uid,
  );
  const foundUid = uid ?? idOf(account?.[2]);
  if (foundUid === null) throw unknown('user', name, image);
  if (group !== null) {
    const foundGid = gid ?? idOf(files.group.find((line) => line[0] === group)?.[2]);
    if (foundGid === null) throw unknown('group', group, image);
    return { uid: foundUid, gid: foundGid, additionalGids: [] };
  }
  const ownGid = idOf(account?.[3]) ?? 0;
  const login = account?.[0];
  const additionalGids = files.group
    .filter((line) => login !== undefined && (line[3] ?? '').split(',').includes(login))
    .flatMap((line) => idOf(line[2]) ?? [])
    .filter((id) => id !== ownGid);
  return { uid: foundUid, gid: ownGid, additionalGids };
};

const idOf = (text: string | null | undefined): number | null => {
  if (text === null || text === undefined || !/^\d{1,10}$/.test(text)) return null;
  const id = Number(text);
  return id <= ID_MAX ? id : null;
};

const unknown = (what: string, name: string, image: ImageFacts): RuntimeError =>
  new RuntimeError(
    'bad-spec',
    `Image ${image.name} knows no ${what} "${name}". Write its number, or add it to the image.`,
  );

type Lines = readonly (readonly string[])[];

const readFiles = async (
  services: Services,
  image: ImageFacts,
): Promise<{ readonly passwd: Lines; readonly group: Lines }> => {
  const view = { snapshotter: SNAPSHOTTER, key: `purser-user-${randomUUID()}` };
  const { mounts } = await services.snapshots.view({ ...view, parent: image.chainId, labels: {} });
  try {
    const folders = foldersOf(mounts);
    const lines = async (path: string): Promise<Lines> =>
      ((await readInside(folders, path)) ?? '')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.trim().split(':'));
    return { passwd: await lines('/etc/passwd'), group: await lines('/etc/group') };
  } finally {
    // Garbage collection may have been quicker; the folders are those of the image and stay.
    await tolerate(services.snapshots.remove(view), Status.NOT_FOUND);
  }
};

/**
 * The folders of a view, top layer first: one layer is a bind mount, more are an overlay's lower
 * folders.
 */
const foldersOf = (mounts: readonly Mount[]): readonly string[] =>
  mounts.flatMap(({ type, source, options }) =>
    type === 'overlay'
      ? options
          .filter((option) => option.startsWith('lowerdir='))
          .flatMap((o) => o.slice(9).split(':'))
      : [source],
  );

/** A file's text as a process in the container would read it; null when there is none. */
const readInside = async (folders: readonly string[], path: string): Promise<string | null> => {
  let todo = path.split('/').filter((part) => part !== '');
  let at: readonly string[] = [];
  let links = 0;
  while (todo.length > 0) {
    const [part = '', ...rest] = todo;
    todo = rest;
    if (part === '.' || part === '..') {
      at = part === '..' ? at.slice(0, -1) : at;
      continue;
    }
    const found = await topmost(folders, [...at, part]);
    if (found === null) return null;
    if (found.link === null) at = [...at, part];
    else {
      if (++links > LINKS_MAX) return null;
      if (found.link.startsWith('/')) at = [];
      todo = [...found.link.split('/').filter((piece) => piece !== ''), ...rest];
    }
  }
  const found = await topmost(folders, at);
  return found === null ? null : readText(found.path);
};

/**
 * The entry in the highest layer that has it; a whiteout (character device 0,0) hides those below.
 */
const topmost = async (
  folders: readonly string[],
  parts: readonly string[],
): Promise<{ readonly path: string; readonly link: string | null } | null> => {
  for (const folder of folders) {
    if (await hidden(folder, parts)) return null;
    const path = join(folder, ...parts);
    const entry = await lstat(path).catch(() => null);
    if (entry !== null) return { path, link: entry.isSymbolicLink() ? await readlink(path) : null };
  }
  return null;
};

/** Whether this layer deleted the entry, or a folder above it. */
const hidden = async (folder: string, parts: readonly string[]): Promise<boolean> => {
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const entry = await lstat(join(folder, ...parts.slice(0, depth))).catch(() => null);
    if (entry === null) return false;
    if (entry.isCharacterDevice() && entry.rdev === 0) return true;
  }
  return false;
};

const readText = async (path: string): Promise<string | null> => {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    if (size > FILE_MAX_BYTES) return null;
    return (await file.readFile()).toString();
  } finally {
    await file.close();
  }
};
