// The real network edge on the real kernel, in a namespace that stands for the node: the
// contract, and packets.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createNativeNetwork, nativeCleanUp } from '../../node-runner/edge/network/native.ts';
import type { ManagedNetwork } from '../../node-runner/edge/network/native.ts';
import { namesFor } from '../../node-runner/edge/network/names.ts';
import type { NetworkFacts } from '../../node-runner/ports.ts';
import { makeNetns } from '../support/netns.ts';
import type { TestNetns } from '../support/netns.ts';
import { until } from './runtime-suite.ts';
import { networkSuite } from '../support/suites/network.ts';

const nodeName = (): string => `test-${randomBytes(4).toString('hex')}`;

networkSuite('kernel', async () => {
  const netns = await makeNetns('suite');
  const options = { node: nodeName(), subnet: null, nodeNetns: netns.path };
  return {
    port: await createNativeNetwork(options),
    restart: () => createNativeNetwork(options),
    close: async () => {
      await nativeCleanUp(options);
      await netns.remove();
    },
  };
});

const ECHO = `
require('net').createServer((s) => s.end('from ' + process.argv[1])).listen(80, '0.0.0.0');
const u = require('dgram').createSocket('udp4');
u.on('message', (m, from) => u.send('udp ' + process.argv[1], from.port, from.address)).bind(80);
console.log('up');
`;
const ASK = `
const s = require('net').connect(Number(process.argv[2]), process.argv[1]);
s.on('data', (d) => process.stdout.write(d)).on('error', (e) => process.stdout.write(e.code));
s.setTimeout(Number(process.argv[3]), () => { process.stdout.write('silence'); s.destroy(); });
`;
const SLOW = `
require('net').createServer((s) => {
  s.on('data', () => setTimeout(() => s.end('from ' + process.argv[1]), 400));
}).listen(80, '0.0.0.0');
console.log('up');
`;
const ASK_SLOW = `
const s = require('net').connect(Number(process.argv[2]), process.argv[1], () => {
  s.write('x');
  process.stdout.write('asked, ');
});
s.on('data', (d) => process.stdout.write(d)).on('error', (e) => process.stdout.write(e.code));
s.setTimeout(20_000, () => { process.stdout.write('silence'); s.destroy(); });
`;
const ASK_UDP = `
const u = require('dgram').createSocket('udp4');
setTimeout(() => u.close(), 20_000);
u.on('message', (m) => { process.stdout.write(m); process.exit(0); });
u.send('x', Number(process.argv[2]), process.argv[1]);
`;

describe('two runners in one namespace', () => {
  it('see the ports that the other publishes as taken, and not their own', async () => {
    const netns = await makeNetns('pair');
    const runners = [nodeName(), nodeName()].map((node) => ({
      node,
      subnet: null,
      nodeNetns: netns.path,
    }));
    try {
      const [one, two] = await Promise.all(runners.map(createNativeNetwork));
      const ports = [{ name: 'http', host: 24_000, port: 80 }];
      await one?.setUp({ allocation: 'a-0-1', mode: 'bridge', ports });
      expect(await two?.portsTaken()).toEqual([24_000]);
      expect(await one?.portsTaken()).toEqual([]);
      const holders = await two?.portHolders();
      expect(holders?.get(24_000)).toBe('another node runner of this machine');
      await one?.tearDown('a-0-1');
      expect(await two?.portsTaken()).toEqual([]);
    } finally {
      for (const runner of runners) await nativeCleanUp(runner);
      await netns.remove();
    }
  });
});

describe('a runner that lives in the namespace of its node', () => {
  it('prepares, sets up, lists and cleans up there', async () => {
    const netns = await makeNetns('inside');
    try {
      const script = new URL('../support/network-inside.ts', import.meta.url).pathname;
      const text = await netns.run(process.execPath, '--import', 'tsx', script, nodeName());
      const { address, listed, taken, left, takenLater } = JSON.parse(text);
      expect(address).toMatch(/^10\./);
      expect(listed).toEqual(['a-0-1']);
      expect(taken).toEqual([4321]);
      expect(takenLater).toEqual([4321]);
      expect(left).toEqual([]);
      expect(await netns.run('nft', 'list', 'ruleset')).toBe('');
    } finally {
      await netns.remove();
    }
  });
});

