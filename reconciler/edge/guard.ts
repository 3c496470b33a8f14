// What a caller from another machine may ask of the control service: by the role of its token; all of
// it where the caller is another reconciler of the cluster (forward.ts). In: the service as the Unix
// socket has it. Out: the same, for those who show a token. Not here: the socket itself, which its
// owner alone can open.

import type { CallContext } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc';
import type {
  AttachRequest,
  ControlServiceImplementation,
} from '../../schema/generated/purser/control/v1/control.ts';
import { parseToken, type Role, ROLES } from '../../schema/identity.ts';
import { checkAsk, type StreamAsk } from '../../schema/streams.ts';
import type { LogPort } from '../ports.ts';
import type { Membership } from './authority/membership.ts';
import { createTurns } from './door/turns.ts';
import { PEERS } from './peers.ts';
import { isReconciler, tokenOf } from './tls.ts';

/** What is read; whatever is not named here or below is for `admin` alone. */
const VIEWED = new Set([
  'state',
  'copies',
  'snapshot',
  'file',
  'events',
  'history',
  'resolve',
  'rollback',
  'services',
]);
const OPERATED = new Set(['commit', 'record']);

/** The least role that may ask for a method. */
export const roleOf = (method: string): Role =>
  VIEWED.has(method) ? 'view' : OPERATED.has(method) ? 'operate' : 'admin';

export interface GuardOptions {
  readonly cluster: string;
  readonly membership: Pick<Membership, 'check'>;
  readonly log: LogPort;
}

export const guardControl = (
  control: ControlServiceImplementation,
  options: GuardOptions,
): ControlServiceImplementation => {
  const turns = createTurns();
  /** A standby that hands on what it let in itself; it has the authority's key, as we do. */
  const isPeer = ({ metadata }: CallContext) => isReconciler(metadata, options.cluster);
  return {
    call: async (request, context) => {
      if (isPeer(context)) return control.call(request, context);
      if (request.method === PEERS) {
        throw new ServerError(
          Status.PERMISSION_DENIED,
          'only reconcilers of this cluster may ask it',
        );
      }
      allow(options, context, { least: roleOf(request.method), what: request.method });
      return turns.take(tokenIdOf(context), () => control.call(request, context));
    },
    watch: async function* watch(request, context) {
      if (isPeer(context)) {
        yield* control.watch(request, context);
        return;
      }
      const asked = { least: roleOf(request.method), what: request.method };
      allow(options, context, asked);
      for await (const answer of control.watch(request, context)) {
        // The token may have ended meanwhile.
        allow(options, context, asked);
        yield answer;
      }
    },
    attach: async function* attach(requests, context) {
      if (isPeer(context)) {
        yield* control.attach(requests, context);
        return;
      }
      const iterator = requests[Symbol.asyncIterator]();
      const first = await iterator.next();
      if (first.done === true) return;
      const { frame } = first.value;
      const isLogs = frame?.$case === 'ask' && kindOf(frame.value) === 'logs';
      const least = isLogs ? 'view' : 'operate';
      allow(options, context, { least, what: isLogs ? 'logs' : 'exec' });
      yield* control.attach(again(first.value, iterator), context);
    },
  };
};

const tokenIdOf = ({ metadata }: CallContext): string =>
  parseToken(tokenOf(metadata.get('authorization')))?.id ?? '';

const again = async function* again(
  first: AttachRequest,
  rest: AsyncIterator<AttachRequest>,
): AsyncGenerator<AttachRequest> {
  yield first;
  yield* { [Symbol.asyncIterator]: () => rest };
};

/** null: the ask is none, which is told when it is looked at whole. */
const kindOf = (ask: Uint8Array): StreamAsk['kind'] | null => checkAsk(ask)?.kind ?? null;

interface Asked {
  readonly least: Role;
  readonly what: string;
}

/** Throws ServerError where the caller's token does not allow what is asked. */
const allow = ({ membership, log }: GuardOptions, context: CallContext, asked: Asked): void => {
  const refusal = refusalOf(membership, context.metadata.get('authorization'), asked.least);
  if (refusal === null) return;
  const { isKnown, why } = refusal;
  log.warn({ address: context.peer, asked: asked.what, why }, 'a caller was refused');
  throw new ServerError(isKnown ? Status.PERMISSION_DENIED : Status.UNAUTHENTICATED, why);
};

export interface Refusal {
  /** Its token is good, and does not allow it. */
  readonly isKnown: boolean;
  readonly why: string;
}

/** Why a caller with these words as its authorization may not do it; null when it may. */
export const refusalOf = (
  membership: GuardOptions['membership'],
  authorization: string | undefined,
  least: Role,
): Refusal | null => {
  const token = parseToken(tokenOf(authorization));
  if (token === null) {
    const why =
      "show a token in PURSER_TOKEN: `purser node token --role view` makes one, on the reconciler's machine";
    return { isKnown: false, why };
  }
  const checked = membership.check(token);
  if (checked.kind === 'refused') return { isKnown: false, why: checked.why };
  const { kind } = checked.given;
  const has = ROLES.findIndex((role) => role === kind);
  if (has >= ROLES.indexOf(least)) return null;
  const why = `a token of kind ${kind} may not do this: it needs one of --role ${least}`;
  return { isKnown: true, why };
};
