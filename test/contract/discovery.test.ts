// What a runner makes of the catalogues that it is told, on the real file system: files that the
// real HAProxy takes, DNS for this machine, and what is left of it after a restart.

import { randomInt } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { newMark } from '../../node-runner/decide/marks.ts';
import type { OwnCopies } from '../../node-runner/decide/own-copies.ts';
import { createDiscovery, type Discovery } from '../../node-runner/discovery.ts';
import { tryCommand } from '../../node-runner/edge/command.ts';
import { compareText } from '../../schema/ids.ts';
import { catalogue, instance, outside, service } from '../support/catalogues.ts';
import { dig, type Server } from '../support/dig.ts';
import { testBody } from '../support/runner-specs.ts';

/** The longest names, names that meet where a hyphen joins them, addresses that look alike. */
const odd = [
  service('a/b-c', [instance({ tags: ['a=b:c/d'] })]),
  service('a-b/c', [outside('::ffff:1.2.3.4'), outside('::ffff:1:2:3:4')]),
  service(`${'n'.repeat(40)}/${'0'.repeat(40)}`, [outside(`${'x'.repeat(63)}.invalid`, 65_535)]),
];

const shop = catalogue(
  ...odd,
  service('data/none', []),
  service('shop/six', [outside('2001:db8::1'), outside('nobody-knows.invalid', 80)]),
  service('shop/web', [
    instance(),
    instance({ allocation: 'b2-0-1', node: 'n2', address: '192.0.2.2' }),
  ]),
);
const orders = { node: 'n1', cluster: 'test', generation: 1, commit: 'c', items: [] };

/** What a person writes: the backends come from the other file. */
const FRONTEND = `
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s

frontend shop
    bind 127.0.0.1:1
    default_backend shop_web
`;

/** This node as it is while its copy runs, or once it is gone. */
const copies = (runs: boolean): OwnCopies => {
  const mark = newMark(testBody('a1-0-1'), 0);
  const tasks = mark.tasks.map((task) => ({ ...task, run: 'open' as const }));
  const marks = new Map(runs ? [['a1-0-1', { ...mark, healthySince: 1, tasks }]] : []);
  return { orders, marks, containers: new Map() };
};

let folder: string;
let dns: Server;
let own: OwnCopies | null;
let abort: AbortController;
let running: Promise<void>;
const said: string[] = [];
const log = {
  info: (fields: object, message: string) => said.push(`${message} ${JSON.stringify(fields)}`),
  warn: (_: object, message: string) => said.push(message),
  error: () => undefined,
};

const begin = async (): Promise<Discovery> => {
  abort = new AbortController();
  const kinds = ['haproxy', 'traefik', 'prometheus'] as const;
  const discovery = await createDiscovery({
    node: 'n1',
    cluster: 'test',
    root: folder,
    copies: null,
    settings: {
      dns,
      files: kinds.map((kind) => ({ kind, path: join(folder, 'files', kind) })),
      consul: null,
    },
    inventory: () => own,
    trouble: () => undefined,
    log,
  });
  running = discovery.run(abort.signal);
  return discovery;
};
const end = async (): Promise<void> => {
  abort.abort();
  await running;
};
const textOf = (kind: string): Promise<string> =>
  readFile(join(folder, 'files', kind), 'utf8').catch(() => '');
const addresses = async () => (await dig(dns, 'web.shop.svc.purser')).answers;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'discovery-'));
  await tryCommand({ program: 'mkdir', args: [join(folder, 'files')] });
  // An address of the loopback that nobody else has: then the port is free.
  const [a, b, c] = [randomInt(1, 255), randomInt(1, 255), randomInt(1, 255)];
  dns = { address: `127.${a}.${b}.${c}`, port: 53 };
  own = copies(true);
  said.length = 0;
});
afterEach(async () => {
  await end();
  await rm(folder, { recursive: true });
});

