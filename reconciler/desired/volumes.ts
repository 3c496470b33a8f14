// Volumes of a task in the form that counts for the version: the short form and the long form
// become one (rules 2.1).
// In: one written volume. Out: its written fields. Not here: the mount itself
// (schema/references.ts), where a named volume lives (the ledger, rules 14), whether policy allows
// a host path (policy.ts).

import type { VolumeFile } from '../../schema/documents/task.ts';

/** `data:/x` and `{name: data, path: /x}` are the same; what is not written is left out. */
export const volumeForm = (volume: VolumeFile) => {
  if (typeof volume !== 'string') {
    const { name, path, read_only: readOnly, on_loss: onLoss } = volume;
    return { source: name, path, read_only: readOnly, on_loss: onLoss };
  }
  const [source = '', path = '', mode] = volume.split(':');
  return { source, path, read_only: mode === undefined ? undefined : mode === 'ro' };
};
