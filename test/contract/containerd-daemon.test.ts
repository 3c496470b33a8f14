// The private containerd: started once, found again, outliving who started it, stopped.

import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  findContainerd,
  socketOf,
  startContainerd,
} from '../../node-runner/edge/containerd/daemon.ts';
import { releases } from '../support/containerd.ts';

const run = promisify(execFile);

describe.each(releases().filter(({ binary }) => binary !== null))('daemon $name', ({ binary }) => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pd-'));
  });
  afterAll(async () => {
    await (await findContainerd(join(root, 'c')))?.stop();
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  });

  test('it outlives the process that started it, and is found again', async () => {
    const folder = join(root, 'c');
    const module = join(import.meta.dirname, '../../node-runner/edge/containerd/daemon.ts');
    const script = join(root, 'start.mts');
    const options = JSON.stringify({ folder, binary });
    await writeFile(
      script,
      `import { startContainerd } from ${JSON.stringify(pathToFileURL(module).href)};\n` +
        `console.log((await startContainerd(${options})).pid);\n`,
    );
    const tsx = import.meta.resolve('tsx');
    const { stdout } = await run(process.execPath, ['--import', tsx, script]);
    const found = await findContainerd(folder);
    expect(found?.pid).toBe(Number(stdout));
    expect(found?.socket).toBe(socketOf(folder));
    const again = await startContainerd({ folder, binary: binary ?? '' });
    expect(again.pid).toBe(found?.pid);
    // A session of its own: no terminal's hang-up reaches it.
    const stat = readFileSync(`/proc/${again.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    expect(Number(stat[3])).toBe(again.pid);
    expect(existsSync(join(folder, 'root'))).toBe(true);
    await again.stop();
    expect(await findContainerd(folder)).toBeNull();
  });

  test('one that nobody wrote down is found', async () => {
    const folder = join(root, 'c');
    const { pid } = await startContainerd({ folder, binary: binary ?? '' });
    await rm(join(folder, 'containerd.pid'));
    expect((await findContainerd(folder))?.pid).toBe(pid);
    await (await findContainerd(folder))?.stop();
  });

  test('of two that wait for each other one stays, and serves', async () => {
    const folder = join(root, 'c');
    const first = await startContainerd({ folder, binary: binary ?? '' });
    await rm(socketOf(folder));
    const args = ['-c', join(folder, 'config.toml')];
    const second = spawn(binary ?? '', args, { detached: true, stdio: 'ignore' });
    await new Promise((done) => setTimeout(done, 300));
    const found = await startContainerd({ folder, binary: binary ?? '' });
    expect(found.pid).toBe(second.pid);
    expect(readFileSync(join(folder, 'containerd.pid'), 'utf8')).toBe(`${second.pid}\n`);
    await expect.poll(() => existsSync(`/proc/${first.pid}/exe`)).toBe(false);
    await found.stop();
  });

  test('a number in the pid file that belongs to another process is not taken for it', async () => {
    const folder = join(root, 'c');
    await writeFile(join(folder, 'containerd.pid'), `${process.pid}\n`);
    expect(await findContainerd(folder)).toBeNull();
  });
});

test('a program that is not there, and a path that is too long, say what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pd-'));
  const absent = startContainerd({ folder, binary: '/no/such/containerd' });
  await expect(absent).rejects.toMatchObject({
    reason: 'unavailable',
    message: expect.stringContaining('Install containerd') as string,
  });
  const long = join(folder, 'x'.repeat(100));
  await expect(startContainerd({ folder: long, binary: 'containerd' })).rejects.toMatchObject({
    message: expect.stringContaining('shorter') as string,
  });
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});
