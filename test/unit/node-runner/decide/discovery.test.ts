// What copies are told to ask, which own copies are named, and the files of load balancers.

import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import type { AllocationMark } from '../../../../node-runner/decide/inventory.ts';
import { newMark } from '../../../../node-runner/decide/marks.ts';
import { isOwnOut } from '../../../../node-runner/decide/own-copies.ts';
import { resolvConfOf } from '../../../../node-runner/decide/resolv-conf.ts';
import { presentIn, renderFile } from '../../../../node-runner/decide/service-files.ts';
import { catalogue, instance, outside, service } from '../../../support/catalogues.ts';
import { testBody, testGroup } from '../../../support/runner-specs.ts';

describe('resolv.conf', () => {
  const shop = testBody('a-0-1', { namespace: 'shop' });
  const ask = (resolvConf: string) => resolvConfOf(shop, { resolvConf, dnsAddress: '10.1.4.1' });

  it('names the runner alone, and looks for services first', () => {
    expect(ask('nameserver 192.0.2.53\n')).toBe(
      'nameserver 10.1.4.1\nsearch shop.svc.purser svc.purser\n' +
        'options ndots:2 timeout:3 attempts:5\n',
    );
  });

  it('goes on with what the machine says', () => {
    const text = 'domain old.example\nsearch one.example .\noptions edns0 ndots:5 rotate\n';
    expect(ask(text)).toContain('search shop.svc.purser svc.purser one.example\n');
    expect(ask(text)).toContain('options ndots:2 timeout:3 attempts:5 edns0 rotate\n');
  });

  it('holds as many domains as C libraries read', () => {
    const many = `search ${'a b c d e f g h'.split(' ').join('.example ')}`;
    expect(ask(many).split('\n')[1]?.split(' ')).toHaveLength(7);
    expect(ask(`search ${'x'.repeat(300)}`)).toContain('search shop.svc.purser svc.purser\n');
  });

  it('is the machine’s where the runner does not answer, or there is no bridge', () => {
    const resolvConf = 'nameserver 192.0.2.53\n';
    expect(resolvConfOf(shop, { resolvConf })).toBe(resolvConf);
    const none = { ...shop, spec: testGroup({ networkMode: 'none' }) };
    expect(resolvConfOf(none, { resolvConf, dnsAddress: '10.1.4.1' })).toBe(resolvConf);
  });

  it('has what whoever made the network names in place of the machine’s', () => {
    const node = { resolvConf: 'nameserver 192.0.2.53\nsearch machine.example\n' };
    const dns = { ...node, dnsAddress: '169.254.130.7' };
    const made = 'nameserver 192.0.2.99\nsearch made.example\noptions rotate\n';
    expect(resolvConfOf(shop, dns, { resolvConf: made })).toBe(
      'nameserver 169.254.130.7\nsearch shop.svc.purser svc.purser made.example\n' +
        'options ndots:2 timeout:3 attempts:5 rotate\n',
    );
    expect(resolvConfOf(shop, dns, { reachesDns: false, resolvConf: made })).toBe(made);
    expect(resolvConfOf(shop, dns, { reachesDns: false })).toBe(node.resolvConf);
    // It names domains alone: the last line of both counts.
    const domains = { reachesDns: false, resolvConf: 'search made.example\n' };
    expect(resolvConfOf(shop, dns, domains)).toBe(`${node.resolvConf}\nsearch made.example\n`);
  });
});

