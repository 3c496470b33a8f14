// The file that says which process is the `purser up` of a root.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readPid, writePid } from '../../../cli/up/process.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'purser-pid-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

it('names a process that runs', async () => {
  await writePid(join(dir, 'pid'));
  expect(await readPid(join(dir, 'pid'))).toBe(process.pid);
});

it('names nobody else who got the same number, as after a reboot', async () => {
  writeFileSync(join(dir, 'pid'), `${process.pid} 1\n`);
  expect(await readPid(join(dir, 'pid'))).toBeNull();
});

it.each(['', `${process.pid}`, `${process.pid} \n`, '-1 5', 'x y', '4194305 7'])(
  'names nobody when the file says %j',
  async (text) => {
    writeFileSync(join(dir, 'pid'), text);
    expect(await readPid(join(dir, 'pid'))).toBeNull();
  },
);

it('names nobody when there is no file', async () => {
  expect(await readPid(join(dir, 'pid'))).toBeNull();
});
