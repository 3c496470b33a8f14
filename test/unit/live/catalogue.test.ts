// Which copies are found (rules 16): each row is a copy and what becomes of it.

import { describe, expect, it } from 'vitest';
import { createCatalogueMemo } from '../../../reconciler/live/catalogue-memo.ts';
import { servicesOf, shownServices } from '../../../reconciler/live/catalogue.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../../schema/live.ts';
import { CATALOGUE_INSTANCES, serviceId } from '../../../schema/services.ts';
import { aCopy, aJob, aNode, DEAD, desiredOf, liveOf, STARTING } from '../../support/world.ts';

const SERVICE = { name: 'site', port: 'http', tags: ['v1'] };
const job = aJob({
  groups: [{ ports: [{ name: 'http', port: 80, host: null }], services: [SERVICE] }],
});
const PORTS = [{ name: 'http', port: 80, host: 20_001 }];

const copyOn = (node: string, index: number, facts: Partial<LiveAllocation> = {}) =>
  aCopy(job, { node, index }, { ports: PORTS, address: `10.0.0.${index + 1}`, ...facts });

const one = copyOn('n001', 0);
const two = copyOn('n002', 1);

/** `ready` addresses, `waiting` reasons, of the one service. */
const found = (
  copies: readonly LiveAllocation[],
  nodes: Readonly<Record<string, Partial<LiveNode>>> = {},
  desired: DesiredState = desiredOf([job]),
) => {
  const memo = createCatalogueMemo();
  servicesOf(desired, liveOf(copies, nodes), memo);
  const [service] = shownServices(memo);
  return {
    ready: service?.instances.map(({ address, port }) => `${address}:${port}`).toSorted(),
    waiting: service?.waiting.map(({ why }) => why),
  };
};

describe('a copy', () => {
  it('that is healthy is found at its node’s address and published port', () => {
    const memo = createCatalogueMemo();
    const { catalogue } = servicesOf(desiredOf([job]), liveOf([one]), memo);
    expect(catalogue).toEqual({
      services: [
        {
          namespace: 'shop',
          name: 'site',
          instances: [
            {
              allocation: one.allocation,
              node: 'n001',
              job: 'web',
              group: 'main',
              address: '10.0.0.1',
              port: 20_001,
              tags: ['v1'],
            },
          ],
        },
      ],
    });
  });

  it.each<[string, Partial<LiveAllocation>, string]>([
    ['starts', STARTING, 'not ready yet'],
    ['was ordered only', { phase: 'pending', standing: 'ordered' }, 'has not started yet'],
    ['fails its check', { health: 'unhealthy' }, 'not healthy'],
    ['is told to stop', { stopping: true }, 'is being stopped'],
    ['stops', { phase: 'stopping', stopping: true }, 'is being stopped'],
    ['stops by itself', { phase: 'stopping' }, 'is being stopped'],
    ['has no such port', { ports: [] }, 'its version has no port http'],
    ['has no address', { address: null }, 'n001 tells no address at which its ports answer'],
    ['tells an odd one', { address: 'a\nb' }, 'n001 tells no address at which its ports answer'],
    [
      'is reached by nobody else',
      { address: '127.0.0.1' },
      'n001 says that its address is 127.0.0.1, where no other node reaches it: start its runner with --address',
    ],
  ])('that %s is not found, and says why', (_name, facts, why) => {
    expect(found([copyOn('n001', 0, facts), two])).toEqual({
      ready: ['10.0.0.2:20001'],
      waiting: [why],
    });
    expect(found([copyOn('n001', 0, facts)])).toEqual({ ready: [], waiting: [why] });
  });

  it('tells what its check said', () => {
    const check = { name: 'main', state: 'running', restarts: 0, health: 'unhealthy' } as const;
    const tasks = [{ ...check, lastCheck: 'GET /healthz: 503', exit: null, pid: 1 }];
    expect(found([copyOn('n001', 0, { health: 'unhealthy', tasks })]).waiting).toEqual([
      'not healthy: GET /healthz: 503',
    ]);
  });

  it('that is dead is not told of', () => {
    expect(found([copyOn('n001', 0, DEAD)])).toEqual({ ready: [], waiting: [] });
  });

  it('stays found while its runner is started again', () => {
    const facts = { health: 'unproven', wasHealthy: true } as const;
    expect(found([copyOn('n001', 0, facts)]).ready).toEqual(['10.0.0.1:20001']);
  });

  it('is found on loopback where there is no other node', () => {
    const desired = desiredOf([job], { nodes: [aNode('n001')] });
    expect(found([copyOn('n001', 0, { address: '127.0.0.1' })], {}, desired).ready).toEqual([
      '127.0.0.1:20001',
    ]);
  });

  it('of a job that nobody wrote is not found', () => {
    expect(found([one], {}, desiredOf([]))).toEqual({ ready: undefined, waiting: undefined });
  });
});

