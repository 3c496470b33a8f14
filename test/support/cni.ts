// Networks of Debian's CNI plugins, as a node's owner would configure them.
// In: a folder, what differs. Out: a configuration in that folder. Not here: running plugins.

import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const CNI_BIN_DIR = '/usr/lib/cni';

export const hasCni = await access(join(CNI_BIN_DIR, 'portmap')).then(
  () => true,
  () => false,
);

export interface TestCni {
  readonly root: string;
  /** In hexadecimal characters: names of network and bridge follow from it. */
  readonly id: string;
  readonly subnet?: string;
  /** Of the plugin that makes the links, in place of a bridge with the node as gateway. */
  readonly plugin?: object;
  readonly routes?: readonly object[];
}

/** Returns the folder. */
export const writeCniConfig = async (cni: TestCni): Promise<string> => {
  const { root, id, subnet = '10.98.0.0/24', plugin, routes = [{ dst: '0.0.0.0/0' }] } = cni;
  const bridge = {
    type: 'bridge',
    bridge: `t${id}`,
    isGateway: true,
    ipMasq: true,
    hairpinMode: true,
  };
  const ipam = { type: 'host-local', dataDir: join(root, 'ipam'), subnet, routes };
  const plugins = [
    { ...(plugin ?? bridge), ipam },
    { type: 'portmap', capabilities: { portMappings: true } },
  ];
  const folder = join(root, 'net.d');
  await mkdir(folder, { recursive: true });
  const text = JSON.stringify({ cniVersion: '1.0.0', name: `test-${id}`, plugins });
  await writeFile(join(folder, '10-test.conflist'), text);
  return folder;
};
