// Run inside a node's namespace by the contract test: a runner's discovery at the bridge's address,
// and a name server of the world at 127.0.0.9. Ends with its standard input.

import { createSocket } from 'node:dgram';
import dnsPacket from 'dns-packet';
import { createDiscovery } from '../../node-runner/discovery.ts';
import { isWithin, parseSubnet } from '../../node-runner/edge/network/subnet.ts';

const [, , root = '', address = '', subnetText = ''] = process.argv;
const subnet = parseSubnet(subnetText);
if (subnet === null) throw new Error(`${subnetText} is no subnet`);

const world = createSocket('udp4').on('message', (message, from) => {
  const { id = 0, questions = [] } = dnsPacket.decode(message);
  const [{ name, type } = { name: '', type: 'A' }] = questions;
  const known = name === 'world.example' && type === 'A';
  const answers = known ? [{ type: 'A', name, data: '198.51.100.99' } as const] : [];
  const flags = dnsPacket.RECURSION_AVAILABLE | (name === 'world.example' ? 0 : 3);
  const reply = dnsPacket.encode({ type: 'response', id, flags, questions, answers });
  world.send(reply, from.port, from.address);
});
await new Promise<void>((resolve) => world.bind(53, '127.0.0.9', resolve));

const say = (fields: object, message: string): void => {
  console.error(message, JSON.stringify(fields));
};
const discovery = await createDiscovery({
  node: 'n1',
  cluster: 'test',
  root,
  bridge: { address, holds: (source) => isWithin(subnet, source) },
  settings: { dns: null, files: [], consul: null },
  inventory: () => null,
  trouble: () => undefined,
  log: { info: say, warn: say, error: say },
});
const abort = new AbortController();
const running = discovery.run(abort.signal);
if ((await discovery.begun()) !== null) console.log('up');
process.stdin.resume().on('end', () => abort.abort());
await running;
world.close();
