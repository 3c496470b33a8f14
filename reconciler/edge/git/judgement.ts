// What of a repository counts: the records of the ledger that are Purser's, and the newest commit
// that the signature policy accepts. Each needs the other: records name commits that were accepted,
// and an accepted commit names keys that may write records. In: the two tips. Out: both. Not here:
// how either is found (ledger-trust, acceptance).

import { isPurserKey, verdictOn, type SignaturePolicy } from '../../../schema/acceptance.ts';
import type { MergeFacts } from '../../../schema/forge.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import { refusalWords, type RefusalReason } from '../../../schema/refusal.ts';
import { refusedWords } from '../../../schema/refused-words.ts';
import type { ForeignRecords, RefusedCommits } from '../../../schema/source.ts';
import { createAcceptance } from './acceptance.ts';
import type { Base } from './base.ts';
import { broken } from './failure.ts';
import { readLedger } from './ledger-store.ts';
import { createBackGuard, type BackGuard } from './ledger-back.ts';
import { createReplacedGuard } from './ledger-replaced.ts';
import { createLedgerTrust } from './ledger-trust.ts';
import { COMMIT_BYTES } from './limits.ts';
import type { GitSourceOptions } from './options.ts';
import { NO_POLICY } from './policy.ts';
import { allowedSignerLine } from './signing-key.ts';
import type { SigningKey } from './sshsig.ts';
import { checkCommit } from './verify.ts';

export interface Counting {
  readonly ledger: Ledger;
  readonly accepted: string;
  readonly refused: RefusedCommits | null;
}

export interface Judgement {
  readonly of: (branch: string, ledger: string | null) => Promise<Counting>;
  /** Of a tip of the ledger, the commit whose records count. Throws GitFailure. */
  readonly counted: (ledger: string | null) => Promise<string | null>;
  /** This is its newest commit from now on: we wrote it. */
  readonly wrote: BackGuard['keep'];
  readonly acceptLedger: BackGuard['accept'];
  /** People whose verified signature an accepted commit bears. */
  readonly signedBy: (commit: string) => Promise<readonly string[]>;
  /** What it is as a merge; null: it is none. */
  readonly mergeOf: (commit: string) => Promise<MergeFacts | null>;
  /** The commit is acted on from now on. */
  readonly settle: (commit: string) => void;
  /** Throws GitFailure where a commit on top of this one would be lost with it. */
  readonly onto: (tip: string) => Promise<void>;
  /** Throws GitFailure where a commit of these bytes on top of `tip` would not be accepted. */
  readonly prove: (tip: string, data: Buffer) => Promise<void>;
  readonly foreign: () => readonly ForeignRecords[];
  /** Whether the commit is signed with our own key. */
  readonly isOwn: (commit: string) => Promise<boolean>;
}

type JudgingOptions = Pick<
  GitSourceOptions,
  'signingKey' | 'trusted' | 'judges' | 'log' | 'ledgerMark' | 'epochMs'
>;

/** Whose key it is follows from the key alone. */
const UNLISTED = { signers: NO_POLICY.signers, notBefore: 0 };

export const createJudgement = (
  base: Base,
  directory: string,
  options: JudgingOptions,
): Judgement => {
  const { log, signingKey: key = null, trusted = null, judges = true, ledgerMark: mark } = options;
  const ownKey = key?.publicKey.toString('base64') ?? null;
  const trust = createLedgerTrust({ base, ownKey, log });
  const acceptance = createAcceptance({ base, directory, trusted, log });
  const hasKey = ownKey !== null;
  const notReplaced = createReplacedGuard({ base, trust, acceptance, hasKey, mark });
  let policy: SignaturePolicy | null = null;
  let known: Ledger = [];
  const counted = (tip: string | null) => trust.counted(tip, policy);
  const back = createBackGuard(base, mark);

  const read = async (
    branch: string,
    tip: string | null,
  ): Promise<Counting & { counts: string | null }> => {
    const counts = await counted(tip);
    const ledger = await readLedger(base.store(), counts, log);
    const judged = await acceptance.of(branch, ledger);
    ({ policy } = judged.judge);
    return { ledger, counts, accepted: judged.accepted, refused: judged.refused ?? null };
  };
  return {
    of: async (branch, tip) => {
      if (!judges) {
        const ledger = await readLedger(base.store(), tip, log);
        return { ledger, accepted: branch, refused: null };
      }
      policy = (await notReplaced({ branch, tip })) ?? policy;
      const first = await read(branch, tip);
      // The accepted commit may list keys that were not known when the ledger was read.
      const isSame = first.counts === (await counted(tip));
      const { ledger, accepted, refused, counts } = isSame ? first : await read(branch, tip);
      await back.check(counts);
      known = ledger;
      if (counts !== null && hasKey && trust.isSigned()) back.keep(counts);
      return { ledger, accepted, refused };
    },
    counted: async (tip) => {
      const counts = await counted(tip);
      if (judges) await back.check(counts);
      return counts;
    },
    wrote: back.keep,
    acceptLedger: back.accept,
    signedBy: async (commit) => (judges ? acceptance.signedBy(commit) : []),
    mergeOf: acceptance.mergeOf,
    settle: (commit) => acceptance.settle(commit, (options.epochMs ?? Date.now)()),
    onto: async (tip) => {
      const { refused } = judges ? await acceptance.of(tip, known) : {};
      if (refused === undefined) return;
      throw broken(`nothing is committed on top of what is not accepted: ${refusedWords(refused)}`);
    },
    prove: async (tip, data) => {
      if (!judges) return;
      const { judge } = await acceptance.of(tip, known);
      const { verify, signers } = judge.policy;
      if (verify === 'none') return;
      const checked = await checkCommit(data, { signers, notBefore: judge.committedAt });
      const verdict = verdictOn({ oid: '', parents: [tip], ...checked }, judge);
      if (verdict.kind === 'refused') throw ownRefused(verdict.reason, judge.policy, key);
    },
    foreign: trust.foreign,
    isOwn: async (commit) => hasKey && (await sshKeyOf(base, commit)) === ownKey,
  };
};

const ownRefused = (reason: RefusalReason, policy: SignaturePolicy, key: SigningKey | null) => {
  const isListed = key !== null && isPurserKey(policy, key.publicKey.toString('base64'));
  const how =
    key === null || isListed
      ? ''
      : `. Let a listed signer add this line to signers/allowed_signers: ${allowedSignerLine(key)}`;
  return broken(
    `Purser commits nothing: its own commit ${refusalWords(reason)}, so the signature policy ` +
      `would not accept it${how}`,
  );
};

/** The key that signed it, whoever's that is; null: none of SSH. */
const sshKeyOf = async (base: Base, commit: string): Promise<string | null> => {
  const data = (await base.store().objects.read(commit, COMMIT_BYTES))?.data ?? null;
  if (data === null) return null;
  const { signature } = await checkCommit(data, UNLISTED);
  return signature.kind === 'ssh' ? signature.key : null;
};
