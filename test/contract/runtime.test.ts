// The runtime port on real containerds, of every release that is here: the common suite, and what
// only they have.

import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BuiltImage } from '../../cli/image-build.ts';
import { connectContainerd } from '../../node-runner/edge/containerd/client.ts';
import type { ExecSession, ImageFacts, OciSpec } from '../../node-runner/ports.ts';
import { releases, type TestContainerd, testContainerd } from '../support/containerd.ts';
import { testImage } from '../support/images.ts';
import { testRegistry } from '../support/registry.ts';
import { type SpecAsk, testSpec } from '../support/specs.ts';
import { find, listen, type Program, runtimeSuite, until } from './runtime-suite.ts';

/** Enough that a shim that loses 1 in 20 is found out nearly always. */
const LAST_WORDS_ROUNDS = 6;

const commandOf = (program: Program): readonly string[] => {
  switch (program.kind) {
    case 'run':
      // The first process of a container ignores SIGTERM unless it says what to do on it.
      return program.heedsTerm
        ? ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 0.05; done']
        : ['sleep', '1000'];
    case 'exit':
      return ['sh', '-c', `sleep ${program.afterMs / 1000}; exit ${program.code}`];
    case 'absent':
      return ['no-such-program'];
  }
};

/** Ends the process and takes its task away: what is left after a reboot. */
const loseTask = async (server: TestContainerd, id: string): Promise<void> => {
  const { socket } = server.daemon();
  const raw = connectContainerd({ socket, namespace: server.namespace });
  await raw.tasks.kill({ containerId: id, signal: 9, all: true });
  await raw.tasks.wait({ containerId: id });
  await raw.tasks.delete({ containerId: id });
  raw.close();
};

const present = releases().filter(({ binary }) => binary !== null);
for (const { name, missing } of releases().filter(({ binary }) => binary === null))
  test.skip(`containerd ${name}: ${missing}`, () => undefined);

