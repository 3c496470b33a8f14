// The way in for other machines: one address, TLS 1.3, for runners that joined, machines that join,
// and people with a token. In: a configuration and the services. Out: a listening server, and what
// commands may ask of it. Loaded only where something listens beyond this machine. Not here:
// certificates and tokens (edge/authority), what the services do.

import {
  ControlServiceDefinition,
  type ControlServiceImplementation,
} from '../schema/generated/purser/control/v1/control.ts';
import { JoinServiceDefinition } from '../schema/generated/purser/join/v1/join.ts';
import type { EndTokenArgument, ExpelArgument, TokenAnswer, TokenAsk } from '../schema/control.ts';
import { formatToken, parseToken, reconcilerId } from '../schema/identity.ts';
import type { ListenConfig } from './config.ts';
import { type Authority, openAuthority } from './edge/authority/authority.ts';
import { type Membership, openMembership } from './edge/authority/membership.ts';
import type { Allows, Api } from './edge/api.ts';
import { LINK_SERVICE } from './edge/link-service.ts';
import { listenApiTls } from './edge/api-server.ts';
import type { Handler } from './edge/control.ts';
import { type Connections, createConnections } from './edge/door/connections.ts';
import { paced } from './edge/door/pace.ts';
import { sparing } from './edge/door/sparing.ts';
import { guardControl, refusalOf } from './edge/guard.ts';
import { admitBy, createJoin, nodeBy, screenCalls } from './edge/join.ts';
import type { Nodes } from './edge/nodes.ts';
import { listenTls, type Listening } from './edge/server.ts';
import { type Admit, bearerOf, createTlsServer, tokenOf } from './edge/tls.ts';
import type { LogPort } from './ports.ts';

export interface Doors {
  /** What commands may ask for: tokens, and taking certificates back. */
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly open: (services: DoorServices) => Promise<Listening>;
  readonly authority: Authority;
  readonly membership: Membership;
  /** The API over HTTP; null: it has no address for other machines. */
  readonly openApi: (api: Api) => Promise<Listening | null>;
}

export interface DoorServices {
  readonly control: ControlServiceImplementation;
  readonly nodes: Nodes;
  /** Lists a node in Git where it is not; returns the commit, or null where none was needed. */
  readonly list: (node: string) => Promise<string | null>;
}

export interface DoorOptions {
  readonly cluster: string;
  readonly listen: ListenConfig;
  readonly log: LogPort;
  readonly epochMs: () => number;
  /** Which of several reconcilers leads, and what the others are told; absent: there is one. */
  readonly several?: {
    /** Why another one is to be asked; null: it is this one's to say. */
    readonly refusal: () => string | null;
    /** The others have been told who may come in. */
    readonly spread: () => Promise<void>;
  };
}

/** A token lives no longer than this, so that one that is forgotten ends. */
const TOKEN_LIFE_MAX_MS = 366 * 24 * 3600 * 1000;
const USES_MAX = 10_000;

export const openDoors = async (options: DoorOptions): Promise<Doors> => {
  const { cluster, listen, epochMs } = options;
  const now = () => performance.now();
  const log = sparing(options.log, now);
  const { folder } = listen;
  const authority = await openAuthority({ folder, cluster, epochMs });
  const membership = openMembership(`${folder}/members.json`, epochMs);
  const shared = { cluster, authority, membership, epochMs, log };
  const connections = createConnections({
    log,
    now,
    nodeOf: (socket) =>
      socket.authorized ? nodeBy(shared, bearerOf(socket.getPeerCertificate())) : null,
  });
  const { refusal, spread } = options.several ?? ALONE;
  return {
    authority,
    membership,
    handlers: handlersOf(options, { authority, membership }),
    open: async ({ control, nodes, list }) => {
      const isHeard = (name: string) =>
        nodes.port.heard().nodes.some(({ node, connected }) => connected && node === name);
      const tls = await createTlsServer(authority, {
        admit: judging({ connections, cluster }, screenCalls(shared)),
        failed: (error) =>
          log.error({ error: String(error) }, "the server's certificate could not be renewed"),
      });
      return listenTls(listen.address, { tls, connections }, (server) => {
        const link = nodes.serviceFor(admitBy(shared));
        server.add(LINK_SERVICE, paced(link, { log, now }));
        server.add(
          JoinServiceDefinition,
          createJoin({ ...shared, isHeard, list, refusal, spread }),
        );
        server.add(ControlServiceDefinition, guardControl(control, shared));
      });
    },
    openApi: async (api) => {
      const { apiAddress: address } = listen;
      if (address === undefined) return null;
      const allows: Allows = (authorization) => {
        const refusal = refusalOf(membership, authorization, 'view');
        if (refusal !== null) return { status: refusal.isKnown ? 403 : 401, why: refusal.why };
        return { bearer: `token ${parseToken(tokenOf(authorization))?.id ?? ''}` };
      };
      const failed = (error: unknown): void =>
        log.error({ error: String(error) }, "the API's certificate could not be renewed");
      // Counted apart from the link: a flood here keeps no runner out.
      const callers = createConnections({ log, now, nodeOf: () => null });
      return listenApiTls(api, { address, authority, allows, connections: callers, failed });
    },
  };
};

/** There is one reconciler. */
const ALONE: NonNullable<DoorOptions['several']> = { refusal: () => null, spread: async () => {} };

/** What commands may ask for. Of several reconcilers only the leader's list counts. */
const handlersOf = (
  { listen, log, several = ALONE }: DoorOptions,
  { authority, membership }: Pick<Doors, 'authority' | 'membership'>,
): Doors['handlers'] => {
  const lead = () => {
    const why = several.refusal();
    if (why !== null) throw new Error(why);
  };
  return {
    token: async (argument) => {
      lead();
      const ask = argument as TokenAsk;
      if (ask.lastsMs > TOKEN_LIFE_MAX_MS) throw new Error('a token lasts 366 days at most');
      if (ask.uses > USES_MAX) throw new Error(`a token is for ${USES_MAX} machines at most`);
      const given = membership.give(ask);
      await several.spread();
      log.info({ token: given.id, kind: given.kind }, 'a token was made');
      const token = formatToken({ ...given, authority: authority.fingerprint });
      return { token, address: listen.address } satisfies TokenAnswer;
    },
    tokens: async () => membership.tokens(),
    endToken: async (argument) => {
      lead();
      const { id } = argument as EndTokenArgument;
      log.info({ token: id }, 'a token was ended');
      const isEnded = membership.end(id);
      await several.spread();
      return isEnded;
    },
    expel: async (argument) => {
      lead();
      const { node } = argument as ExpelArgument;
      membership.expel(node);
      await several.spread();
      log.info({ node }, 'certificates of a node were taken back');
      return null;
    },
  };
};

interface Judging {
  readonly connections: Connections;
  readonly cluster: string;
}

/**
 * Whose call is let in counts as one who works here: nodes by their certificate, which was looked
 * at before, others by their token.
 */
const judging =
  ({ connections, cluster }: Judging, screen: Admit): Admit =>
  (caller) => {
    const why = screen(caller);
    const token = parseToken(caller.token);
    if (why !== null) connections.judged(caller.address, null);
    else if (token !== null) connections.judged(caller.address, `token ${token.id}`);
    else if (caller.peer?.id === reconcilerId(cluster)) {
      connections.judged(caller.address, 'reconciler');
    }
    return why;
  };
