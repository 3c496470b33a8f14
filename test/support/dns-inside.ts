// Run inside a node's namespace by the contract test: a runner's discovery at the bridge's address,
// and a name server of the world at 127.0.0.9. Ends with its standard input.

import { createDiscovery } from '../../node-runner/discovery.ts';
import { isWithin, parseSubnet } from '../../node-runner/edge/network/subnet.ts';
import { answerWorld } from './world-dns.ts';

const [, , root = '', address = '', subnetText = ''] = process.argv;
const subnet = parseSubnet(subnetText);
if (subnet === null) throw new Error(`${subnetText} is no subnet`);

const world = await answerWorld('127.0.0.9');

const say = (fields: object, message: string): void => {
  console.error(message, JSON.stringify(fields));
};
const discovery = await createDiscovery({
  node: 'n1',
  cluster: 'test',
  root,
  copies: { address, holds: (source) => isWithin(subnet, source), nameServersOf: () => [] },
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
