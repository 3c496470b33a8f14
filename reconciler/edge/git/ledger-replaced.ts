// A ledger without any signed commit looks like one from before there was a key. It is none where it
// was seen signed before, or where the branch, judged without a word of that ledger, names keys of
// Purser's: somebody replaced it as a whole while nobody looked. In: both tips. Out: the policy whose
// keys signed it; throws for one that was replaced. Not here: records of others on top of signed ones
// (ledger-trust).

import type { SignaturePolicy } from '../../../schema/acceptance.ts';
import type { Acceptance } from './acceptance.ts';
import type { Base } from './base.ts';
import { broken, RefusedHead } from './failure.ts';
import type { LedgerMark } from './ledger-mark.ts';
import { listsPurser, type LedgerTrust } from './ledger-trust.ts';

export interface ReplacedGuardOptions {
  readonly base: Base;
  readonly trust: LedgerTrust;
  readonly acceptance: Acceptance;
  /** Without a key of its own nothing is signed, and nothing is missed. */
  readonly hasKey: boolean;
  readonly mark: LedgerMark | undefined;
}

interface Tips {
  readonly branch: string;
  readonly tip: string | null;
}

/** null: our own key signed it, or nobody ever did. Throws GitFailure (`broken`). */
export const createReplacedGuard =
  ({ base, trust, acceptance, hasKey, mark }: ReplacedGuardOptions) =>
  async ({ branch, tip }: Tips): Promise<SignaturePolicy | null> => {
    // A person who looked at it has accepted it.
    if (!hasKey || tip === null || trust.isSigned() || mark?.newest() === tip) return null;
    await trust.counted(tip, null);
    if (trust.isSigned()) return null;
    // A resume in it could accept a commit that lists any key.
    const policy = await policyOf(acceptance, branch);
    await trust.counted(tip, policy);
    if (trust.isSigned()) return policy;
    const isAsked = policy.verify !== 'none' && listsPurser(policy);
    if (isAsked || mark?.wasSigned() === true) throw broken(replacedWords(base, tip));
    return null;
  };

/** Not even the first commit is accepted: it still says who has to sign. */
const policyOf = async (acceptance: Acceptance, branch: string): Promise<SignaturePolicy> => {
  try {
    return (await acceptance.of(branch, [])).judge.policy;
  } catch (error) {
    if (error instanceof RefusedHead && error.policy !== null) return error.policy;
    throw error;
  }
};

const replacedWords = ({ name, refs }: Base, tip: string): string =>
  `${name}: no commit of the ledger ${refs.ledger} is signed by Purser, and it must be: somebody ` +
  'replaced it as a whole. Nothing is done. Put the signed one back; or look at this one ' +
  `(git log -p ${refs.ledger}) and go on from there: \`purser resume --ledger ${tip}\``;
