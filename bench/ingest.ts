// The process that takes reports in (figures/report-ingest.ts): the product's end of the link on one
// port, a bare grpc-js stream on another, started as a reconciler is. In: nothing. Out: the two
// ports, by a message. It ends with its parent. Not here: who sends, what is measured.

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { createClock } from '../reconciler/edge/clock.ts';
import { createNodes } from '../reconciler/edge/nodes.ts';
import { LINK_SERVICE } from '../reconciler/edge/link-service.ts';
import { listen } from '../reconciler/edge/server.ts';
import { MESSAGE_BYTES } from '../schema/wire.ts';
import { BARE_ACK, BARE_SERVICE } from './support/bare-stream.ts';

export interface IngestPorts {
  readonly link: string;
  readonly bare: string;
}

/** Answers each message, as the link does, and does nothing else. */
const startBare = (): Promise<number> => {
  const server = new Server({ 'grpc.max_receive_message_length': MESSAGE_BYTES });
  server.addService(BARE_SERVICE, {
    stream: (call: NodeJS.ReadWriteStream) => {
      call.on('data', () => call.write(BARE_ACK));
      call.on('end', () => call.end());
      call.on('error', () => undefined);
    },
  });
  return new Promise((done, reject) => {
    const insecure = ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', insecure, (error, port) =>
      error === null ? done(port) : reject(error),
    );
  });
};

const main = async (): Promise<void> => {
  const problem = (fields: object, text: string): void => console.error(text, fields);
  const log = { info: () => {}, warn: problem, error: problem };
  const nodes = createNodes({ cluster: 'bench', clock: createClock(), log });
  const { address } = await listen('127.0.0.1:0', LINK_SERVICE, nodes.service);
  const ports: IngestPorts = { link: address, bare: `127.0.0.1:${await startBare()}` };
  process.once('disconnect', () => process.exit());
  process.send?.(ports);
};

await main();
