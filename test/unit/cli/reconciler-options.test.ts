// What `purser up` passes on to its reconciler: what it was told, and nothing that does not fit.

import { Command } from 'commander';
import { expect, test } from 'vitest';
import { listensOf, reconcilerOptions, reconcilerWords } from '../../../cli/reconciler-options.ts';
import { reconciler } from '../../../cli/reconciler.ts';
import { up } from '../../../cli/up.ts';

const parsed = (line: string): Record<string, unknown> =>
  reconcilerOptions(new Command())
    .parse(line === '' ? [] : line.split(' '), { from: 'user' })
    .opts();

test.each([
  '',
  '--listen 10.0.0.1 --api 10.0.0.1:7421',
  '--token-file /t --forge f.yaml --signing-key k --directory prod',
  '--insecure-registry 127.0.0.1:5000 127.0.0.1:5001 --registry-credentials c.json',
  '--etcd a,b,c --etcd-ca ca --etcd-cert c --etcd-key k --name r1 --advertise r1:1 --lease 5s',
  '--etcd a --etcd-user u --etcd-password-file p',
])('passed on as it was told: %s', (line) => {
  const words = reconcilerWords(parsed(line));
  expect(parsed(words.join(' '))).toEqual(parsed(line));
  expect(words.toSorted()).toEqual(line === '' ? [] : line.split(' ').toSorted());
});

test('both commands have all of them', () => {
  const flags = (command: Command) => command.options.map(({ long }) => long);
  const shared = flags(reconcilerOptions(new Command()));
  for (const { define } of [up, reconciler]) {
    expect(flags(define(new Command()))).toEqual(expect.arrayContaining(shared));
  }
});

test.each([
  { line: '--api 10.0.0.1', error: '--api needs --listen' },
  { line: '--etcd 127.0.0.1', error: 'add --listen HOST:PORT' },
  { line: '--etcd 127.0.0.1 --listen 0.0.0.0', error: 'add --advertise HOST:PORT' },
  { line: '--etcd 10.0.0.5 --listen 10.0.0.1', error: 'with --etcd-ca' },
  { line: '--advertise 10.0.0.1', error: 'add --etcd HOSTS' },
  { line: '--listen ::', error: 'is no address' },
])('$line', async ({ line, error }) => {
  await expect(listensOf(parsed(line))).rejects.toThrow(error);
});

test('where it listens, with its port', async () => {
  expect(await listensOf(parsed(''))).toEqual({ listen: null, several: null });
  const said = await listensOf(parsed('--listen 10.0.0.1 --etcd 127.0.0.1 --name r1'));
  expect(said.listen).toBe('10.0.0.1:7420');
  expect(said.several).toMatchObject({ name: 'r1', etcd: { hosts: ['127.0.0.1:2379'] } });
});
