// Policies of signatures and owners, each sentence told twice: the real judge keeps it, and with the
// sentence broken the checkers notice.
// In: a told cluster, and a judge that may be broken. Out: rules that were violated. Not here: seeds
// (sim.test.ts), the judge over random lines (test/property/acceptance.test.ts).

import { afterEach, describe, expect, it, vi } from 'vitest';

import type {
  CommitFacts,
  Judge,
  Line,
  SignaturePolicy,
  Verdict,
} from '../../schema/acceptance.ts';
import type { Behind, Judging, OwnedChange } from '../../schema/behind.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Asked, Judged, KnownCommits } from '../../reconciler/edge/git/acceptance-line.ts';
import type * as judging from '../../reconciler/desired/judge.ts';
import { GOOD } from './fake/registry.ts';
import type { Human } from './human.ts';
import type { Makers, Policy, Signed } from './policies.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { differences } from './settle.ts';
import type { World } from './world.ts';

type Verdicts = (facts: CommitFacts, judge: Judge) => Verdict;
type After = (line: Line, facts: CommitFacts, own: SignaturePolicy) => Line;
type Branch = (known: KnownCommits, asked: Asked) => Promise<Judged>;
type Open = (all: readonly OwnedChange[], behind: Behind, how: Judging) => readonly OwnedChange[];

interface Broken {
  readonly verdictOn?: (real: Verdicts) => Verdicts;
  readonly afterCommit?: (real: After) => After;
  readonly judgeBranch?: (real: Branch) => Branch;
  readonly openChanges?: (real: Open) => Open;
  readonly heal?: (real: typeof judging.heal) => typeof judging.heal;
  readonly judgeCommit?: (real: typeof judging.judgeCommit) => typeof judging.judgeCommit;
}

/** What is broken now. */
const broken = vi.hoisted((): { now: Broken } => ({ now: {} }));

vi.mock('../../schema/acceptance.ts', async (original) => {
  const real = await original<{ verdictOn: Verdicts; afterCommit: After }>();
  const verdictOn: Verdicts = (...all) =>
    (broken.now.verdictOn?.(real.verdictOn) ?? real.verdictOn)(...all);
  const afterCommit: After = (...all) =>
    (broken.now.afterCommit?.(real.afterCommit) ?? real.afterCommit)(...all);
  return { ...real, verdictOn, afterCommit };
});

vi.mock('../../reconciler/edge/git/acceptance-line.ts', async (original) => {
  const real = await original<{ judgeBranch: Branch }>();
  const judgeBranch: Branch = (...all) =>
    (broken.now.judgeBranch?.(real.judgeBranch) ?? real.judgeBranch)(...all);
  return { ...real, judgeBranch };
});

vi.mock('../../schema/behind.ts', async (original) => {
  const real = await original<{ openChanges: Open }>();
  const openChanges: Open = (...all) =>
    (broken.now.openChanges?.(real.openChanges) ?? real.openChanges)(...all);
  return { ...real, openChanges };
});

vi.mock('../../reconciler/desired/judge.ts', async (original) => {
  const real = await original<typeof judging>();
  const heal: typeof judging.heal = (...all) => (broken.now.heal?.(real.heal) ?? real.heal)(...all);
  const judgeCommit: typeof judging.judgeCommit = (...all) =>
    (broken.now.judgeCommit?.(real.judgeCommit) ?? real.judgeCommit)(...all);
  return { ...real, heal, judgeCommit };
});

afterEach(() => {
  broken.now = {};
});

const WEB = 'shop/web';
/** All copies have settled by then, and the policy is known. */
const SETTLED: Ms = 60_000;
const UNTIL: Ms = 420_000;

const ADA: Signed = { by: 'ada', merge: null };
const EVE: Signed = { by: 'eve', merge: null };
const NOBODY: Signed = { by: null, merge: null };
const LISTED = ['ada', 'purser', 'web-flow'] as const;

interface Story {
  readonly policy: Partial<Policy>;
  /** A rewritten branch is followed; else the guard of that would stop what goes back. */
  readonly local?: boolean;
  readonly happens: (world: World) => void;
}

