// Which files and folders an allocation needs before its tasks are made.
// In: body, network, node. Out: what the store is asked to write.
// /etc/hosts, /etc/hostname and /etc/resolv.conf are ours where the allocation has a network of its
// own; a job that mounts a file there gets its own. Not here: writing (edge/store), mounting
// (oci-spec.ts).

import { volumeFolder } from '../../schema/ids.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import type { PrepareAsk } from '../ports.ts';
import type { NodeFacts } from './inventory.ts';
import type { OwnNetwork } from './network.ts';
import { resolvConfOf } from './resolv-conf.ts';

export const generatedPaths = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'] as const;

/** @param network null: the host's, whose own files are mounted */
export const prepareAsk = (
  body: AllocationBody,
  network: OwnNetwork | null,
  node: NodeFacts,
): PrepareAsk => {
  const generated = network === null ? [] : generatedFiles(body, network, node);
  return {
    allocation: body.allocation,
    tasks: body.spec.tasks.map(({ name, files }) => ({
      name,
      files: [
        ...generated.filter(({ path }) => !files.some((own) => own.path === path)),
        ...files.map(({ path, content }) => ({ path, content })),
      ],
    })),
    volumes: volumesOf(body),
  };
};

/** Folders of its named volumes, each once. */
export const volumesOf = (body: AllocationBody): readonly string[] => [
  ...new Set(
    body.spec.tasks
      .flatMap(({ volumes }) => volumes)
      .flatMap((volume) => (volume.kind === 'named' ? [volumeFolder(body, volume.name)] : [])),
  ),
];

const generatedFiles = (
  body: AllocationBody,
  network: OwnNetwork,
  node: NodeFacts,
): readonly { readonly path: string; readonly content: string }[] => {
  const own = `${network.address ?? '127.0.1.1'} ${body.allocation}`;
  const hosts = `127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n${own}\n`;
  return [
    { path: '/etc/hosts', content: hosts },
    { path: '/etc/hostname', content: `${body.allocation}\n` },
    { path: '/etc/resolv.conf', content: resolvConfOf(body, node, network) },
  ];
};
