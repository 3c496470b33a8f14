// A snapshot to write to. In: its key and parent. Out: its mounts. Not here: what becomes of it
// (lifecycle, unpack).

import { Status } from 'nice-grpc';
import { hasCode } from '../runtime-error.ts';
import { type Services, SNAPSHOTTER } from './client.ts';
import type { Mount } from './generated/containerd/types.ts';

export interface SnapshotAsk {
  readonly key: string;
  /** Chain id of the layer below, '' for the first. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * A containerd that died while it made a snapshot leaves its folder behind without a record, and
 * gives the same number to the next one. That one fails, and takes the folder away in doing so.
 * Throws ClientError.
 */
export const prepareSnapshot = async (
  { snapshots }: Pick<Services, 'snapshots'>,
  ask: SnapshotAsk,
): Promise<Mount[]> => {
  const prepare = () => snapshots.prepare({ snapshotter: SNAPSHOTTER, ...ask });
  try {
    return (await prepare()).mounts;
  } catch (error) {
    if (!isFolderInTheWay(error)) throw error;
    return (await prepare()).mounts;
  }
};

const isFolderInTheWay = (error: unknown): boolean =>
  hasCode(error, Status.UNKNOWN) &&
  error instanceof Error &&
  error.message.includes('failed to rename');
