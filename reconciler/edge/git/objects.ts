// The object database: loose objects are read and written here directly, packed ones come from `git
// cat-file`, or from isomorphic-git where no git is installed. In: ids or bytes. Out: objects, ids.
// Reading a loose object is done synchronously: a fresh commit is a few small files in the page
// cache, and a trip through the thread pool costs more than the read
// (docs/decisions/git-reading.md).

import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { constants, deflateSync, inflateSync } from 'node:zlib';
import type { Batch, GitObject } from './batch.ts';
import type { Owner } from './command.ts';
import { broken, codeOf, messageOf, retry } from './failure.ts';
import { gitLibrary } from './library.ts';

export interface Objects {
  /** null where the repository has no such object. */
  readonly read: (oid: string, maxBytes: number) => Promise<GitObject | null>;
  /** Writes many at once, each fsynced; returns their ids in order. */
  readonly write: (objects: readonly NewObject[]) => Promise<readonly string[]>;
  readonly close: () => void;
}

export interface NewObject {
  readonly type: 'blob' | 'tree' | 'commit';
  readonly data: Buffer;
}

export interface ObjectsOptions {
  /** Folder that holds `objects/`. */
  readonly commonDir: string;
  readonly owner: Owner | null;
  /** null: no git installed. */
  readonly batch: Batch | null;
}

export const createObjects = (options: ObjectsOptions): Objects => {
  const folder = path.join(options.commonDir, 'objects');
  const readPacked = options.batch?.read ?? createSlowReader(options.commonDir);
  return {
    read: async (oid, maxBytes) => readLoose(folder, oid, maxBytes) ?? readPacked(oid, maxBytes),
    write: (objects) =>
      Promise.all(objects.map((object) => writeLoose(folder, object, options.owner))),
    close: () => options.batch?.close(),
  };
};

/** The id that git gives to an object. */
export const objectId = ({ type, data }: NewObject): string =>
  createHash('sha1').update(`${type} ${data.length}\0`).update(data).digest('hex');

/** Enough compressed bytes for the header of any object. */
const HEADER_BYTES = 512;

const readLoose = (folder: string, oid: string, maxBytes: number): GitObject | null => {
  const file = `${folder}/${oid.slice(0, 2)}/${oid.slice(2)}`;
  // Asked first because most objects are packed, and a thrown error costs more than the question.
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  try {
    return stat.size > LARGE_BYTES
      ? readLarge(file, maxBytes)
      : inflateLoose(fs.readFileSync(file), maxBytes);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null; // Packed and pruned in between.
    throw broken(`object ${oid} in ${folder} cannot be read: ${messageOf(error)}. Run: git fsck`);
  }
};

/**
 * Compressed files above this are opened for their header first: they may be larger than anybody
 * wants.
 */
const LARGE_BYTES = 64 * 1024;

const readLarge = (file: string, maxBytes: number): GitObject => {
  const fd = fs.openSync(file, 'r');
  try {
    const start = Buffer.alloc(HEADER_BYTES);
    fs.readSync(fd, start, 0, start.length, 0);
    const header = parseHeader(inflateSync(start, { finishFlush: constants.Z_SYNC_FLUSH }));
    if (header.size > maxBytes) return { type: header.type, size: header.size, data: null };
    return inflateLoose(fs.readFileSync(fd), maxBytes);
  } finally {
    fs.closeSync(fd);
  }
};

const inflateLoose = (compressed: Buffer, maxBytes: number): GitObject => {
  const whole = inflateUpTo(compressed, maxBytes + HEADER_BYTES);
  if (whole === null) {
    const start = inflateSync(compressed.subarray(0, HEADER_BYTES), {
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    const { type, size } = parseHeader(start);
    return { type, size, data: null };
  }
  const header = parseHeader(whole);
  if (header.size > maxBytes) return { type: header.type, size: header.size, data: null };
  const data = whole.subarray(header.end);
  if (data.length !== header.size) throw new Error('its length is not the one it states');
  return { type: header.type, size: header.size, data };
};

/** null: there is more. Setting up to inflate takes longer than inflating what is small. */
const inflateUpTo = (compressed: Buffer, maxBytes: number): Buffer | null => {
  try {
    return inflateSync(compressed, { maxOutputLength: maxBytes });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return null;
    throw error;
  }
};

const parseHeader = (
  bytes: Buffer,
): { readonly type: string; readonly size: number; readonly end: number } => {
  const zero = bytes.indexOf(0);
  const [type, size] = bytes.subarray(0, Math.max(zero, 0)).toString('latin1').split(' ');
  if (type === undefined || size === undefined || !/^\d+$/.test(size)) throw new Error('no header');
  return { type, size: Number(size), end: zero + 1 };
};

/** Written beside its place, fsynced and renamed: a crash leaves a whole object or none. */
const writeLoose = async (
  folder: string,
  object: NewObject,
  owner: Owner | null,
): Promise<string> => {
  const oid = objectId(object);
  const shard = path.join(folder, oid.slice(0, 2));
  const target = path.join(shard, oid.slice(2));
  if (fs.existsSync(target)) return oid;
  const temporary = path.join(shard, `tmp_obj_${randomBytes(6).toString('hex')}`);
  try {
    // Not `recursive`: with it Node says of a read-only file system that the folder is not there.
    if (!fs.existsSync(shard)) {
      await fs.promises.mkdir(shard).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      own(shard, owner);
    }
    const bytes = deflateSync(
      Buffer.concat([Buffer.from(`${object.type} ${object.data.length}\0`), object.data]),
      { level: constants.Z_BEST_SPEED },
    );
    const file = await fs.promises.open(temporary, 'wx', 0o444);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    own(temporary, owner);
    await fs.promises.rename(temporary, target);
    await syncFolder(shard);
    return oid;
  } catch (error) {
    await fs.promises.rm(temporary, { force: true });
    const advice = 'Check free space and permissions.';
    throw retry(`objects cannot be written to ${folder}: ${messageOf(error)}. ${advice}`);
  }
};

/** A reconciler that runs as root leaves a person's repository in that person's hands. */
export const own = (file: string, owner: Owner | null): void => {
  if (owner !== null) fs.chownSync(file, owner.uid, owner.gid);
};

/** A rename is durable once its folder is. */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await fs.promises.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Without a git to ask: right, and twenty times slower. */
const createSlowReader = (gitdir: string) => {
  const cache = {};
  return async (oid: string, maxBytes: number): Promise<GitObject | null> => {
    try {
      const git = await gitLibrary();
      const { object, type } = await git.readObject({ fs, gitdir, oid, cache, format: 'content' });
      const data = Buffer.from(object as Uint8Array);
      return { type, size: data.length, data: data.length > maxBytes ? null : data };
    } catch (error) {
      if (codeOf(error) === 'NotFoundError') return null;
      throw retry(`object ${oid} cannot be read: ${messageOf(error)}`);
    }
  };
};
