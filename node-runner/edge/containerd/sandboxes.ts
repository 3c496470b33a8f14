// Records in containerd's sandbox store, one for each container. In: the connection. Out: making and
// deleting them; where the server has no such store, nothing. Not here: containers (lifecycle.ts).

import { Status } from 'nice-grpc';
import { hasCode } from '../runtime-error.ts';
import type { Containerd } from './client.ts';
import type { Any } from './generated/google/protobuf/any.ts';

export const RUNTIME = 'io.containerd.runc.v2';
export const SPEC_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/Spec';

/**
 * How long a containerd without the sandbox service is believed not to have it: the daemon may be
 * replaced by a newer one under a runner that goes on.
 */
const SANDBOXES_AGAIN_MS = 60_000;

export interface SandboxRecords {
  readonly create: (id: string, options: Any) => Promise<void>;
  readonly delete: (id: string) => Promise<void>;
}

/**
 * Records in the sandbox store: from containerd 1.7 on, one of the container's id makes the server
 * keep a task that ended while it was down, with its exit status. 1.6 keeps it anyway and does not
 * have that service.
 */
export const sandboxRecords = (containerd: Containerd): SandboxRecords => {
  const { sandboxes } = containerd;
  const absent = Status.UNIMPLEMENTED;
  let absentUntil = 0;
  const isAbsent = (): boolean => performance.now() < absentUntil;
  /** A server that does not have the service is asked again only after a while. */
  const ask = async (call: () => Promise<unknown>, fine: Status): Promise<void> => {
    await call().catch((error: unknown) => {
      if (hasCode(error, absent)) absentUntil = performance.now() + SANDBOXES_AGAIN_MS;
      else if (!hasCode(error, fine)) throw error;
    });
  };
  return {
    create: async (id, options) => {
      if (isAbsent()) return;
      const runtime = { name: RUNTIME, options };
      const spec = { typeUrl: SPEC_TYPE, value: Buffer.from('{}') };
      const sandbox = { sandboxId: id, runtime, spec, sandboxer: 'shim' };
      await ask(() => sandboxes.create({ sandbox }), Status.ALREADY_EXISTS);
    },
    delete: async (id) => {
      if (isAbsent()) return;
      const deleted = ask(() => sandboxes.delete({ sandboxId: id }), Status.NOT_FOUND);
      await deleted.catch((error: unknown) => {
        // 1.7 answers so in a namespace that never had such a record.
        if (!(error instanceof Error && error.message.includes('bucket not found'))) throw error;
      });
    },
  };
};
