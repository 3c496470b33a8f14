// A private containerd for one node: started so that it outlives this process, found again,
// stopped. In: a folder of its own. Out: the socket at which it serves. Nothing of it is shared
// with another containerd of the machine: root, state, sockets and configuration lie in that
// folder. Containers outlive it, and so do their logs. Not here: what runs in it (runtime.ts);
// stopping containers before it is the caller's work.

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import writeFileAtomic from 'write-file-atomic';
import { RuntimeError } from '../runtime-error.ts';
import { type Containerd, connectContainerd } from './client.ts';

export interface DaemonOptions {
  /**
   * Everything of this containerd lies here; short, because socket paths hold at most 107 bytes.
   */
  readonly folder: string;
  /**
   * Path or name of the program; its own folder comes first in its PATH, so that its own shim is
   * used.
   */
  readonly binary: string;
}

export interface Daemon {
  readonly socket: string;
  readonly pid: number;
  /** SIGTERM, then SIGKILL; containers go on running. */
  readonly stop: () => Promise<void>;
}

/** containerd serves after 15 to 30 ms; on a machine that is busy it may take seconds. */
const START_MAX_MS = 20_000;
const POLL_MS = 20;
/** It ends in about 20 ms when asked. */
const STOP_MAX_MS = 5_000;
/** sun_path of the kernel, without its closing zero. */
const SOCKET_PATH_MAX_BYTES = 107;
/** Of containerd's own log in an error message. */
const LOG_TAIL_CHARACTERS = 500;

/** Where the socket of such a containerd lies. */
export const socketOf = (folder: string): string => join(folder, 'containerd.sock');

/** Finds the containerd of this folder, or starts one; resolves when it serves. */
export const startContainerd = async (options: DaemonOptions): Promise<Daemon> => {
  const socket = socketOf(options.folder);
  if (Buffer.byteLength(`${socket}.ttrpc`) > SOCKET_PATH_MAX_BYTES)
    throw new RuntimeError(
      'other',
      `The path ${socket} is too long for a socket; choose a folder with a shorter name.`,
    );
  const found = await findContainerd(options.folder);
  if (found !== null) return found;
  await mkdir(options.folder, { recursive: true, mode: 0o711 });
  await rm(socket, { force: true });
  const config = join(options.folder, 'config.toml');
  await writeFileAtomic(config, configOf(options.folder));
  const log = join(options.folder, 'containerd.log');
  const pid = launch(options.binary, config, log);
  await writeFileAtomic(pidFile(options.folder), `${pid}\n`);
  await untilServing({ pid, socket, log });
  return daemon(options.folder, pid);
};

/**
 * Whether the containerd of this folder runs: two small files are read, nothing is connected.
 * Asked every second, so it reads without waiting, which costs a tenth of sending the reads
 * through Node's threads.
 */
export const containerdRuns = (folder: string): boolean => {
  try {
    const pid = Number(readFileSync(pidFile(folder), 'utf8'));
    if (!Number.isInteger(pid) || pid <= 1) return false;
    return names(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), folder);
  } catch {
    // No such file, no such process: it does not run, and starting it tells what is wrong.
    return false;
  }
};

/**
 * The containerd of this folder if it runs and serves; null when there is none. The file with its
 * number is only a short cut: a runner that was killed between starting one and writing that file
 * has left one that nobody knows.
 */
export const findContainerd = async (folder: string): Promise<Daemon | null> => {
  const known = Number(await readFile(pidFile(folder), 'utf8').catch(() => '0'));
  const socket = socketOf(folder);
  if (known > 1 && (await isOurs(known, folder)) && (await answersOnce(socket))) {
    return daemon(folder, known);
  }
  const [pid, ...older] = await processesOf(folder);
  if (pid === undefined) return null;
  // Two wait for each other for ever: the older one holds the database, the younger one took its
  // socket away.
  for (const one of older) process.kill(one, 'SIGKILL');
  await writeFileAtomic(pidFile(folder), `${pid}\n`);
  try {
    await untilServing({ pid, socket, log: join(folder, 'containerd.log') });
  } catch (error) {
    if (await isOurs(pid, folder)) process.kill(pid, 'SIGKILL'); // the next attempt begins anew
    throw error;
  }
  return daemon(folder, pid);
};

