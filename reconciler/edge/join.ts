// Machines that join, and nodes whose certificates are renewed.
// In: calls from anywhere. Out: certificates; the node's file in Git. A token is spent when the
// node is listed, so that a machine whose answer was lost can ask again. Not here: certificates
// (authority/), tokens (authority/membership.ts).

import type { CallContext } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc';
import type {
  JoinRequest,
  JoinResponse,
  JoinServiceImplementation,
} from '../../schema/generated/purser/join/v1/join.ts';
import { checkHello } from '../../schema/check-report.ts';
import { nodeId, parseToken, reconcilerId } from '../../schema/identity.ts';
import type { LogPort } from '../ports.ts';
import type { Authority } from './authority/authority.ts';
import { issuedAtMs } from './authority/authority.ts';
import type { Membership } from './authority/membership.ts';
import { requestKey } from './authority/x509.ts';
import { messageOf } from './git/failure.ts';
import type { Admits } from './nodes.ts';
import { type Admit, type Peer, peerOf } from './tls.ts';

export interface JoinOptions {
  readonly cluster: string;
  readonly authority: Authority;
  readonly membership: Membership;
  /** A runner speaks for this node now: one of this machine, perhaps, which needs no certificate. */
  readonly isHeard: (node: string) => boolean;
  /** Lists a node in Git where it is not; returns the commit, or null where none was needed. */
  readonly list: (node: string) => Promise<string | null>;
  readonly epochMs: () => number;
  readonly log: LogPort;
  /** Why nobody joins here: another reconciler leads; null: it is ours to say. */
  readonly refusal: () => string | null;
  /** The other reconcilers know of it, or it has been tried. */
  readonly spread: () => Promise<void>;
}

export const createJoin = (options: JoinOptions): JoinServiceImplementation => {
  const { log, membership } = options;
  let turn: Promise<unknown> = Promise.resolve();
  return {
    join: (request, { peer: address }) => {
      // One after the other: a token for one machine is not spent by two.
      const mine = turn.then(() => join(options, request));
      turn = mine.catch(() => undefined);
      return mine.catch((error: unknown) => {
        if (error instanceof ServerError) {
          log.warn({ address, why: error.details }, 'a machine was not let in');
        } else log.warn({ address, error: String(error) }, 'a machine could not be let in');
        throw error;
      });
    },
    renew: async ({ request }, context) => {
      const node = bearer(options, context);
      const signed = await options.authority.sign(request, node, membership.issueMs(node));
      if (signed.kind === 'refused') throw denied(signed.why);
      log.info({ node }, "a node's certificate was renewed");
      return { certificate: signed.certificate };
    },
  };
};

const join = async (
  { cluster, authority, membership, isHeard, list, log, refusal, spread }: JoinOptions,
  { token: text, node, request }: JoinRequest,
): Promise<JoinResponse> => {
  const standby = refusal();
  if (standby !== null) throw denied(standby);
  const wrong = checkHello({ cluster, node });
  if (wrong !== null) throw denied(`a machine cannot join under this name: ${wrong}`);
  const token = parseToken(text);
  if (token === null) {
    throw denied('this is no token: copy the whole of what `purser node token` printed');
  }
  const key = await requestKey(request);
  if (key === null) throw denied('the request holds no ECDSA P-256 key that signed it');
  const joining = { token, node, key, isHeard: isHeard(node) };
  const why = membership.refusal(joining);
  if (why !== null) throw denied(why);
  const commit = await list(node).catch((error: unknown) => {
    // Somebody pushed meanwhile, or nothing is read yet: whoever asks tries again.
    throw new ServerError(
      Status.ABORTED,
      `${node} could not be listed in Git: ${messageOf(error)}`,
    );
  });
  membership.join(joining);
  await spread();
  const signed = await authority.sign(request, node, membership.issueMs(node));
  if (signed.kind === 'refused') throw denied(signed.why);
  log.info({ node, token: token.id, commit }, 'a machine joined');
  return { cluster, certificate: signed.certificate, commit: commit ?? '' };
};

/** Who a caller may speak for: the node of its certificate, as long as that counts. */
export const admitBy =
  ({ cluster, membership, epochMs }: Pick<JoinOptions, 'cluster' | 'membership' | 'epochMs'>) =>
  (context: CallContext): Admits => {
    const peer = peerOf(context.metadata);
    return (node) => {
      if (peer === null) {
        return `whoever called from ${context.peer} as node ${node} has no certificate of this cluster's authority`;
      }
      if (peer.id !== nodeId(cluster, node)) {
        return `${peer.id} called from ${context.peer} as node ${node}, which it is not`;
      }
      return stale(membership, peer, { node, nowMs: epochMs() });
    };
  };

/**
 * Who may call at all: nodes by a certificate, machines that join and people by a token that
 * counts. What a call says is read only then, so that a stranger's megabytes never are.
 */
export const screenCalls =
  (options: Pick<JoinOptions, 'cluster' | 'membership' | 'log'>): Admit =>
  ({ path, peer, token: text, address }) => {
    // Another reconciler; what it may ask is guarded where it is asked.
    if (peer?.id === reconcilerId(options.cluster)) return null;
    const why = strangerWhy(options.membership, { path, peer, text });
    if (why !== null) options.log.warn({ address, path, why }, 'a caller was not let in');
    return why;
  };

const BY_CERTIFICATE = ['/purser.link.v1.LinkService/', '/purser.join.v1.JoinService/Renew'];

const strangerWhy = (
  membership: Pick<Membership, 'check'>,
  { path, peer, text }: { path: string; peer: Peer | null; text: string },
): string | null => {
  if (BY_CERTIFICATE.some((start) => path.startsWith(start))) {
    return peer === null
      ? "this call has no certificate of this cluster's authority: let the machine join first"
      : null;
  }
  const token = parseToken(text);
  if (token === null) return 'this call shows no token: `purser node token` makes one';
  const checked = membership.check(token);
  return checked.kind === 'refused' ? checked.why : null;
};

const stale = (
  membership: Membership,
  peer: Peer,
  { node, nowMs }: { readonly node: string; readonly nowMs: number },
): string | null => {
  if (peer.toMs <= nowMs) {
    return `the certificate of ${node} has ended: let it join anew, by a token of \`purser node token --node ${node}\``;
  }
  if (!membership.counts(node, issuedAtMs(peer))) {
    return `the certificate of ${node} was taken back: let it join anew, by a token of \`purser node token --node ${node}\``;
  }
  return null;
};

/** The node whose certificate this is, as long as that counts; else null. */
export const nodeBy = (
  { cluster, membership, epochMs }: Pick<JoinOptions, 'cluster' | 'membership' | 'epochMs'>,
  peer: Peer | null,
): string | null => {
  const node = nodeIn(cluster, peer);
  if (peer === null || node === '') return null;
  return stale(membership, peer, { node, nowMs: epochMs() }) === null ? node : null;
};

/** '' where there is none. */
const nodeIn = (cluster: string, peer: Peer | null): string => {
  const prefix = nodeId(cluster, '');
  return peer?.id.startsWith(prefix) === true ? peer.id.slice(prefix.length) : '';
};

/** The node whose certificate this call came with. Throws where it does not count. */
const bearer = (options: JoinOptions, context: CallContext): string => {
  const node = nodeIn(options.cluster, peerOf(context.metadata));
  const why = admitBy(options)(context)(node);
  if (why === null) return node;
  options.log.warn({ address: context.peer, why }, 'a certificate was not renewed');
  throw denied(why);
};

const denied = (why: string): ServerError => new ServerError(Status.PERMISSION_DENIED, why);
