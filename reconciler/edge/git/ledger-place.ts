// Where the ledger stands: at a ref, or at a branch where a host takes nothing else (rules 11).
// In: what cluster.yaml of the newest accepted commit says, and what stands at either place. Out: the
// base's refs name that place, and the ledger goes on there from where it stood. A place with other
// records than those is never written over. Not here: the records (ledger-store, recorder).

import { parseDocument } from '../../../schema/parse.ts';
import type { SourceFile, SourceTree } from '../../../schema/source.ts';
import type { Base, LedgerPlace } from './base.ts';
import { entryAt } from './entry.ts';
import { broken, retry } from './failure.ts';
import type { Identity } from './format.ts';
import { FOLDER, within } from './format.ts';
import type { Judgement } from './judgement.ts';
import { ANCESTRY_COMMITS } from './limits.ts';
import { contains } from './line.ts';

export interface LedgerPlaces {
  /** Finds the place, once, before anything is read or written. Throws GitFailure. */
  readonly settle: () => Promise<void>;
  /** True: what was read says another place, and the ledger stands there now. Throws GitFailure. */
  readonly follow: (tree: SourceTree) => Promise<boolean>;
}

export interface LedgerPlaceOptions {
  readonly base: Base;
  readonly directory: string;
  readonly judgement: Judgement;
  /** The place was named: nothing is looked up. */
  readonly pinned: boolean;
  readonly readOnly: boolean;
  readonly by: () => Identity;
  /** Runs while no record is being written: one that went to the old place would be lost. */
  readonly alone: (act: () => Promise<void>) => Promise<void>;
}

const CLUSTER = 'cluster.yaml';
/** The ledger decides which commit is accepted, and that commit where the ledger stands. */
const ROUNDS = 2;

export const createLedgerPlaces = (options: LedgerPlaceOptions): LedgerPlaces => {
  const { base, judgement, pinned, readOnly } = options;
  const { refs } = base;
  let settled = pinned;
  let seen: SourceFile | undefined;

  const move = async (to: LedgerPlace, tips: PlaceTips): Promise<void> => {
    const [here, there] = [tips[otherThan(to)], tips[to]];
    if (there !== null) await refuseOther(base, { to, there, here });
    if (there === null && here !== null) {
      if (readOnly) return;
      await carry(options, to, here);
    }
    refs.move(to);
  };
  const settle = async (): Promise<void> => {
    if (settled) return;
    const found = await standing(base);
    refs.move(found.ref === null && found.branch !== null ? 'branch' : 'ref');
    for (let round = 0; round < ROUNDS; round += 1) {
      const tips = await base.tips();
      if (tips.branch === null) return;
      const { accepted } = await judgement.of(tips.branch, tips.ledger);
      const wanted = await placeAt(options, accepted);
      const to = wanted ?? refs.place();
      // Elsewhere other records may have judged: what they lead to is asked again.
      const isSame = to === refs.place() || found[to] === null;
      await move(to, found);
      settled = isSame || readOnly;
      if (settled) return;
    }
    throw broken(
      `${base.name}: of the ledgers ${refs.at('ref')} and ${refs.at('branch')} each leads to a ` +
        `commit that names the other: ${deleting}`,
    );
  };
  return {
    settle,
    follow: async ({ files }) => {
      const file = files.get(CLUSTER);
      if (pinned || file === seen) return false;
      const before = refs.place();
      const wanted = file === undefined ? null : placeIn(file, before);
      if (wanted !== null && wanted !== before) {
        await options.alone(async () => move(wanted, await standing(base)));
      }
      seen = file;
      return refs.place() !== before;
    },
  };
};

const otherThan = (place: LedgerPlace): LedgerPlace => (place === 'ref' ? 'branch' : 'ref');

type PlaceTips = Readonly<Record<LedgerPlace, string | null>>;

const standing = async ({ refs, follow }: Base): Promise<PlaceTips> => ({
  ref: await follow(refs.at('ref')),
  branch: await follow(refs.at('branch')),
});

const deleting = 'look at both with `git log -p`, and delete the one that is not to count';

interface Two {
  readonly to: LedgerPlace;
  readonly there: string;
  readonly here: string | null;
}

/** What counts holds all that stands at the other place, or a person must say which it is. */
const refuseOther = async (base: Base, { to, there, here }: Two): Promise<void> => {
  if (here === null || here === there) return;
  const { folders } = base.store();
  if ((await contains(folders, [there, here], ANCESTRY_COMMITS)) === 'yes') return;
  const { refs } = base;
  throw broken(
    `${base.name} has two ledgers: cluster.yaml names ${refs.at(to)}, and ` +
      `${refs.at(otherThan(to))} holds records that it has not: ${deleting}`,
  );
};

const carry = async (
  { base, by }: LedgerPlaceOptions,
  to: LedgerPlace,
  tip: string,
): Promise<void> => {
  const identity = by();
  const { epochSeconds } = identity;
  const ref = base.refs.at(to);
  const note = 'purser: the ledger moves';
  const move = { ref, to: tip, from: null, note, by: identity, epochSeconds };
  if (!(await base.publish(move))) throw retry(`${base.name}: ${ref} was just made by another`);
};

const placeAt = async (
  { base, directory }: LedgerPlaceOptions,
  commit: string,
): Promise<LedgerPlace | null> => {
  const { folders } = base.store();
  const { tree } = await folders.commit(commit);
  const entry = await entryAt(folders, tree, within(directory, CLUSTER));
  if (entry === null || entry.mode === FOLDER) return null;
  return placeIn(await folders.file(entry), base.refs.place());
};

/** null: the file cannot be read, and the ledger stays where it is. */
const placeIn = (file: SourceFile, now: LedgerPlace): LedgerPlace | null => {
  // Nothing is parsed where nobody ever spoke of it.
  if (now === 'ref' && (file.kind !== 'text' || !/ledger|\\/.test(file.text))) return null;
  const read = parseDocument('cluster', CLUSTER, file).value;
  return read === null ? null : (read.ledger ?? 'ref');
};
