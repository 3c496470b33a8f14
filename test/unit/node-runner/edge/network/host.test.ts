// What a runner does to the rules of its node when it cannot read them, and when they are gone.

import { describe, expect, it } from 'vitest';

import { prepareHost } from '../../../../../node-runner/edge/network/host.ts';
import type { Kernel } from '../../../../../node-runner/edge/network/kernel.ts';
import { namesFor } from '../../../../../node-runner/edge/network/names.ts';

const names = namesFor('n1');
const mapping = { host: 20_001, address: '10.0.0.2', port: 80 };
const options = { node: 'n1', subnet: '10.0.0.0/24', mappings: () => [mapping] };

const bridge = {
  ifname: names.bridge,
  addr_info: [{ family: 'inet', local: '10.0.0.1', prefixlen: 24 }],
};

/** A node whose bridge and table are there; what it is told goes into `told`. */
const nodeOf = (told: string[], changes: Partial<Kernel> = {}): Kernel => ({
  ipBatch: async (lines) => void told.push(...lines),
  ipBatchIn: async (_, lines) => void told.push(...lines),
  ipShow: async () => [bridge],
  nft: async (text) => void told.push(text),
  nftShow: async () =>
    JSON.stringify({
      nftables: [
        { chain: { table: names.table, name: 'postrouting' } },
        { chain: { table: names.dnsTable, name: 'patience' } },
      ],
    }),
  sysctl: async () => undefined,
  socketTables: async () => '',
  listeners: async () => '',
  plugin: async () => ({ code: 0, stdout: '', stderr: '' }),
  ...changes,
});

const failing = async () => {
  throw new Error('nft: no answer within 15000 ms');
};

describe('rules of the node', () => {
  it('are left alone where they are there', async () => {
    const told: string[] = [];
    await prepareHost(nodeOf(told), names, options);
    expect(told.join('\n')).not.toContain('table');
  });

  it('of an earlier release stay as they are, and those of DNS come beside them', async () => {
    const told: string[] = [];
    const chain = { table: names.table, name: 'postrouting' };
    const nftShow = async () => JSON.stringify({ nftables: [{ chain }] });
    await prepareHost(nodeOf(told, { nftShow }), names, options);
    const made = told.filter((text) => text.includes('delete table'));
    expect(made).toHaveLength(1);
    expect(made[0]).toContain(`table ip ${names.dnsTable} {`);
  });

  it('are left alone where they cannot be read', async () => {
    const told: string[] = [];
    await expect(prepareHost(nodeOf(told, { nftShow: failing }), names, options)).rejects.toThrow(
      'no answer',
    );
    await expect(prepareHost(nodeOf(told, { ipShow: failing }), names, options)).rejects.toThrow(
      'no answer',
    );
    expect(told).toEqual([]);
  });

  it('are made anew in one piece, published ports included, where they are gone', async () => {
    const told: string[] = [];
    const nftShow = async () => JSON.stringify({ nftables: [{ metainfo: {} }] });
    await prepareHost(nodeOf(told, { nftShow }), names, options);
    const made = told.find((text) => text.includes(`table ip ${names.table} {`));
    expect(made).toContain('tcp . 20001 : 10.0.0.2 . 80');
  });
});
