// What a reconciler that is not alone does besides: it looks who leads, writes only while it leads
// itself, and hands on who may come in. Loaded only where there are several.
// In: a configuration. Out: LeadPort, the same source and handlers for those times, what to show. Not
// here: the lease (edge/lease), when it is certain (leading.ts), what the others are told
// (edge/peers.ts).

import type { LeaderAnswer, StateAnswer, TokenAnswer } from '../schema/control.ts';
import type { ControlServiceImplementation } from '../schema/generated/purser/control/v1/control.ts';
import type { ReconcilerConfig, SeveralConfig } from './config.ts';
import type { Doors } from './doors.ts';
import { createClock, sinceBoot } from './edge/clock.ts';
import type { Authority } from './edge/authority/authority.ts';
import type { Handler } from './edge/control.ts';
import { forwardControl } from './edge/forward.ts';
import type { GitSource } from './edge/git/source.ts';
import { createEtcdLease } from './edge/lease/etcd.ts';
import { createPeers, type Peers, PEERS } from './edge/peers.ts';
import { createLeading, type Leading } from './leading.ts';
import type { LogPort } from './ports.ts';

export interface Several {
  readonly lead: Leading;
  /** Why this reconciler does nothing now, and where to go; null: it leads. */
  readonly refusal: () => string | null;
  /** The others have been told who may come in. */
  readonly spread: () => Promise<void>;
  /** Written to only while we lead; what another one pushed first is kept by Git. */
  readonly gate: (source: GitSource) => GitSource;
  /** Only the leader changes anything; everybody says how things are. */
  readonly handlers: (all: Readonly<Record<string, Handler>>) => Readonly<Record<string, Handler>>;
  /** What a standby is asked is handed on to the leader. */
  readonly forward: (
    control: ControlServiceImplementation,
    authority: Authority,
  ) => ControlServiceImplementation;
  /** Begins to look who leads. Returns the way to stop, which gives the lease up. */
  readonly start: (doors: Doors) => () => Promise<void>;
}

export const openSeveral = (
  { cluster, several, listen }: ReconcilerConfig,
  log: LogPort,
): Several | null => {
  if (several === undefined) return null;
  const { etcd, leaseMs, name } = several;
  const address = several.advertise ?? listen?.address ?? '';
  const me = { name, address };
  const wrong = severalProblem(several, listen?.address ?? null);
  if (wrong !== null) throw new Error(wrong);
  const clock = createClock(sinceBoot);
  let peers: Peers | null = null;
  const lead = createLeading({
    lease: createEtcdLease({ etcd, leaseMs, key: `purser/${cluster}/leader` }),
    me,
    leaseMs,
    clock,
    log,
    others: () => peers?.places() ?? [],
  });
  const refusal = (): string | null => {
    if (lead.term() !== null) return null;
    const leader = lead.leader();
    return leader === null
      ? `${name} is a standby, and nobody is known to lead: \`purser status\` says why; try again in a moment`
      : `${name} is a standby; ${leader.name} leads: run this on its machine, or with ` +
          `--reconciler ${leader.address} and a token in PURSER_TOKEN`;
  };
  const answer = (): LeaderAnswer => {
    const { leads, ...rest } = lead.answer();
    return { ...rest, leads, standbys: leads ? (peers?.heard() ?? []) : [] };
  };
  return {
    lead,
    refusal,
    spread: async () => peers?.spread(),
    gate: (source) => gated(source, refusal),
    handlers: (all) => ({
      ...all,
      // Of what runs a standby knows nothing, and must not look as if it did.
      state: async (argument) => {
        const state = (await all['state']?.(argument)) as StateAnswer;
        const why = refusal();
        const leader = answer();
        return why === null ? { ...state, leader } : { ...state, leader, failure: why, view: null };
      },
      ...fromTheLeader(all, refusal),
      // Where others reach it, which need not be where it listens.
      token: async (argument) => {
        const given = (await all['token']?.(argument)) as TokenAnswer;
        return { ...given, address } satisfies TokenAnswer;
      },
      [PEERS]: async (argument) => peers?.handler(argument),
    }),
    forward: (control, authority) => forwardControl(control, { lead, authority }),
    start: (doors) => {
      const { authority, membership } = doors;
      const abort = new AbortController();
      peers = createPeers({ me, lead, authority, membership, now: clock.now, log });
      const running = [lead.run(abort.signal), peers.run(abort.signal)];
      return async () => {
        abort.abort();
        await Promise.all(running);
      };
    },
  };
};

const fromTheLeader = (
  all: Readonly<Record<string, Handler>>,
  refusal: () => string | null,
): Readonly<Record<string, Handler>> =>
  Object.fromEntries(
    FROM_THE_LEADER.map((method) => [
      method,
      async (argument: unknown) => {
        const why = refusal();
        if (why !== null) throw new Error(why);
        return all[method]?.(argument);
      },
    ]),
  );

/** What a standby does not know, or must not do. Tokens and certificates: doors.ts. */
const FROM_THE_LEADER = ['services', 'copies', 'snapshot', 'events', 'commit', 'record'];

/** Nothing unauthenticated goes beyond loopback; null: all is well. */
export const severalProblem = (
  { etcd, advertise }: SeveralConfig,
  listen: string | null,
): string | null => {
  if (listen === null) {
    return 'with --etcd, other reconcilers and runners come in by TLS: add --listen HOST:PORT';
  }
  const isEverywhere = /^(0\.0\.0\.0|\[::\]|::):/.test(listen) || listen.endsWith(':0');
  if (advertise === null && isEverywhere) {
    return `${listen} says nothing of where others reach this reconciler: add --advertise HOST:PORT`;
  }
  const far = etcd.hosts.find((host) => !/^(127\.|localhost:|\[::1\]:)/.test(host));
  if (far !== undefined && etcd.tls === null) {
    return `etcd at ${far} is on another machine: give the file of its authority with --etcd-ca`;
  }
  const isKnown = etcd.user !== null || (etcd.tls?.certificate ?? null) !== null;
  if (far !== undefined && !isKnown) {
    return `etcd at ${far} is to know who asks: give --etcd-cert and --etcd-key, or --etcd-user and --etcd-password-file`;
  }
  return null;
};

const gated = (source: GitSource, refusal: () => string | null): GitSource => {
  const lead = () => {
    const why = refusal();
    if (why === null) return;
    const failure = { kind: 'edge-failure', consequence: 'retry' } as const;
    throw Object.assign(new Error(why), failure);
  };
  return {
    ...source,
    record: async (records) => {
      lead();
      return source.record(records);
    },
    commit: async (ask) => {
      lead();
      return source.commit(ask);
    },
    offer: async (...offered) => {
      lead();
      return source.offer(...offered);
    },
  };
};
