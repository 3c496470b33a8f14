// Run inside a node's namespace by the contract test: one round of the network edge, as JSON.

import { createServer } from 'node:net';

import { createNativeNetwork } from '../../node-runner/edge/network/native.ts';

const [, , node = ''] = process.argv;
const network = await createNativeNetwork({ node, subnet: null, nodeNetns: null });
const server = createServer();
await new Promise<void>((resolve) => server.listen(4321, '127.0.0.1', resolve));
const ports = [{ name: 'http', port: 80, host: 21_000 }];
const { address } = await network.setUp({ allocation: 'a-0-1', mode: 'bridge', ports });
const listed = (await network.list()).map(({ allocation }) => allocation);
const taken = await network.portsTaken();
await network.tearDown('a-0-1');
const left = await network.list();
// Nobody is on the bridge now; its DNS answers there all the same.
const dns = createServer();
await new Promise<void>((resolve) => dns.listen(53, network.dns?.address, resolve));
const takenLater = await network.portsTaken();
dns.close();
await network.cleanUp();
server.close();
console.log(JSON.stringify({ address, listed, taken, left, takenLater }));
