// A further process in a running container, with its streams: for `purser exec` and for checks. In:
// arguments, a terminal or not. Out: a session. The streams are FIFOs between the shim and this
// process; the output ends when the process has ended and all of it was read, and a reader that is
// slow slows the process. Not here: who may exec.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Status } from 'nice-grpc';
import type { ExecAsk, ExecSession, TaskExit } from '../../ports.ts';
import { atDoor, RuntimeError, tolerate } from '../runtime-error.ts';
import type { Containerd } from './client.ts';
import { connectPipes, type Streams } from './exec-streams.ts';
import { toExit, UNKNOWN_EXIT } from './lifecycle.ts';

const PROCESS_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/Process';

const SIGKILL = 9;

const run = promisify(execFile);

/** `folder` is where FIFOs are made: private to this runner, on a local file system. */
export const execIn = async (
  containerd: Containerd,
  folder: string,
  ask: ExecAsk,
): Promise<ExecSession> => {
  const { tasks } = containerd;
  const execId = `exec-${randomBytes(8).toString('hex')}`;
  const key = { containerId: ask.container, execId };
  const value = Buffer.from(JSON.stringify(await processSpec(containerd, ask)));
  const spec = { typeUrl: PROCESS_TYPE, value };
  const pipes = await makePipes(join(folder, folderName(key)), ask.tty !== null);
  let waiting: Promise<TaskExit>;
  try {
    const { stdin, stdout, stderr } = pipes.paths;
    await tasks.exec({ ...key, stdin, stdout, stderr, terminal: ask.tty !== null, spec });
    waiting = tasks.wait(key).then(({ exitStatus, exitedAt }) => toExit(exitStatus, exitedAt));
    waiting.catch(() => undefined);
    await tasks.start(key);
  } catch (error) {
    await pipes.discard();
    await tasks.deleteProcess(key).catch(() => undefined);
    throw error;
  }
  const streams = pipes.connect();
  const resize = async (columns: number, rows: number): Promise<void> => {
    await tolerate(tasks.resizePty({ ...key, width: columns, height: rows }), Status.NOT_FOUND);
  };
  if (ask.tty !== null) await resize(ask.tty.columns, ask.tty.rows).catch(() => undefined);
  const exit = waiting
    // The shim died, or containerd was restarted: the process's end cannot be learned any more.
    .catch(() => UNKNOWN_EXIT)
    .then(async (status) => {
      await streams.finish();
      await tasks.deleteProcess(key).catch(() => undefined);
      await pipes.discard();
      return status;
    });
  const doing = (what: string): string => `${what} a process in container ${ask.container}`;
  return {
    output: streams.output,
    exit,
    write: (data) => atDoor(doing('write to'), () => streams.write(data)),
    closeInput: () =>
      atDoor(doing('close the input of'), async () => {
        await streams.closeInput();
        await tolerate(tasks.closeIO({ ...key, stdin: true }), Status.NOT_FOUND, Status.UNKNOWN);
      }),
    resize: (columns, rows) => atDoor(doing('resize'), () => resize(columns, rows)),
    kill: (signal) =>
      atDoor(doing('kill'), async () => {
        await tolerate(tasks.kill({ ...key, signal, all: false }), Status.NOT_FOUND);
      }),
  };
};

interface ExecKey {
  readonly containerId: string;
  readonly execId: string;
}

/** Says which session it is, so that the next life of the runner can end it. */
const folderName = ({ containerId, execId }: ExecKey): string => `${execId}@${containerId}`;

const keyOf = (name: string): ExecKey | null => {
  const [, execId, containerId] = /^(exec-[0-9a-f]+)@([\w.-]+)$/.exec(name) ?? [];
  return execId === undefined || containerId === undefined ? null : { execId, containerId };
};

/** SIGKILL works at once, unless the kernel waits for a disk; then the next start tries again. */
const END_WAIT_MS = 5_000;

/**
 * Ends the sessions of a runner that was killed: nobody reads what they print or closes their
 * input, so their processes would wait in the containers for ever. To be called before the first
 * session of this life. Returns how many there were.
 */
export const endLeftExecs = async (containerd: Containerd, folder: string): Promise<number> => {
  const names = await readdir(folder).catch(() => []);
  const ended = await Promise.allSettled(
    names.map(async (name) => {
      const key = keyOf(name);
      if (key !== null) await endExec(containerd, key);
      await rm(join(folder, name), { recursive: true, force: true });
    }),
  );
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return names.length;
};

const endExec = async ({ tasks }: Containerd, key: ExecKey): Promise<void> => {
  // UNKNOWN: its process never began.
  const absent = [Status.NOT_FOUND, Status.UNKNOWN] as const;
  const killed = await tolerate(tasks.kill({ ...key, signal: SIGKILL, all: false }), ...absent);
  if (killed !== null) {
    const signal = AbortSignal.timeout(END_WAIT_MS);
    await tolerate(tasks.wait(key, { signal }), ...absent);
  }
  await tolerate(tasks.deleteProcess(key), ...absent);
};

/** The container's own process with other arguments: same user, folder, capabilities. */
const processSpec = async (containerd: Containerd, ask: ExecAsk): Promise<object> => {
  const { container } = await containerd.containers.get({ id: ask.container });
  const spec = JSON.parse(Buffer.from(container?.spec?.value ?? '{}').toString()) as {
    readonly process?: { readonly env?: readonly string[] };
  };
  if (spec.process === undefined)
    throw new RuntimeError('bad-spec', `Container ${ask.container} has no process to be like.`);
  const term = ask.tty === null ? [] : ['TERM=xterm'];
  const env = [...(spec.process.env ?? []), ...term, ...ask.env];
  return { ...spec.process, args: ask.args, env, terminal: ask.tty !== null };
};

interface Pipes {
  readonly paths: { readonly stdin: string; readonly stdout: string; readonly stderr: string };
  /** Only after the process was started: before, a FIFO without a writer looks ended. */
  readonly connect: () => Streams;
  readonly discard: () => Promise<void>;
}

const makePipes = async (folder: string, terminal: boolean): Promise<Pipes> => {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [stdin, stdout, stderr] = ['stdin', 'stdout', 'stderr'].map((name) => join(folder, name));
  const paths = {
    stdin: stdin ?? '',
    stdout: stdout ?? '',
    stderr: terminal ? '' : (stderr ?? ''),
  };
  const outputs = terminal ? [paths.stdout] : [paths.stdout, paths.stderr];
  // Node cannot make FIFOs itself.
  await run('mkfifo', ['-m', '600', paths.stdin, ...outputs]);
  // The shim waits until each output has a reader; the input needs one too, or opening it for
  // writing would fail. Opening without blocking returns at once, and these descriptors pass into
  // the sockets.
  const reading = constants.O_RDONLY | constants.O_NONBLOCK;
  const fds = [
    openSync(paths.stdin, constants.O_RDWR | constants.O_NONBLOCK),
    ...outputs.map((path) => openSync(path, reading)),
  ];
  let connected = false;
  return {
    paths,
    connect: () => {
      connected = true;
      return connectPipes(fds);
    },
    discard: async () => {
      if (!connected) for (const fd of fds) closeSync(fd);
      await rm(folder, { recursive: true, force: true });
    },
  };
};