/** Rules that were violated until all is at rest; `end`: it never came to rest as it should. */
const violated = async ({ policy, happens, local = false }: Story): Promise<readonly string[]> => {
  const web = { ...plainJob('web'), maxParallel: 3 };
  const { time, world } = startTold({ ...plainScenario(3, [web, plainJob('api')]), local });
  const { human, checker } = world;
  const all: Policy = { verify: 'none', listed: LISTED, owned: [], ...policy };
  time.at(20_000, 'policy', () =>
    signed(human, ADA, () => human.commit({ policy: all }, 'Policy')),
  );
  time.at(SETTLED, 'happens', () => happens(world));
  await time.run(UNTIL, () => checker.violations.length === 0);
  const found = checker.violations.map(({ rule }) => rule);
  return found.length > 0 ? [...new Set(found)] : differences(world).map(() => 'end');
};

const signed = ({ habits }: Human, by: Signed, run: () => void): void => {
  const { sign } = habits;
  habits.sign = () => by;
  run();
  habits.sign = sign;
};

const made = ({ habits }: Human, makers: Makers, run: () => void): void => {
  const before = habits.makers;
  habits.makers = () => makers;
  run();
  habits.makers = before;
};

const deploys =
  (by: Signed, version = 2) =>
  ({ human }: World): void =>
    signed(human, by, () => human.edit(WEB, { version }, `Deploy v${version}`));

const CRASHES = { ...GOOD, crash: { afterMs: 500, code: 1, outOfMemory: false } };

const crashes = ({ human }: World): void =>
  signed(human, ADA, () => human.edit(WEB, { version: 2, behaviour: CRASHES }, 'Deploy v2'));

const inOrder =
  (...steps: readonly ((world: World) => void)[]) =>
  (world: World): void => {
    for (const [at, step] of steps.entries()) {
      world.time.after(at * 40_000, 'the next', () => step(world));
    }
  };

const restarts = (world: World): void => world.killReconciler(2_000);

const admitsHerself = ({ human }: World): void =>
  signed(human, EVE, () => {
    const { policy } = human.written();
    human.commit({ policy: { ...policy, listed: [...policy.listed, 'eve'] } }, 'Admit me');
    human.edit(WEB, { version: 2 }, 'Deploy v2');
  });

const turnsItOff = ({ human }: World): void =>
  signed(human, NOBODY, () => {
    human.commit({ policy: { ...human.written().policy, verify: 'none' } }, 'Off');
    human.edit(WEB, { version: 2 }, 'Deploy v2');
  });

const withoutMachine = ({ human }: World): void =>
  signed(human, ADA, () => {
    const { policy } = human.written();
    human.commit({ policy: { ...policy, listed: ['ada'] } }, 'Without the machine');
  });

const eveDeploys = ({ human }: World): void =>
  made(human, { author: 'eve', approvals: [] }, () => human.edit(WEB, { version: 2 }, 'Deploy v2'));

const approved = ({ human }: World): void => human.approveFiles([WEB]);

const ACCEPTED: Verdict = { kind: 'accepted', signer: null };

const STRICT = { policy: { verify: 'strict' } } as const;
const HEAD = { policy: { verify: 'head' } } as const;
const OWNED = { policy: { owned: [WEB] } } as const;

