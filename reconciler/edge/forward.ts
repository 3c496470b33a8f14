// A standby hands on to the leader what commands ask, so that it does not matter which reconciler is
// asked. In: the control service, who leads. Out: the same service; where the leader cannot be
// reached, the standby's own answer, which says where to go. Whoever asks was let in before (the
// socket's mode, guard.ts); the leader knows the standby by its certificate. Not here: who leads.

import { setTimeout as sleep } from 'node:timers/promises';
import type { CallContext } from 'nice-grpc';
import { ClientError, Metadata, ServerError, Status } from 'nice-grpc';
import type {
  AttachRequest,
  AttachResponse,
  CallRequest,
  CallResponse,
  ControlServiceImplementation,
  WatchResponse,
} from '../../schema/generated/purser/control/v1/control.ts';
import { CHANGING, PERHAPS_DONE, type StateArgument } from '../../schema/control.ts';
import type { LeadPort, Member } from '../ports.ts';
import { dialPeer, type PeerAuthority, type PeerClient } from './peer-channel.ts';
import { PEERS } from './peers.ts';

export interface ForwardOptions {
  readonly lead: Pick<LeadPort, 'term' | 'leader' | 'watch'>;
  readonly authority: PeerAuthority;
}

/** A call that was handed on is answered where it arrives, or two would hand it to and fro. */
const HANDED_ON = 'purser-handed-on';
/** A watch whose leader went away is begun anew after this time, or when another one leads. */
const AGAIN_MS = 500;

export const forwardControl = (
  control: ControlServiceImplementation,
  options: ForwardOptions,
): ControlServiceImplementation => ({
  call: async (request, context) => {
    const leader = leaderFor(options, request, context);
    if (leader === null) return control.call(request, context);
    const peer = await dialled(options, leader);
    // Nothing was sent.
    if (peer === null) return control.call(request, context);
    try {
      return (await peer.client.call(request, handedOn(context.signal))) as CallResponse;
    } catch (error) {
      if (!isAway(error)) throw asTold(error);
      // Where we lead by now it would be done twice.
      if (!CHANGING.has(request.method)) return await control.call(request, context);
      const words = `${awayWords(leader)}: ${PERHAPS_DONE}`;
      throw new ServerError(Status.FAILED_PRECONDITION, words);
    } finally {
      peer.close();
    }
  },
  watch: (request, context) => watch(options, { control, request, context }),
  attach: (requests, context) => attach(control, options, { requests, context }),
});

/** Who is to answer in our place; null: we do. */
const leaderFor = (
  { lead }: ForwardOptions,
  { method, argument }: CallRequest,
  { metadata }: CallContext,
): Member | null => {
  const isOurs = method === PEERS || metadata.has(HANDED_ON) || isOwnState(method, argument);
  return isOurs || lead.term() !== null ? null : lead.leader();
};

/** What we are ourselves; with an argument `state` is what the leader says (schema/control.ts). */
const isOwnState = (method: string, argument: Uint8Array): boolean => {
  if (method !== 'state') return false;
  try {
    const asked = JSON.parse(
      Buffer.from(argument).toString('utf8'),
    ) as Partial<StateArgument> | null;
    return asked?.ofLeader !== true;
  } catch {
    return true; // said where it is answered
  }
};

const handedOn = (signal: AbortSignal) => ({ signal, metadata: Metadata({ [HANDED_ON]: '1' }) });

const dialled = ({ authority }: ForwardOptions, { address }: Member): Promise<PeerClient | null> =>
  dialPeer(address, authority).catch(() => null);

/** It went away meanwhile. */
const isAway = (error: unknown): boolean =>
  error instanceof ClientError &&
  (error.code === Status.UNAVAILABLE || error.code === Status.CANCELLED);

const awayWords = ({ name, address }: Member): string =>
  `${name}, which leads, went away or is not reached at ${address}`;

const asTold = (error: unknown): unknown =>
  error instanceof ClientError ? new ServerError(error.code, error.details) : error;

interface Watching {
  readonly control: ControlServiceImplementation;
  readonly request: CallRequest;
  readonly context: CallContext;
}

/**
 * Goes on with the next leader. Until there is one nothing is said but of `state`: what we are
 * ourselves. Where nothing was answered yet, whoever asks is told at once.
 */
const watch = async function* watch(
  options: ForwardOptions,
  { control, request, context }: Watching,
): AsyncGenerator<WatchResponse> {
  const { signal } = context;
  let isFirst = true;
  while (!signal.aborted) {
    const leader = leaderFor(options, request, context);
    const turn = turnOf(options.lead, signal);
    const ours = () => control.watch(request, { ...context, signal: turn.signal });
    const theirs = (at: Member) => watchAt(options, at, { request, signal: turn.signal });
    try {
      for await (const answer of leader === null ? ours() : theirs(leader)) {
        isFirst = false;
        yield answer as WatchResponse;
      }
      if (leader !== null && !turn.signal.aborted && (isFirst || request.method === 'state')) {
        yield (await control.call(request, context)) as WatchResponse;
        isFirst = false;
      }
    } catch (error) {
      // Whoever was asked leads no more, and does not know who does.
      const isBetween = !isFirst && (leader !== null || options.lead.term() === null);
      if (!turn.signal.aborted && !isBetween) throw asTold(error);
    } finally {
      turn.end();
    }
    // Whoever was asked may be back by then; or another one leads, and the turn is over.
    await sleep(AGAIN_MS, undefined, { signal: turn.signal }).catch(() => undefined);
  }
};

/** Over when somebody else leads, or the caller goes away; `end` forgets it. */
const turnOf = (lead: ForwardOptions['lead'], signal: AbortSignal) => {
  const over = new AbortController();
  const end = lead.watch(() => over.abort());
  return { signal: AbortSignal.any([signal, over.signal]), end };
};

/** Ends without a word where the leader is not reached, or goes away. */
const watchAt = async function* watchAt(
  options: ForwardOptions,
  leader: Member,
  { request, signal }: { readonly request: CallRequest; readonly signal: AbortSignal },
): AsyncGenerator<unknown> {
  const peer = await dialled(options, leader);
  if (peer === null) return;
  try {
    yield* peer.client.watch(request, handedOn(signal));
  } catch (error) {
    if (!signal.aborted && !isAway(error)) throw asTold(error);
  } finally {
    peer.close();
  }
};

/** Logs and processes: of the node, by way of the leader. */
const attach = async function* attach(
  control: ControlServiceImplementation,
  options: ForwardOptions,
  { requests, context }: { requests: AsyncIterable<AttachRequest>; context: CallContext },
): AsyncGenerator<AttachResponse> {
  const leader = leaderFor(options, { method: 'attach', argument: Buffer.alloc(0) }, context);
  if (leader === null) {
    yield* control.attach(requests, context) as AsyncIterable<AttachResponse>;
    return;
  }
  const gone = (): AttachResponse => {
    const end = { code: null, error: awayWords(leader) };
    return { frame: { $case: 'end', value: Buffer.from(JSON.stringify(end)) } };
  };
  const peer = await dialled(options, leader);
  if (peer === null) {
    yield gone();
    return;
  }
  try {
    for await (const answer of peer.client.attach(requests, handedOn(context.signal))) {
      yield answer as AttachResponse;
    }
  } catch (error) {
    if (context.signal.aborted || !isAway(error)) throw asTold(error);
    yield gone();
  } finally {
    peer.close();
  }
};