describe('an own copy', () => {
  const runs = (fields: Partial<AllocationMark> = {}): AllocationMark => {
    const mark = newMark(testBody('a-0-1'), 0);
    const tasks = mark.tasks.map((task) => ({ ...task, run: 'open' as const, runSince: 1 }));
    return { ...mark, healthySince: 1, tasks, ...fields };
  };
  const orders = { node: 'n1', cluster: 'test', generation: 1, commit: 'c', items: [] };
  const isOut = (mark: AllocationMark | null, accepted: typeof orders | null = orders) => {
    const marks = new Map(mark === null ? [] : [[mark.allocation, mark]]);
    return isOwnOut('a-0-1', { orders: accepted, marks, containers: new Map() });
  };
  const stop = {
    reason: 'rollout',
    since: 5,
    killTimeoutMs: null,
    networkGone: false,
    filesGone: false,
  } as const;
  const ended = runs().tasks.map((task) => ({ ...task, run: 'ended' as const }));
  const unstarted = runs().tasks.map((task) => ({ ...task, run: 'none' as const }));

  it.each([
    ['runs and is healthy', runs(), false],
    ['is being stopped', runs({ stop }), true],
    ['died', runs({ tasks: ended }), true],
    ['is dead for good', runs({ deadAt: 4 }), true],
    ['has not begun', runs({ tasks: unstarted }), true],
    ['was not healthy since it last was not', runs({ healthySince: null }), true],
    ['is not here', null, true],
  ])('%s', (_, mark, expected) => {
    expect(isOut(mark)).toBe(expected);
  });

  it('is out as soon as its end is heard', () => {
    const container = {
      id: 'a-0-1.server',
      labels: {},
      image: 'i',
      task: 'stopped',
      pid: null,
      exit: null,
      outOfMemory: false,
    } as const;
    const containers = new Map([[container.id, container]]);
    expect(isOwnOut('a-0-1', { orders, marks: new Map([['a-0-1', runs()]]), containers })).toBe(
      true,
    );
  });

  it('stays in while the runner knows nothing yet', () => {
    expect(isOut(null, null)).toBe(false);
  });
});

describe('files', () => {
  const shop = catalogue(
    service('data/none', []),
    service('shop/bank', [outside('bank.example.org', 443)]),
    service('shop/web', [
      instance({ tags: ['a', 'b'] }),
      instance({ allocation: 'a2-0-1', node: 'n2', address: '2001:db8::1', port: 80 }),
    ]),
  );

  it('of HAProxy have a backend a service', () => {
    expect(renderFile('haproxy', shop)).toBe(`\
# Written by Purser whenever a service changes: what is written here by hand is lost.

backend data_none
    balance roundrobin

backend shop_bank
    balance roundrobin
    server bank.example.org:443 bank.example.org:443 check init-addr libc,none

backend shop_web
    balance roundrobin
    server a1-0-1 192.0.2.1:20001 check
    server a2-0-1 [2001:db8::1]:80 check
`);
  });

  it('of Traefik are YAML with services for both kinds of routers', () => {
    expect(load(renderFile('traefik', shop))).toEqual({
      http: {
        services: {
          shop_bank: { loadBalancer: { servers: [{ url: 'http://bank.example.org:443' }] } },
          shop_web: {
            loadBalancer: {
              servers: [{ url: 'http://192.0.2.1:20001' }, { url: 'http://[2001:db8::1]:80' }],
            },
          },
        },
      },
      tcp: {
        services: {
          shop_bank: { loadBalancer: { servers: [{ address: 'bank.example.org:443' }] } },
          shop_web: {
            loadBalancer: {
              servers: [{ address: '192.0.2.1:20001' }, { address: '[2001:db8::1]:80' }],
            },
          },
        },
      },
    });
  });

  it('of Prometheus are groups with labels', () => {
    expect(JSON.parse(renderFile('prometheus', shop))).toEqual([
      {
        targets: ['bank.example.org:443'],
        labels: { purser_namespace: 'shop', purser_service: 'bank' },
      },
      {
        targets: ['192.0.2.1:20001'],
        labels: {
          purser_namespace: 'shop',
          purser_service: 'web',
          purser_job: 'web',
          purser_node: 'n1',
          purser_allocation: 'a1-0-1',
          purser_tags: ',a,b,',
        },
      },
      {
        targets: ['[2001:db8::1]:80'],
        labels: {
          purser_namespace: 'shop',
          purser_service: 'web',
          purser_job: 'web',
          purser_node: 'n2',
          purser_allocation: 'a2-0-1',
        },
      },
    ]);
  });

  it('leave out what is gone, and nothing else', () => {
    const present = presentIn(shop, ({ allocation }) => allocation === 'a1-0-1');
    expect(renderFile('haproxy', present)).not.toContain('a1-0-1');
    expect(renderFile('haproxy', present)).toContain('a2-0-1');
  });
});