/** What happens, the judge with that sentence broken, and what the checkers say to it. */
const SENTENCES: readonly (readonly [string, Story, Broken, string])[] = [
  [
    'what a stranger signed is not acted on',
    { ...STRICT, happens: deploys(EVE) },
    {
      verdictOn: (real) => (facts, judge) =>
        facts.signature.kind === 'none' ? real(facts, judge) : ACCEPTED,
      afterCommit: (real) => (line, facts, own) =>
        facts.signature.kind === 'none'
          ? real(line, facts, own)
          : { accepted: facts.oid, judge: { policy: own, committedAt: 0 }, refused: [] },
    },
    'refused',
  ],
  [
    'nor what nobody signed',
    { ...HEAD, happens: deploys(NOBODY) },
    {
      afterCommit: (_real) => (_line, facts, own) => ({
        accepted: facts.oid,
        judge: { policy: own, committedAt: 0 },
        refused: [],
      }),
    },
    'refused',
  ],
  [
    'a commit cannot admit its own author',
    { ...STRICT, happens: admitsHerself },
    {
      afterCommit: (real) => (line, facts, own) =>
        real({ ...line, judge: { ...line.judge, policy: own } }, facts, own),
    },
    'refused',
  ],
  [
    'nor switch the policy off',
    { ...STRICT, happens: turnsItOff },
    {
      afterCommit: (real) => (line, facts, own) =>
        own.verify === 'none'
          ? real({ ...line, judge: { ...line.judge, policy: own } }, facts, own)
          : real(line, facts, own),
    },
    'refused',
  ],
  [
    'with strict a good commit on top of a bad one waits',
    { ...STRICT, happens: inOrder(deploys(NOBODY), deploys(ADA, 3)) },
    {
      afterCommit: (real) => (line, facts, own) =>
        line.refused.length === 0
          ? real(line, facts, own)
          : { accepted: facts.oid, judge: { policy: own, committedAt: 0 }, refused: [] },
    },
    'refused',
  ],
  [
    'with head it is taken',
    { ...HEAD, happens: inOrder(deploys(NOBODY), deploys(ADA, 3)) },
    {
      afterCommit: (real) => (line, facts, own) =>
        line.refused.length > 0
          ? { ...line, refused: [...line.refused, { commit: facts.oid, reason: UNSIGNED }] }
          : real(line, facts, own),
    },
    'end',
  ],
  [
    'once a person resumed at it, it is acted on, and what follows',
    {
      ...STRICT,
      happens: inOrder(deploys(EVE), ({ human }) => human.vouch(), restarts, deploys(ADA, 3)),
    },
    {
      judgeBranch: (real) => (known, asked) =>
        real(known, { ...asked, ledger: asked.ledger.filter(({ kind }) => kind !== 'resume') }),
    },
    'end',
  ],
  [
    'the machine reverts under a policy as without one',
    { ...STRICT, happens: crashes },
    {
      verdictOn: (real) => (facts, judge) =>
        facts.oid === '' ? { kind: 'refused', reason: UNSIGNED } : real(facts, judge),
    },
    'end',
  ],
  [
    'it makes no commit that would not count',
    { ...STRICT, happens: inOrder(withoutMachine, crashes, withMachine) },
    { verdictOn: (real) => (facts, judge) => (facts.oid === '' ? ACCEPTED : real(facts, judge)) },
    'own-refused',
  ],
  [
    'a restart judges the same',
    { ...STRICT, local: true, happens: inOrder(deploys(ADA), deploys(EVE, 3), restarts) },
    {
      judgeBranch: (real) => async (known, asked) => {
        if (asked.settled !== null) return real(known, asked);
        const { parent } = await known.commit(asked.head);
        const back = parent === null ? null : await known.commit(parent);
        return real(known, { ...asked, head: back?.parent ?? asked.head, ledger: [] });
      },
    },
    'went-back',
  ],
  [
    'what no owner has let through does not start',
    { ...OWNED, happens: eveDeploys },
    { openChanges: () => () => [] },
    'unknown',
  ],
  [
    'once an owner approves, it does',
    { ...OWNED, happens: inOrder(eveDeploys, approved) },
    { heal: () => (judged) => judged },
    'end',
  ],
  [
    'the machine’s own revert waits for no owner',
    {
      ...OWNED,
      happens: (world) =>
        made(world.human, { author: 'eve', approvals: ['ada'] }, () => crashes(world)),
    },
    {
      judgeCommit:
        (real) =>
        (judged, one, { behind, given }) =>
          real(judged, one, { behind: behind ?? { authors: [], approvals: [] }, given }),
    },
    'end',
  ],
  [
    'also where it died as it made it',
    { ...OWNED, happens: (world) => crashesAsItDies(world) },
    {
      judgeCommit: (real) => (judged, one, how) =>
        real(judged, one, { ...how, behind: how.behind ?? { authors: [], approvals: [] } }),
    },
    'end',
  ],
];

/** The commit is there, and no record says that it is the machine's. */
const crashesAsItDies = (world: World): void => {
  world.human.repo.onMachineCommit(() => world.killReconciler(5_000));
  made(world.human, { author: 'eve', approvals: ['ada'] }, () => crashes(world));
};

const UNSIGNED = { kind: 'unsigned' } as const;

function withMachine({ human }: World): void {
  const { policy } = human.written();
  signed(human, ADA, () => human.commit({ policy: { ...policy, listed: LISTED } }, 'Let it go on'));
}

describe('policies', () => {
  it.each(SENTENCES)('%s', async (_name, story) => {
    expect(await violated(story)).toEqual([]);
  });

  it.each(SENTENCES)('the checkers notice where it is not so that %s', async (...all) => {
    const [, story, how, rule] = all;
    broken.now = how;
    expect(await violated(story)).toContain(rule);
  });
});
