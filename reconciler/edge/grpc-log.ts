// What gRPC tells of itself where GRPC_TRACE asks it to: all that a caller shows stands in it, so its
// token is taken out first. In: lines of the library. Out: the same on stderr.

import { setLogger } from '@grpc/grpc-js';

const SHOWN = /("authorization":\[)[^\]]*/g;

const written = (letter: string) => (message?: unknown) =>
  void process.stderr.write(`${letter} ${String(message).replaceAll(SHOWN, '$1"***"')}\n`);

/** Of this process, once. */
export const hideTokensOfCallers = (): void =>
  setLogger({ debug: written('D'), info: written('I'), error: written('E') });
