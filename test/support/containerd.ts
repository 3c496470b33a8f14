// Private containerds for tests, of each release that is here, and runtimes on them. Everything
// lies in one temporary folder; `close` ends every container, the daemon, and removes the folder.
// Releases besides the installed one come from Debian packages, unpacked once into the temporary
// folder of the machine.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Daemon, startContainerd } from '../../node-runner/edge/containerd/daemon.ts';
import {
  type ContainerdRuntime,
  createContainerdRuntime,
} from '../../node-runner/edge/containerd/runtime.ts';

export interface Release {
  readonly name: string;
  /** null: not on this machine. */
  readonly binary: string | null;
  /** What to do to have it, for the lines that say that tests were left out. */
  readonly missing: string;
}

/** The releases that the contract suite runs on. */
export const releases = (): readonly Release[] => [
  {
    name: 'installed',
    binary: installed(),
    missing: 'containerd is not installed (apt-get install containerd)',
  },
  unpacked('1.7', 'CONTAINERD_17_DIR', 'containerd_1.7'),
  unpacked('2', 'CONTAINERD_2_DIR', 'containerd_2.'),
];

const installed = (): string | null =>
  ['/usr/bin/containerd', '/usr/local/bin/containerd'].find((path) => existsSync(path)) ?? null;

/** Where Debian packages may lie: beside the checkout, or beside the folder that holds it. */
const PACKAGE_FOLDERS = ['../debs', '../shared/debs'];

const unpacked = (name: string, variable: string, prefix: string): Release => {
  const missing = `no containerd ${name}: set ${variable} to a folder with its usr/bin`;
  const given = process.env[variable];
  if (given !== undefined) {
    const binary = [join(given, 'usr/bin/containerd'), join(given, 'containerd')].find((path) =>
      existsSync(path),
    );
    return { name, binary: binary ?? null, missing };
  }
  const root = resolve(import.meta.dirname, '../..');
  for (const folder of PACKAGE_FOLDERS.map((each) => resolve(root, each))) {
    if (!existsSync(folder)) continue;
    const file = readdirSync(folder).find(
      (each) => each.startsWith(prefix) && each.endsWith('.deb'),
    );
    if (file === undefined) continue;
    const target = join(tmpdir(), `purser-test-unpacked-${file}`);
    if (!existsSync(target)) unpack(join(folder, file), target);
    return { name, binary: join(target, 'usr/bin/containerd'), missing };
  }
  return { name, binary: null, missing };
};

/** Whole or not at all: other tests look for the same folder meanwhile. */
const unpack = (file: string, target: string): void => {
  const own = mkdtempSync(`${target}-`);
  execFileSync('dpkg-deb', ['-x', file, own]);
  try {
    renameSync(own, target);
  } catch {
    rmSync(own, { recursive: true }); // somebody was first
  }
};

export interface TestContainerd {
  readonly folder: string;
  readonly namespace: string;
  readonly daemon: () => Daemon;
  readonly runtime: ContainerdRuntime;
  /** A second client of the same server, as a runner that was restarted has it. */
  readonly another: () => ContainerdRuntime;
  /** SIGTERM or SIGKILL; `start` brings it back. */
  readonly stop: (how: 'gently' | 'hard') => Promise<void>;
  readonly start: () => Promise<void>;
  readonly close: () => Promise<void>;
}

let count = 0;

export const testContainerd = async (options: {
  readonly binary: string;
  readonly insecure?: readonly string[];
}): Promise<TestContainerd> => {
  const folder = await mkdtemp(join(tmpdir(), 'pt-'));
  const start = (): Promise<Daemon> =>
    startContainerd({ folder: join(folder, 'c'), binary: options.binary });
  let daemon = await start();
  const namespace = `test-${process.pid}-${(count += 1)}`;
  const clients: ContainerdRuntime[] = [];
  const client = (): ContainerdRuntime => {
    const runtime = createContainerdRuntime({
      socket: daemon.socket,
      namespace,
      runcRoot: join(folder, 'runc'),
      execFolder: join(folder, 'exec'),
      registry: { loginsPath: join(folder, 'logins.json'), insecure: options.insecure ?? [] },
    });
    clients.push(runtime);
    return runtime;
  };
  await mkdir(join(folder, 'logs'));
  const runtime = client();
  return {
    folder,
    namespace,
    daemon: () => daemon,
    runtime,
    another: client,
    stop: async (how) => {
      if (how === 'gently') return daemon.stop();
      process.kill(daemon.pid, 'SIGKILL');
      await untilGone(daemon.pid);
    },
    start: async () => {
      daemon = await start();
    },
    close: async () => {
      try {
        for (const { id } of await runtime.list()) await runtime.remove(id);
      } finally {
        for (const each of clients) each.close();
        await daemon.stop();
        await unmountBelow(folder);
        await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      }
    },
  };
};

const untilGone = async (pid: number): Promise<void> => {
  const alive = async (): Promise<boolean> =>
    (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== '';
  while (await alive()) await new Promise((done) => setTimeout(done, 10));
};

/** A shim that was killed leaves its mount; without this the folder cannot be removed. */
const unmountBelow = async (folder: string): Promise<void> => {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .toReversed();
  for (const path of mounts) execFileSync('umount', ['-l', path]);
};
