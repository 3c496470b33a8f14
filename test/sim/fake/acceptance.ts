// Which commits of the repository in memory may be acted on: judged by the very code that judges a
// real branch, of commits whose signatures are names in place of cryptography.
// In: commits that know who signed them. Out: what acceptance-line judges; whether a commit of the
// machine would be accepted. `test/contract/acceptance-fake.test.ts` holds it against real keys.
// Not here: the judging, what people meant by a policy (policies.ts).

import {
  judgeBranch,
  type Judged,
  type KnownCommits,
} from '../../../reconciler/edge/git/acceptance-line.ts';
import { NO_POLICY } from '../../../reconciler/edge/git/policy.ts';
import { needsMerge, verdictOn, type CommitFacts, type Judge } from '../../../schema/acceptance.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import { parseDocument } from '../../../schema/parse.ts';
import { refusalWords } from '../../../schema/refusal.ts';
import { refusedWords } from '../../../schema/refused-words.ts';
import { signersIn } from '../../../schema/signers.ts';
import type { CommitInfo, Files } from '../../../schema/source.ts';
import type { EdgeFailure } from '../../../reconciler/ports.ts';
import { keyOf, type Signed, type Signer } from '../policies.ts';

export interface SignedCommit {
  readonly info: CommitInfo;
  readonly files: Files;
  readonly signed: Signed;
}

type Commits = ReadonlyMap<string, SignedCommit>;

export interface JudgeAsk {
  readonly head: string;
  readonly ledger: Ledger;
  /** What this session acted on last. */
  readonly settled: string | null;
}

/** Without a policy in any commit there is nothing to judge. */
export const speaksOfSignatures = ({ files }: Pick<SignedCommit, 'files'>): boolean => {
  const cluster = files.get('cluster.yaml');
  return cluster?.kind === 'text' && cluster.text.includes('signatures');
};

export const judgeHead = (commits: Commits, ask: JudgeAsk): Promise<Judged> =>
  judgeBranch(knownIn(commits), { ...ask, ledger: compacted(ask.ledger), ...NAMED });

const NAMED = { trusted: null, name: 'the repository' };

/** As the ledger keeps it: of what was in sync the newest alone. */
const compacted = (ledger: Ledger): Ledger => {
  const synced = ledger.findLast(({ kind }) => kind === 'synced');
  return ledger.filter((record) => record.kind === 'resume' || record === synced);
};

/** Throws EdgeFailure where the machine's own commit would not be accepted on top of the head. */
export const proveOwn = async (commits: Commits, ask: JudgeAsk): Promise<void> => {
  const { refused, judge } = await judgeHead(commits, ask);
  if (refused !== undefined) throw broken(`nothing is committed on top: ${refusedWords(refused)}`);
  const own = { oid: '', parents: [ask.head], ...factsBy({ by: 'purser', merge: null }) };
  const verdict = verdictOn({ ...own, committedAt: judge.committedAt }, judge);
  if (verdict.kind === 'refused') {
    throw broken(`Purser commits nothing: its own commit ${refusalWords(verdict.reason)}`);
  }
};

const broken = (message: string): EdgeFailure => ({
  kind: 'edge-failure',
  consequence: 'broken',
  message,
});

const knownIn = (commits: Commits): KnownCommits => {
  const found = (oid: string): SignedCommit => {
    const commit = commits.get(oid);
    if (commit === undefined) throw new Error(`There is no commit ${oid}.`);
    return commit;
  };
  return {
    commit: (oid) => {
      const { info, signed } = found(oid);
      const parents = info.parent === null ? [] : [info.parent];
      const merged = signed.merge === null ? parents : [...parents, `second parent of ${oid}`];
      return Promise.resolve({ ...info, tree: oid, parents: merged });
    },
    has: (oid) => Promise.resolve(commits.has(oid)),
    policies: {
      at: (tree, before) => {
        const { files } = found(tree);
        const own = verifyIn(files);
        const verify = own ?? before?.verify ?? 'none';
        if (verify === 'none') return Promise.resolve({ policy: NO_POLICY, isOwn: own !== null });
        const { ssh, openpgp } = signersIn(files);
        return Promise.resolve({
          policy: { verify, signers: { ssh, openpgp } },
          isOwn: own !== null,
        });
      },
    },
    facts: ({ oid, parents }, judge) => {
      const { info, signed } = found(oid);
      const alone = { oid, parents, ...factsBy(signed), committedAt: info.authoredAt };
      return Promise.resolve({ ...alone, ...mergeIn(signed, alone, judge) });
    },
  };
};

/** null: there is no cluster.yaml that can be read. */
const verifyIn = (files: Files) => {
  const cluster = files.get('cluster.yaml');
  if (cluster === undefined) return null;
  const { value } = parseDocument('cluster', 'cluster.yaml', cluster);
  return value === null ? null : (value.signatures?.verify ?? 'none');
};

const factsBy = ({ by }: Signed): Pick<CommitFacts, 'signature' | 'committedAt'> => ({
  committedAt: 0,
  signature: by === null ? { kind: 'none' } : { kind: 'ssh', key: keyOf(by), fingerprint: by },
});

/** What is looked at only where a host's merge is judged. */
const mergeIn = ({ merge }: Signed, facts: CommitFacts, judge: Judge): Partial<CommitFacts> => {
  if (merge === null || !needsMerge(facts, judge)) return {};
  const { brought, isExact } = merge;
  const asked = judge.policy.verify === 'strict' ? brought : brought.slice(0, 1);
  const commitOf = (by: Signer | null, at: number): CommitFacts => ({
    oid: `${facts.oid}^2~${at}`,
    parents: [`${facts.oid}^2~${at + 1}`],
    ...factsBy({ by, merge: null }),
    committedAt: facts.committedAt,
  });
  return { merge: { commits: isExact ? asked.map(commitOf) : [], cut: false, isExact } };
};
