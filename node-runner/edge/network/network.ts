// The door of the network edge: the runner's own way or CNI plugins, as the node's configuration
// says.
// In: options. Out: ManagedNetwork. Not here: how either works (native.ts, cni.ts).

import { cniCleanUp, createCniNetwork } from './cni.ts';
import type { CniNetworkOptions } from './cni.ts';
import { createNativeNetwork, nativeCleanUp } from './native.ts';
import type { ManagedNetwork, NativeNetworkOptions } from './native.ts';

export type { ManagedNetwork } from './native.ts';

export type NetworkOptions =
  | ({ readonly kind: 'native' } & NativeNetworkOptions)
  | ({ readonly kind: 'cni' } & CniNetworkOptions);

/** Throws RuntimeError when the node cannot be prepared, with what to do. */
export const createNetwork = (options: NetworkOptions): Promise<ManagedNetwork> =>
  options.kind === 'cni' ? createCniNetwork(options) : createNativeNetwork(options);

/**
 * Removes everything that a runner of that name made in the kernel, of either kind, also when no
 * runner is left to ask. Containers that use the namespaces should be gone before. What CNI plugins
 * refused to remove, in words.
 *
 * @param stateDir as CNI's; it need not be there
 */
export const networkCleanUp = async (
  options: Pick<CniNetworkOptions, 'node' | 'nodeNetns' | 'stateDir'>,
): Promise<readonly string[]> => {
  const failures = await cniCleanUp({ ...options, binDir: null });
  await nativeCleanUp(options);
  return failures;
};
