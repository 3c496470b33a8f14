// What a reconciler may do before it has heard from the nodes, over virtual time (invariant 8).
import { describe, expect, it } from 'vitest';
import { createCluster, restart, run, type Cluster } from '../support/virtual-cluster.ts';
import { aJob, desiredOf } from '../support/world.ts';

const connect = (cluster: Cluster, connected: boolean): void => {
  for (const runner of cluster.runners.values()) runner.connected = connected;
};
const copiesOf = (cluster: Cluster, job: string): number =>
  [...cluster.runners.values()]
    .flatMap(({ copies }) => [...copies.values()])
    .filter(({ copy }) => copy.body.job === job).length;

describe('a reconciler that starts without a ledger, before any node was heard from', () => {
  const volume = { name: 'data', onLoss: 'wait' as const };
  const old = aJob({ name: 'old', groups: [{ count: 1, volumes: [volume] }] });
  const web = aJob({ count: 2 });

  it('calls no commit synced, so that what it finds later waits for a person (8.1, 11)', () => {
    const cluster = createCluster(desiredOf([old, web]));
    run(cluster, 30_000);
    expect(cluster.desired.jobs.every(({ settled }) => settled)).toBe(true);
    // The ledger is gone, and so is the job `old`.
    cluster.desired = desiredOf([web], { lastSynced: null });
    restart(cluster);
    connect(cluster, false);
    run(cluster, 2_000);
    expect(cluster.lastPlan?.synced).toBe(false);
    expect(cluster.desired.lastSynced).toBeNull();
    connect(cluster, true);
    run(cluster, 30_000);
    expect(copiesOf(cluster, 'old')).toBe(1);
    expect(cluster.lastPlan?.guarded).toMatchObject([{ job: 'shop/old' }]);
    expect(cluster.violations).toEqual([]);
  });

  it('a first commit is synced once all its nodes spoke', () => {
    const cluster = createCluster(desiredOf([web], { lastSynced: null }));
    run(cluster, 2_000);
    expect(cluster.desired.lastSynced).toBe(cluster.desired.commit.oid);
  });

  describe('while a node is away for longer than lost_after', () => {
    const away = (cluster: Cluster): void => {
      run(cluster, 30_000);
      const home = [...cluster.runners.values()].find(({ copies }) =>
        [...copies.values()].some(({ copy }) => copy.body.job === 'old'),
      );
      if (home === undefined) throw new Error('the job was not placed');
      cluster.desired = desiredOf([web], { lastSynced: null });
      restart(cluster);
      home.connected = false;
      run(cluster, 120_000);
    };
    const back = (cluster: Cluster): void => {
      connect(cluster, true);
      run(cluster, 30_000);
    };

    it('nothing is synced: what it brings back waits for a person (8.1, 11)', () => {
      const cluster = createCluster(desiredOf([old, web]));
      away(cluster);
      expect(cluster.lastPlan?.synced).toBe(false);
      expect(cluster.desired.lastSynced).toBeNull();
      back(cluster);
      expect(copiesOf(cluster, 'old')).toBe(1);
      expect(cluster.lastPlan?.guarded).toMatchObject([{ job: 'shop/old' }]);
    });

    it('a removal says which node is waited for, and what to do', () => {
      const cluster = createCluster(desiredOf([old, web]));
      away(cluster);
      cluster.desired = { ...cluster.desired, jobs: [aJob({ count: 1 })] };
      run(cluster, 5_000);
      const [guarded] = cluster.lastPlan?.guarded ?? [];
      expect(guarded).toMatchObject({ job: 'shop/web', slots: ['shop/web/main[1]'] });
      expect(guarded?.why).toMatch(/n00\d never spoke .*bring it back, or git rm nodes\/n00\d/);
      expect(copiesOf(cluster, 'web')).toBe(2);
    });

    it('a volume that it may hold is not made anew elsewhere (14)', () => {
      const cluster = createCluster(desiredOf([old, web]));
      away(cluster);
      cluster.desired = { ...cluster.desired, jobs: [old, web] };
      run(cluster, 30_000);
      expect(copiesOf(cluster, 'old')).toBe(1);
      expect(cluster.lastPlan?.blocked).toMatchObject([
        { job: 'shop/old', why: 'volume-node-lost', detail: expect.stringMatching(/git rm nodes/) },
      ]);
      back(cluster);
      expect(copiesOf(cluster, 'old')).toBe(1);
      expect(cluster.desired.lastSynced).toBe(cluster.desired.commit.oid);
      expect(cluster.violations).toEqual([]);
    });
  });
});
