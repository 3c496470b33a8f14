// What CNI plugins say, as the runner reads it, and which address it takes for DNS beside them.

import { describe, expect, it } from 'vitest';
import {
  addressesOfResult,
  resolvConfOfResult,
} from '../../../../../node-runner/edge/network/cni-config.ts';
import { takeDnsAddress } from '../../../../../node-runner/edge/network/dns-address.ts';
import type { Kernel, LinkShown } from '../../../../../node-runner/edge/network/kernel.ts';
import { namesFor } from '../../../../../node-runner/edge/network/names.ts';

describe('the result of plugins', () => {
  it('has addresses, of which those of IPv4 count', () => {
    const ips = [
      { address: '2001:db8::2/64' },
      { address: '10.98.0.2/24', gateway: '10.98.0.1' },
      { address: '10.98.0.3' },
      { address: '010.98.0.4/24' },
      { address: '10.98.0.5 } ; flush ruleset' },
      {},
      null,
    ];
    expect(addressesOfResult({ ips })).toEqual(['10.98.0.2', '10.98.0.3']);
    for (const odd of [null, undefined, 'text', {}, { ips: 'text' }]) {
      expect(addressesOfResult(odd)).toEqual([]);
    }
  });

  it('names servers and domains, and nothing that could end a line', () => {
    const nameservers = [
      '192.0.2.1',
      '127.0.0.1',
      '::1',
      'dns.example',
      '2001:db8::1',
      '192.0.2.2',
    ];
    const dns = {
      nameservers: [...nameservers, '192.0.2.3'],
      domain: 'own.example',
      search: ['one.example', 'two\nnameserver 203.0.113.66'],
      options: ['ndots:1', 7],
    };
    expect(resolvConfOfResult({ dns })).toBe(
      'nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 192.0.2.2\n' +
        'search one.example own.example\noptions ndots:1\n',
    );
    for (const odd of [null, {}, { dns: {} }, { dns: { nameservers: 'x', search: null } }]) {
      expect(resolvConfOfResult(odd)).toBe('');
    }
  });
});

describe('the address of DNS', () => {
  const names = namesFor('n1');
  /** A node where routes lead; what it is told goes into `told`. */
  const nodeOf = (told: string[], routes: readonly string[]): Kernel => {
    const own: LinkShown[] = [];
    return {
      ipBatch: async ([line = '']) => {
        told.push(line);
        const [, , address = '', , , , , , , label = ''] = line.split(/[ /]/);
        own.push({ addr_info: [{ family: 'inet', local: address, prefixlen: 32, label }] });
      },
      ipBatchIn: async () => undefined,
      ipShow: async (...words) => (words.includes('lo') ? own : routes.map((dst) => ({ dst }))),
      nft: async () => undefined,
      nftShow: async () => '{"nftables":[]}',
      sysctl: async () => undefined,
      socketTables: async () => '',
      listeners: async () => '',
      plugin: async () => ({ code: 0, stdout: '', stderr: '' }),
    };
  };

  it('follows from the node’s name, and is taken over by the next runner', async () => {
    const told: string[] = [];
    const kernel = nodeOf(told, ['default', '169.254.0.0/16', '10.0.0.0/8']);
    const first = await takeDnsAddress(kernel, names, 'n1');
    expect(first).toMatch(/^169\.254\.1([2345]\d)\.\d+$/);
    expect(await takeDnsAddress(kernel, names, 'n1')).toBe(first);
    expect(told).toEqual([`addr add ${first}/32 dev lo scope host label ${names.dnsLabel}`]);
    expect(names.dnsLabel.length).toBeLessThanOrEqual(15);
    expect(await takeDnsAddress(nodeOf([], []), names, 'n1')).toBe(first);
  });

  it('is none that somebody has', async () => {
    const first = await takeDnsAddress(nodeOf([], []), names, 'n1');
    expect(await takeDnsAddress(nodeOf([], [first]), names, 'n1')).not.toBe(first);
    const upper = await takeDnsAddress(nodeOf([], ['169.254.128.0/20']), names, 'n1');
    expect(upper).toMatch(/^169\.254\.1(4[4-9]|5\d)\./);
    await expect(takeDnsAddress(nodeOf([], ['169.254.128.0/19']), names, 'n1')).rejects.toThrow(
      'no address of 169.254.128.0/19 is free',
    );
  });

  it('is tried a few times where another runner takes one in the same moment', async () => {
    let tries = 0;
    const kernel = nodeOf([], []);
    const { ipBatch } = kernel;
    const slow: Kernel = {
      ...kernel,
      ipBatch: async (lines) => {
        tries += 1;
        if (tries < 3) throw new Error('RTNETLINK answers: File exists');
        return ipBatch(lines);
      },
    };
    expect(await takeDnsAddress(slow, names, 'n1')).toMatch(/^169\.254\./);
    expect(tries).toBe(3);
    const never = async () => {
      throw new Error('RTNETLINK answers: Operation not permitted');
    };
    await expect(
      takeDnsAddress({ ...kernel, ipShow: async () => [], ipBatch: never }, names, 'n1'),
    ).rejects.toThrow('not permitted');
  });
});
