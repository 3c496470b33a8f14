// What a container in bridge mode reaches of its node, and what it does not reach once the rules
// that docs/OPERATIONS.md gives are loaded. In: a node in a namespace of its own, a copy's network,
// and a cloud's metadata service beyond the node. Out: packets that come through, or do not.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNativeNetwork, type ManagedNetwork } from '../../node-runner/edge/network/native.ts';
import type { NetworkFacts } from '../../node-runner/ports.ts';
import { makeNetns, type TestNetns } from '../support/netns.ts';

const NODE = '198.51.100.7';
const GATEWAY = '10.99.0.1';
const METADATA = '169.254.169.254';
const SOCKET = `purser-test-${randomBytes(4).toString('hex')}`;

/** Listens at places and says which one was asked. */
const SERVE = `
const net = require('net');
let waiting = 0;
for (const place of process.argv.slice(1)) {
  const [host, port] = place.split(' ');
  waiting += 1;
  const at = port ? { host, port: Number(port) } : { path: '\\0' + host };
  net.createServer((s) => s.end(place)).listen(at, () => (waiting -= 1) || console.log('up'));
}
`;
const ASK = `
const [, host, port, patience] = process.argv;
const s = require('net').connect(port ? { host, port: Number(port) } : { path: '\\0' + host });
s.on('data', (d) => process.stdout.write(d)).on('error', (e) => process.stdout.write(e.code));
s.setTimeout(Number(patience), () => { process.stdout.write('silence'); s.destroy(); });
`;

let node: TestNetns;
let cloud: TestNetns;
let network: ManagedNetwork;
let pod: NetworkFacts;
let web: NetworkFacts;
const children: ChildProcess[] = [];

const inside = (path: string, script: string, ...args: readonly string[]): ChildProcess =>
  spawn('nsenter', [`--net=${path}`, '--', process.execPath, '-e', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
const serve = async (path: string, ...places: readonly string[]): Promise<void> => {
  const child = inside(path, SERVE, ...places);
  children.push(child);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
};
const ask = (path: string, host: string, port = '', patience = 20_000): Promise<string> =>
  new Promise((resolve) => {
    const child = inside(path, ASK, host, port, String(patience));
    let text = '';
    child.stdout?.on('data', (data) => (text += String(data)));
    child.on('close', () => resolve(text));
  });

beforeAll(async () => {
  node = await makeNetns('asked');
  cloud = await makeNetns('cloud');
  await node.run('ip', 'addr', 'add', `${NODE}/32`, 'dev', 'lo');
  await node.run('ip', 'link', 'add', 'out0', 'type', 'veth', 'peer', 'out1', 'netns', cloud.name);
  await node.run('ip', 'addr', 'add', '203.0.113.1/24', 'dev', 'out0');
  await node.run('ip', 'link', 'set', 'out0', 'up');
  await cloud.run('ip', 'addr', 'add', '203.0.113.2/24', 'dev', 'out1');
  await cloud.run('ip', 'addr', 'add', `${METADATA}/32`, 'dev', 'lo');
  await cloud.run('ip', 'link', 'set', 'out1', 'up');
  await node.run('ip', 'route', 'add', METADATA, 'via', '203.0.113.2');
  const options = { node: `test-${randomBytes(4).toString('hex')}`, nodeNetns: node.path };
  network = await createNativeNetwork({ ...options, subnet: '10.99.0.0/24' });
  pod = await network.setUp({ allocation: 'a-0-1', mode: 'bridge', ports: [] });
  const ports = [{ name: 'http', port: 80, host: 21_000 }];
  web = await network.setUp({ allocation: 'b-0-1', mode: 'bridge', ports });
  await serve(web.path, '0.0.0.0 80');
  await serve(cloud.path, `${METADATA} 80`, '203.0.113.2 80');
  await serve(
    node.path,
    `${GATEWAY} 53`,
    `${GATEWAY} 22`,
    `${NODE} 7420`,
    '127.0.0.1 7421',
    SOCKET,
  );
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await network.cleanUp();
  await node.remove();
  await cloud.remove();
});

/** Whatever the operator says: these hold. */
const always = async (): Promise<void> => {
  expect(await ask(pod.path, GATEWAY, '53')).toBe(`${GATEWAY} 53`);
  expect(await ask(pod.path, NODE, '21000')).toBe('0.0.0.0 80');
  expect(await ask(pod.path, web.address ?? '', '80')).toBe('0.0.0.0 80');
  expect(await ask(pod.path, '203.0.113.2', '80')).toBe('203.0.113.2 80');
  // Its own loopback, and its own names of sockets.
  expect(await ask(pod.path, '127.0.0.1', '7421')).toBe('ECONNREFUSED');
  expect(await ask(pod.path, SOCKET)).toBe('ECONNREFUSED');
  expect(await ask(node.path, SOCKET)).toBe(SOCKET);
  expect(await ask(node.path, METADATA, '80')).toBe(`${METADATA} 80`);
  expect(await ask(node.path, web.address ?? '', '80')).toBe('0.0.0.0 80');
};

describe('a container', () => {
  it('reaches its node and the network of its node, and no socket that is the node’s own', async () => {
    await always();
    expect(await ask(pod.path, GATEWAY, '22')).toBe(`${GATEWAY} 22`);
    expect(await ask(pod.path, NODE, '7420')).toBe(`${NODE} 7420`);
    expect(await ask(pod.path, METADATA, '80')).toBe(`${METADATA} 80`);
  });

  it('reaches DNS and published ports alone by the rules in the documents', async () => {
    const [, rules = ''] =
      /```nft\n([^`]+)```/.exec(readFileSync('docs/OPERATIONS.md', 'utf8')) ?? [];
    expect(rules).toContain('keep_containers_off');
    // Once more changes nothing: the file is read at each start.
    for (let times = 0; times < 2; times += 1) await node.run('nft', rules);
    await always();
    for (const [host, port] of [
      [GATEWAY, '22'],
      [NODE, '7420'],
      [METADATA, '80'],
    ] as const) {
      expect(await ask(pod.path, host, port, 1000)).toBe('silence');
    }
  });
});
