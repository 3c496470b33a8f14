// The network edge with Debian's CNI plugins: the contract, packets, and what is left behind.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createNetwork, networkCleanUp } from '../../node-runner/edge/network/network.ts';
import type { ManagedNetwork } from '../../node-runner/edge/network/network.ts';
import { CNI_BIN_DIR, hasCni, writeCniConfig } from '../support/cni.ts';
import { makeNetns } from '../support/netns.ts';
import type { TestNetns } from '../support/netns.ts';
import { networkSuite } from '../support/suites/network.ts';

const makeOptions = async (netns: TestNetns, root: string) => {
  const id = randomBytes(3).toString('hex');
  return {
    kind: 'cni' as const,
    node: `test-${id}`,
    nodeNetns: netns.path,
    config: await writeCniConfig({ root, id }),
    binDir: CNI_BIN_DIR,
    stateDir: join(root, 'state'),
    log: { warn: () => undefined },
  };
};

const setting = async () => {
  const netns = await makeNetns('cni');
  const root = await mkdtemp(join(tmpdir(), 'purser-cni-'));
  const options = await makeOptions(netns, root);
  const close = async (): Promise<void> => {
    expect(await networkCleanUp(options)).toEqual([]);
    await netns.remove();
    await rm(root, { recursive: true, force: true });
  };
  return { netns, root, options, close };
};

describe.runIf(hasCni)('CNI', () => {
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

    it('come without DNS where its address cannot be had, and with it from the next start on', async () => {
      const { netns, options } = world;
      await network.cleanUp();
      const said: string[] = [];
      const log = { warn: (_: object, message: string) => said.push(message) };
      await netns.run('ip', 'route', 'add', 'blackhole', '169.254.128.0/19');
      const without = await createNetwork({ ...options, log });
      expect(without.dns).toBeNull();
      expect(said).toEqual([expect.stringContaining('no address of 169.254.128.0/19 is free')]);
      const made = await without.setUp({ allocation: 'd-0-1', mode: 'bridge', ports: [] });
      expect(made).toMatchObject({ reachesDns: false });
      await netns.run('ip', 'route', 'del', 'blackhole', '169.254.128.0/19');
      network = await createNetwork({ ...options, log });
      expect(await network.list()).toEqual([{ ...made, reachesDns: true }]);
      expect(network.dns?.holds(made.address ?? '')).toBe(true);
      await network.tearDown('d-0-1');
      expect(network.dns?.holds(made.address ?? '')).toBe(false);
      expect(said).toHaveLength(1);
    });

    it('are explained when the configuration is wrong', async () => {
      const bad = { ...world.options, config: join(world.root, 'absent') };
      await expect(createNetwork(bad)).rejects.toThrow('CNI configuration cannot be read');
      const noBin = await createNetwork({ ...world.options, binDir: '/absent' });
      await expect(
        noBin.setUp({ allocation: 'c-0-1', mode: 'bridge', ports: [] }),
      ).rejects.toMatchObject({ kind: 'runtime-failure', reason: 'network' });
      await network.tearDown('c-0-1');
      expect(await network.list()).toEqual([]);
    });
  });
});