it('writes files that load balancers take, and none again for nothing', async () => {
  const discovery = await begin();
  discovery.heard(shop);
  await expect.poll(() => textOf('haproxy')).toContain('server b2-0-1 192.0.2.2:20001 check');
  const path = join(folder, 'files', 'haproxy');
  await writeFile(join(folder, 'haproxy.cfg'), FRONTEND);
  const args = ['-c', '-f', join(folder, 'haproxy.cfg'), '-f', path];
  const checked = await tryCommand({ program: 'haproxy', args });
  // It warns of the name that nobody knows, and would start.
  expect(checked.code).toBe(0);
  expect(checked.stdout).toContain('Configuration file is valid');
  await expect.poll(() => textOf('prometheus')).toContain('"192.0.2.2:20001"');
  await expect.poll(() => textOf('traefik')).toContain('url: "http://192.0.2.2:20001"');
  const before = await stat(path);
  expect(before.mode & 0o777).toBe(0o644);
  // A new runner, and the same services: nobody reloads for that.
  await end();
  const written = said.length;
  (await begin()).heard({ services: [...shop.services] });
  await expect.poll(addresses).toEqual(['192.0.2.1', '192.0.2.2']);
  own = copies(false);
  await expect.poll(() => textOf('haproxy')).not.toContain('a1-0-1');
  const since = said.slice(written).filter((line) => /wrote.*haproxy/.test(line));
  expect(since).toHaveLength(1);
  expect((await readdir(join(folder, 'files'))).toSorted(compareText)).toEqual([
    'haproxy',
    'prometheus',
    'traefik',
  ]);
});

it('goes on by the last catalogue after its restart, without a copy of its own that ended', async () => {
  const first = await begin();
  first.heard(shop);
  await expect.poll(addresses).toEqual(['192.0.2.1', '192.0.2.2']);
  await expect
    .poll(() => readFile(join(folder, 'catalogue.json'), 'utf8').catch(() => ''))
    .toContain('b2-0-1');
  await end();
  own = null;
  await begin();
  await expect.poll(addresses).toEqual(['192.0.2.1', '192.0.2.2']);
  own = copies(false);
  expect(await addresses()).toEqual(['192.0.2.2']);
  await expect.poll(() => textOf('haproxy')).not.toContain('a1-0-1');
  expect(await textOf('haproxy')).toContain('b2-0-1');
});

it('names nobody that left while it was away: after its restart a question waits until it is told', async () => {
  const first = await begin();
  first.heard(shop);
  await expect.poll(addresses).toEqual(['192.0.2.1', '192.0.2.2']);
  await end();
  const second = await begin();
  const bound = () => said.filter((line) => line.startsWith('answers DNS')).length;
  await expect.poll(bound).toBe(2);
  const asked = addresses();
  expect(await Promise.race([asked, sleep(1000, 'waits')])).toBe('waits');
  second.heard(catalogue(service('shop/web', [instance()])));
  expect(await asked).toEqual(['192.0.2.1']);
});

it('begins without what was kept where that is damaged', async () => {
  await tryCommand({ program: 'sh', args: ['-c', `echo '{"serv' > ${folder}/catalogue.json`] });
  const discovery = await begin();
  await expect.poll(async () => (await dig(dns, 'web.shop.svc.purser')).status).toBe('NXDOMAIN');
  discovery.heard(shop);
  expect(await addresses()).toEqual(['192.0.2.1', '192.0.2.2']);
});

it('says once that a file cannot be written, and writes it when it can', async () => {
  await begin();
  await writeFile(join(folder, 'files', 'haproxy'), 'of an earlier life');
  await expect.poll(async () => (await dig(dns, 'web.shop.svc.purser')).status).toBe('NXDOMAIN');
  // Nothing is known yet, which is not the same as nothing: the file stays.
  expect(await textOf('haproxy')).toBe('of an earlier life');
  await end();
  await rm(join(folder, 'files'), { recursive: true });
  const discovery = await begin();
  discovery.heard(shop);
  const about = () => said.filter((line) => line.includes('haproxy cannot be written')).length;
  await expect.poll(about).toBe(1);
  await tryCommand({ program: 'mkdir', args: [join(folder, 'files')] });
  await expect.poll(() => textOf('haproxy')).toContain('shop_web');
  expect(about()).toBe(1);
});
