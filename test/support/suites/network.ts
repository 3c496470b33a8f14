// What every NetworkPort must do, run on the real kernel and on the simulator's.
// In: a name and a maker. Out: registered tests. Not here: whether packets arrive
// (test/contract/network.test.ts).

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { NetworkPort } from '../../../node-runner/ports.ts';

export interface NetworkUnderTest {
  readonly port: NetworkPort;
  /** A new port over the same kernel, as after a restart of the runner. */
  readonly restart: () => Promise<NetworkPort>;
  readonly close: () => Promise<void>;
}

const http = (host: number) => [{ name: 'http', port: 80, host }];

export const networkSuite = (name: string, make: () => Promise<NetworkUnderTest>): void => {
  describe(`${name}: the contract of NetworkPort`, () => {
    let world: NetworkUnderTest;
    beforeAll(async () => {
      world = await make();
    });
    afterAll(() => world.close());

    it('gives each allocation an address and a path of its own', async () => {
      const asks = ['a-0-1', 'b-0-1', 'c-0-1'].map((allocation, index) => ({
        allocation,
        mode: 'bridge' as const,
        ports: http(21_000 + index),
      }));
      const facts = await Promise.all(asks.map((ask) => world.port.setUp(ask)));
      expect(new Set(facts.map(({ address }) => address)).size).toBe(3);
      expect(new Set(facts.map(({ path }) => path)).size).toBe(3);
      expect(facts.map(({ allocation }) => allocation)).toEqual(['a-0-1', 'b-0-1', 'c-0-1']);
      expect(await world.port.list()).toEqual(facts);
    });

    it('answers a repeated setUp with the same facts, also after a restart', async () => {
      const ask = { allocation: 'a-0-1', mode: 'bridge' as const, ports: http(21_000) };
      const before = await world.port.setUp(ask);
      expect(await world.port.setUp(ask)).toEqual(before);
      expect(await (await world.restart()).setUp(ask)).toEqual(before);
    });

    it('has no address in mode none', async () => {
      const ask = { allocation: 'n-0-1', mode: 'none' as const, ports: [] };
      const facts = await world.port.setUp(ask);
      expect(facts.address).toBeNull();
      expect(await world.port.list()).toContainEqual(facts);
      await world.port.tearDown('n-0-1');
    });

    it('refuses a host port that another allocation has, and leaves nothing behind', async () => {
      const before = await world.port.list();
      const ask = { allocation: 'd-0-1', mode: 'bridge' as const, ports: http(21_001) };
      await expect(world.port.setUp(ask)).rejects.toMatchObject({
        kind: 'runtime-failure',
        reason: 'network',
        message: expect.stringContaining('21001'),
      });
      expect(await world.port.list()).toEqual(before);
    });

    it('refuses a name that could be taken for a command', async () => {
      const ask = { allocation: 'a\nlink del eth0', mode: 'none' as const, ports: [] };
      await expect(world.port.setUp(ask)).rejects.toMatchObject({ reason: 'bad-spec' });
    });

    it('frees the host port on tearDown, which may be repeated', async () => {
      await world.port.tearDown('b-0-1');
      await world.port.tearDown('b-0-1');
      await world.port.tearDown('never-was-0-1');
      const ask = { allocation: 'd-0-1', mode: 'bridge' as const, ports: http(21_001) };
      await world.port.setUp(ask);
      expect((await world.port.list()).map((facts) => facts.allocation)).toEqual([
        'a-0-1',
        'c-0-1',
        'd-0-1',
      ]);
    });

    it('adopts what a runner before it made', async () => {
      const before = await world.port.list();
      const after = await world.restart();
      expect(await after.list()).toEqual(before);
      for (const { allocation } of before) await after.tearDown(allocation);
      expect(await after.list()).toEqual([]);
    });
  });
};
