// Writes records to the ledger: in batches, by compare-and-swap, and only to a ledger that is this
// cluster's. In: records. Out: a promise that resolves when the remote has them (rules 11, pushed
// first). Not here: the form of the ledger's commits (ledger-store), what must be recorded when
// (plan, loop).

import type { Ledger, LedgerRecord } from '../../../schema/ledger.ts';
import type { LogPort } from '../../ports.ts';
import type { Base, RefNames } from './base.ts';
import type { SignCommit } from './build.ts';
import { broken, retry } from './failure.ts';
import type { Identity } from './format.ts';
import { buildAppend, readLedger } from './ledger-store.ts';
import { PUSH_ATTEMPTS } from './limits.ts';
import { finishMove } from './unfinished.ts';

export interface Recorder {
  readonly record: (records: readonly LedgerRecord[]) => Promise<void>;
  /**
   * Proves once that the ledger is ours and can be written; throws until it could be. First
   * finishes a machine commit that an earlier life was cut off in.
   */
  readonly prove: () => Promise<void>;
  /** Runs while nothing is being written; records that come meanwhile wait. */
  readonly alone: (act: () => Promise<void>) => Promise<void>;
}

export interface RecorderOptions {
  readonly base: Base;
  readonly refs: RefNames;
  readonly cluster: string;
  readonly branch: string;
  readonly directory: string;
  readonly by: () => Identity;
  readonly sign: SignCommit | null;
  /** The newest commit of the ledger that is ours; what is on top of it does not count. */
  readonly counted: (tip: string | null) => Promise<string | null>;
  /** That commit is the newest one, and ours. */
  readonly wrote: (commit: string) => void;
  readonly atHead: (ledgerPath: string) => boolean;
  readonly log: LogPort;
}

interface Waiting {
  readonly records: readonly LedgerRecord[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export const createRecorder = (options: RecorderOptions): Recorder => {
  let proven = false;
  let isFinished = !options.base.local;
  let waiting: Waiting[] = [];
  let isDraining = false;
  let turn: Promise<void> = Promise.resolve();

  const prove = async (): Promise<void> => {
    if (!isFinished) isFinished = await finishMove(options.base.store().repository);
    if (proven) return;
    await append(options, [], 'ledger: a reconciler starts and may write');
    proven = true;
  };

  /** Whatever came while the last batch was pushed goes as one batch. */
  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await append(
          options,
          batch.flatMap((one) => one.records),
          null,
        );
        proven = true;
        for (const one of batch) one.resolve();
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    isDraining = false;
  };

  return {
    prove,
    record: (records) =>
      new Promise((resolve, reject) => {
        waiting.push({ records, resolve, reject });
        if (isDraining) return;
        isDraining = true;
        turn = turn.then(drain);
      }),
    alone: (act) => {
      const done = turn.then(act);
      turn = done.catch(() => undefined);
      return done;
    },
  };
};

/** Reads, appends, publishes; from the start again when somebody else published in between. */
const append = async (
  options: RecorderOptions,
  records: readonly LedgerRecord[],
  proof: string | null,
): Promise<void> => {
  const { base, refs } = options;
  let { ledger: tip } = await base.tips();
  for (let attempt = 0; attempt < PUSH_ATTEMPTS; attempt += 1) {
    const by = options.by();
    const from = tip;
    const store = base.store();
    const counted = await options.counted(from);
    const first = checkOwner(options, await readLedger(store, counted, options.log));
    const built = await buildAppend({
      ...options,
      store,
      tip: from,
      counted,
      by,
      proof,
      records: first === null ? records : [first, ...records],
    });
    if (built === null) return;
    await store.objects.write(built.objects);
    const note = 'purser: ledger';
    const move = { ref: refs.ledger, to: built.oid, from, note, by, epochSeconds: by.epochSeconds };
    if (await base.publish(move)) return options.wrote(built.oid);
    ({ ledger: tip } = await base.refresh());
  }
  throw retry(
    `${base.name}: the ledger ${refs.ledger} was written by somebody else ${PUSH_ATTEMPTS} times ` +
      'in a row. Is a second reconciler running for this cluster?',
  );
};

/**
 * The ledger's first record says whose it is (rules 1.1). Returns that record where it is still to
 * be written.
 */
const checkOwner = (options: RecorderOptions, ledger: Ledger): LedgerRecord | null => {
  const { cluster, branch, directory } = options;
  const first = ledger.find((record) => record.kind === 'cluster');
  if (first === undefined) return { kind: 'cluster', cluster, branch, directory };
  if (first.branch === branch && first.directory === directory && first.cluster === cluster) {
    return null;
  }
  throw broken(
    `the ledger ${options.refs.ledger} belongs to cluster ${first.cluster} on branch ` +
      `${first.branch}, directory ${first.directory || '(root)'}; this is cluster ${cluster} on ` +
      `branch ${branch}, directory ${directory || '(root)'}. Give this cluster another name in ` +
      'cluster.yaml',
  );
};
