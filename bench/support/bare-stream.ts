// A bidirectional grpc-js stream of bytes that nobody looks into: what the link's own streams are
// measured against, and how both are fed. In: an address, a path, messages. Out: how long until the
// last answer. Not here: what the bytes mean.

import { Client, credentials } from '@grpc/grpc-js';

const asIs = (bytes: Buffer): Buffer => bytes;
const METHOD = {
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
} as const;

export const BARE_PATH = '/bench.Bare/Stream';
export const BARE_SERVICE = { stream: { path: BARE_PATH, ...METHOD } };
/** As long as an acknowledgement of the link. */
export const BARE_ACK = Buffer.from([10, 4, 8, 1, 16, 1]);

export interface Feeding {
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
  /** What is said first, each answered or not. */
  readonly first: readonly Buffer[];
  /** Answers to `first`. */
  readonly firstAnswers: number;
}

export interface Feed {
  /** Sends these and resolves when each is answered; milliseconds. */
  readonly send: (messages: readonly Buffer[]) => Promise<number>;
  readonly close: () => void;
}

/** Opens one stream; resolves when `first` is answered. */
export const openFeed = async ({ address, path, first, firstAnswers }: Feeding): Promise<Feed> => {
  const client = new Client(address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(path, asIs, asIs);
  let awaited = firstAnswers;
  let done: () => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  const answered = new Promise<void>((resolve, reject) => {
    done = resolve;
    failed = reject;
  });
  let ended = answered;
  call.on('data', () => {
    awaited -= 1;
    if (awaited === 0) done();
  });
  call.on('error', (error: Error) => failed(error));
  for (const message of first) call.write(message);
  if (firstAnswers === 0) done();
  await ended;
  return {
    send: async (messages) => {
      awaited = messages.length;
      ended = new Promise<void>((resolve, reject) => {
        done = resolve;
        failed = reject;
      });
      const began = performance.now();
      for (const message of messages) {
        if (!call.write(message)) await new Promise((next) => call.once('drain', next));
      }
      await ended;
      return performance.now() - began;
    },
    close: () => {
      call.on('error', () => undefined);
      call.cancel();
      client.close();
    },
  };
};
