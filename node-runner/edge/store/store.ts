// What the runner keeps on disk: orders, marks, files that tasks mount, folders of named volumes,
// places for logs.
// In: a root folder. Out: StorePort. Everything below the root is for root alone (0700); a file
// that cannot be read is moved aside and said, never fatal. Not here: reading logs and rotating
// them (logs.ts).

import { chmod, mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import writeFileAtomic from 'write-file-atomic';

import { sha256 } from '../../../schema/hash.ts';
import { compareText } from '../../../schema/ids.ts';
import type { NodeOrders } from '../../../schema/orders.ts';
import type { Contact, PrepareAsk, PreparedPaths, RunnerLog, StorePort } from '../../ports.ts';
import { errnoOf, messageOf } from '../failure.ts';
import { RuntimeError } from '../runtime-error.ts';
import { refuseBadName } from '../safe-name.ts';
import { endOfLog, nextLogPath } from './logs.ts';
import { layoutOf } from './layout.ts';
import type { Layout } from './layout.ts';

export interface StoreOptions {
  /** Absolute; made when absent. */
  readonly root: string;
  readonly log: Pick<RunnerLog, 'error'>;
}

/** Throws RuntimeError of reason `disk` when the root cannot be made. */
export const createStore = async (options: StoreOptions): Promise<StorePort> => {
  const layout = layoutOf(options.root);
  await onDisk(() => makeFolders(layout));
  const orders = createJsonFile(layout.orders, isOrders, options.log);
  const marks = createJsonFile(layout.marks, isAnything, options.log);
  const contact = createJsonFile(layout.contact, isContact, options.log, { fsync: false });
  return {
    readOrders: orders.read,
    writeOrders: orders.write,
    readMarks: marks.read,
    writeMarks: marks.write,
    readContact: contact.read,
    writeContact: contact.write,
    prepare: (ask) => onDisk(() => prepare(layout, ask)),
    discard: (allocation, what) =>
      onDisk(async () => {
        refuseBadName(allocation);
        const remove = { recursive: true, force: true };
        await rm(join(layout.files, allocation), remove);
        if (what === 'files-and-logs') await rm(join(layout.logs, allocation), remove);
      }),
    endOfLog: (ask) =>
      onDisk(() => {
        refuseBadName(ask.allocation);
        refuseBadName(ask.task);
        return endOfLog(join(layout.logs, ask.allocation), ask);
      }),
    removeVolume: (volume) =>
      onDisk(async () => {
        refuseBadName(volume);
        await rm(join(layout.volumes, volume), { recursive: true, force: true });
      }),
    volumes: () => onDisk(async () => (await readdir(layout.volumes)).toSorted(compareText)),
  };
};

const FOLDER_MODE = 0o700;
const STATE_MODE = 0o600;
/**
 * Below a folder that only root enters: readable for any user inside the container that mounts it.
 */
const MOUNTED_FILE_MODE = 0o644;
/** The same for volumes: a container that does not run as root must be able to write to its own. */
const VOLUME_MODE = 0o777;

const makeFolders = async (layout: Layout): Promise<void> => {
  for (const folder of [layout.root, layout.files, layout.logs, layout.volumes])
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
};

const prepare = async (layout: Layout, ask: PrepareAsk): Promise<PreparedPaths> => {
  refuseBadName(ask.allocation);
  const files: Record<string, string> = {};
  const logs: Record<string, string> = {};
  const volumes: Record<string, string> = {};
  for (const task of ask.tasks) {
    refuseBadName(task.name);
    const logFolder = join(layout.logs, ask.allocation);
    await mkdir(logFolder, { recursive: true, mode: FOLDER_MODE });
    logs[task.name] = await nextLogPath(logFolder, task.name);
    const folder = join(layout.files, ask.allocation, task.name);
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const written = task.files.map(async ({ path, content }) => {
      const target = join(folder, sha256(path).slice(0, 16));
      files[`${task.name}\n${path}`] = target;
      await writeMounted(target, content);
    });
    await Promise.all(written);
  }
  for (const volume of ask.volumes) {
    refuseBadName(volume);
    volumes[volume] = await makeVolume(join(layout.volumes, volume));
  }
  return { files, volumes, logs };
};

/**
 * One that is not there yet is nobody's, so it is written in place and not waited for: what a power
 * cut leaves of it is not equal, and is replaced before the container runs again. An equal file is
 * left alone: a running container has that very file mounted.
 */
const writeMounted = async (path: string, content: string): Promise<void> => {
  const file = await open(path, 'wx', MOUNTED_FILE_MODE).catch((error: unknown) => {
    if (errnoOf(error) === 'EEXIST') return null;
    throw error;
  });
  if (file === null) {
    if ((await readFile(path, 'utf8')) === content) return;
    return writeFileAtomic(path, content, { mode: MOUNTED_FILE_MODE });
  }
  try {
    await file.writeFile(content);
    // The mode above is cut by the umask, this one is not.
    await file.chmod(MOUNTED_FILE_MODE);
  } finally {
    await file.close();
  }
};

/** An existing folder keeps the mode and owner that its job gave it. */
const makeVolume = async (path: string): Promise<string> => {
  const made = await mkdir(path, { recursive: true });
  // mkdir's mode is cut by the umask, chmod's is not.
  if (made !== undefined) await chmod(path, VOLUME_MODE);
  return path;
};

interface JsonFile<T> {
  readonly read: () => Promise<T | null>;
  readonly write: (value: T) => Promise<void>;
}

const createJsonFile = <T>(
  path: string,
  isValid: (value: unknown) => value is T,
  log: StoreOptions['log'],
  { fsync }: { readonly fsync: boolean } = { fsync: true },
): JsonFile<T> => {
  let written: string | null = null;
  return {
    read: () =>
      onDisk(async () => {
        const text = await readFile(path, 'utf8').catch((error: unknown) => {
          if (errnoOf(error) === 'ENOENT') return null;
          throw error;
        });
        if (text === null) return null;
        const value = parseJson(text);
        if (value !== undefined && isValid(value)) return value;
        await rename(path, `${path}.corrupt`);
        log.error(
          { path, movedTo: `${path}.corrupt` },
          'a state file was damaged; it was moved aside and the runner goes on without it',
        );
        return null;
      }),
    write: (value) =>
      onDisk(async () => {
        const text = JSON.stringify(value);
        // The tick writes after every pass; most passes change nothing.
        if (text === written) return;
        written = null;
        await writeFileAtomic(path, text, { mode: STATE_MODE, fsync });
        written = text;
      }),
  };
};

/** undefined when the text is no JSON. */
const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const isAnything = (_value: unknown): _value is unknown => true;

const isContact = (value: unknown): value is Contact =>
  typeof value === 'object' &&
  value !== null &&
  'at' in value &&
  typeof value.at === 'number' &&
  'bootId' in value &&
  typeof value.bootId === 'string';

const isOrders = (value: unknown): value is NodeOrders =>
  typeof value === 'object' &&
  value !== null &&
  'node' in value &&
  'generation' in value &&
  typeof value.generation === 'number' &&
  'items' in value &&
  Array.isArray(value.items);

const DISK_ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free space or give the runner another state folder',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only: look at the kernel log for disk errors',
  EACCES: 'permission denied: the runner must run as root',
};

/** Turns what the file system says into a failure of the platform, with advice where we know it. */
const onDisk = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    const advice = DISK_ADVICE[errnoOf(error) ?? ''];
    const message = messageOf(error) + (advice === undefined ? '' : `; ${advice}`);
    throw new RuntimeError('disk', message, error);
  }
};
