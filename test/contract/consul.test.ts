// A runner and its machine's Consul agent, whose API is modelled strictly: this node's ready copies,
// no others, and again after either of the two was away.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { newMark } from '../../node-runner/decide/marks.ts';
import type { OwnCopies } from '../../node-runner/decide/own-copies.ts';
import { createDiscovery, type Discovery } from '../../node-runner/discovery.ts';
import { catalogue, instance, outside, service } from '../support/catalogues.ts';
import { type ConsulAgent, startConsulAgent } from '../support/consul-agent.ts';
import { testBody } from '../support/runner-specs.ts';

const TOKEN = 'b1gs33cr3t-of-the-agent';
const ID = 'purser-a1-0-1-web';
const AGAIN = { timeout: 20_000 };
const shop = catalogue(
  service('shop/db', [outside('198.51.100.7')]),
  service('shop/web', [
    instance({ tags: ['pages'] }),
    instance({ allocation: 'b2-0-1', node: 'n2', address: '192.0.2.2' }),
  ]),
);
const orders = { node: 'n1', cluster: 'test', generation: 1, commit: 'c', items: [] };

/** This node's copy as it runs, or once it is told to stop, before its `shutdown_delay`. */
const copies = (stops: boolean): OwnCopies => {
  const mark = newMark(testBody('a1-0-1'), 0);
  const tasks = mark.tasks.map((task) => ({ ...task, run: 'open' as const }));
  const stop = { reason: 'rollout', since: 1, killTimeoutMs: null } as const;
  const left = { networkGone: false, filesGone: false };
  const whole = { ...mark, healthySince: 1, tasks, stop: stops ? { ...stop, ...left } : null };
  return { orders, marks: new Map([['a1-0-1', whole]]), containers: new Map() };
};

let folder: string;
let agent: ConsulAgent;
let own: OwnCopies;
let abort: AbortController;
let running: Promise<void>;
let trouble: string | null;
const said: string[] = [];
const log = {
  info: () => undefined,
  warn: (_: object, message: string) => said.push(message),
  error: () => undefined,
};

const begin = async (): Promise<Discovery> => {
  abort = new AbortController();
  const discovery = await createDiscovery({
    node: 'n1',
    cluster: 'test',
    root: folder,
    copies: null,
    settings: {
      dns: null,
      files: [{ kind: 'haproxy', path: join(folder, 'haproxy') }],
      consul: { host: '127.0.0.1', port: agent.port, tokenFile: join(folder, 'token') },
    },
    inventory: () => own,
    trouble: (words) => (trouble = words),
    log,
  });
  running = discovery.run(abort.signal);
  return discovery;
};
const end = async (): Promise<void> => {
  abort.abort();
  await running;
};
const ids = () => [...agent.services.keys()];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'consul-'));
  await writeFile(join(folder, 'token'), `${TOKEN}\n`);
  agent = await startConsulAgent(TOKEN);
  own = copies(false);
  trouble = null;
  said.length = 0;
});
afterEach(async () => {
  await end();
  await agent.stop();
  await rm(folder, { recursive: true });
});

it('registers the ready copies of its own node, each once, and takes out what left', async () => {
  const other = { Service: 'mine', Tags: [], Address: '', Port: 1, Meta: {} };
  agent.services.set('mine', { ...other, ID: 'mine' });
  // Of an earlier life of this runner, and of another one that shares the agent.
  const left = { purser_cluster: 'test', purser_node: 'n1' };
  agent.services.set('left', { ...other, ID: 'left', Meta: left });
  agent.services.set('n9', { ...other, ID: 'n9', Meta: { ...left, purser_node: 'n9' } });
  const discovery = await begin();
  discovery.heard(shop);
  await expect.poll(ids).toEqual(['mine', 'n9', ID]);
  expect(agent.services.get(ID)).toEqual({
    ID,
    Service: 'shop-web',
    Tags: ['pages'],
    Address: '192.0.2.1',
    Port: 20_001,
    Meta: {
      ...left,
      purser_namespace: 'shop',
      purser_service: 'web',
      purser_job: 'web',
      purser_group: 'web',
      purser_allocation: 'a1-0-1',
    },
  });
  discovery.heard(catalogue(service('shop/web', [instance({ tags: ['other'] })])));
  await expect.poll(() => agent.services.get(ID)?.Tags).toEqual(['other']);
  // Told to stop: it runs on for `shutdown_delay`, and is out at once.
  own = copies(true);
  await expect.poll(ids).toEqual(['mine', 'n9']);
  own = copies(false);
  await expect.poll(ids).toEqual(['mine', 'n9', ID]);
  discovery.heard(catalogue());
  await expect.poll(ids).toEqual(['mine', 'n9']);
  const puts = agent.asked.filter((line) => line.startsWith('PUT'));
  const [register, deregister] = [`PUT register ${ID}`, `PUT deregister ${ID}`];
  const first = ['PUT deregister left', register];
  expect(puts).toEqual([...first, register, deregister, register, deregister]);
  expect([trouble, ...said]).toEqual([null]);
});

it('leaves what runs registered when it ends, and goes on from there', async () => {
  (await begin()).heard(shop);
  await expect.poll(ids).toEqual([ID]);
  await expect
    .poll(() => readFile(join(folder, 'catalogue.json'), 'utf8').catch(() => ''))
    .toContain('a1-0-1');
  await end();
  expect(ids()).toEqual([ID]);
  const before = agent.asked.length;
  await begin();
  await expect.poll(() => agent.asked.slice(before)).toContain('GET services');
  own = copies(true);
  await expect.poll(ids).toEqual([]);
  expect(agent.asked.slice(before).filter((line) => line.includes('register'))).toEqual([
    `PUT deregister ${ID}`,
  ]);
});

it('says once that the agent is away, goes on without it, and tells it all when it is back', async () => {
  const discovery = await begin();
  discovery.heard(shop);
  await expect.poll(ids).toEqual([ID]);
  await agent.stop();
  await expect.poll(() => trouble, AGAIN).toMatch(/^Consul does not answer: ECONN/);
  discovery.heard(catalogue(service('shop/api', [instance()])));
  const file = () => readFile(join(folder, 'haproxy'), 'utf8').catch(() => '');
  await expect.poll(file).toContain('backend shop_api');
  await agent.start();
  await expect.poll(ids, AGAIN).toEqual(['purser-a1-0-1-api']);
  await expect.poll(() => trouble).toBe(null);
  expect(said).toHaveLength(1);
});

it('says what a token lacks, never the token, and takes another one as it comes', async () => {
  agent.token = 'another';
  (await begin()).heard(shop);
  await expect.poll(() => trouble).toMatch(/^Consul refuses: 403 .*--consul-token-file$/);
  expect(JSON.stringify([trouble, said])).not.toContain(TOKEN);
  await writeFile(join(folder, 'token'), 'two\nlines');
  await expect.poll(() => trouble, AGAIN).toContain('must hold it alone');
  await writeFile(join(folder, 'token'), 'another');
  await expect.poll(ids, AGAIN).toEqual([ID]);
  expect(said).toHaveLength(2);
  expect(trouble).toBe(null);
});
