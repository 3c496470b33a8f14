// People whose jobs' files have owners: approvals that come in time, late or never (rules 8.2).
// In: a world and a seed. Out: commits that name owners and let them go, authors of commits,
// approvals, a forge that is away. They are drawn apart, in seeds of their own. Not here: what is let
// through (policies.ts).

import type { Ms } from '../../schema/spec.ts';
import type { Human } from './human.ts';
import { OWNERS, type Makers, type Person } from './policies.ts';
import type { Random } from './time.ts';
import type { World } from './world.ts';

/** None of the seeds that are kept for what they once showed. */
export const isOwned = (seed: number): boolean => [0, 1, 18].includes(seed % 25);

/** Where people approve nothing any more in the end, what waits must wait. */
const NEVER_SHARE = 0.4;

export const scheduleOwners = ({ time, human, forge }: World, endsAt: Ms): void => {
  const random = time.random.fork('owners');
  human.habits.makers = () => drawMakers(random);
  let at: Ms = random.between(1_000, 60_000);
  while (at < endsAt) {
    time.at(at, 'a person cares for owners', () => actOnOwners(human, random));
    at += random.between(5_000, 45_000);
  }
  if (!random.chance(0.4)) return;
  const from = random.between(20_000, endsAt - 30_000);
  time.at(from, 'the forge goes away', () => void (forge.down = true));
  time.at(Math.min(endsAt, from + random.between(5_000, 90_000)), 'the forge is back', () => {
    forge.down = false;
  });
};

const drawMakers = (random: Random): Makers => {
  const author: Person = random.pick(['ada', 'bob', 'eve']);
  const roll = random.unit();
  if (roll < 0.5) return { author, approvals: [author === 'ada' ? 'bob' : 'ada'] };
  // Their own word, and that of somebody who owns nothing, let nothing through.
  return { author, approvals: random.pick([[], [], [author], ['eve']]) };
};

const actOnOwners = (human: Human, random: Random): void => {
  const { jobs, policy } = human.written();
  const roll = random.unit();
  if (policy.owned.length === 0 || roll < 0.2) {
    const owned = [...jobs.keys()].filter(() => random.chance(0.6));
    const who = owned.length === 0 ? 'nobody' : OWNERS.join(' and ');
    return human.commit({ policy: { ...policy, owned } }, `Owned by ${who}: ${owned.join(' ')}`);
  }
  return human.approveFiles(waiting(human).filter(() => random.chance(0.7)));
};

const waiting = ({ meanings }: Human): readonly string[] => [
  ...(meanings.at(-1)?.held.keys() ?? []),
];

/** An owner looks at what waits at last, or nobody ever does. */
export const endOwners = ({ time, human }: World): void => {
  if (time.random.fork('last owners').chance(NEVER_SHARE)) return;
  human.approveFiles(waiting(human));
};
