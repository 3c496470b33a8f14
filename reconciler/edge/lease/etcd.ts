// The lease in etcd: one key that lives as long as its holder keeps it alive. Nothing else is there.
// In: addresses of etcd's members, how to get in, a key. Out: LeasePort. Every read asks a majority.
// A member that does not answer in time is left for the next one. Not here: who leads, and for how
// long that is certain (leading.ts).

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import {
  type Channel,
  ClientError,
  createChannel,
  createClient,
  Metadata,
  Status,
} from 'nice-grpc';
import {
  AuthDefinition,
  Compare_CompareResult,
  Compare_CompareTarget,
  type KeyValue,
  KVDefinition,
  LeaseDefinition,
  type TxnRequest,
} from '../../../schema/generated/etcd/v3/etcd.ts';
import type { EtcdConfig } from '../../config.ts';
import type { EdgeFailure, Holder, LeasePort, Member } from '../../ports.ts';
import { etcdWords } from './words.ts';

export interface EtcdLeaseOptions {
  readonly etcd: EtcdConfig;
  /** `purser/shop/leader`. */
  readonly key: string;
  readonly leaseMs: number;
}

/** So many calls fit into the life of a lease: one that hangs does not cost it. */
const CALLS_A_LEASE = 5;

const CHANNEL_OPTIONS = {
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
};

export const createEtcdLease = ({ etcd, key, leaseMs }: EtcdLeaseOptions): LeasePort => {
  const callMs = Math.ceil(leaseMs / CALLS_A_LEASE);
  const { call, close } = createCaller(etcd, callMs);
  const bytes = Buffer.from(key);
  /** Ours, while it may live. */
  let ours: bigint | null = null;

  const holderOf = (kv: KeyValue | undefined): Holder | null => {
    if (kv === undefined) return null;
    const member = JSON.parse(Buffer.from(kv.value).toString('utf8')) as Member;
    const { name, address } = member;
    return { name, address, term: Number(kv.createRevision), mine: kv.lease === ours };
  };

  const revoke = (id: bigint) => call(({ lease, ...how }) => lease.leaseRevoke({ ID: id }, how));

  const holder = async () => {
    const { kvs } = await call(({ kv, ...how }) => kv.range({ key: bytes }, how));
    return holderOf(kvs[0]);
  };

  return {
    holder,
    acquire: async (me) => {
      // Ours, perhaps, of a call whose answer was lost: a new lease would make a stranger of it.
      const before = await holder();
      if (before !== null) return before;
      const ttl = { TTL: BigInt(Math.ceil(leaseMs / 1000)), ID: 0n };
      const { ID } = await call(({ lease, ...how }) => lease.leaseGrant(ttl, how));
      // Before the call: its answer may be lost, and the lease be ours all the same.
      ours = ID;
      const value = Buffer.from(JSON.stringify(me));
      const ask = takeIfFree({ key: bytes, value, lease: ID });
      const { succeeded, responses } = await call(({ kv, ...how }) => kv.txn(ask, how));
      const response = responses.at(-1)?.response;
      const found = response?.$case === 'responseRange' ? response.value.kvs[0] : undefined;
      const now = holderOf(found);
      if (now === null) throw failure('etcd says neither yes nor no to the lease');
      // Somebody else was quicker: ours holds nothing. (Or it was us, by a call whose answer was lost.)
      if (!succeeded && !now.mine) await revoke(ID).catch(() => undefined);
      return now;
    },
    keep: async () => {
      const id = ours;
      // Of a key that was deleted, or that we may not read any more, the lease would live on, and
      // keep nobody out: etcd asks nobody who keeps one who they are.
      if (id === null || (await holder())?.mine !== true) return false;
      return call(async ({ lease, ...how }) => {
        for await (const { TTL } of lease.leaseKeepAlive(once({ ID: id }), how)) return TTL > 0n;
        throw new Error('etcd ended the call without an answer');
      });
    },
    release: async () => {
      if (ours === null) return;
      await revoke(ours);
      ours = null;
    },
    close,
  };
};

const once = async function* once<One>(one: One): AsyncGenerator<One> {
  yield one;
};

/** Puts the key where it is not, and reads it either way. */
const takeIfFree = (put: { key: Buffer; value: Buffer; lease: bigint }): TxnRequest => {
  const range = { request: { $case: 'requestRange' as const, value: { key: put.key } } };
  return {
    compare: [
      {
        result: Compare_CompareResult.EQUAL,
        target: Compare_CompareTarget.CREATE,
        key: put.key,
        targetUnion: { $case: 'createRevision', value: 0n },
      },
    ],
    success: [{ request: { $case: 'requestPut', value: put } }, range],
    failure: [range],
  };
};

