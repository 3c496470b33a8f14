// TLS 1.3 on the reconciler's side, and who is at the other end.
// In: an authority, and who may call what. Out: credentials for a gRPC server that renew themselves,
// and the bearer of each call's certificate. Whoever may not call is told so before a byte of the call
// is read. Not here: who may call (join.ts), what a bearer may do then (nodes.ts, guard.ts).

import {
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import type { SecureServerOptions } from 'node:http2';
import type { PeerCertificate, SecureContextOptions } from 'node:tls';
import type { Metadata } from 'nice-grpc';
import { reconcilerId } from '../../schema/identity.ts';
import type { Authority } from './authority/authority.ts';
import { SERVER_RENEWED_MS } from './authority/authority.ts';
import { CALLS_AT_ONCE, HANDSHAKE_MS, HEADERS } from './door/limits.ts';

/** Whose certificate a call came with, as its authority signed it. */
export interface Peer {
  /** `spiffe://shop/node/n1`. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** A call before anything of it is read. */
export interface Caller {
  /** `/purser.link.v1.LinkService/Session`. */
  readonly path: string;
  readonly peer: Peer | null;
  /** What it shows as its token; empty: nothing. */
  readonly token: string;
  readonly address: string;
}

/** Why a caller is not let in; null when it is. */
export type Admit = (caller: Caller) => string | null;

export interface TlsServer {
  readonly credentials: ServerCredentials;
  readonly interceptors: ServerInterceptor[];
  readonly stop: () => void;
}

const VERSION = { minVersion: 'TLSv1.3' } as const;
/** Our own word: what a caller writes there is taken away first. */
const PEER = 'purser-peer';

/**
 * grpc-js has no way to ask for a certificate without insisting on one, nor to name a version of
 * TLS; the class that it lets others extend has.
 */
class Credentials extends ServerCredentials {
  _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  renew(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context);
  }
}

/** `failed` is told of a renewal that could not be made: the certificate before it goes on. */
export const createTlsServer = async (
  authority: Authority,
  { admit, failed }: { readonly admit: Admit; readonly failed: (error: unknown) => void },
): Promise<TlsServer> => {
  const ask: SecureServerOptions = {
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
    settings: { maxConcurrentStreams: CALLS_AT_ONCE },
    maxHeaderListPairs: HEADERS,
    ...VERSION,
  };
  const credentials = new Credentials(ask, await contextOf(authority));
  const renew = async () => {
    try {
      credentials.renew(await contextOf(authority));
    } catch (error) {
      failed(error);
    }
  };
  const timer = setInterval(() => void renew(), SERVER_RENEWED_MS).unref();
  return {
    credentials,
    interceptors: [screenBy(admit)],
    stop: () => clearInterval(timer),
  };
};

/** The authority's own certificate goes along: who joins knows it by its fingerprint. */
export const contextOf = async (authority: Authority): Promise<SecureContextOptions> => {
  const { certificate, key } = await authority.server();
  return {
    ca: authority.certificate,
    cert: `${certificate.trim()}\n${authority.certificate}`,
    key,
    ...VERSION,
  };
};

/** Who called; null: nobody that this cluster's authority knows. */
export const peerOf = (metadata: Metadata): Peer | null => {
  const text = metadata.get(PEER);
  return text === undefined ? null : (JSON.parse(text) as Peer);
};

/** Another reconciler of the cluster, by its certificate. */
export const isReconciler = (metadata: Metadata, cluster: string): boolean =>
  peerOf(metadata)?.id === reconcilerId(cluster);

/** What a caller shows as its token, without the word before it. */
export const tokenOf = (authorization: string | undefined): string =>
  (authorization ?? '').replace(/^Bearer /, '');

/** Reads the certificate once a call, and hands it on where services look. */
const screenBy =
  (admit: Admit): ServerInterceptor =>
  ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, go) => {
            metadata.remove(PEER);
            const peer = bearerOf(call.getAuthContext().sslPeerCertificate);
            if (peer !== null) metadata.set(PEER, JSON.stringify(peer));
            const [shown = ''] = metadata.get('authorization');
            const token = tokenOf(shown.toString());
            const details = admit({ path, peer, token, address: call.getPeer() });
            if (details === null) go(metadata);
            else call.sendStatus({ code: status.UNAUTHENTICATED, details });
          },
        }),
    });

/** Of a connection whose certificate our authority signed: there is none otherwise. */
export const bearerOf = (
  certificate: Pick<PeerCertificate, 'subjectaltname' | 'valid_from' | 'valid_to'> | undefined,
): Peer | null => {
  const id = /^URI:([^,]+)$/.exec(certificate?.subjectaltname ?? '')?.[1];
  if (certificate === undefined || id === undefined) return null;
  const { valid_from: from, valid_to: to } = certificate;
  return { id, fromMs: Date.parse(from), toMs: Date.parse(to) };
};
