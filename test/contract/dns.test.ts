// The runner's DNS on real sockets, asked by the real dig; and by a container's own resolver, in a
// network namespace like those of allocations.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dnsPacket from 'dns-packet';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../../node-runner/decide/dns.ts';
import { resolvConfOf } from '../../node-runner/decide/resolv-conf.ts';
import { tryCommand } from '../../node-runner/edge/command.ts';
import { createForward, framed } from '../../node-runner/edge/dns/forward.ts';
import { createDnsServer } from '../../node-runner/edge/dns/server.ts';
import { createUpstreams } from '../../node-runner/edge/dns/upstreams.ts';
import { createNativeNetwork } from '../../node-runner/edge/network/native.ts';
import type { ManagedNetwork } from '../../node-runner/edge/network/native.ts';
import { namesFor } from '../../node-runner/edge/network/names.ts';
import type { NetworkFacts } from '../../node-runner/ports.ts';
import { compareText } from '../../schema/ids.ts';
import { catalogue, instance, outside, service } from '../support/catalogues.ts';
import { dig, type Server } from '../support/dig.ts';
import { makeNetns, type TestNetns } from '../support/netns.ts';
import { testBody } from '../support/runner-specs.ts';

const many = Array.from({ length: 120 }, (_, at) =>
  instance({ allocation: `0123456789abcdef-${at}-1`, node: 'n2', address: `192.0.2.${at + 1}` }),
);
const shop = catalogue(
  service('shop/bank', [outside('bank.example')]),
  service('shop/many', many),
  service('shop/six', [outside('2001:db8::1')]),
  service('shop/web', many.slice(0, 2)),
);

/** All that is open, and how it is closed; in the end everything is. */
const open: (() => unknown)[] = [];
const closeAll = async (): Promise<void> => {
  for (const close of open.splice(0).toReversed()) await close();
};

const log = { info: () => undefined, warn: () => undefined };

interface Asking {
  readonly upstreams?: readonly string[];
  readonly upstreamPort?: number;
  readonly isAllowed?: (source: string) => boolean;
}

const serve = async ({ upstreams = [], upstreamPort = 1, isAllowed }: Asking): Promise<Server> => {
  const abort = new AbortController();
  const server = createDnsServer({
    address: '127.0.0.1',
    port: 0,
    isAllowed: isAllowed ?? (() => true),
    answer: (question) =>
      answerOf(question, {
        catalogue: shop,
        node: 'n1',
        isOut: () => false,
        departed: [],
        draw: () => 0,
      }),
    forward: createForward({ upstreams: async () => upstreams, port: upstreamPort }),
    log,
  });
  const running = server.run(abort.signal);
  open.push(() => {
    abort.abort();
    return running;
  });
  await expect.poll(server.port).not.toBeNull();
  return { address: '127.0.0.1', port: server.port() ?? 0 };
};

/** A name server of the world, over both transports: what it says to each question. */
const world = async (say: (message: Buffer) => readonly Buffer[]): Promise<number> => {
  const udp = createSocket('udp4');
  udp.on('message', (message, { port, address }) => {
    for (const answer of say(message)) udp.send(answer, port, address);
  });
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      for (const answer of say(data.subarray(2))) socket.write(framed(answer));
    });
  });
  open.push(() => tcp.close());
  // Of TCP first: there more ports are taken, by all who listen and by all who have called.
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as AddressInfo;
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject).bind(port, '127.0.0.1', resolve);
  });
  open.push(() => udp.close());
  return port;
};

/** Every name is 198.51.100.7. */
const answer = (message: Buffer, change: { readonly id?: number; readonly data?: string } = {}) => {
  const { id = 0, questions = [] } = dnsPacket.decode(message);
  const [{ name } = { name: '' }] = questions;
  const answers = [{ type: 'A', name, ttl: 60, data: change.data ?? '198.51.100.7' } as const];
  const flags = dnsPacket.RECURSION_AVAILABLE;
  return dnsPacket.encode({ type: 'response', id: change.id ?? id, flags, questions, answers });
};

