// Volumes of a task: the short form `source:/path[:ro]` and the long form become one.
// In: one written volume. Out: the mount, and the canonical written form that counts for the version (rules 2.1).
// Not here: where a named volume lives (the ledger, rules 14), whether policy allows a host path (policy.ts).

import { NAME_PATTERN } from '../../schema/documents/field.ts';
import type { VolumeFile } from '../../schema/documents/task.ts';

import type { VolumeMount } from '../../schema/spec.ts';

const NAME = new RegExp(NAME_PATTERN);

interface WrittenVolume {
  readonly source: string;
  readonly path: string;
  /** undefined: not written. */
  readonly readOnly: boolean | undefined;
  readonly onLoss: 'wait' | 'recreate' | undefined;
}

const writtenVolume = (volume: VolumeFile): WrittenVolume => {
  if (typeof volume !== 'string') {
    const { name, path, read_only: readOnly, on_loss: onLoss } = volume;
    return { source: name, path, readOnly, onLoss };
  }
  const [source = '', path = '', mode] = volume.split(':');
  return {
    source,
    path,
    readOnly: mode === undefined ? undefined : mode === 'ro',
    onLoss: undefined,
  };
};

/** The mount, or null when its source is neither an absolute path nor the name of a volume. */
export const volumeMount = (volume: VolumeFile): VolumeMount | null => {
  const { source, path, readOnly = false, onLoss = 'wait' } = writtenVolume(volume);
  if (source.startsWith('/')) return { kind: 'host', source, path, readOnly };
  return NAME.test(source) ? { kind: 'named', name: source, path, readOnly, onLoss } : null;
};

/** The written fields only: `data:/x` and `{name: data, path: /x}` are the same. */
export const volumeForm = (volume: VolumeFile) => {
  const { source, path, readOnly, onLoss } = writtenVolume(volume);
  return { source, path, read_only: readOnly, on_loss: onLoss };
};
