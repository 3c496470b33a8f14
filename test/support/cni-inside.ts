// Run inside a node's namespace by the contract test: a runner's network by CNI plugins, and its
// discovery for copies on it. Obeys lines of its standard input, and ends with it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createDiscovery } from '../../node-runner/discovery.ts';
import { createNetwork } from '../../node-runner/edge/network/network.ts';

const [, , root = '', node = '', binDir = ''] = process.argv;

const say = (fields: object, message: string): void => {
  console.error(message, JSON.stringify(fields));
};
const log = { info: () => undefined, warn: say, error: say };
const network = await createNetwork({
  kind: 'cni',
  node,
  nodeNetns: null,
  config: join(root, 'net.d'),
  binDir,
  stateDir: join(root, 'state'),
  log,
});
const discovery = await createDiscovery({
  node: 'n1',
  cluster: 'test',
  root,
  copies: network.dns,
  settings: { dns: null, files: [], consul: null },
  inventory: () => null,
  trouble: () => undefined,
  log,
});
discovery.heard(JSON.parse(await readFile(join(root, 'catalogue.json'), 'utf8')));
const abort = new AbortController();
const running = discovery.run(abort.signal);
console.log(JSON.stringify({ address: await discovery.begun() }));

const obey = async ([verb = '', allocation = '', port]: readonly string[]): Promise<unknown> => {
  if (verb === 'down') return network.tearDown(allocation);
  if (verb === 'list') return network.list();
  const ports = port === undefined ? [] : [{ name: 'dns', port: 5353, host: Number(port) }];
  return network.setUp({ allocation, mode: 'bridge', ports });
};
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify((await obey(line.split(' '))) ?? null));
}
abort.abort();
await running;
