// The runner's DNS for copies whose network Debian's CNI plugins make: who is answered, by its own
// resolver, and who is not.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolvConfOf } from '../../node-runner/decide/resolv-conf.ts';
import { tryCommand } from '../../node-runner/edge/command.ts';
import { namesFor } from '../../node-runner/edge/network/names.ts';
import { createNetwork, networkCleanUp } from '../../node-runner/edge/network/network.ts';
import type { NetworkFacts } from '../../node-runner/ports.ts';
import { compareText } from '../../schema/ids.ts';
import { catalogue, instance, service } from '../support/catalogues.ts';
import { CNI_BIN_DIR, hasCni, type TestCni, writeCniConfig } from '../support/cni.ts';
import { dig, type Server } from '../support/dig.ts';
import { makeNetns, type TestNetns } from '../support/netns.ts';
import { testBody } from '../support/runner-specs.ts';

const web = ['192.0.2.1', '192.0.2.2'].map((address, at) =>
  instance({ allocation: `0123456789abcdef-${at}-1`, node: 'n2', address }),
);
const shop = catalogue(service('shop/web', web));
/** A name server elsewhere, that the plugins name, and a service of the node at all of its addresses. */
const WORLD = '203.0.113.2';
const OTHER_PORT = 8099;
const WEB = 'web.shop.svc.purser';

interface Runner {
  readonly address: string;
  readonly ask: (line: string) => Promise<NetworkFacts>;
  readonly kill: () => Promise<void>;
}