describe('links', () => {
  it('take packets as large as the way out of the node does', async () => {
    const netns = await makeNetns('mtu');
    const options = { node: nodeName(), subnet: null, nodeNetns: netns.path };
    try {
      await netns.run('ip', 'link', 'add', 'out', 'mtu', '1400', 'type', 'veth');
      await netns.run('ip', 'addr', 'add', '198.51.100.7/24', 'dev', 'out');
      await netns.run('ip', 'link', 'set', 'out', 'up');
      await netns.run('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
      const network = await createNativeNetwork(options);
      await network.setUp({ allocation: 'a-0-1', mode: 'bridge', ports: [] });
      const pod = `${namesFor(options.node).prefix}a-0-1`;
      expect(await netns.run('ip', '-n', pod, 'link', 'show', 'eth0')).toContain('mtu 1400');
    } finally {
      await nativeCleanUp(options);
      await netns.remove();
    }
  });
});

describe('the bridge', () => {
  const macOf = async (netns: TestNetns, link: string): Promise<string> => {
    const [shown] = JSON.parse(await netns.run('ip', '-j', 'link', 'show', link));
    return shown.address;
  };

  it('keeps its hardware address, and answers under way arrive, when other copies go', async () => {
    const netns = await makeNetns('bridge');
    const node = nodeName();
    const { bridge, linkPrefix } = namesFor(node);
    const options = { node, subnet: '10.99.0.0/24', nodeNetns: netns.path };
    const children: ChildProcess[] = [];
    const start = async (place: string, script: string, ...args: readonly string[]) => {
      const all = [`--net=${place}`, '--', process.execPath, '-e', script, ...args];
      const child = spawn('nsenter', all, { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      let said = '';
      child.stdout.on('data', (data) => (said += String(data)));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      return async () => {
        if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
        return said;
      };
    };
    try {
      const network = await createNativeNetwork(options);
      const setUp = (allocation: string) =>
        network.setUp({ allocation, mode: 'bridge', ports: [] });
      const server = await setUp('stays-0-1');
      const gone = ['goes-0-1', 'goes-1-1', 'goes-2-1'];
      for (const allocation of gone) await setUp(allocation);
      // Lower than those that the kernel draws, and each next one higher: a bridge that takes the
      // lowest of its links' has another one after each end.
      for (const at of [0, 1, 2]) {
        const link = `${linkPrefix}${3 + at}`;
        await netns.run('ip', 'link', 'set', link, 'address', `02:00:00:00:00:0${at}`);
      }
      const before = await macOf(netns, bridge);
      await start(server.path, SLOW, 'stays');
      for (const allocation of gone) {
        const answer = await start(netns.path, ASK_SLOW, server.address ?? '', '80');
        await network.tearDown(allocation);
        expect(await answer()).toBe('asked, from stays');
        expect(await macOf(netns, bridge)).toBe(before);
      }
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await nativeCleanUp(options);
      await netns.remove();
    }
  });

  it('of an earlier release keeps the address that it has', async () => {
    const netns = await makeNetns('earlier');
    const node = nodeName();
    const { bridge, linkPrefix } = namesFor(node);
    const options = { node, subnet: '10.99.0.0/24', nodeNetns: netns.path };
    try {
      await netns.run('ip', 'link', 'add', 'name', bridge, 'type', 'bridge');
      await netns.run('ip', 'addr', 'add', '10.99.0.1/24', 'dev', bridge);
      await netns.run('ip', 'link', 'set', bridge, 'up');
      const network = await createNativeNetwork(options);
      const before = await macOf(netns, bridge);
      await network.setUp({ allocation: 'a-0-1', mode: 'bridge', ports: [] });
      await netns.run('ip', 'link', 'set', `${linkPrefix}2`, 'address', '02:00:00:00:00:00');
      expect(await macOf(netns, bridge)).toBe(before);
    } finally {
      await nativeCleanUp(options);
      await netns.remove();
    }
  });
});

describe('what a runner left that was killed at its work', () => {
  it('is finished or removed by the next one', async () => {
    const netns = await makeNetns('killed');
    const node = nodeName();
    const names = namesFor(node);
    const options = { node, subnet: '10.99.0.0/24', nodeNetns: netns.path };
    try {
      const first = await createNativeNetwork(options);
      const ports = [{ name: 'http', port: 80, host: 21_000 }];
      const whole = { allocation: 'whole-0-1', mode: 'bridge' as const, ports };
      const facts = await first.setUp(whole);
      const link = names.linkPrefix;
      await netns.run('ip', 'netns', 'add', `${names.prefix}half-0-1`);
      await netns.run('ip', 'link', 'add', `${link}77`, 'type', 'veth', 'peer', 'name', 'x77');
      await netns.run('ip', 'link', 'set', `${link}77`, 'master', names.bridge, 'alias', 'gone');
      await netns.run(
        'nft',
        `add element ip ${names.table} ports { tcp . 21009 : 10.99.0.77 . 80 }`,
      );
      const second = await createNativeNetwork(options);
      expect(await netns.run('ip', 'link')).not.toContain(`${link}77`);
      expect(await netns.run('nft', 'list', 'ruleset')).not.toContain('21009');
      const more = [{ name: 'http', port: 80, host: 21_009 }];
      const half = { allocation: 'half-0-1', mode: 'bridge' as const, ports: more };
      const made = await second.setUp(half);
      expect(made.address).not.toBe(facts.address);
      expect(await second.setUp(whole)).toEqual(facts);
      expect(await second.list()).toEqual([made, facts]);
    } finally {
      await nativeCleanUp(options);
      await netns.remove();
    }
  });

  it('is the same as if nothing had happened, after many changes at once', async () => {
    const netns = await makeNetns('hammer');
    const options = { node: nodeName(), subnet: '10.99.0.0/24', nodeNetns: netns.path };
    try {
      for (let round = 0; round < 3; round += 1) {
        const network = await createNativeNetwork(options);
        const work = Array.from({ length: 40 }, async (_, index) => {
          const allocation = `a-${index % 10}-1`;
          const ports = [{ name: 'http', port: 80, host: 21_000 + (index % 10) }];
          if ((index + round) % 3 === 0) await network.tearDown(allocation);
          else await network.setUp({ allocation, mode: 'bridge', ports });
        });
        await Promise.all(work);
      }
      const network = await createNativeNetwork(options);
      const listed = await network.list();
      const table = await netns.run('nft', 'list', 'table', 'ip', namesFor(options.node).table);
      const addresses = listed.map(({ address }) => address ?? 'none');
      expect(new Set(addresses).size).toBe(listed.length);
      // The last change of each allocation in the last round decides: index 30 to 39.
      expect(listed.map(({ allocation }) => allocation)).toEqual(
        [0, 2, 3, 5, 6, 8, 9].map((index) => `a-${index}-1`),
      );
      expect(table.match(/tcp \. 2100\d : /g)).toHaveLength(listed.length);
      for (const address of addresses) expect(table).toContain(`: ${address} . 80`);
    } finally {
      await nativeCleanUp(options);
      await netns.remove();
    }
  });
});

describe('packets', () => {
  const node = nodeName();
  const children: ChildProcess[] = [];
  const facts: Record<string, NetworkFacts> = {};
  let netns: TestNetns;
  let network: ManagedNetwork;

  const serve = async (name: string, host: number): Promise<void> => {
    const ports = [{ name: 'http', port: 80, host }];
    const made = await network.setUp({ allocation: name, mode: 'bridge', ports });
    facts[name] = made;
    const args = [`--net=${made.path}`, '--', process.execPath, '-e', ECHO, name];
    const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
  };
  const ask = (path: string, address: string, port: number, script = ASK): Promise<string> =>
    runIn(path, script, address, String(port), '20000');
  /** Of what is to be dropped: nobody says so. */
  const askInVain = (path: string, address: string, port: number): Promise<string> =>
    runIn(path, ASK, address, String(port), '1000');
  const runIn = (path: string, script: string, ...args: readonly string[]): Promise<string> =>
    new Promise((resolve) => {
      const all = [`--net=${path}`, '--', process.execPath, '-e', script, ...args];
      const child = spawn('nsenter', all, { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (data) => (text += String(data)));
      child.on('close', () => resolve(text));
    });
  const pathOf = (name: string): string => facts[name]?.path ?? '';
  const addressOf = (name: string): string => facts[name]?.address ?? '';

  beforeAll(async () => {
    netns = await makeNetns('packets');
    await netns.run('ip', 'addr', 'add', '198.51.100.7/32', 'dev', 'lo');
    network = await createNativeNetwork({ node, subnet: '10.99.0.0/24', nodeNetns: netns.path });
    await serve('one', 21_000);
    await serve('two', 21_001);
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await network.cleanUp();
    await netns.remove();
  });

  it('reach an allocation from the node, by its address and by the host port', async () => {
    expect(await ask(netns.path, addressOf('one'), 80)).toBe('from one');
    expect(await ask(netns.path, '127.0.0.1', 21_000)).toBe('from one');
    expect(await ask(netns.path, '198.51.100.7', 21_001)).toBe('from two');
    expect(await ask(netns.path, '198.51.100.7', 21_001, ASK_UDP)).toBe('udp two');
  });

  it('reach an allocation from another, and from itself by its host port', async () => {
    expect(await ask(pathOf('one'), addressOf('two'), 80)).toBe('from two');
    expect(await ask(pathOf('one'), '198.51.100.7', 21_001)).toBe('from two');
    expect(await ask(pathOf('one'), '198.51.100.7', 21_000)).toBe('from one');
    expect(await ask(pathOf('one'), '127.0.0.1', 80)).toBe('from one');
  });

  it('do not reach the loopback services of the node from an allocation', async () => {
    // Only a pod that takes its own loopback apart, as an intruder would, can send such packets at
    // all.
    const pod = `${namesFor(node).prefix}one`;
    const inPod = (...args: readonly string[]): Promise<string> =>
      netns.run('nsenter', `--net=/run/netns/${pod}`, '--', ...args);
    await inPod('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet');
    await inPod('ip', 'route', 'del', 'table', 'local', 'local', '127.0.0.0/8', 'dev', 'lo');
    await inPod('ip', 'route', 'add', '127.9.9.9/32', 'via', '10.99.0.1', 'src', addressOf('one'));
    const script = `require('net').createServer((s) => s.end('secret')).listen(5555, '127.9.9.9');
      console.log('up');`;
    const args = [`--net=${netns.path}`, '--', process.execPath, '-e', script];
    const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(await ask(netns.path, '127.9.9.9', 5555)).toBe('secret');
    expect(await askInVain(pathOf('one'), '127.9.9.9', 5555)).not.toContain('secret');
    await netns.run('nft', 'flush', 'chain', 'ip', namesFor(node).table, 'guard');
    expect(await ask(pathOf('one'), '127.9.9.9', 5555)).toBe('secret');
    expect(await network.portsTaken()).toEqual([5555]);
    const holder = (await network.portHolders()).get(5555);
    const ports = [{ name: 'http', host: 5555, port: 80 }];
    await expect(network.setUp({ allocation: 'late', mode: 'bridge', ports })).rejects.toThrow(
      /^host port 5555 \(http\) is in use on this node by (node|MainThread), process \d+$/,
    );
    expect(holder).toMatch(new RegExp(`^(node|MainThread), process ${child.pid}$`));
  });

  it('pass a firewall whose FORWARD chain drops', async () => {
    await netns.run('nft', 'add table ip filter');
    await netns.run(
      'nft',
      'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
    );
    expect(await askInVain(pathOf('one'), '198.51.100.7', 21_001)).not.toBe('from two');
    await network.list();
    expect(await ask(pathOf('one'), '198.51.100.7', 21_001)).toBe('from two');
  });

  it('pass a FORWARD chain of iptables-legacy that drops', async () => {
    await netns.run('iptables-legacy', '-P', 'FORWARD', 'DROP');
    expect(await askInVain(pathOf('one'), '198.51.100.7', 21_001)).not.toBe('from two');
    await network.list();
    await network.list();
    expect(await ask(pathOf('one'), '198.51.100.7', 21_001)).toBe('from two');
    const rules = (await netns.run('iptables-legacy', '-S', 'FORWARD')).trim().split('\n');
    expect(rules).toHaveLength(3);
  });

  it('come back after somebody flushed all rules', async () => {
    await netns.run('nft', 'flush', 'ruleset');
    expect(await ask(netns.path, '127.0.0.1', 21_000)).toBe('ECONNREFUSED');
    await network.list();
    expect(await ask(netns.path, '127.0.0.1', 21_000)).toBe('from one');
  });

  it('find their way again after somebody removed the bridge', async () => {
    await netns.run('ip', 'link', 'del', namesFor(node).bridge);
    const again = await createNativeNetwork({
      node,
      subnet: '10.99.4.0/24',
      nodeNetns: netns.path,
    });
    const ports = [{ name: 'http', port: 80, host: 21_000 }];
    const made = await again.setUp({ allocation: 'one', mode: 'bridge', ports });
    expect(made.address).toMatch(/^10\.99\.4\./);
    expect(await ask(netns.path, '127.0.0.1', 21_000)).toBe('ECONNREFUSED');
    expect(await netns.run('nft', 'list', 'ruleset')).not.toContain('10.99.0.');
  });

  it('leave nothing after cleanUp', async () => {
    for (const child of children) child.kill('SIGKILL');
    await network.cleanUp();
    const names = namesFor(node);
    expect(await netns.run('ip', 'netns', 'list')).not.toContain(names.prefix);
    // The kernel takes a cable with its namespace, a moment after that.
    await until(async () => !(await netns.run('ip', 'link')).includes(names.tag));
    expect(await netns.run('nft', 'list', 'ruleset')).not.toContain(names.tag);
    expect(await netns.run('iptables-legacy', '-S', 'FORWARD')).not.toContain(names.tag);
    await network.cleanUp();
  });
});