/** How one call is made of one member of etcd. */
interface How {
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
}

interface Clients extends How {
  readonly kv: ReturnType<typeof clientsOf>['kv'];
  readonly lease: ReturnType<typeof clientsOf>['lease'];
}

/** Asks one member after the other, the one that answered last first. */
const createCaller = (etcd: EtcdConfig, callMs: number) => {
  const open = new Map<string, { channel: Channel; clients: ReturnType<typeof clientsOf> }>();
  let at = 0;
  let token: string | null = null;

  const opened = (host: string) => {
    const known = open.get(host);
    if (known !== undefined) return known;
    const channel = createChannel(host, credentialsOf(etcd), CHANNEL_OPTIONS);
    const made = { channel, clients: clientsOf(channel) };
    open.set(host, made);
    return made;
  };
  const drop = (host: string) => {
    open.get(host)?.channel.close();
    open.delete(host);
  };
  const ask = async <Answer>(host: string, asked: (clients: Clients) => Promise<Answer>) => {
    const { clients } = opened(host);
    const signal = AbortSignal.timeout(callMs);
    const { user } = etcd;
    if (user !== null && token === null) {
      const password = read(user.passwordFile).toString('utf8').trim();
      ({ token } = await clients.auth.authenticate({ name: user.name, password }, { signal }));
    }
    const metadata = token === null ? Metadata() : Metadata({ token });
    return asked({ ...clients, signal, metadata });
  };

  return {
    /** Throws EdgeFailure when no member has an answer. */
    call: async <Answer>(asked: (clients: Clients) => Promise<Answer>): Promise<Answer> => {
      const said = new Map<string, Set<string>>();
      let isRenewed = false;
      // Once more than there are members: a token that has ended is asked for anew.
      for (let turn = 0; turn <= etcd.hosts.length; turn += 1) {
        const host = etcd.hosts[at % etcd.hosts.length] ?? '';
        try {
          return await ask(host, asked);
        } catch (error) {
          drop(host);
          if (token !== null && !isRenewed && isOfOldToken(error)) {
            token = null;
            isRenewed = true;
            continue;
          }
          const words = etcdWords(etcd, wordsOf(error, callMs));
          said.set(words, (said.get(words) ?? new Set()).add(host));
          at += 1;
        }
      }
      const all = [...said].map(([words, hosts]) => `${[...hosts].join(', ')}: ${words}`);
      throw failure(`etcd cannot be asked (${all.join('; ')})`);
    },
    close: () => {
      for (const host of open.keys()) drop(host);
    },
  };
};

const clientsOf = (channel: Channel) => ({
  kv: createClient(KVDefinition, channel),
  lease: createClient(LeaseDefinition, channel),
  auth: createClient(AuthDefinition, channel),
});

/** Files are read anew for each connection, so that they can be exchanged. */
const credentialsOf = ({ tls }: EtcdConfig): ChannelCredentials => {
  if (tls === null) return ChannelCredentials.createInsecure();
  const { ca, certificate, key } = tls;
  const authority = read(ca);
  // One without any would be taken for an authority that signed nothing.
  if (!authority.includes('BEGIN CERTIFICATE')) {
    throw new Error(`${ca} holds no certificate (PEM): see --etcd-ca`);
  }
  return ChannelCredentials.createFromSecureContext(
    createSecureContext({
      ca: authority,
      minVersion: 'TLSv1.2',
      ...(certificate === null ? {} : { cert: read(certificate) }),
      ...(key === null ? {} : { key: read(key) }),
    }),
  );
};

const read = (file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(`${file} cannot be read (${code})`, { cause: error });
  }
};

/** It has ended, or users were changed since it was given. */
const isOfOldToken = (error: unknown): boolean =>
  error instanceof ClientError &&
  (error.code === Status.UNAUTHENTICATED ||
    /invalid auth token|revision of auth store is old/.test(error.details));

const wordsOf = (error: unknown, callMs: number): string => {
  if (error instanceof ClientError) return error.details;
  if (error instanceof Error && error.name === 'AbortError') return `no answer in ${callMs} ms`;
  return error instanceof Error ? error.message : String(error);
};

const failure = (message: string): EdgeFailure & Error =>
  Object.assign(new Error(message), {
    kind: 'edge-failure' as const,
    consequence: 'retry' as const,
  });