describe('dig', () => {
  afterEach(closeAll);

  it('gets addresses and servers of ready copies', async () => {
    const server = await serve({});
    const found = await dig(server, 'Web.shop.svc.purser');
    expect(found).toMatchObject({ status: 'NOERROR', answers: ['192.0.2.1', '192.0.2.2'] });
    expect(found.flags).toContain('aa');
    expect(found.text).toMatch(/^Web\.shop\.svc\.purser\.\s+1\s+IN\s+A\s/m);
    expect((await dig(server, 'six.shop.svc.purser', 'AAAA')).answers).toEqual(['2001:db8::1']);
    const servers = await dig(server, '_web._tcp.shop.svc.purser', 'SRV');
    const target = '0123456789abcdef-0-1.web.shop.svc.purser.';
    expect(servers.answers[0]).toBe(`1 1 20001 ${target}`);
    expect(servers.text).toMatch(
      /ADDITIONAL SECTION:\n0123456789abcdef-0-1\.web\.shop\S+\s+1\s+IN/,
    );
    expect((await dig(server, target)).answers).toEqual(['192.0.2.1']);
  });

  it('is told that there is no such name, or nothing of that kind, and for how long', async () => {
    const server = await serve({});
    const none = await dig(server, 'nobody.shop.svc.purser');
    expect(none.status).toBe('NXDOMAIN');
    expect(none.text).toMatch(/^svc\.purser\.\s+1\s+IN\s+SOA\s.* 1$/m);
    const six = await dig(server, 'web.shop.svc.purser', 'AAAA');
    expect(six).toMatchObject({ status: 'NOERROR', answers: [] });
    expect(six.text).toMatch(/IN\s+SOA/);
    expect((await dig(server, 'web.shop.svc.purser', 'CH', 'TXT')).status).toBe('REFUSED');
    expect((await dig(server, 'web.shop.svc.purser', '+opcode=notify')).status).toBe('NOTIMP');
    const later = await dig(server, 'web.shop.svc.purser', '+edns=1', '+noednsnegotiation');
    expect(later.status).toBe('BADVERS');
  });

  it('gets as much as fits, and all of it over TCP', async () => {
    const server = await serve({});
    const name = 'many.shop.svc.purser';
    const plain = await dig(server, name, '+noedns', '+ignore');
    expect(plain.flags).toContain('tc');
    expect(plain.answers.length).toBeGreaterThan(20);
    const wide = await dig(server, name, '+bufsize=4096', '+ignore');
    expect(wide.answers.length).toBeGreaterThan(plain.answers.length);
    expect(wide.flags).toContain('tc');
    // Without +ignore it asks again over TCP by itself.
    expect((await dig(server, name)).answers).toHaveLength(120);
    const servers = await dig(server, '+tcp', name, 'SRV');
    expect(servers.answers).toHaveLength(120);
    expect(servers.flags).not.toContain('tc');
  });

  it('gets the world’s names from the machine’s own name servers', async () => {
    const upstreamPort = await world((message) => [
      // Somebody who guesses comes first: another id, another question.
      answer(message, { id: message.readUInt16BE(0) ^ 1, data: '203.0.113.66' }),
      answer(Buffer.from(message).fill('x', 13, 15), { data: '203.0.113.67' }),
      answer(message),
    ]);
    // The first one is silent: nobody listens there.
    const server = await serve({ upstreams: ['127.0.0.2', '127.0.0.1'], upstreamPort });
    for (const over of ['+notcp', '+tcp']) {
      expect(await dig(server, over, 'example.org')).toMatchObject({
        status: 'NOERROR',
        answers: ['198.51.100.7'],
      });
    }
    const bank = await dig(server, 'bank.shop.svc.purser');
    expect(bank.answers).toEqual(['198.51.100.7', 'bank.example.']);
  });

  it('is told so where nobody answers for the world', async () => {
    const server = await serve({ upstreams: ['127.0.0.2'] });
    expect((await dig(server, 'example.org')).status).toBe('SERVFAIL');
    expect((await dig(server, 'bank.shop.svc.purser')).status).toBe('SERVFAIL');
  });

  it('gets nothing where it may not ask', async () => {
    const server = { ...(await serve({ isAllowed: () => false })), seconds: 1 };
    expect((await dig(server, 'web.shop.svc.purser')).status).toBeNull();
    expect((await dig(server, '+tcp', 'web.shop.svc.purser')).status).toBeNull();
  });
});

