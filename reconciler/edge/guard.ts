// What a caller from another machine may ask of the control service: by the role of its token.
// In: the service as the Unix socket has it. Out: the same, for those who show a token. Not here:
// the socket itself, which its owner alone can open.

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
import { tokenOf } from './tls.ts';

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
]);
const OPERATED = new Set(['commit', 'record']);

/** The least role that may ask for a method. */
export const roleOf = (method: string): Role =>
  VIEWED.has(method) ? 'view' : OPERATED.has(method) ? 'operate' : 'admin';

export interface GuardOptions {
  readonly membership: Pick<Membership, 'check'>;
  readonly log: LogPort;
}

export const guardControl = (
  control: ControlServiceImplementation,
  options: GuardOptions,
): ControlServiceImplementation => {
  const turns = createTurns();
  return {
    call: async (request, context) => {
      const token = allow(options, context, {
        least: roleOf(request.method),
        what: request.method,
      });
      return turns.take(token, () => control.call(request, context));
    },
    watch: async function* watch(request, context) {
      const asked = { least: roleOf(request.method), what: request.method };
      allow(options, context, asked);
      for await (const answer of control.watch(request, context)) {
        // The token may have ended meanwhile.
        allow(options, context, asked);
        yield answer;
      }
    },
    attach: async function* attach(requests, context) {
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

/** The token's name. Throws ServerError where it does not allow what is asked. */
const allow = ({ membership, log }: GuardOptions, context: CallContext, asked: Asked): string => {
  const refuse = (status: Status, why: string): never => {
    log.warn({ address: context.peer, asked: asked.what, why }, 'a caller was refused');
    throw new ServerError(status, why);
  };
  const token = parseToken(tokenOf(context.metadata.get('authorization')));
  if (token === null) {
    return refuse(
      Status.UNAUTHENTICATED,
      "show a token in PURSER_TOKEN: `purser node token --role view` makes one, on the reconciler's machine",
    );
  }
  const checked = membership.check(token);
  if (checked.kind === 'refused') return refuse(Status.UNAUTHENTICATED, checked.why);
  const { kind } = checked.given;
  const has = ROLES.findIndex((role) => role === kind);
  if (has >= ROLES.indexOf(asked.least)) return token.id;
  return refuse(
    Status.PERMISSION_DENIED,
    `a token of kind ${kind} may not do this: it needs one of --role ${asked.least}`,
  );
};