describe('a copy that may serve still', () => {
  const image = { repository: 'r', digest: 'sha256:1' };
  const waits = { stopping: true, stopWaits: [image] };

  it('is found where no other is: its stop waits for an image', () => {
    expect(found([copyOn('n001', 0, waits)]).ready).toEqual(['10.0.0.1:20001']);
    expect(found([copyOn('n001', 0, waits), two])).toEqual({
      ready: ['10.0.0.2:20001'],
      waiting: ['is stopped as soon as the next image is here'],
    });
  });

  it('counts as one that waits before its runner has said so', () => {
    const item = { kind: 'stop', allocation: one.allocation, reason: 'rollout' } as const;
    const sent = (images: boolean) => ({
      node: 'n001',
      cluster: 'test',
      generation: 2,
      commit: 'c',
      items: [{ ...item, killTimeoutMs: 1, ...(images ? { images: [image] } : {}) }],
    });
    const stopping = copyOn('n001', 0, { stopping: true });
    expect(found([stopping], { n001: { sent: sent(true) } }).ready).toEqual(['10.0.0.1:20001']);
    expect(found([stopping], { n001: { sent: sent(false) } }).ready).toEqual([]);
  });

  it('is one of a lost node; one of an unknown node counts as it was', () => {
    const silent = { connected: false, silentForMs: 29_999 };
    const lost = { connected: false, silentForMs: 30_000 };
    expect(found([one, two], { n001: silent }).ready).toEqual(['10.0.0.1:20001', '10.0.0.2:20001']);
    expect(found([one, two], { n001: lost })).toEqual({
      ready: ['10.0.0.2:20001'],
      waiting: ['n001 is lost'],
    });
    expect(found([one], { n001: lost }).ready).toEqual(['10.0.0.1:20001']);
  });
});

describe('a service', () => {
  const external = (...addresses: string[]) => ({
    namespaces: [
      {
        name: 'shop',
        protected: false,
        quota: null,
        evidence: 'codes' as const,
        external: [{ name: 'site', addresses, port: 443, tags: [] }],
      },
    ],
  });

  it('exists as long as Git says so, without any copy', () => {
    expect(found([])).toEqual({ ready: [], waiting: [] });
  });

  it('outside is always found, beside copies of the same name', () => {
    const desired = desiredOf([job], external('192.0.2.7'));
    expect(found([one], {}, desired).ready).toEqual(['10.0.0.1:20001', '192.0.2.7:443']);
    expect(found([], {}, desired).ready).toEqual(['192.0.2.7:443']);
  });

  it('is made of the copies of several jobs of its namespace', () => {
    const other = aJob({ name: 'new', groups: job.spec.groups });
    const copy = aCopy(other, { node: 'n003', index: 0 }, { ports: PORTS, address: '10.0.0.3' });
    expect(found([one, copy], {}, desiredOf([job, other])).ready).toHaveLength(2);
  });
});

describe('from one pass to the next', () => {
  it('the catalogue is the same object while nothing changed, and services in it are', () => {
    const memo = createCatalogueMemo();
    const quiet = aJob({
      name: 'quiet',
      groups: [{ ports: PORTS, services: [{ ...SERVICE, name: 'quiet' }] }],
    });
    const desired = desiredOf([job, quiet]);
    const first = servicesOf(desired, liveOf([one, two]), memo).catalogue;
    expect(servicesOf(desired, liveOf([one, two]), memo).catalogue).toBe(first);
    expect(
      servicesOf({ ...desired, jobs: [...desired.jobs] }, liveOf([one, two]), memo).catalogue,
    ).toBe(first);
    const next = servicesOf(desired, liveOf([one]), memo).catalogue;
    expect(next).not.toBe(first);
    expect(next.services.map(serviceId)).toEqual(['shop/quiet', 'shop/site']);
    expect(next.services[0]).toBe(first.services[0]);
    expect(next.services[1]?.instances).toHaveLength(1);
  });

  it('a node that is gone takes its copies along, a job its name', () => {
    const memo = createCatalogueMemo();
    servicesOf(desiredOf([job]), liveOf([one]), memo);
    const empty: LiveState = { upForMs: 3_600_000, nodes: [] };
    expect(servicesOf(desiredOf([job]), empty, memo).catalogue.services).toMatchObject([
      { instances: [] },
    ]);
    expect(servicesOf(desiredOf([]), empty, memo).catalogue.services).toEqual([]);
  });

  it('names the nodes that were not heard from, until they are lost', () => {
    const memo = createCatalogueMemo();
    const at = (upForMs: number, names: readonly string[]) =>
      servicesOf(desiredOf([job]), { ...liveOf([], {}, names), upForMs }, memo).catalogue.unheard;
    expect(at(1_000, ['n001'])).toEqual(['n002', 'n003']);
    expect(at(2_000, ['n001', 'n002'])).toEqual(['n003']);
    expect(at(30_000, ['n001', 'n002'])).toBeUndefined();
  });
});

it('more instances than CATALOGUE_INSTANCES are left out, and counted', () => {
  const addresses = Array.from({ length: CATALOGUE_INSTANCES }, (_, at) => `10.0.0.${at}`);
  const external = [{ name: 'a', addresses, port: 1, tags: [] }];
  const namespace = { name: 'shop', protected: false, quota: null, evidence: 'codes' as const };
  const desired = desiredOf([job], { namespaces: [{ ...namespace, external }] });
  const memo = createCatalogueMemo();
  const { catalogue, leftOut } = servicesOf(desired, liveOf([one, two]), memo);
  expect(catalogue.services.map(({ instances }) => instances.length)).toEqual([100_000, 0]);
  expect(leftOut).toBe(2);
  expect(shownServices(memo)[1]?.waiting.map(({ why }) => why)).toEqual([
    'beyond the first 100000 of the cluster',
    'beyond the first 100000 of the cluster',
  ]);
});