describe('the server', () => {
  afterEach(closeAll);

  it('goes on whatever comes, and does not let one asker hold all places', async () => {
    const silent = await world(() => []);
    const server = await serve({ upstreams: ['127.0.0.1'], upstreamPort: silent });
    const noise = createSocket('udp4');
    open.push(() => noise.close());
    for (const length of [0, 1, 11, 12, 13, 100, 5000]) {
      noise.send(randomBytes(length), server.port, server.address);
    }
    const ends = Array.from({ length: 40 }, async () => {
      const socket = connect(server.port, server.address);
      socket.on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume().write(Buffer.concat([Buffer.from([0xff, 0xff]), randomBytes(100)]));
      return closed;
    });
    // A message that no question is so long as: the connection is over at once.
    await Promise.all(ends);
    // The first of them are answered, the others find the places taken; some may become free.
    const question = dnsPacket.encode({ questions: [{ type: 'A', name: 'web.shop.svc.purser' }] });
    const held = Array.from({ length: 200 }, () => connect(server.port, server.address));
    open.push(() => {
      for (const socket of held) socket.destroy();
    });
    const ask = (socket: Socket): Promise<number> =>
      new Promise((resolve) => {
        socket.on('error', () => undefined);
        socket.once('data', () => resolve(1)).once('close', () => resolve(0));
        socket.write(framed(question));
      });
    const answered = (await Promise.all(held.map(ask))).reduce((sum, one) => sum + one, 0);
    expect(answered).toBeGreaterThanOrEqual(16);
    expect(answered).toBeLessThan(100);
    for (const socket of held) socket.destroy();
    expect((await dig(server, 'web.shop.svc.purser')).answers).toHaveLength(2);
  });

  it('passes on no more of a flood of made-up names than it has room for, and answers its own', async () => {
    let asked = 0;
    const silent = await world(() => {
      asked += 1;
      return [];
    });
    const server = await serve({ upstreams: ['127.0.0.1'], upstreamPort: silent });
    const flood = createSocket('udp4');
    open.push(() => flood.close());
    let sent = 0;
    let told = 0;
    let longest = 0;
    flood.on('message', (message) => {
      told += 1;
      longest = Math.max(longest, message.length);
    });
    const questions = Array.from({ length: 2000 }, () =>
      dnsPacket.encode({
        questions: [{ type: 'A', name: `${randomBytes(8).toString('hex')}.example` }],
      }),
    );
    for (const question of questions) {
      flood.send(question, server.port, server.address);
      // Else the kernel throws most of them away.
      if (sent++ % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await dig(server, 'web.shop.svc.purser')).answers).toHaveLength(2);
    await expect.poll(() => told).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(2 * 64);
    // What is said of those beyond is no longer than what was asked.
    expect(longest).toBeLessThanOrEqual(questions[0]?.length ?? 0);
  });

  it('waits for its address, and then answers', async () => {
    const blocker = createSocket('udp4');
    await new Promise<void>((resolve) => blocker.bind(0, '127.0.0.1', resolve));
    const { port } = blocker.address();
    const said: string[] = [];
    const abort = new AbortController();
    const server = createDnsServer({
      address: '127.0.0.1',
      port,
      isAllowed: () => true,
      answer: () => ({ kind: 'forward' }),
      forward: async () => null,
      log: { info: () => undefined, warn: (_, message) => said.push(message) },
    });
    const running = server.run(abort.signal);
    open.push(() => {
      abort.abort();
      return running;
    });
    await expect.poll(() => said.length).toBe(1);
    expect(said[0]).toContain('another program listens there');
    await new Promise<void>((resolve) => blocker.close(() => resolve()));
    await expect.poll(server.port).toBe(port);
    expect((await dig({ address: '127.0.0.1', port }, 'example.org')).status).toBe('SERVFAIL');
  });
});

