// The network edge with Debian's CNI plugins: the contract, packets, and what is left behind.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createNetwork, networkCleanUp } from '../../node-runner/edge/network/network.ts';
import type { ManagedNetwork, NetworkOptions } from '../../node-runner/edge/network/network.ts';
import { makeNetns } from '../support/netns.ts';
import type { TestNetns } from '../support/netns.ts';
import { networkSuite } from '../support/suites/network.ts';

const BIN_DIR = '/usr/lib/cni';
const installed = await access(join(BIN_DIR, 'portmap')).then(
  () => true,
  () => false,
);

const makeOptions = async (netns: TestNetns, root: string): Promise<NetworkOptions> => {
  const id = randomBytes(3).toString('hex');
  const config = {
    cniVersion: '1.0.0',
    name: `test-${id}`,
    plugins: [
      {
        type: 'bridge',
        bridge: `t${id}`,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: join(root, 'ipam'),
          subnet: '10.98.0.0/24',
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
  await mkdir(join(root, 'net.d'));
  await writeFile(join(root, 'net.d/10-test.conflist'), JSON.stringify(config));
  return {
    kind: 'cni',
    node: `test-${id}`,
    nodeNetns: netns.path,
    config: join(root, 'net.d'),
    binDir: BIN_DIR,
    stateDir: join(root, 'state'),
  };
};

const setting = async () => {
  const netns = await makeNetns('cni');
  const root = await mkdtemp(join(tmpdir(), 'purser-cni-'));
  const options = await makeOptions(netns, root);
  const close = async (): Promise<void> => {
    await networkCleanUp(options);
    await netns.remove();
    await rm(root, { recursive: true, force: true });
  };
  return { netns, root, options, close };
};

describe.runIf(installed)('CNI', () => {
  networkSuite('CNI plugins', async () => {
    const { options, close } = await setting();
    return { port: await createNetwork(options), restart: () => createNetwork(options), close };
  });

  describe('packets and traces', () => {
    let world: Awaited<ReturnType<typeof setting>>;
    let network: ManagedNetwork;
    beforeAll(async () => {
      world = await setting();
      network = await createNetwork(world.options);
    });
    afterAll(() => world.close());

    it('reach an allocation by its host port', async () => {
      const ports = [{ name: 'http', port: 80, host: 21_000 }];
      const made = await network.setUp({ allocation: 'a-0-1', mode: 'bridge', ports });
      const script = `require('net').createServer((s) => s.end('hello')).listen(80);
        console.log('up');`;
      const args = [`--net=${made.path}`, '--', process.execPath, '-e', script];
      const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        await new Promise((resolve) => child.stdout.once('data', resolve));
        const ask = `require('net').connect(21000, '127.0.0.1').pipe(process.stdout);`;
        expect(await world.netns.run(process.execPath, '-e', ask)).toBe('hello');
      } finally {
        child.kill('SIGKILL');
      }
    });

    it('leave no reservation after tearDown, or when the namespace went away by itself', async () => {
      const reserved = async (): Promise<readonly string[]> => {
        const [name = ''] = await readdir(join(world.root, 'ipam'));
        const files = await readdir(join(world.root, 'ipam', name));
        return files.filter((file) => /^\d/.test(file));
      };
      expect(await reserved()).toHaveLength(1);
      await network.tearDown('a-0-1');
      expect(await reserved()).toEqual([]);
      const lost = await network.setUp({ allocation: 'b-0-1', mode: 'bridge', ports: [] });
      await world.netns.run('ip', 'netns', 'del', lost.path.split('/').at(-1) ?? '');
      await createNetwork(world.options);
      expect(await reserved()).toEqual([]);
      expect(await readdir(join(world.root, 'state'))).toEqual([]);
    });

    it('are explained when the configuration is wrong', async () => {
      const bad = { ...world.options, config: join(world.root, 'absent') };
      await expect(createNetwork(bad)).rejects.toThrow('CNI configuration cannot be read');
      const noBin = await createNetwork({ ...world.options, binDir: '/absent' } as NetworkOptions);
      await expect(
        noBin.setUp({ allocation: 'c-0-1', mode: 'bridge', ports: [] }),
      ).rejects.toMatchObject({ kind: 'runtime-failure', reason: 'network' });
      await network.tearDown('c-0-1');
      expect(await network.list()).toEqual([]);
    });
  });
});
