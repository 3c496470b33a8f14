// The pure parts of the network edge: names, subnets, nft's text and JSON, socket tables.

import { describe, expect, it } from 'vitest';

import { createBatcher } from '../../../../../node-runner/edge/network/batcher.ts';
import {
  dnsAddressesIn,
  parseListening,
} from '../../../../../node-runner/edge/network/listening.ts';
import { namesFor } from '../../../../../node-runner/edge/network/names.ts';
import {
  addMappings,
  deleteMappings,
  handlesWithComment,
  parseMappings,
  parseOtherMappings,
} from '../../../../../node-runner/edge/network/ruleset.ts';
import {
  addressOf,
  chooseSubnet,
  formatSubnet,
  gatewayOf,
  nextHost,
  overlaps,
  parseSubnet,
} from '../../../../../node-runner/edge/network/subnet.ts';
import type { Subnet } from '../../../../../node-runner/edge/network/subnet.ts';

const subnet = (text: string): Subnet => {
  const parsed = parseSubnet(text);
  if (parsed === null) throw new Error(text);
  return parsed;
};

describe('names', () => {
  it('fit the kernel and differ between nodes', () => {
    const names = namesFor('a-node-with-a-rather-long-name.example');
    expect(names.bridge.length).toBeLessThanOrEqual(15);
    expect(`${names.linkPrefix}1022`.length).toBeLessThanOrEqual(15);
    expect(namesFor('n1')).toEqual(namesFor('n1'));
    expect(namesFor('n1').tag).not.toBe(namesFor('n2').tag);
  });
});

describe('subnets', () => {
  it('are read and written', () => {
    expect(formatSubnet(subnet('10.1.7.9/22'))).toBe('10.1.4.0/22');
    expect(formatSubnet(subnet('200.1.2.3'))).toBe('200.1.2.3/32');
    expect(formatSubnet(subnet('0.0.0.0/0'))).toBe('0.0.0.0/0');
    for (const text of ['default', '10.0.0/8', '10.0.0.256/8', '10.0.0.0/33', '10.0.0.0/x', ''])
      expect(parseSubnet(text)).toBeNull();
    expect(gatewayOf(subnet('10.1.4.0/22'))).toBe('10.1.4.1');
    expect(addressOf(subnet('10.1.4.0/22'), 1022)).toBe('10.1.7.254');
  });

  it('overlap when one holds the other', () => {
    expect(overlaps(subnet('10.0.0.0/8'), subnet('10.200.4.0/22'))).toBe(true);
    expect(overlaps(subnet('10.200.4.0/22'), subnet('10.200.7.255'))).toBe(true);
    expect(overlaps(subnet('10.200.4.0/22'), subnet('10.200.8.0/22'))).toBe(false);
  });

  it('are chosen by the name of the node, past those in use', () => {
    const first = chooseSubnet('n1', [subnet('0.0.0.0/0')]);
    expect(first).not.toBeNull();
    expect(chooseSubnet('n1', [])).toEqual(first);
    const second = chooseSubnet('n1', first === null ? [] : [first]);
    expect(second?.base).not.toBe(first?.base);
    expect(second?.prefixLength).toBe(22);
    expect(chooseSubnet('n1', [subnet('10.0.0.0/8')])).toBeNull();
    const range = { within: subnet('10.86.0.0/16'), prefixLength: 24 };
    const third = chooseSubnet('n1', [], range);
    expect(third === null ? '' : formatSubnet(third)).toMatch(/^10\.86\.\d+\.0\/24$/);
    expect(chooseSubnet('n1', [subnet('10.86.0.0/17')], range)?.base).toBeGreaterThanOrEqual(
      subnet('10.86.128.0/24').base,
    );
    expect(chooseSubnet('n1', [subnet('10.80.0.0/12')], range)).toBeNull();
  });

  it('give host numbers in a round, so that an address rests', () => {
    const small = subnet('10.0.0.0/29');
    expect(nextHost(small, new Set(), 0)).toBe(2);
    expect(nextHost(small, new Set(), 2)).toBe(3);
    expect(nextHost(small, new Set([3, 4]), 2)).toBe(5);
    expect(nextHost(small, new Set(), 6)).toBe(2);
    expect(nextHost(small, new Set([2, 3, 4, 5]), 4)).toBe(6);
    expect(nextHost(small, new Set([2, 3, 4, 5, 6]), 4)).toBeNull();
  });
});