describe.each(present)('containerd $name', ({ name, binary }) => {
  let server: TestContainerd;
  let image: ImageFacts;
  let built: BuiltImage;
  let count = 0;

  beforeAll(async () => {
    server = await testContainerd({ binary: binary ?? '' });
    built = await testImage();
    image = await server.runtime.importImage(built, 'purser.local/test');
  });
  afterAll(() => server?.close());

  runtimeSuite('as every runtime', async () => {
    const own = await testContainerd({ binary: binary ?? '' });
    const registry = await testRegistry();
    const pushed = await testImage({ gzip: true });
    await registry.push('team/app', pushed);
    const repository = `${registry.host}/team/app`;
    return {
      runtime: own.runtime,
      image: { repository, digest: pushed.digest },
      missing: { repository, digest: `sha256:${'1'.repeat(64)}` },
      spec: (id, program) =>
        testSpec({ args: commandOf(program), cgroup: `/${own.namespace}/${id}` }),
      user: { name: 'app', uid: 1000, gid: 29 },
      hello: ['sh', '-c', 'echo hello; exit 3'],
      loseTask: (id) => loseTask(own, id),
      hasBegun: async (id) => {
        const { pid } = (await find(own.runtime, id)) ?? {};
        return !readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('runc');
      },
      close: async () => {
        await own.close();
        await registry.close();
      },
    };
  });

  const specOf = (id: string, ask: Omit<SpecAsk, 'cgroup'>): OciSpec =>
    testSpec({ ...ask, cgroup: `/${server.namespace}/${id}` });
  const logOf = (id: string): string => join(server.folder, 'logs', `${id}.log`);
  const run = async (shell: string, over: Partial<SpecAsk> = {}): Promise<string> => {
    const id = `r-${(count += 1)}`;
    const spec = specOf(id, { args: ['sh', '-c', shell], ...over });
    const { runtime } = server;
    await runtime.create({ id, labels: { id }, image, spec, logPath: logOf(id) });
    await runtime.start(id);
    return id;
  };
  const ended = (id: string): Promise<unknown> =>
    until(async () => (await find(server.runtime, id))?.task === 'stopped');
  /** Back when all that was due is gone. */
  const collectGarbage = (): void => {
    const { socket } = server.daemon();
    const ctr = (...args: readonly string[]): string =>
      execFileSync(
        (binary ?? '').replace(/containerd$/, 'ctr'),
        ['-a', socket, '-n', server.namespace, 'leases', ...args],
        { encoding: 'utf8' },
      );
    ctr('delete', '--sync', ctr('create').trim());
  };
  const text = async (session: ExecSession, stream?: 'stdout' | 'stderr'): Promise<string> => {
    let all = '';
    for await (const part of session.output)
      if (stream === undefined || part.stream === stream) all += Buffer.from(part.data).toString();
    return all;
  };

  test('serves the release that it should', async () => {
    const version = await server.runtime.version();
    if (name !== 'installed') expect(version).toMatch(new RegExp(`^v?${name}[.]`));
  });

  test('an image put in by hand has its facts, and a second time is the same', async () => {
    expect(image).toMatchObject({
      name: `purser.local/test@${built.digest}`,
      entrypoint: ['/bin/sh', '-c'],
      command: ['sleep 1000'],
      environment: ['PATH=/bin'],
      user: 'app',
      stopSignal: 'SIGTERM',
    });
    expect(await server.runtime.importImage(built, 'purser.local/test')).toEqual(image);
  });

  test('both streams are in the log, those of a restart behind the first', async () => {
    const id = await run('echo one; echo two >&2; echo three');
    await ended(id);
    await server.runtime.restart(id, null);
    await server.runtime.start(id);
    await ended(id);
    await server.runtime.remove(id);
    // The shim copies each stream by itself, so their order among each other is open.
    const lines = readFileSync(logOf(id), 'utf8').trim().split('\n');
    for (const half of [lines.slice(0, 3), lines.slice(3)])
      expect(half.toSorted()).toEqual(['one', 'three', 'two']);
  });

  test('a process that ends at once loses no last word, whichever stream it said it on', async () => {
    // With a file that both streams share, the shim loses stderr's in about 1 of 20 on a busy
    // machine, and eight at a time keep it busy.
    const one = async (): Promise<void> => {
      const id = await run('echo out; echo last words >&2');
      await ended(id);
      await server.runtime.remove(id);
      const lines = readFileSync(logOf(id), 'utf8').trim().split('\n');
      expect(lines.toSorted()).toEqual(['last words', 'out']);
    };
    for (let round = 0; round < LAST_WORDS_ROUNDS; round += 1)
      await Promise.all(Array.from({ length: 8 }, one));
  });

  test('a network name space that comes with the container has its loopback, up', async () => {
    const id = await run('cd /sys/class/net; echo *; cat lo/flags');
    await ended(id);
    await server.runtime.remove(id);
    const IFF_LOOPBACK_UP = 0x9;
    const said = readFileSync(logOf(id), 'utf8').trim().split('\n');
    expect(said[0]).toBe('lo');
    expect(Number(said[1]) & IFF_LOOPBACK_UP).toBe(IFF_LOOPBACK_UP);
  });

  test('what an upper layer deletes is gone, and the seccomp list lets programs live', async () => {
    const id = await run('ls /etc; id -u; echo "$(cat /proc/self/status)"', {
      seccomp: true,
      user: { uid: 1000, gid: 29 },
    });
    await ended(id);
    await server.runtime.remove(id);
    const log = readFileSync(logOf(id), 'utf8');
    expect(log).toContain('group');
    expect(log).not.toContain('gone');
    expect(log).toMatch(/^1000$/m);
    expect(log).toMatch(/^Seccomp:\t2$/m);
    expect(log).toMatch(/^CapEff:\t0+$/m);
    expect(log).toMatch(/^CapBnd:\t00000000a80425fb$/m);
  });

  test('a container over its memory is told as out of memory, with exit 137', async () => {
    const { heard, stop } = await listen(server.runtime);
    const greedy = 'dd if=/dev/zero of=/dev/null bs=100000000 count=1';
    const id = await run(`until [ -e /go ]; do sleep 0.05; done; exec ${greedy}`, {
      memoryBytes: 16 * 1024 * 1024,
    });
    // The shim begins to listen for this when the process has started, so it comes a little later.
    await sleep(500);
    const args = ['sh', '-c', ': > /go'];
    const session = await server.runtime.exec({ container: id, args, env: [], tty: null });
    await session.exit;
    await ended(id);
    await until(async () => heard.some((event) => event.kind === 'oom' && event.container === id));
    expect((await find(server.runtime, id))?.exit).toMatchObject({ code: 137, signal: 9 });
    await stop();
    await server.runtime.remove(id);
  });

  test('containers of one group share a shim and go one by one', async () => {
    const first = await run('sleep 1000', { group: 'alloc' });
    const second = await run('sleep 1000', { group: 'alloc' });
    await server.runtime.remove(first);
    expect(await find(server.runtime, second)).toMatchObject({ task: 'running' });
    await server.runtime.remove(second);
  });

  test('a terminal has its size, takes input and changes size', async () => {
    const id = await run('sleep 1000');
    const args = ['sh', '-c', 'stty size; read x; stty size; echo "got $x"'];
    const tty = { columns: 120, rows: 40 };
    const session = await server.runtime.exec({ container: id, args, env: [], tty });
    await sleep(200);
    await session.resize(132, 43);
    await session.write(Buffer.from('word\n'));
    const seen = await text(session);
    expect(seen).toContain('43 132');
    expect(seen).toContain('got word');
    expect(await session.exit).toMatchObject({ code: 0 });
    await server.runtime.remove(id);
  });

  test('input reaches a process and ends when it is closed; streams are told apart', async () => {
    const id = await run('sleep 1000');
    const args = ['sh', '-c', 'cat; echo "$EXTRA" >&2; exit 4'];
    const { runtime } = server;
    const session = await runtime.exec({ container: id, args, env: ['EXTRA=more'], tty: null });
    const big = Buffer.alloc(300_000, 'x');
    const reading = (async () => {
      let out = 0;
      let err = '';
      for await (const { stream, data } of session.output)
        if (stream === 'stdout') out += data.length;
        else err += Buffer.from(data).toString();
      return { out, err };
    })();
    await session.write(big);
    await session.closeInput();
    expect(await reading).toEqual({ out: big.length, err: 'more\n' });
    expect(await session.exit).toMatchObject({ code: 4, known: true });
    await expect(session.write(big)).rejects.toMatchObject({ kind: 'runtime-failure' });
    await runtime.remove(id);
  });

  test('a process in a container can be killed; one that does not exist is refused', async () => {
    const id = await run('sleep 1000');
    const { runtime } = server;
    const long = await runtime.exec({ container: id, args: ['sleep', '999'], env: [], tty: null });
    await long.kill(9);
    expect(await long.exit).toMatchObject({ code: 137 });
    const absent = runtime.exec({ container: id, args: ['absent'], env: [], tty: null });
    await expect(absent).rejects.toMatchObject({ reason: 'command-not-found' });
    expect(await find(runtime, id)).toMatchObject({ task: 'running' });
    await runtime.remove(id);
  });

  test('sessions of a runner that was killed are ended by the next one', async () => {
    const id = await run('sleep 1000');
    const before = await server.runtime.exec({
      container: id,
      args: ['sleep', '998'],
      env: [],
      tty: null,
    });
    const folder = join(server.folder, 'exec');
    expect(readdirSync(folder)).toHaveLength(1);
    mkdirSync(join(folder, 'exec-00@gone.container')); // its container went with a reboot
    expect(await server.another().endLeftExecs()).toBe(2);
    expect(await before.exit).toMatchObject({ code: 137 });
    expect(readdirSync(folder)).toEqual([]);
    expect(await find(server.runtime, id)).toMatchObject({ task: 'running' });
    expect(await server.another().endLeftExecs()).toBe(0);
    await server.runtime.remove(id);
  });

  test.each(['gently', 'hard'] as const)(
    'containerd goes %s and comes back: containers ran on, events begin with resync',
    async (how) => {
      const { heard, stop } = await listen(server.runtime);
      const id = await run('while true; do echo tick; sleep 0.05; done');
      const before = await find(server.runtime, id);
      await server.stop(how);
      await expect(server.runtime.list()).rejects.toMatchObject({
        reason: 'unavailable',
        consequence: 'retry',
      });
      const logged = readFileSync(logOf(id), 'utf8').length;
      await server.start();
      await until(() => server.runtime.list().then(Boolean, () => false));
      expect(await find(server.runtime, id)).toEqual(before);
      await until(async () => readFileSync(logOf(id), 'utf8').length > logged);
      await until(async () => heard.filter(({ kind }) => kind === 'resync').length === 2);
      const other = await run('exit 5');
      await until(async () => heard.some((e) => e.kind === 'exit' && e.container === other));
      await stop();
      await server.runtime.remove(id);
      await server.runtime.remove(other);
    },
  );

  test('what ended while containerd was down is known with its exit code', async () => {
    const id = await run('sleep 2; exit 42');
    const { pid } = (await find(server.runtime, id)) ?? {};
    expect(pid).toBeGreaterThan(0);
    await server.stop('hard');
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await until(async () => !existsSync(`/proc/${pid}`)); // its shim has taken note of the end
    await server.start();
    await until(() => server.runtime.list().then(Boolean, () => false));
    expect(await find(server.runtime, id)).toMatchObject({
      task: 'stopped',
      exit: { code: 42, known: true },
    });
    await server.runtime.remove(id);
    expect(await find(server.runtime, id)).toBeUndefined();
  });

  test('a create that was cut when containerd died can be done again', async () => {
    // A shim is there some 10 ms after the call, its process some 30 ms later; it differs by load.
    for (const afterMs of [8, 16, 24, 32, 40, 50, 60, 80]) {
      const id = `r-${(count += 1)}`;
      const spec = specOf(id, { args: ['sh', '-c', 'exec sleep 1000'] });
      const ask = { id, labels: { id }, image, spec, logPath: logOf(id) };
      const cut = server.runtime.create(ask).catch(() => null);
      await sleep(afterMs);
      await server.stop('hard');
      await cut;
      await server.start();
      await until(() => server.runtime.list().then(Boolean, () => false));
      await server.runtime.create(ask);
      await server.runtime.start(id);
      expect(await find(server.runtime, id)).toMatchObject({ task: 'running' });
      await server.runtime.remove(id);
      expect(await find(server.runtime, id)).toBeUndefined();
    }
  });

  test('the folder of a task that containerd died over, and forgot, is in nobody’s way', async () => {
    const id = `r-${(count += 1)}`;
    const folder = join(
      server.folder,
      'c/state/io.containerd.runtime.v2.task',
      server.namespace,
      id,
    );
    mkdirSync(join(folder, 'rootfs'), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'none', join(folder, 'rootfs')]);
    writeFileSync(join(folder, 'rootfs', 'file'), 'of a container');
    // Stands for a shim that was started and never heard of again.
    copyFileSync('/usr/bin/sleep', join(server.folder, 'containerd-shim-old'));
    const shim = spawn(join(server.folder, 'containerd-shim-old'), ['1000'], { cwd: folder });
    const gone = new Promise((resolve) => void shim.once('exit', resolve));
    const spec = specOf(id, { args: ['sh', '-c', 'exec sleep 1000'] });
    try {
      await server.runtime.create({ id, labels: { id }, image, spec, logPath: logOf(id) });
    } catch (error) {
      shim.kill('SIGKILL');
      execFileSync('umount', ['--lazy', join(folder, 'rootfs')]);
      throw error;
    }
    await gone;
    await server.runtime.start(id);
    expect(await find(server.runtime, id)).toMatchObject({ task: 'running' });
    await server.runtime.remove(id);
    expect(existsSync(folder)).toBe(false);
  });

  test('folders of snapshots that containerd died over are in nobody’s way', async () => {
    // A collection of garbage that the removals before have made due would take away folders without
    // a record meanwhile, and the one of a snapshot that is being made with them.
    collectGarbage();
    const before = await run('sleep 1000'); // the newest folder shows the number that comes next
    const snapshots = 'c/root/io.containerd.snapshotter.v1.overlayfs/snapshots';
    const folder = join(server.folder, snapshots);
    const newest = Math.max(...readdirSync(folder).map(Number).filter(Number.isInteger));
    const left = Array.from({ length: 50 }, (_, n) => join(folder, `${newest + 1 + n}`));
    for (const one of left) mkdirSync(join(one, 'fs'), { recursive: true });
    try {
      const id = await run('sleep 1000');
      expect(await find(server.runtime, id)).toMatchObject({ task: 'running' });
      expect(left.some((one) => !existsSync(one) || readdirSync(one).includes('work'))).toBe(true);
      await server.runtime.remove(id);
      await server.runtime.remove(before);
    } finally {
      for (const one of left) rmSync(one, { recursive: true, force: true });
    }
  });

  test('another client adopts what the first one left', async () => {
    const id = await run('sleep 1000');
    const other = server.another();
    expect(await find(other, id)).toMatchObject({ id, labels: { id }, task: 'running' });
    await other.remove(id);
    expect(await find(server.runtime, id)).toBeUndefined();
  });

  test('a shim that is killed leaves a container that ended, which can restart', async () => {
    const { heard, stop } = await listen(server.runtime);
    const id = await run('sleep 1000');
    const { pid } = (await find(server.runtime, id)) ?? {};
    const shim = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    process.kill(Number(shim), 'SIGKILL');
    const found = await until(async () => {
      const container = await find(server.runtime, id);
      return container !== undefined && container.task !== 'running' && container;
    });
    expect(found.exit).not.toBeNull();
    // Nobody can say how the program would have ended: 137 is containerd's doing.
    const exit = await until(async () => heard.find((event) => event.kind === 'exit'));
    expect(exit).toMatchObject({ container: id, exit: { known: false } });
    await stop();
    await server.runtime.restart(id, null);
    await server.runtime.start(id);
    expect(await find(server.runtime, id)).toMatchObject({ task: 'running' });
    await server.runtime.remove(id);
  });

  test('a process whose record is gone is still listed, and can be removed', async () => {
    const id = await run('sleep 1000');
    const { socket } = server.daemon();
    const raw = connectContainerd({ socket, namespace: server.namespace });
    await raw.containers.delete({ id });
    raw.close();
    expect(await find(server.runtime, id)).toMatchObject({ labels: {}, task: 'running' });
    const { pid } = (await find(server.runtime, id)) ?? {};
    await server.runtime.remove(id);
    expect(await find(server.runtime, id)).toBeUndefined();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test('records that together exceed a message are listed whole', async () => {
    // Specifications of a megabyte: together they would not fit into one message.
    const ids = Array.from({ length: 20 }, (_, n) => `big-${n}`);
    const { socket } = server.daemon();
    const raw = connectContainerd({ socket, namespace: server.namespace });
    for (const id of ids) {
      const spec = { typeUrl: 'x', value: Buffer.alloc(1_000_000, ' ') };
      await raw.containers.create({ container: { id, runtime: { name: 'none' }, spec } });
    }
    const listed = await server.runtime.list();
    expect(listed.map(({ id }) => id)).toEqual(ids.toSorted());
    for (const { task, exit } of listed) expect([task, exit?.known]).toEqual(['none', false]);
    for (const id of ids) await server.runtime.remove(id);
    raw.close();
  });

  test('an image may be removed under a running container', async () => {
    const other = await testImage({ config: { command: ['other'] } });
    const imported = await server.runtime.importImage(other, 'purser.local/other');
    const id = `r-${(count += 1)}`;
    const spec = specOf(id, { args: ['sleep', '1000'] });
    await server.runtime.create({ id, labels: {}, image: imported, spec, logPath: null });
    await server.runtime.start(id);
    await server.runtime.removeImage(imported.name);
    const session = await server.runtime.exec({
      container: id,
      args: ['cat', '/etc/group'],
      env: [],
      tty: null,
    });
    expect(await text(session)).toContain('staff');
    await server.runtime.remove(id);
  });

  test('groups of a user come from the image, and a link does not lead out of it', async () => {
    const { runtime } = server;
    const app = { uid: 1000, gid: 29, additionalGids: [50] };
    expect(await runtime.resolveUser(image, 'app')).toEqual(app);
    expect(await runtime.resolveUser(image, '1000')).toEqual(app);
    expect(await runtime.resolveUser(image, 'app:audio')).toEqual({ ...app, additionalGids: [] });
    const link = await testImage({
      layers: [[{ kind: 'link', path: 'etc', target: '../../../../../../../etc' }]],
    });
    const escaped = await runtime.importImage(link, 'purser.local/link');
    await expect(runtime.resolveUser(escaped, 'daemon')).rejects.toMatchObject({
      reason: 'bad-spec',
    });
  });

  test('too little memory, a bad capability: the version’s fault, in words', async () => {
    await expect(run('true', { memoryBytes: 200_000 })).rejects.toMatchObject({
      reason: 'bad-spec',
      message: expect.stringContaining('8 MiB') as string,
    });
    expect(await server.runtime.list()).toEqual([]);
  });

  test('runc and cgroups of this runner are its own', () => {
    const folders = execFileSync('ls', [join(server.folder, 'runc')], { encoding: 'utf8' });
    expect(folders.trim()).toBe(server.namespace);
  });
});
