// What every StorePort must do, run on the real disk and on the simulator's.
// In: a name and a maker. Out: registered tests. Not here: file modes and damage (contract test).

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { StorePort } from '../../../node-runner/ports.ts';
import type { NodeOrders } from '../../../schema/orders.ts';

export interface StoreUnderTest {
  readonly port: StorePort;
  /** A new port over the same disk, as after a restart of the runner. */
  readonly restart: () => Promise<StorePort>;
  readonly close: () => Promise<void>;
}

export const someOrders = (generation: number): NodeOrders => ({
  node: 'n1',
  cluster: 'c1',
  generation,
  commit: 'abc',
  items: [{ kind: 'stop', allocation: 'a-0-1', reason: 'drain', killTimeoutMs: 1000 }],
});

const ask = {
  allocation: 'a-0-1',
  tasks: [
    { name: 'web', files: [{ path: '/etc/app.toml', content: 'x = "ü"\n' }] },
    { name: 'side', files: [] },
  ],
  volumes: ['team.job.web.0.data'],
};

export const storeSuite = (name: string, make: () => Promise<StoreUnderTest>): void => {
  describe(`${name}: the contract of StorePort`, () => {
    let world: StoreUnderTest;
    beforeAll(async () => {
      world = await make();
    });
    afterAll(() => world.close());

    it('has no orders, no marks and no contact at first', async () => {
      expect(await world.port.readOrders()).toBeNull();
      expect(await world.port.readMarks()).toBeNull();
      expect(await world.port.readContact()).toBeNull();
    });

    it('keeps the last orders, marks and contact over a restart', async () => {
      await world.port.writeOrders(someOrders(1));
      await world.port.writeOrders(someOrders(2));
      await world.port.writeMarks({ a: { restarts: 3 } });
      await world.port.writeContact({ at: 1000, bootId: 'boot-1' });
      await world.port.writeContact({ at: 2000.5, bootId: 'boot-1' });
      const after = await world.restart();
      expect(await after.readContact()).toEqual({ at: 2000.5, bootId: 'boot-1' });
      expect(await after.readOrders()).toEqual(someOrders(2));
      expect(await after.readMarks()).toEqual({ a: { restarts: 3 } });
    });

    it('keeps one of them whole when many writes meet', async () => {
      const generations = Array.from({ length: 20 }, (_, index) => index + 10);
      await Promise.all(generations.map((one) => world.port.writeOrders(someOrders(one))));
      const kept = await (await world.restart()).readOrders();
      expect(generations).toContain(kept?.generation);
      expect(kept).toEqual(someOrders(kept?.generation ?? 0));
    });

    it('prepares a path for every file, volume and log, the same ones again', async () => {
      const paths = await world.port.prepare(ask);
      expect(Object.keys(paths.files)).toEqual(['web\n/etc/app.toml']);
      expect(Object.keys(paths.volumes)).toEqual(['team.job.web.0.data']);
      expect(Object.keys(paths.logs).toSorted()).toEqual(['side', 'web']);
      expect(await world.port.prepare(ask)).toEqual(paths);
    });

    it('keeps volumes when an allocation is discarded, and removes them when told', async () => {
      await world.port.discard('a-0-1', 'files');
      await world.port.discard('a-0-1', 'files-and-logs');
      await world.port.discard('never-was', 'files-and-logs');
      expect(await world.port.volumes()).toEqual(['team.job.web.0.data']);
      await world.port.removeVolume('team.job.web.0.data');
      await world.port.removeVolume('team.job.web.0.data');
      expect(await world.port.volumes()).toEqual([]);
    });

    it('has no end of a log that nobody wrote', async () => {
      const of = { allocation: 'a-0-1', task: 'web', run: 'newest', bytes: 100 } as const;
      expect(await world.port.endOfLog(of)).toBe('');
      expect(await world.port.endOfLog({ ...of, allocation: 'never-was' })).toBe('');
    });

    it('refuses names that would leave their folder', async () => {
      await expect(world.port.prepare({ ...ask, allocation: '../x' })).rejects.toMatchObject({
        kind: 'runtime-failure',
        reason: 'bad-spec',
      });
      await expect(world.port.removeVolume('..')).rejects.toMatchObject({ reason: 'bad-spec' });
    });
  });
};
