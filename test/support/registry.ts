// A registry on loopback for tests: Debian's docker-registry, a pusher, and a proxy in front of it
// that can ask for logins, cut connections, damage bytes and redirect.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuiltImage } from '../../cli/image-build.ts';
import { MANIFEST_ACCEPT, OCI_MANIFEST } from '../../schema/image-reference.ts';

export interface TestRegistry {
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly push: (path: string, image: BuiltImage) => Promise<void>;
  /** Puts a manifest or index as it is; returns nothing, the digest is the caller's. */
  readonly put: (ask: {
    path: string;
    digest: string;
    bytes: Uint8Array;
    type: string;
  }) => Promise<void>;
  /** The manifest of a tag as it is, and its digest. */
  readonly get: (
    path: string,
    tag: string,
  ) => Promise<{ readonly manifest: string; readonly digest: string }>;
  readonly close: () => Promise<void>;
}

const START_MAX_MS = 60_000;

export const testRegistry = async (): Promise<TestRegistry> => {
  const folder = await mkdtemp(join(tmpdir(), 'ptr-'));
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'config.yml');
  await writeFile(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n` +
      `storage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: '${host}'}\n`,
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const url = `http://${host}/v2/`;
  const ended = once(child, 'exit');
  for (let waited = 0; ; waited += 50) {
    if ((await fetch(url).catch(() => null))?.ok === true) break;
    if (child.exitCode !== null || waited > START_MAX_MS) {
      child.kill('SIGKILL');
      throw new Error('docker-registry did not start');
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  const put: TestRegistry['put'] = async ({ path, digest, bytes, type }) => {
    const answer = await fetch(`${url}${path}/manifests/${digest}`, {
      method: 'PUT',
      body: Buffer.from(bytes),
      headers: { 'content-type': type },
    });
    if (!answer.ok) throw new Error(`push: ${answer.status} ${await answer.text()}`);
  };
  return {
    host,
    put,
    push: async (path, image) => {
      for (const [digest, bytes] of image.blobs) {
        const begun = await fetch(`${url}${path}/blobs/uploads/`, { method: 'POST' });
        const at = begun.headers.get('location') ?? '';
        const to = `${at}${at.includes('?') ? '&' : '?'}digest=${digest}`;
        const sent = await fetch(to, { method: 'PUT', body: Buffer.from(bytes) });
        if (!sent.ok) throw new Error(`push: ${sent.status} ${await sent.text()}`);
      }
      await put({ path, digest: image.digest, bytes: image.manifest, type: OCI_MANIFEST });
    },
    get: async (path, tag) => {
      const answer = await fetch(`${url}${path}/manifests/${tag}`, {
        headers: { accept: MANIFEST_ACCEPT },
      });
      const manifest = await answer.text();
      return { manifest, digest: answer.headers.get('docker-content-digest') ?? '' };
    },
    close: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
};

/** What a proxied request meets; the first rule that answers wins. */
export type Trouble = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => 'pass' | 'done';

export interface TestProxy {
  readonly host: string;
  /** Requests seen: method, path, and headers. */
  readonly seen: { readonly path: string; readonly headers: http.IncomingHttpHeaders }[];
  readonly meet: (trouble: Trouble) => void;
  /** Bytes after which each answer of a blob is cut, once per blob; null: never. */
  readonly cutAfter: (bytes: number | null) => void;
  /** Whether one byte of each blob is changed on its way. */
  readonly damage: (on: boolean) => void;
  readonly close: () => Promise<void>;
}

/**
 * A proxy in front of a registry: on loopback, or at an address that namespaces of a test reach.
 */
export const testProxy = async (upstream: string, at = '127.0.0.1'): Promise<TestProxy> => {
  const seen: TestProxy['seen'] = [];
  const cut = new Set<string>();
  let trouble: Trouble = () => 'pass';
  let cutAt: number | null = null;
  let damaged = false;
  const server = http.createServer((request, response) => {
    const path = request.url ?? '/';
    seen.push({ path, headers: request.headers });
    if (trouble(request, response) === 'done') return;
    const headers = { ...request.headers };
    delete headers.authorization;
    const onward = http.request(`http://${upstream}${path}`, {
      method: request.method ?? 'GET',
      headers,
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      const isBlob = path.includes('/blobs/');
      let sent = 0;
      answer.on('data', (chunk: Buffer) => {
        if (damaged && isBlob && sent === 0) chunk[chunk.length - 1] = (chunk.at(-1) ?? 0) ^ 1;
        sent += chunk.length;
        response.write(chunk);
        if (!isBlob || cutAt === null || sent < cutAt || cut.has(path)) return;
        cut.add(path);
        answer.removeAllListeners();
        answer.destroy();
        // What was written must leave before the connection goes.
        setTimeout(() => response.destroy(), 20);
      });
      answer.on('end', () => response.end());
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((done) => server.listen(0, at, done));
  const { port } = server.address() as AddressInfo;
  return {
    host: `${at}:${port}`,
    seen,
    meet: (rule) => (trouble = rule),
    cutAfter: (bytes) => {
      cut.clear();
      cutAt = bytes;
    },
    damage: (on) => (damaged = on),
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
};

/**
 * Neither the kernel takes these by itself (32,768 and up), for connections and for port 0, nor
 * Purser for copies (20,000 and up): what is free stays free until it is used.
 */
const PORTS = { first: 10_000, count: 10_000 } as const;

/** A port of loopback that nobody has. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = PORTS.first + randomInt(PORTS.count);
    if (await isFree(port)) return port;
  }
};

const isFree = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer();
    server.on('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
