// Laws of which commits may be acted on, over random lines: keys that are listed or not, policies
// that change, commits that admit their own authors. The oracle is written in another way than the
// code: it asks of every commit who could have vouched for it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  afterCommit,
  type CommitFacts,
  type Line,
  type SignaturePolicy,
  type Verify,
} from '../../schema/acceptance.ts';

const KEYS = ['ada', 'bob', 'eve'] as const;

interface Drawn {
  readonly signer: (typeof KEYS)[number] | null;
  readonly verify: Verify;
  readonly listed: readonly string[];
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  signer: fc.constantFrom(...KEYS, null),
  verify: fc.constantFrom('none', 'head', 'strict'),
  listed: fc.subarray([...KEYS]),
});

const policyOf = ({ verify, listed }: Pick<Drawn, 'verify' | 'listed'>): SignaturePolicy => ({
  verify,
  signers: {
    ssh: listed.map((key) => ({ principals: key, key, validAfter: null, validBefore: null })),
    openpgp: [],
  },
});

const factsOf = ({ signer }: Drawn, at: number): CommitFacts => ({
  oid: `c${at}`,
  parents: [`c${at - 1}`],
  committedAt: at,
  signature: signer === null ? { kind: 'none' } : { kind: 'ssh', key: signer, fingerprint: signer },
});

const begin = (first: Pick<Drawn, 'verify' | 'listed'>): Line => ({
  accepted: 'base',
  judge: { policy: policyOf(first), committedAt: 0 },
  refused: [],
});

const run = (first: Pick<Drawn, 'verify' | 'listed'>, commits: readonly Drawn[]): Line =>
  commits.reduce(
    (line, one, at) => afterCommit(line, factsOf(one, at), policyOf(one)),
    begin(first),
  );

const line = fc.tuple(drawn, fc.array(drawn, { maxLength: 12 }));

test('a commit is accepted only by one that was accepted before it', () => {
  fc.assert(
    fc.property(line, ([first, commits]) => {
      let judge: Pick<Drawn, 'verify' | 'listed'> = first;
      let isBlocked = false;
      let accepted = 'base';
      for (const [at, one] of commits.entries()) {
        const isSigned = one.signer !== null && judge.listed.includes(one.signer);
        const isGood = judge.verify === 'none' || (isSigned && !isBlocked);
        if (!isGood) isBlocked = judge.verify === 'strict';
        else [judge, accepted, isBlocked] = [one, `c${at}`, false];
      }
      const judged = run(first, commits);
      expect(judged.accepted).toBe(accepted);
      expect(judged.refused.some(({ commit }) => commit === judged.accepted)).toBe(false);
    }),
  );
});

test('what a refused commit says changes nothing for those after it', () => {
  fc.assert(
    fc.property(line, drawn, ([first, commits], other) => {
      const refused = new Set(run(first, commits).refused.map(({ commit }) => commit));
      const { verify, listed } = other;
      const changed = commits.map((one, at) =>
        refused.has(`c${at}`) ? { ...one, verify, listed } : one,
      );
      expect(run(first, changed)).toEqual(run(first, commits));
    }),
  );
});

test('with a policy nobody who was never listed by an accepted commit gets anything accepted', () => {
  fc.assert(
    fc.property(line, ([first, commits]) => {
      const asking = commits.map((one) => ({
        ...one,
        verify: one.verify === 'none' ? ('head' as const) : one.verify,
        // Only eve lists eve.
        listed: one.listed.filter((key) => key !== 'eve' || one.signer === 'eve'),
      }));
      const start = {
        verify: first.verify === 'none' ? ('strict' as const) : first.verify,
        listed: first.listed.filter((key) => key !== 'eve'),
      };
      const { accepted } = run(start, asking);
      const newest = asking[Number(accepted?.slice(1))];
      expect(newest?.signer ?? 'ada').not.toBe('eve');
    }),
  );
});