/** Processes of this folder's containerd, youngest first. */
const processesOf = async (folder: string): Promise<readonly number[]> => {
  const entries = await readdir('/proc');
  const found: { readonly pid: number; readonly began: number }[] = [];
  for (const name of entries) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || !(await isOurs(pid, folder))) continue;
    found.push({ pid, began: await beganAt(pid) });
  }
  return found.toSorted((a, b) => b.began - a.began || b.pid - a.pid).map(({ pid }) => pid);
};

/**
 * In ticks since the machine started; the name of a program stands in brackets and may hold blanks.
 */
const beganAt = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 0);
};

const answersOnce = async (socket: string): Promise<boolean> => {
  const client = connectContainerd({ socket, namespace: 'default' });
  try {
    return await answers(client);
  } finally {
    client.close();
  }
};

const answers = (client: Containerd): Promise<boolean> =>
  client.version.version({}).then(
    () => true,
    () => false,
  );

const pidFile = (folder: string): string => join(folder, 'containerd.pid');

const daemon = (folder: string, pid: number): Daemon => ({
  socket: socketOf(folder),
  pid,
  stop: async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (!(await isOurs(pid, folder))) break;
      process.kill(pid, signal);
      for (let waited = 0; waited < STOP_MAX_MS && (await isOurs(pid, folder)); waited += POLL_MS)
        await sleep(POLL_MS);
    }
    await rm(pidFile(folder), { force: true });
  },
});

/**
 * Numbers of processes are used again, so the command line must name our folder. A zombie has none.
 */
const isOurs = async (pid: number, folder: string): Promise<boolean> => {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return names(line, folder);
};

const names = (commandLine: string, folder: string): boolean =>
  commandLine.split('\0').includes(join(folder, 'config.toml'));

/** A session of its own and no pipe to us: it does not notice when we end. */
const launch = (binary: string, config: string, log: string): number => {
  const fd = openSync(log, 'a');
  const own = binary.includes('/') ? `${dirname(binary)}:` : '';
  const path =
    process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  try {
    const child = spawn(binary, ['-c', config], {
      detached: true,
      stdio: ['ignore', fd, fd],
      env: { ...process.env, PATH: `${own}${path}` },
    });
    // Without a listener a program that is not there would end this process; untilServing tells
    // about it.
    child.on('error', () => undefined);
    child.unref();
    if (child.pid === undefined)
      throw new RuntimeError(
        'unavailable',
        `Cannot start ${binary}. Install containerd here (Debian: apt-get install containerd).`,
      );
    return child.pid;
  } finally {
    closeSync(fd);
  }
};

const untilServing = async (started: {
  readonly pid: number;
  readonly socket: string;
  readonly log: string;
}): Promise<void> => {
  const client = connectContainerd({ socket: started.socket, namespace: 'default' });
  try {
    const until = performance.now() + START_MAX_MS;
    while (performance.now() < until) {
      if (await answers(client)) return;
      if ((await readFile(`/proc/${started.pid}/cmdline`, 'utf8').catch(() => '')) === '') break;
      await sleep(POLL_MS);
    }
  } finally {
    client.close();
  }
  const text = await readFile(started.log, 'utf8').catch(() => '');
  throw new RuntimeError(
    'unavailable',
    `containerd did not start to serve at ${started.socket}. The end of ${started.log}: ` +
      text.slice(-LOG_TAIL_CHARACTERS).trim(),
  );
};

/**
 * Version 2 of the configuration is read by 1.6, 1.7 and 2.x alike. Plugins that serve Kubernetes
 * or need devices are off; runtime.v1 must stay, without it 1.6 serves no tasks. `disabled_plugins`
 * stands before the first table, else it would silently belong to that table.
 */
const configOf = (folder: string): string => `# Written by Purser at each start of this containerd.
version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.nri.v1.nri",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = "${socketOf(folder)}"

[ttrpc]
  address = "${socketOf(folder)}.ttrpc"

[debug]
  level = "warn"
`;
