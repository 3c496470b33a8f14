// People who leave the number of copies to the machine, and change their minds (rules 7).
// In: a world and a seed. Out: commits that give counts away, scale, move bounds, lose scale files.
// They are drawn apart, in seeds of their own: what the others do stays as it was.
// Not here: everyday commits (human.ts), what must hold of counts (check-counts.ts).

import type { Ms } from '../../schema/spec.ts';
import type { JobDraft } from './drafts.ts';
import { badBehaviour, deploy, type Human } from './human.ts';
import type { Random } from './time.ts';
import type { World } from './world.ts';

/** Every fifth seed, by its last digit: none of those that are kept for what they once showed. */
export const isCounted = (seed: number): boolean => seed % 10 === 1 || seed % 10 === 7;

/** More copies than most jobs may have, so that counts are clamped too. */
const MOST_SAID = 6;

export const scheduleCounts = ({ time, human }: World, endsAt: Ms): void => {
  const random = time.random.fork('counts');
  let at: Ms = random.between(1_000, 60_000);
  while (at < endsAt) {
    time.at(at, 'a person counts', () => actOnCounts(human, random));
    at += random.between(3_000, 50_000);
  }
};

const actOnCounts = (human: Human, random: Random): void => {
  const drafts = [...human.written().jobs.values()].filter(mayVary);
  const draft = drafts[random.between(0, Math.max(0, drafts.length - 1))];
  if (draft === undefined) return undefined;
  const { id } = draft;
  const bounds = drawBounds(random);
  if (draft.bounds === null) return human.edit(id, { bounds }, `Leave the count of ${id}`);
  const said = random.between(0, MOST_SAID);
  const roll = random.unit();
  if (roll < 0.45) return human.scale(id, said);
  if (roll < 0.6) return human.edit(id, { bounds }, `Bounds of ${id}`);
  if (roll < 0.75) return human.scale(id, null);
  if (roll < 0.85) return human.edit(id, { bounds: null }, `Take the count of ${id} back`);
  // What fails and is reverted must not take the copies with it that came just before.
  human.scale(id, draft.bounds.max);
  return deploy(human, id, badBehaviour(random));
};

/**
 * A machine may take a slot with a volume without being asked, so those have people's counts here.
 */
const mayVary = ({ singleton, volume }: JobDraft): boolean => !singleton && volume === 'none';

const drawBounds = (random: Random): NonNullable<JobDraft['bounds']> => {
  const min = random.between(0, 2);
  return { min, max: min + random.between(1, 3) };
};
