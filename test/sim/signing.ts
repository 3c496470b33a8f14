// People who ask for signatures, and those who push without one (docs/SIGNATURES.md).
// In: a world and a seed. Out: commits that turn a policy on, change it and turn it off, that admit
// people, that nobody signed, that a host made; somebody who notices what does not count, and ends
// it. They are drawn apart, in seeds of their own: what the others do stays as it was. Not here: what
// counts (policies.ts), what must hold of it (check-policies.ts).

import type { Ms } from '../../schema/spec.ts';
import { deploy, goodBehaviour, type Human, type Intent } from './human.ts';
import type { Policy, Signed, Signer } from './policies.ts';
import type { Random } from './time.ts';
import type { World } from './world.ts';

/** None of the seeds that are kept for what they once showed. */
export const isSigned = (seed: number): boolean => [0, 3, 12].includes(seed % 25);

const LISTED: readonly Signer[] = ['ada', 'bob', 'purser', 'web-flow'];

export const scheduleSignatures = (world: World, endsAt: Ms): void => {
  const { time, human } = world;
  const random = time.random.fork('signatures');
  human.habits.sign = () => drawSigned(random);
  const turnOn = (): void => {
    // Until something was in sync a start has nothing to judge by, and takes what it finds.
    if (time.now() >= endsAt) return;
    if (!human.repo.ledger.some(({ kind }) => kind === 'synced')) {
      time.after(5_000, 'a person waits with signatures', turnOn);
      return;
    }
    const verify = random.chance(0.5) ? 'strict' : 'head';
    const { policy } = human.written();
    human.commit(
      { policy: { ...policy, verify, listed: LISTED } },
      `Ask for signatures: ${verify}`,
    );
    goOn();
  };
  const goOn = (): void => {
    const run = (): void => {
      if (time.now() >= endsAt) return;
      actOnSignatures(human, random);
      goOn();
    };
    time.after(random.between(8_000, 60_000), 'a person signs', run);
  };
  const notice = (): void => {
    if (time.now() >= endsAt) return;
    if (!counts(human)) putRight(human, random);
    time.after(random.between(5_000, 50_000), 'a person looks at what counts', notice);
  };
  time.at(random.between(1_000, 60_000), 'a person asks for signatures', turnOn);
  time.at(random.between(1_000, 60_000), 'a person looks at what counts', notice);
};

/** Whether the tip of the branch counts. */
const counts = ({ intents, repo }: Human): boolean => intents.at(-1)?.oid === repo.head().info.oid;

const plain = (by: Signer | null): Signed => ({ by, merge: null });

const merged = (brought: readonly (Signer | null)[], isExact = true): Signed => ({
  by: 'web-flow',
  merge: { brought, isExact },
});

/** Most people sign; some forget, some may not, some press buttons. */
const drawSigned = (random: Random): Signed => {
  const roll = random.unit();
  if (roll < 0.62) return plain(random.pick(['ada', 'ada', 'bob']));
  if (roll < 0.74) return plain(null);
  if (roll < 0.8) return plain('eve');
  if (roll < 0.9) return merged(['ada', 'bob']);
  if (roll < 0.93) return merged(['ada', null]);
  if (roll < 0.95) return merged([null, 'ada']);
  if (roll < 0.97) return merged(['ada'], false);
  // A squash.
  return plain('web-flow');
};

const actOnSignatures = (human: Human, random: Random): void => {
  const { policy } = human.written();
  const roll = random.unit();
  const change = (next: Partial<Policy>, message: string, others: Partial<Intent> = {}): void =>
    human.commit({ ...others, policy: { ...policy, ...next } }, message);
  if (roll < 0.25) {
    const verify = random.pick(['none', 'head', 'strict', 'strict'] as const);
    return change({ verify }, `Ask for signatures: ${verify}`);
  }
  if (roll < 0.4) {
    const isIn = policy.listed.includes('eve');
    const listed = isIn ? LISTED : [...LISTED, 'eve' as const];
    return change({ listed }, isIn ? 'Let eve go' : 'Admit eve');
  }
  if (roll < 0.5) return change({ listed: ['ada', 'bob', 'web-flow'] }, 'Without the machine');
  if (roll < 0.6) return change({ listed: LISTED }, 'The usual signers');
  const [id] = [...human.written().jobs.keys()];
  return as(human, random.chance(0.5) ? 'eve' : null, () => {
    // Who admits herself goes on as if she was admitted.
    if (random.chance(0.5)) change({ listed: [...LISTED, 'eve'] }, 'Admit myself');
    else change({ verify: 'none' }, 'Let everybody in');
    if (id !== undefined) deploy(human, id, goodBehaviour(random));
  });
};

const as = ({ habits }: Human, by: Signer | null, run: () => void): void => {
  const { sign } = habits;
  habits.sign = () => plain(by);
  run();
  habits.sign = sign;
};

const putRight = (human: Human, random: Random): void => {
  const roll = random.unit();
  if (roll < 0.25) return human.vouch();
  if (roll < 0.65) return human.amend(plain('ada'));
  // It vouches for those below it with `head`; with `strict` it waits with them.
  return as(human, 'ada', () => {
    const [draft] = [...human.written().jobs.values()];
    if (draft !== undefined) human.edit(draft.id, { remark: draft.remark + 1 }, 'On top, signed');
  });
};

/** What is left as people want it: everybody is listed who has to be. */
export const endSignatures = (human: Human): void => {
  human.vouch();
  const { policy } = human.written();
  if (policy.verify === 'none' || policy.listed.includes('purser')) return;
  human.commit({ policy: { ...policy, listed: LISTED } }, 'The machine may go on');
  human.vouch();
};