describe.runIf(hasCni)('a copy on a network of CNI plugins', () => {
  const id = randomBytes(3).toString('hex');
  const node = `test-${id}`;
  const { dnsTable, dnsLabel } = namesFor(node);
  let netns: TestNetns;
  let stranger: TestNetns;
  let root: string;
  let runner: Runner;
  let pod: NetworkFacts;
  const children: ChildProcess[] = [];

  const inside = (path: string, ...words: readonly string[]): ChildProcess => {
    const args = [`--net=${path}`, '--', process.execPath, ...words];
    const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    return child;
  };
  const lineOf = async (lines: Interface): Promise<string> => {
    const [line] = await Promise.race([once(lines, 'line'), once(lines, 'close')]);
    if (line === undefined) throw new Error('the runner ended');
    return String(line);
  };
  const start = async (): Promise<Runner> => {
    const script = ['--import', 'tsx', 'test/support/cni-inside.ts'];
    const child = inside(netns.path, ...script, root, node, CNI_BIN_DIR);
    if (child.stdout === null) throw new Error('its output is not read');
    const lines = createInterface({ input: child.stdout });
    const { address } = JSON.parse(await lineOf(lines)) as { readonly address: string };
    return {
      address,
      ask: async (line) => {
        child.stdin?.write(`${line}\n`);
        return JSON.parse(await lineOf(lines)) as NetworkFacts;
      },
      kill: async () => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      },
    };
  };
  /** As a program of the copy would, by the C library and its /etc/resolv.conf. */
  const resolves = async (name: string): Promise<string> => {
    const script = `mount --bind ${root}/resolv.conf /etc/resolv.conf && getent ahostsv4 ${name}`;
    const args = [`--net=${pod.path}`, '--', 'unshare', '--mount', 'sh', '-c', script];
    const { code, stdout } = await tryCommand({ program: 'nsenter', args });
    const addresses = [...stdout.matchAll(/^(\S+)\s+STREAM/gm)].map(([, address = '']) => address);
    return code === 0 ? addresses.toSorted(compareText).join(' ') : `exit code ${code}`;
  };
  /** Over UDP and TCP, from a namespace; null where no answer came. */
  const asks = async (server: Pick<Server, 'from' | 'seconds'>, ...words: readonly string[]) => {
    const at = { ...server, address: runner.address, port: 53 };
    const both = ['+notcp', '+tcp'].map((over) => dig(at, over, ...words, WEB));
    return (await Promise.all(both)).map(({ status }) => status);
  };
  const expectAnswers = async (from: string) =>
    expect(await asks({ from })).toEqual(['NOERROR', 'NOERROR']);
  const expectSilence = async (from: string, ...words: readonly string[]) =>
    expect(await asks({ from, seconds: 1 }, ...words)).toEqual([null, null]);

  /** How many packets of a kind came since, before any firewall. */
  const counted = async (
    hook: 'input' | 'output',
    kind: string,
  ): Promise<() => Promise<number>> => {
    const chain = `ip seen ${hook}`;
    await netns.run(
      'nft',
      `add table ip seen; add chain ${chain} { type filter hook ${hook} priority -10; }
       add rule ${chain} ${kind} counter`,
    );
    return async () => {
      const text = await netns.run('nft', 'list', 'chain', 'ip', 'seen', hook);
      return Number(/packets (\d+)/.exec(text)?.[1]);
    };
  };

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'cni-dns-'));
    await writeFile(join(root, 'catalogue.json'), JSON.stringify(shop));
    const dns = { nameservers: [WORLD], search: ['example'] };
    const plugin = { type: 'bridge', bridge: `t${id}`, isGateway: true, ipMasq: true, dns };
    await writeCniConfig({ root, id, plugin });
    netns = await makeNetns('cnidns');
    stranger = await makeNetns('stranger');
    const rules = `
      ip link add out0 type veth peer name out1 netns ${stranger.name}
      ip addr add 203.0.113.1/24 dev out0
      ip link set out0 up
      # A firewall that lets nothing in that it does not know; and nothing else looks at sources.
      nft add table ip filter
      nft 'add chain ip filter INPUT { type filter hook input priority 0; policy drop; }'
      nft add rule ip filter INPUT iifname lo accept
      nft add rule ip filter INPUT tcp dport ${OTHER_PORT} accept
      nft add rule ip filter INPUT ct state established accept
      for each in all default out0; do echo 0 > /proc/sys/net/ipv4/conf/$each/rp_filter; done
    `;
    await netns.run('sh', '-ec', rules);
    await stranger.run('ip', 'addr', 'add', `${WORLD}/24`, 'dev', 'out1');
    await stranger.run('ip', 'link', 'set', 'out1', 'up');
    const world = `import('./test/support/world-dns.ts')
      .then(({ answerWorld }) => answerWorld('${WORLD}')).then(() => console.log('up'));`;
    const other = `require('net').createServer((s) => s.end('other'))
      .listen(${OTHER_PORT}, () => console.log('up'));`;
    const servers = [
      inside(stranger.path, '--import', 'tsx', '-e', world),
      inside(netns.path, '-e', other),
    ];
    await Promise.all(servers.map((one) => once(one.stdout ?? one, 'data')));
    runner = await start();
    pod = await runner.ask('up a-0-1');
    const facts = { resolvConf: 'nameserver 192.0.2.53\n', dnsAddress: runner.address };
    const text = resolvConfOf(testBody('a-0-1', { namespace: 'shop' }), facts, pod);
    await writeFile(join(root, 'resolv.conf'), text);
    await stranger.run('ip', 'route', 'add', runner.address, 'via', '203.0.113.1');
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await networkCleanUp({ node, nodeNetns: netns.path, stateDir: join(root, 'state') });
    await netns.remove();
    await stranger.remove();
    await rm(root, { recursive: true });
  });

  it('finds services by short names, and the world where the plugins say', async () => {
    expect(runner.address).toMatch(/^169\.254\.1[2-5]\d\./);
    expect(pod).toMatchObject({ reachesDns: true });
    for (const name of ['web', 'web.shop', WEB, `${WEB}.`]) {
      expect(await resolves(name)).toBe('192.0.2.1 192.0.2.2');
    }
    // By the search domain that they name, of the name server that they name.
    expect(await resolves('world')).toBe('198.51.100.99');
    expect(await resolves('nobody')).toBe('exit code 2');
  });

  it('is answered as the node is, also where a job publishes the port, and reaches nothing else there', async () => {
    await expectAnswers(netns.path);
    await runner.ask('up other-0-1 53');
    await expectAnswers(pod.path);
    await expectAnswers(netns.path);
    const connect = (host: string) =>
      `const s = require('net').connect(${OTHER_PORT}, '${host}');
       s.on('data', (d) => process.stdout.write(d)).setTimeout(1000, () => process.exit());`;
    const said = async (host: string): Promise<string> => {
      const args = [`--net=${pod.path}`, '--', process.execPath, '-e', connect(host)];
      return (await tryCommand({ program: 'nsenter', args })).stdout;
    };
    expect(await said('10.98.0.1')).toBe('other');
    expect(await said(runner.address)).toBe('');
    await runner.ask('down other-0-1');
  });

  it('waits while the runner is started again, and is known to the next one', async () => {
    const before = runner.address;
    await runner.kill();
    const asking = resolves('web');
    runner = await start();
    expect(runner.address).toBe(before);
    expect(await asking).toBe('192.0.2.1 192.0.2.2');
    expect(await runner.ask('list')).toContainEqual(pod);
    // Somebody took the address away: the next look puts it back.
    await netns.run('ip', 'addr', 'del', `${before}/32`, 'dev', 'lo');
    await runner.ask('list');
    await expectAnswers(pod.path);
  });

  it('is none of those outside, nor of others on its bridge, who get nothing', async () => {
    await expectSilence(stranger.path);
    const gone = await runner.ask('up gone-0-1');
    await runner.ask('down gone-0-1');
    const guest = await makeNetns('guest');
    try {
      await netns.run(
        'ip',
        'link',
        'add',
        'g0',
        'type',
        'veth',
        'peer',
        'eth0',
        'netns',
        guest.name,
      );
      await netns.run('ip', 'link', 'set', 'g0', 'master', `t${id}`, 'up');
      await guest.run('ip', 'addr', 'add', `${gone.address}/24`, 'dev', 'eth0');
      await guest.run('ip', 'link', 'set', 'eth0', 'up');
      await guest.run('ip', 'route', 'add', 'default', 'via', '10.98.0.1');
      const came = await counted('input', `ip daddr ${runner.address} iifname != "lo"`);
      await expectSilence(guest.path);
      expect(await came()).toBe(0);
      // The rules are one wall; the server, which looks at who asks, is another.
      await netns.run('nft', 'delete', 'table', 'ip', dnsTable);
      await expectSilence(guest.path);
      expect(await came()).toBeGreaterThan(0);
      await runner.ask('list');
      await expectSilence(guest.path);
      await expectAnswers(pod.path);
    } finally {
      await guest.remove();
    }
  });

  it('is told nothing that somebody outside asked in its name', async () => {
    await stranger.run('ip', 'addr', 'add', `${pod.address}/32`, 'dev', 'out1');
    const answers = await counted(
      'output',
      `ip saddr ${runner.address} ip daddr ${pod.address} udp sport 53`,
    );
    await expectSilence(stranger.path, '-b', `${pod.address}`);
    expect(await answers()).toBe(0);
    // So it would be without the rules: the server cannot know.
    await netns.run('nft', 'delete', 'table', 'ip', dnsTable);
    await expectSilence(stranger.path, '-b', `${pod.address}`);
    expect(await answers()).toBeGreaterThan(0);
    await runner.ask('list');
  });

  it('has the machine’s name servers where it does not reach the node', async () => {
    const said: string[] = [];
    const facts = async (name: string, cni: Pick<TestCni, 'plugin' | 'routes'>) => {
      const own = { root: join(root, name), id: randomBytes(3).toString('hex') };
      const options = {
        kind: 'cni' as const,
        node: `test-${own.id}`,
        nodeNetns: netns.path,
        config: await writeCniConfig({ ...own, subnet: '10.97.0.0/24', ...cni }),
        binDir: CNI_BIN_DIR,
        stateDir: join(own.root, 'state'),
        log: { warn: (_: object, message: string) => said.push(message) },
      };
      const network = await createNetwork(options);
      // Another runner of the same machine: another address.
      expect(network.dns?.address).not.toBe(runner.address);
      const one = await network.setUp({ allocation: 'b-0-1', mode: 'bridge', ports: [] });
      await network.setUp({ allocation: 'c-0-1', mode: 'bridge', ports: [] });
      await network.cleanUp();
      return one;
    };
    expect(await facts('ptp', { plugin: { type: 'ptp' } })).toMatchObject({ reachesDns: true });
    expect(said).toEqual([]);
    const none = { type: 'bridge', bridge: `u${id}` };
    expect(await facts('no-gateway', { plugin: none })).toMatchObject({ reachesDns: false });
    expect(said).toEqual([expect.stringContaining('do not reach this node')]);
    const gateway = { type: 'bridge', bridge: `v${id}`, isGateway: true };
    expect(await facts('no-route', { plugin: gateway, routes: [] })).toMatchObject({
      reachesDns: false,
    });
  });

  it('leaves nothing of it when the node is cleaned', async () => {
    await runner.kill();
    await netns.run('nft', 'add table ip seen; delete table ip seen');
    expect(await netns.run('ip', 'addr', 'show', 'dev', 'lo')).toContain(dnsLabel);
    const input = () => netns.run('nft', 'list', 'chain', 'ip', 'filter', 'INPUT');
    expect(await input()).toContain(runner.address);
    const options = { node, nodeNetns: netns.path, stateDir: join(root, 'state') };
    expect(await networkCleanUp(options)).toEqual([]);
    expect(await netns.run('ip', 'addr', 'show', 'dev', 'lo')).not.toContain(dnsLabel);
    expect(await netns.run('nft', 'list', 'tables')).not.toContain('purser');
    expect(await input()).not.toContain(runner.address);
    // Of portmap: the plugins removed it themselves.
    expect(await netns.run('nft', 'list', 'ruleset')).not.toContain('10.98.0.');
  });
});