describe('nft', () => {
  const names = namesFor('n1');
  const mapping = { host: 20_001, address: '10.0.0.2', port: 80 };

  it('is told both protocols', () => {
    expect(addMappings(names, [mapping])).toBe(
      `add element ip ${names.table} ports ` +
        '{ tcp . 20001 : 10.0.0.2 . 80, udp . 20001 : 10.0.0.2 . 80 }\n',
    );
    expect(deleteMappings(names, [mapping])).toContain('{ tcp . 20001, udp . 20001 }');
  });

  it('is understood, and what is strange is left out', () => {
    const element = (protocol: string | number) => [
      { concat: [protocol, 20_001] },
      { concat: ['10.0.0.2', 80] },
    ];
    const elem = [element('tcp'), element('udp'), ['odd'], [{ concat: [1] }, 'x']];
    const text = JSON.stringify({ nftables: [{ metainfo: {} }, { map: { name: 'ports', elem } }] });
    expect(parseMappings(text)).toEqual([mapping]);
    expect(parseMappings('{"nftables":[{"map":{"name":"ports"}}]}')).toEqual([]);
  });

  it('reads what other runners publish, and no other tables', () => {
    const tables = [names.table, 'purser_0a1b2c', 'purser_long_name', 'filter'];
    const maps = tables.map((table, at) => {
      const elem = [[{ concat: ['tcp', 20_000 + at] }, { concat: ['10.0.0.2', 80] }]];
      return { map: { family: 'ip', name: 'ports', table, elem } };
    });
    const text = JSON.stringify({ nftables: [{ metainfo: {} }, ...maps] });
    expect(parseOtherMappings(text, names).map(({ host }) => host)).toEqual([20_001]);
  });

  it('shows our rules by their comment', () => {
    const rules = [{ handle: 4, comment: 'ours' }, { handle: 5 }, { handle: 6, comment: 'other' }];
    const text = JSON.stringify({ nftables: rules.map((rule) => ({ rule })) });
    expect(handlesWithComment(text, 'ours')).toEqual([4]);
  });
});

describe('socket tables', () => {
  it('list what listens, each port once', () => {
    const text = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:A1B2 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 1
   2: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0 0 0
   3: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1
   4: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1
`;
    expect(parseListening(text, [])).toEqual([22, 53, 8080]);
    expect(parseListening('', [])).toEqual([]);
  });

  it('leave out where node runners answer DNS: a job may publish that port', () => {
    const line = (local: string): string => `   0: ${local} 00000000:0000 07 0:0 00:0 0 0 0 1\n`;
    const text = line('01046E0A:0035') + line('01046E0A:0050');
    expect(parseListening(text, ['10.110.4.1'])).toEqual([80]);
    expect(parseListening(text, ['10.110.4.2', 'fe80::1'])).toEqual([53, 80]);
    const links = [
      { ifname: 'eth0', addr_info: [{ local: '192.0.2.1', label: 'eth0' }] },
      { ifname: namesFor('n1').bridge, addr_info: [{ local: '10.110.4.1' }] },
      {
        ifname: 'lo',
        addr_info: [
          { local: '127.0.0.1', label: 'lo' },
          { local: '169.254.130.7', label: namesFor('n2').dnsLabel },
        ],
      },
      {},
    ];
    expect(dnsAddressesIn(links)).toEqual(['10.110.4.1', '169.254.130.7']);
  });
});

describe('the batcher', () => {
  it('joins what waits, and blames only the one at fault', async () => {
    const runs: string[][] = [];
    const ask = createBatcher(async (texts) => {
      runs.push([...texts]);
      await Promise.resolve();
      if (texts.includes('bad')) throw new Error('bad');
    });
    const results = await Promise.allSettled(['a', 'b', 'bad', 'c'].map(ask));
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(runs).toEqual([['a'], ['b', 'bad', 'c'], ['b'], ['bad'], ['c']]);
    await expect(ask('d')).resolves.toBeUndefined();
  });
});
