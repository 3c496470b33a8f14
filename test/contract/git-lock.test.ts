// Locks of a repository when who holds them is killed: those of a reconciler are taken over, those
// of git are not.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { releaseLock, scratchPath, sweepScratch, tryLock } from '../../reconciler/edge/git/lock.ts';
import { tempFolder } from '../support/git-repo.ts';

let folder: string;
let lock: string;
beforeAll(() => {
  folder = tempFolder('lock');
  lock = path.join(folder, 'ledger.lock');
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const others = (): readonly string[] =>
  fs.readdirSync(folder).filter((name) => name !== 'ledger.lock');

/** Takes the lock in a process that ends without giving it back. */
const takeAndDie = (): void => {
  const module = path.resolve(import.meta.dirname, '../../reconciler/edge/git/lock.ts');
  const script = `import('${module}').then((m) => { m.tryLock('${lock}', '${folder}'); process.kill(process.pid, 'SIGKILL'); })`;
  try {
    execFileSync(process.execPath, ['--import', 'tsx', '--eval', script], { stdio: 'ignore' });
  } catch {
    // It was killed, as it should be.
  }
};

test('one who lives holds it', () => {
  expect(tryLock(lock, folder)).toBe('taken');
  expect(tryLock(lock, folder)).toBe('held');
  releaseLock(lock);
  expect(others()).toEqual([]);
});

test('one who was killed holds it no more', () => {
  takeAndDie();
  expect(fs.readFileSync(lock, 'utf8')).toMatch(/^purser \d+ /);
  expect(tryLock(lock, folder)).toBe('taken');
  expect(fs.readFileSync(lock, 'utf8')).toContain(`purser ${process.pid} `);
  releaseLock(lock);
});

test('one that was carried off with its folder, and brought back, is taken again', () => {
  expect(tryLock(lock, folder)).toBe('taken');
  const words = fs.readFileSync(lock);
  releaseLock(lock);
  fs.writeFileSync(lock, words);
  expect(tryLock(lock, folder)).toBe('taken');
  releaseLock(lock);
});

test('the number of a process that is used again does not keep it', () => {
  fs.writeFileSync(lock, `purser ${process.pid} 1@another-boot\n`);
  expect(tryLock(lock, folder)).toBe('taken');
  releaseLock(lock);
});

test.each(['', `${'a'.repeat(40)}\n`])('what git left (%j) is respected', (text) => {
  fs.writeFileSync(lock, text);
  expect(tryLock(lock, folder)).toBe('held');
  releaseLock(lock);
});

test('files beside git’s that a killed process left are swept, those of the living are not', () => {
  const module = path.resolve(import.meta.dirname, '../../reconciler/edge/git/lock.ts');
  const script = `import('${module}').then((m) => {
    for (const what of ['index', 'ref', 'lock']) require('fs').writeFileSync(m.scratchPath('${folder}', what), '');
    process.kill(process.pid, 'SIGKILL');
  })`;
  try {
    execFileSync(process.execPath, ['--import', 'tsx', '--eval', script], { stdio: 'ignore' });
  } catch {
    // It was killed, as it should be.
  }
  const left = fs.readdirSync(folder).filter((name) => name.startsWith('purser-'));
  expect(left).toHaveLength(3);
  fs.writeFileSync(path.join(folder, `${left[0]}.lock`), '');
  const mine = scratchPath(folder, 'ref');
  const notOurs = path.join(folder, 'purser-notes');
  for (const file of [mine, notOurs]) fs.writeFileSync(file, '');
  sweepScratch(folder);
  const kept = fs.readdirSync(folder).filter((name) => name.startsWith('purser-'));
  expect(new Set(kept)).toEqual(new Set([path.basename(mine), 'purser-notes']));
  for (const file of [mine, notOurs]) fs.rmSync(file);
  sweepScratch(path.join(folder, 'absent'));
});
