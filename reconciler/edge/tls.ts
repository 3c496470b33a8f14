// TLS 1.3 on the reconciler's side, and who is at the other end.
// In: an authority. Out: credentials for a gRPC server that renew themselves, and the bearer of each
// call's certificate. Whoever has none is let as far as the call: joining and people's commands go by
// tokens. Not here: what a bearer may do (nodes.ts, join.ts, guard.ts).

import { ServerCredentials, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { SecureServerOptions } from 'node:http2';
import type { SecureContextOptions } from 'node:tls';
import type { Metadata } from 'nice-grpc';
import type { Authority } from './authority/authority.ts';
import { SERVER_RENEWED_MS } from './authority/authority.ts';

/** Whose certificate a call came with, as its authority signed it. */
export interface Peer {
  /** `spiffe://shop/node/n1`. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

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
  failed: (error: unknown) => void,
): Promise<TlsServer> => {
  const ask: SecureServerOptions = { requestCert: true, rejectUnauthorized: false, ...VERSION };
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
    interceptors: [namePeer],
    stop: () => clearInterval(timer),
  };
};

/** The authority's own certificate goes along: who joins knows it by its fingerprint. */
const contextOf = async (authority: Authority): Promise<SecureContextOptions> => {
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

/** Reads the certificate once a call, and hands it on where services look. */
const namePeer: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, go) => {
          metadata.remove(PEER);
          // Only a certificate that our authority signed is there at all.
          const certificate = call.getAuthContext().sslPeerCertificate;
          const id = /^URI:([^,]+)$/.exec(certificate?.subjectaltname ?? '')?.[1];
          if (certificate !== undefined && id !== undefined) {
            const fromMs = Date.parse(certificate.valid_from);
            const toMs = Date.parse(certificate.valid_to);
            metadata.set(PEER, JSON.stringify({ id, fromMs, toMs } satisfies Peer));
          }
          go(metadata);
        },
      }),
  });
