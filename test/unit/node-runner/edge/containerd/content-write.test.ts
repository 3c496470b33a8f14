// The write stream against servers that are slow, refuse, break off or are not there.

import http2 from 'node:http2';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from 'nice-grpc';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createContentWrite } from '../../../../../node-runner/edge/containerd/content-write.ts';
import {
  WriteAction,
  WriteContentRequest,
  WriteContentResponse,
} from '../../../../../node-runner/edge/containerd/generated/containerd/content.ts';

type Answer = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

let folder: string;
let socket: string;
const servers: http2.Http2Server[] = [];
const sessions = new Set<http2.ServerHttp2Session>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pw-'));
  socket = join(folder, 's');
});
afterEach(async () => {
  for (const session of sessions) session.destroy();
  sessions.clear();
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

const serve = async (answer: Answer): Promise<void> => {
  const server = http2.createServer();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream, headers);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(socket, done));
};

const message = (fields: Partial<WriteContentRequest>): WriteContentRequest => ({
  action: WriteAction.WRITE,
  ref: 'r',
  total: 0n,
  expected: '',
  offset: 0n,
  data: new Uint8Array(0),
  labels: {},
  ...fields,
});

const framed = (body: Uint8Array): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
};

const write = (messages: AsyncIterable<WriteContentRequest>, signal?: AbortSignal) =>
  createContentWrite({ socket, headers: { 'containerd-namespace': 'n', 'containerd-lease': 'l' } })(
    messages,
    signal === undefined ? {} : { signal },
  );

const each = async function* (...all: readonly WriteContentRequest[]) {
  yield* all;
};

const collect = async (answers: AsyncIterable<WriteContentResponse>) => {
  const all: WriteContentResponse[] = [];
  for await (const answer of answers) all.push(answer);
  return all;
};

test('what arrives is what the generated code would have sent; answers come back', async () => {
  const received: Buffer[] = [];
  const seen: http2.IncomingHttpHeaders[] = [];
  await serve((stream, headers) => {
    seen.push(headers);
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('data', (chunk: Buffer) => received.push(chunk));
    stream.on('end', () => {
      const answer = framed(
        WriteContentResponse.encode(WriteContentResponse.fromPartial({ offset: 7n })).finish(),
      );
      // An answer may come in pieces, and two in one.
      stream.write(answer.subarray(0, 3));
      stream.end(Buffer.concat([answer.subarray(3), answer]));
    });
  });
  const sent = [
    message({ action: WriteAction.STAT, expected: 'sha256:x', total: 200_000n }),
    message({ offset: 5n, data: Buffer.alloc(200_000, 9) }),
    message({ action: WriteAction.COMMIT, labels: { a: 'b' } }),
  ];
  const answers = await collect(write(each(...sent)));
  expect(answers.map(({ offset }) => offset)).toEqual([7n, 7n]);
  expect(seen[0]).toMatchObject({ 'containerd-namespace': 'n', 'containerd-lease': 'l' });
  expect(seen[0]?.[':path']).toBe('/containerd.services.content.v1.Content/Write');
  let bytes = Buffer.concat(received);
  for (const wanted of sent) {
    const length = bytes.readUInt32BE(1);
    const { data, ...rest } = WriteContentRequest.decode(bytes.subarray(5, 5 + length));
    const { data: wantedData, ...wantedRest } = wanted;
    expect(rest).toEqual(wantedRest);
    expect(Buffer.compare(data, wantedData)).toBe(0);
    bytes = bytes.subarray(5 + length);
  }
  expect(bytes.length).toBe(0);
});

test('a slow containerd is not overrun: a few messages are taken, then it is waited for', async () => {
  await serve((stream) => {
    stream.respond({ 'content-type': 'application/grpc' });
    stream.pause();
  });
  let taken = 0;
  const endless = async function* (): AsyncGenerator<WriteContentRequest> {
    for (; taken < 10_000; taken += 1) yield message({ data: Buffer.alloc(256 * 1024) });
  };
  const abort = new AbortController();
  const ended = collect(write(endless(), abort.signal));
  await sleep(300);
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(5);
  abort.abort();
  await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
});

test('a refusal has its code and its text, with and without an answer before it', async () => {
  const refusal = { 'grpc-status': '6', 'grpc-message': 'content x%3A already exists' };
  let early = true;
  await serve((stream) => {
    if (early) return stream.respond(refusal, { endStream: true });
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(refusal));
    stream.end(framed(WriteContentResponse.encode(WriteContentResponse.fromPartial({})).finish()));
  });
  const wanted = { code: Status.ALREADY_EXISTS, details: 'content x: already exists' };
  await expect(collect(write(each(message({}))))).rejects.toMatchObject(wanted);
  early = false;
  await expect(collect(write(each(message({}))))).rejects.toMatchObject(wanted);
});

test('no server, and a server that goes away, are "unavailable"', async () => {
  await expect(collect(write(each(message({}))))).rejects.toMatchObject({
    code: Status.UNAVAILABLE,
  });
  await serve((stream) => {
    stream.respond({ 'content-type': 'application/grpc' });
    setTimeout(() => stream.session?.destroy(), 20);
  });
  const forever = async function* (): AsyncGenerator<WriteContentRequest> {
    yield message({});
    await new Promise(() => undefined);
  };
  await expect(collect(write(forever()))).rejects.toMatchObject({ code: Status.UNAVAILABLE });
});

test('what goes wrong in the source of the bytes ends the call, and is what is thrown', async () => {
  await serve((stream) => stream.respond({ 'content-type': 'application/grpc' }));
  const broken = async function* (): AsyncGenerator<WriteContentRequest> {
    yield message({});
    await sleep(20);
    throw new Error('the registry broke off');
  };
  await expect(collect(write(broken()))).rejects.toThrow('the registry broke off');
});
