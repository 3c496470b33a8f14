// The launcher `purser`, which every documented way of starting goes through: authorities of the
// machine, and flags for Node. In: a copy of it beside a program that says what it was given.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
const SAYS = `console.log(JSON.stringify({
  trusts: process.env.NODE_EXTRA_CA_CERTS ?? null,
  flags: process.execArgv,
  args: process.argv.slice(2),
}));`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ptlaunch-'));
  for (const name of ['schema', 'reconciler', 'node-runner', 'cli', 'node_modules', 'dist']) {
    mkdirSync(join(folder, name));
  }
  copyFileSync(resolve(import.meta.dirname, '../../purser'), join(folder, 'purser'));
  writeFileSync(join(folder, 'package-lock.json'), '{}');
  writeFileSync(join(folder, 'dist/main.js'), SAYS);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  readonly trusts: string | null;
  readonly flags: readonly string[];
  readonly args: readonly string[];
}

const launch = (args: readonly string[], given: Readonly<Record<string, string>> = {}): Said => {
  const { NODE_EXTRA_CA_CERTS: _, ...rest } = process.env;
  const env = { ...rest, ...given };
  const said = execFileSync(join(folder, 'purser'), args, { env, encoding: 'utf8' });
  return JSON.parse(said) as Said;
};

test.each(['up', 'reconciler', 'node', 'plan'])('`%s` trusts what the machine trusts', (name) => {
  expect(existsSync(AUTHORITIES)).toBe(true);
  expect(launch([name, '--json'])).toMatchObject({ trusts: AUTHORITIES, args: [name, '--json'] });
});

test('a file that the caller names stays, and so does the wish for none', () => {
  const own = join(folder, 'own.pem');
  expect(launch(['up'], { NODE_EXTRA_CA_CERTS: own }).trusts).toBe(own);
  expect(launch(['up'], { NODE_EXTRA_CA_CERTS: '' }).trusts).toBe('');
});

test('each program has its share of young memory', () => {
  expect(launch(['node']).flags).toEqual(['--max-semi-space-size=4']);
  expect(launch(['reconciler']).flags).toContain('--max-semi-space-size=32');
  expect(launch(['status']).flags).toEqual([]);
});

test('without its packages it says how to get them', () => {
  rmSync(join(folder, 'node_modules'), { recursive: true });
  expect(() => launch(['up'])).toThrow(/its npm packages are missing. Run: cd .* && npm ci/);
});
