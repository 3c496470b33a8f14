// Reconcilers of one cluster among themselves: standbys ask the leader who may come in, and are
// answered as soon as that changes.
// In: the list of members, who leads. Out: on the leader, an answer to each and who they are; on a
// standby, the leader's list in place of its own. They know each other by certificates of the
// cluster's authority, whose key they share. Not here: who leads (leading.ts), who may come in
// (authority/membership.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import type { LeadPort, LogPort, Member } from '../ports.ts';
import type { MemberList, Membership } from './authority/membership.ts';
import type { Handler } from './control.ts';
import { dialPeer, type PeerAuthority } from './peer-channel.ts';

/** The method of the control service that only reconcilers may call. */
export const PEERS = 'peers';

interface PeersAsk extends Member {
  /** Of the list that it has. */
  readonly version: number;
  /** The list itself, where the leader's was older. */
  readonly list: MemberList | null;
}

interface PeersAnswer {
  readonly list: MemberList;
  /** Where reconcilers listen. */
  readonly places: readonly string[];
}

export interface Peers {
  /** The leader's end. */
  readonly handler: Handler;
  /** A standby's end: until the signal. Never throws. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Those that asked lately. */
  readonly heard: () => readonly (Member & { readonly silentForMs: number })[];
  /** Where others listen, as far as is known. */
  readonly places: () => readonly string[];
  /** Resolves when those that are heard from have the list as it is now, or after a while. */
  readonly spread: () => Promise<void>;
}

export interface PeersOptions {
  readonly me: Member;
  readonly lead: Pick<LeadPort, 'term' | 'leader' | 'watch'>;
  readonly authority: PeerAuthority;
  readonly membership: Pick<Membership, 'list' | 'adopt' | 'watch'>;
  readonly now: () => number;
  readonly log: LogPort;
}

/** An ask that brings no news is answered after this time, and says that both are there. */
const HOLD_MS = 5000;
const CALL_LIMIT_MS = 15_000;
/** One that was not heard from for so long is shown as silent, and is not waited for. */
const LATELY_MS = 3 * HOLD_MS;
const AGAIN_MS = 500;
const SPREAD_MS = 2000;
const STEP_MS = 20;
/** Names are made up by whoever holds the authority's key; so many are remembered. */
const PEERS_MAX = 20;

interface Heard {
  readonly member: Member;
  readonly version: number;
  readonly at: number;
}

export const createPeers = (options: PeersOptions): Peers => {
  const { me, lead, membership, now } = options;
  const heard = new Map<string, Heard>();
  let told: readonly string[] = [];
  const lately = () => [...heard.values()].filter(({ at }) => now() - at < LATELY_MS);

  const handler: Handler = async (argument) => {
    const { name, address, version, list } = argument as PeersAsk;
    if (lead.term() === null) throw new Error(`${me.name} does not lead`);
    if (heard.size >= PEERS_MAX && !heard.has(name)) throw new Error('there are too many of us');
    heard.set(name, { member: { name, address }, version, at: now() });
    if (list !== null) membership.adopt(list);
    await untilNews(options, version);
    return { list: membership.list(), places: places() } satisfies PeersAnswer;
  };
  /** Ours first. */
  const places = (): readonly string[] => {
    const asked = [...heard.values()].map(({ member }) => member.address);
    return [...new Set([me.address, ...asked, ...told])].slice(0, PEERS_MAX);
  };

  return {
    handler,
    heard: () =>
      [...heard.values()].map(({ member, at }) => ({ ...member, silentForMs: now() - at })),
    places: () => places().filter((address) => address !== me.address),
    run: async (signal) => {
      let said = '';
      const follow = async (leader: Member): Promise<boolean> => {
        try {
          told = await followLeader(options, leader, signal);
          said = '';
          return true;
        } catch (error) {
          const words = String(error);
          if (words !== said && !signal.aborted) {
            options.log.warn({ leader: leader.name, error: words }, 'the leader was not reached');
          }
          said = words;
          return false;
        }
      };
      while (!signal.aborted) {
        const leader = lead.term() === null ? lead.leader() : null;
        if (leader !== null && (await follow(leader))) continue;
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    },
    spread: async () => {
      const until = performance.now() + SPREAD_MS;
      const isOld = () => lately().some(({ version }) => version < membership.list().version);
      while (isOld() && performance.now() < until) await sleep(STEP_MS);
      if (isOld()) options.log.warn({}, 'a standby does not know yet who may come in');
    },
  };
};

/** Until the list is another one than this, or for a while. */
const untilNews = ({ membership, lead }: PeersOptions, version: number): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
      resolve();
    };
    const timer = setTimeout(end, membership.list().version === version ? HOLD_MS : 0);
    const stops = [membership.watch(end), lead.watch(end)];
  });

/** One ask; where reconcilers listen, as the leader knows. Throws where it has no answer. */
const followLeader = async (
  { me, authority, membership }: PeersOptions,
  leader: Member,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const { client, close } = await dialPeer(leader.address, authority);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), CALL_LIMIT_MS);
  const ask = async (list: MemberList | null): Promise<PeersAnswer> => {
    const said: PeersAsk = { ...me, version: membership.list().version, list };
    const argument = Buffer.from(JSON.stringify(said));
    const limit = { signal: AbortSignal.any([signal, over.signal]) };
    const { value } = await client.call({ method: PEERS, argument }, limit);
    return JSON.parse(Buffer.from(value).toString('utf8')) as PeersAnswer;
  };
  try {
    let answer = await ask(null);
    // It led without having heard of the newest changes.
    if (answer.list.version < membership.list().version) answer = await ask(membership.list());
    membership.adopt(answer.list);
    return answer.places;
  } finally {
    clearTimeout(timer);
    close();
  }
};
