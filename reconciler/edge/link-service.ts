// The link as it is served: as its definition says, with acknowledgements, which are nearly all of
// what is answered, written at less cost. In: nothing. Out: a definition. Not here: what is answered
// (nodes.ts).

import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  LinkServiceDefinition,
  SessionResponse,
} from '../../schema/generated/purser/link/v1/link.ts';

/** A new writer takes a kilobyte; this one is ready again once it has finished. */
const ackWriter = new BinaryWriter();

const responseType: typeof SessionResponse = {
  ...SessionResponse,
  encode: (message, writer) =>
    SessionResponse.encode(message, message.frame?.$case === 'ack' ? ackWriter : writer),
  // Answers are whole: there is nothing to complete, and no need for a copy.
  fromPartial: (answer) => answer as SessionResponse,
};

const { methods } = LinkServiceDefinition;

export const LINK_SERVICE = {
  ...LinkServiceDefinition,
  methods: { ...methods, session: { ...methods.session, responseType } },
};