describe('the machine’s name servers', () => {
  it('are read again, and never are the runner itself', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dns-'));
    try {
      const file = join(folder, 'resolv.conf');
      await writeFile(
        file,
        'nameserver 127.0.0.53\nnameserver 10.1.4.1\nnameserver fe80::1%eth0\n',
      );
      const upstreams = createUpstreams(file, () => ['10.1.4.1']);
      expect(await upstreams()).toEqual(['127.0.0.53', 'fe80::1%eth0']);
      await writeFile(file, 'nameserver 192.0.2.53\nnameserver nonsense\n');
      await expect.poll(upstreams).toEqual(['192.0.2.53']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a container', () => {
  const node = `test-${randomBytes(4).toString('hex')}`;
  const subnet = '10.99.0.0/24';
  const INPUT = 'type filter hook input priority 0;';
  const gateway: Server = { address: '10.99.0.1', port: 53 };
  let netns: TestNetns;
  let stranger: TestNetns;
  let network: ManagedNetwork;
  let pod: NetworkFacts;
  let folder: string;
  let runner: ChildProcess;

  /** Discovery in the node's namespace, with a resolv.conf of the machine of its own. */
  const start = async (): Promise<ChildProcess> => {
    const script = `mount --bind ${folder}/machine.conf /etc/resolv.conf && exec "$@"`;
    const inside = [`--net=${netns.path}`, '--', 'unshare', '--mount', 'sh', '-c', script, 'sh'];
    const program = [process.execPath, '--import', 'tsx', 'test/support/dns-inside.ts'];
    const args = [...inside, ...program, folder, gateway.address, subnet];
    const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return child;
  };
  const stop = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  /** As a program in the container would, by the C library and its /etc/resolv.conf. */
  const resolves = async (name: string): Promise<string> => {
    const script = `mount --bind ${folder}/resolv.conf /etc/resolv.conf && getent ahostsv4 ${name}`;
    const args = [`--net=${pod.path}`, '--', 'unshare', '--mount', 'sh', '-c', script];
    const { code, stdout } = await tryCommand({ program: 'nsenter', args });
    const addresses = [...stdout.matchAll(/^(\S+)\s+STREAM/gm)].map(([, address = '']) => address);
    return code === 0 ? addresses.toSorted(compareText).join(' ') : `exit code ${code}`;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dns-'));
    await writeFile(join(folder, 'machine.conf'), 'nameserver 127.0.0.9\n');
    await writeFile(join(folder, 'catalogue.json'), JSON.stringify(shop));
    const facts = { resolvConf: '', dnsAddress: gateway.address };
    const text = resolvConfOf(testBody('a-0-1', { namespace: 'shop' }), facts);
    await writeFile(join(folder, 'resolv.conf'), text);
    netns = await makeNetns('dns');
    stranger = await makeNetns('stranger');
    await netns.run('ip', 'addr', 'add', '198.51.100.7/32', 'dev', 'lo');
    const link = ['link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1'];
    await netns.run('ip', ...link, 'netns', stranger.name);
    await netns.run('ip', 'addr', 'add', '203.0.113.1/24', 'dev', 'out0');
    await netns.run('ip', 'link', 'set', 'out0', 'up');
    await stranger.run('ip', 'addr', 'add', '203.0.113.2/24', 'dev', 'out1');
    await stranger.run('ip', 'link', 'set', 'out1', 'up');
    await stranger.run('ip', 'route', 'add', subnet, 'via', '203.0.113.1');
    // A firewall that lets nothing in that it does not know.
    await netns.run('nft', 'add', 'table', 'ip', 'filter');
    await netns.run('nft', `add chain ip filter INPUT { ${INPUT} policy drop; }`);
    await netns.run('nft', 'add', 'rule', 'ip', 'filter', 'INPUT', 'iifname', 'lo', 'accept');
    network = await createNativeNetwork({ node, subnet, nodeNetns: netns.path });
    pod = await network.setUp({ allocation: 'a-0-1', mode: 'bridge', ports: [] });
    runner = await start();
  });
  afterAll(async () => {
    await stop(runner, 'SIGKILL');
    await network.cleanUp();
    await netns.remove();
    await stranger.remove();
    await rm(folder, { recursive: true });
  });

  it('finds services by their short names, and the world', async () => {
    for (const name of ['web', 'web.shop', 'web.shop.svc.purser', 'web.shop.svc.purser.']) {
      expect(await resolves(name)).toBe('192.0.2.1 192.0.2.2');
    }
    expect(await resolves('world.example')).toBe('198.51.100.99');
    expect(await resolves('nobody')).toBe('exit code 2');
  });

  it('is answered also where a job publishes the port, and at no other address', async () => {
    const from = pod.path;
    const node7 = { address: '198.51.100.7', port: 53, from, seconds: 1 };
    expect((await dig(node7, 'web.shop.svc.purser')).status).toBeNull();
    await stop(runner, 'SIGTERM');
    const ports = [{ name: 'dns', port: 5353, host: 53 }];
    await network.setUp({ allocation: 'other-0-1', mode: 'bridge', ports });
    runner = await start();
    for (const over of ['+notcp', '+tcp']) {
      const found = await dig({ ...gateway, from }, over, 'web.shop.svc.purser');
      expect(found.answers).toHaveLength(2);
    }
    await network.tearDown('other-0-1');
  });

  it('asks where a person on the node may ask too', async () => {
    const server = { ...gateway, from: netns.path };
    expect((await dig(server, 'web.shop.svc.purser')).answers).toHaveLength(2);
  });

  it('waits while the runner is started again', async () => {
    await stop(runner, 'SIGKILL');
    const asking = resolves('web');
    runner = await start();
    expect(await asking).toBe('192.0.2.1 192.0.2.2');
  });

  it('is none of those outside, who get nothing', async () => {
    const from = stranger.path;
    await netns.run('nft', `add chain ip filter INPUT { ${INPUT} policy accept; }`);
    const asks = async (): Promise<readonly (string | null)[]> => {
      const server = { ...gateway, from, seconds: 1 };
      const both = ['+notcp', '+tcp'].map((over) => dig(server, over, 'web.shop.svc.purser'));
      return (await Promise.all(both)).map(({ status }) => status);
    };
    expect(await asks()).toEqual([null, null]);
    // The rules are one wall; the server, which looks at who asks, is another.
    await netns.run('nft', 'delete', 'table', 'ip', namesFor(node).dnsTable);
    expect(await asks()).toEqual([null, null]);
    await network.list();
    expect(await netns.run('nft', 'list', 'tables')).toContain(namesFor(node).dnsTable);
  });

  it('is none of those outside who forge the address of a copy: nothing is sent to that copy', async () => {
    const forged = pod.address ?? '';
    await stranger.run('ip', 'addr', 'add', `${forged}/32`, 'dev', 'out1');
    await netns.run('nft', 'add', 'table', 'ip', 'watch');
    const hook = '{ type filter hook output priority 300; policy accept; }';
    await netns.run('nft', `add chain ip watch answers ${hook}`);
    await netns.run('nft', `add rule ip watch answers ip daddr ${forged} udp sport 53 counter`);
    const looksBack = async (on: '0' | '1'): Promise<void> => {
      for (const link of ['all', 'out0']) {
        await netns.run('sysctl', '-qw', `net.ipv4.conf.${link}.rp_filter=${on}`);
      }
    };
    /** How many answers went out, so far, to whom the question was said to be from. */
    const answered = async (): Promise<number> => {
      const server = { ...gateway, from: stranger.path, seconds: 1 };
      await dig(server, '-b', forged, '+notcp', 'many.shop.svc.purser');
      const said = await netns.run('nft', 'list', 'chain', 'ip', 'watch', 'answers');
      return Number(/counter packets (\d+)/.exec(said)?.[1]);
    };
    // Whether or not the kernel asks by which way an answer would go.
    await looksBack('1');
    expect(await answered()).toBe(0);
    await looksBack('0');
    expect(await answered()).toBe(0);
    // It is the rule that holds it off: the server cannot know.
    await netns.run('nft', 'delete', 'table', 'ip', namesFor(node).dnsTable);
    expect(await answered()).toBe(1);
    await network.list();
    expect(await answered()).toBe(1);
    await netns.run('nft', 'delete', 'table', 'ip', 'watch');
    await stranger.run('ip', 'addr', 'del', `${forged}/32`, 'dev', 'out1');
  });
});
