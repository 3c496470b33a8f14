// Which of several reconcilers leads: takes the lease where nobody has it, keeps it, and knows by its
// own clock until when that is certain.
// In: the lease, a clock that counts the time in which the machine slept. Out: LeadPort, and what to
// show. Nothing is read here of the wall clock: who leads does not depend on how clocks are set. Not
// here: what a leader does (main), where the lease is (edge/lease).

import { abortWith } from '../schema/abort-with.ts';
import type { Ms } from '../schema/spec.ts';
import type { LeaderAnswer } from '../schema/control.ts';
import { WOKEN } from './config.ts';
import type { ClockPort, Holder, LeadPort, LeasePort, LogPort, Member, Standing } from './ports.ts';

export interface LeadingOptions {
  readonly lease: LeasePort;
  readonly me: Member;
  readonly leaseMs: Ms;
  readonly clock: Pick<ClockPort, 'now' | 'sleepUntil'>;
  readonly log: LogPort;
  /** Where the other reconcilers listen, as far as they are known. */
  readonly others: () => readonly string[];
}

export interface Leading extends LeadPort {
  /** Until the signal; then gives the lease up. Never throws. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly answer: () => LeaderAnswer;
}

/**
 * Of the life of a lease: how often it is kept, and what part of it we count on. Clocks of two
 * machines run by less than a hundredth apart; the rest is for what is under way.
 */
const LOOKS_A_LEASE = 5;
const CERTAIN = 0.8;
/** A lease that ended is taken at the latest so long after. */
const LOOK_MOST_MS: Ms = 500;
/**
 * A runner that dials while nobody leads is held for so long: whoever it reached may be the next to
 * lead. Then it is let try the others, of which one may lead that we cannot hear of.
 */
const HELD_MS: Ms = 2000;

interface State {
  held: { term: number; until: Ms } | null;
  /** Somebody else, as of the last look. */
  leader: Member | null;
  /** Nobody was seen to lead since then; null: somebody does. */
  leaderless: Ms | null;
  problem: { readonly message: string; readonly since: Ms } | null;
  readonly listeners: Set<() => void>;
}

export const createLeading = (options: LeadingOptions): Leading => {
  const { lease, me, leaseMs, clock, others } = options;
  const state: State = {
    held: null,
    leader: null,
    leaderless: clock.now(),
    problem: null,
    listeners: new Set(),
  };
  const term = () => termOf(state, clock.now());
  return {
    term,
    leader: () => state.leader,
    places: () => [me.address, ...others()],
    standing: (followed, signal) => standingOf(options, state, { followed, signal }),
    watch: (listener) => {
      state.listeners.add(listener);
      return () => state.listeners.delete(listener);
    },
    answer: () => answerOf(state, { me, now: clock.now(), leads: term() }),
    run: async (signal) => {
      const every = Math.min(leaseMs / LOOKS_A_LEASE, LOOK_MOST_MS);
      while (!signal.aborted) {
        await turn(options, state);
        const until = state.held?.until ?? Infinity;
        await clock.sleepUntil(Math.min(clock.now() + every, until), signal);
      }
      lose(options, state, 'this reconciler ends');
      await lease.release().catch(() => undefined);
      lease.close();
    },
  };
};

const termOf = ({ held }: State, now: Ms): number | null =>
  held !== null && now < held.until ? held.term : null;

const ring = ({ listeners }: State): void => {
  for (const listener of listeners) listener();
};

const turn = async (options: LeadingOptions, state: State): Promise<void> => {
  const { clock, leaseMs, log } = options;
  try {
    await look(options, state, clock.now());
    if (state.problem !== null) log.info({}, 'the lease can be looked at again');
    state.problem = null;
  } catch (error) {
    const message = messageOf(error);
    if (state.problem === null) log.warn({ message }, 'the lease cannot be looked at');
    state.problem = { message, since: state.problem?.since ?? clock.now() };
    // Whoever was seen may have lost it by now.
    const isOld = clock.now() - state.problem.since > leaseMs;
    if (isOld && state.leader !== null) {
      Object.assign(state, { leader: null, leaderless: clock.now() });
    }
  }
  if (termOf(state, clock.now()) === null) lose(options, state, 'it was not kept in time');
};

/** One look, begun at `asked`: the lease is kept, taken, or somebody else's. */
const look = async (options: LeadingOptions, state: State, asked: Ms): Promise<void> => {
  const { lease, me, leaseMs } = options;
  if (state.held !== null) {
    if (!(await lease.keep())) lose(options, state, 'it has ended');
    else state.held.until = asked + leaseMs * CERTAIN;
    return;
  }
  const before = await lease.holder();
  const holder = before ?? (await lease.acquire(me));
  if (!holder.mine) follow(options, state, holder);
  // Of an answer that was lost, or from before etcd was away: how long it lives is not known.
  else if (before === null || (await lease.keep())) gain(options, state, { holder, asked });
};

const gain = (
  { me, leaseMs, log }: LeadingOptions,
  state: State,
  { holder: { term }, asked }: { readonly holder: Holder; readonly asked: Ms },
): void => {
  state.held = { term, until: asked + leaseMs * CERTAIN };
  Object.assign(state, { leader: null, leaderless: null });
  log.info({ name: me.name, term }, 'this reconciler leads');
  ring(state);
};

const lose = ({ me, clock, log }: LeadingOptions, state: State, why: string): void => {
  if (state.held === null) return;
  const { term } = state.held;
  log.warn({ name: me.name, term }, `this reconciler leads no more: its lease is over, as ${why}`);
  Object.assign(state, { held: null, leaderless: clock.now() });
  ring(state);
};

const follow = ({ log }: LeadingOptions, state: State, holder: Holder): void => {
  const { name, address, term } = holder;
  const isNew = state.leader?.name !== name || state.leader.address !== address;
  Object.assign(state, { leader: { name, address }, leaderless: null });
  if (!isNew) return;
  log.info({ leader: name, address, term }, 'another reconciler leads');
  ring(state);
};

const standingOf = async (
  { lease, clock }: LeadingOptions,
  state: State,
  { followed, signal }: { readonly followed: number; readonly signal: AbortSignal },
): Promise<Standing> => {
  const until = clock.now() + HELD_MS;
  while (!signal.aborted && clock.now() < until) {
    const term = termOf(state, clock.now());
    if (term !== null && followed <= term) return { kind: 'leads', term };
    if (term !== null && !(await raise(state, lease, followed))) return follows(state);
    if (term === null && state.leader !== null) return follows(state);
    if (term !== null) continue;
    const woken = new AbortController();
    const wake = () => woken.abort(WOKEN);
    state.listeners.add(wake);
    const apart = abortWith(signal, woken);
    await clock.sleepUntil(until, woken.signal);
    apart();
    state.listeners.delete(wake);
  }
  return follows(state);
};

const follows = ({ leader }: State): Standing => ({ kind: 'follows', leader });

/**
 * A runner has followed a higher term than ours: of a newer leader, and then we are none; or etcd
 * was made anew, and counts from the beginning. Whoever holds the lease now, as a majority says,
 * comes after all that runners have followed. Whether we do; then our term is above theirs.
 */
const raise = async (state: State, lease: LeasePort, followed: number): Promise<boolean> => {
  const holder = await lease.holder().catch(() => null);
  if (holder?.mine !== true || state.held === null) return false;
  state.held.term = Math.max(state.held.term, followed + 1);
  return true;
};

const answerOf = (
  { leader, leaderless, problem }: State,
  { me, now, leads }: { readonly me: Member; readonly now: Ms; readonly leads: number | null },
): LeaderAnswer => ({
  me,
  leads: leads !== null,
  term: leads,
  leader: leads === null ? leader : me,
  leaderlessMs: leads !== null || leaderless === null ? null : Math.max(0, now - leaderless),
  problem: problem === null ? null : { message: problem.message, forMs: now - problem.since },
  standbys: [],
});

const messageOf = (error: unknown): string =>
  error instanceof Error
    ? error.message
    : typeof error === 'object' && error !== null && 'message' in error
      ? String(error.message)
      : String(error);
