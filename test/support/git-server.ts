// A real Git server over http for tests: node's http in front of `git http-backend`, on loopback
// or an address of a test's own.
// In: a folder with bare repositories. Out: its URL, and knobs for what goes wrong. Not here: what
// a client makes of it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GitServer {
  readonly url: string;
  /** How the server misbehaves from now on; `null`: not at all. */
  readonly misbehave: (fault: GitFault | null) => void;
  /** Requests so far, as `METHOD path`. */
  readonly requests: readonly string[];
  readonly close: () => Promise<void>;
}

export type GitFault =
  /** Every request is answered with this status. */
  | { readonly kind: 'status'; readonly status: number }
  /** Requests are taken and never answered. */
  | { readonly kind: 'hang' }
  /** Once: what is read is told as it stood when it was asked for, after this has happened. */
  | { readonly kind: 'late'; readonly until: Promise<void> }
  /** Once, before a push is served, this runs: somebody else is faster. */
  | { readonly kind: 'before-push'; readonly act: () => void };

export interface GitServerOptions {
  readonly root: string;
  /** `user:password`; null: open to everyone. */
  readonly login: string | null;
  /** Address of this machine; absent: loopback. */
  readonly address?: string;
}

export const startGitServer = async (options: GitServerOptions): Promise<GitServer> => {
  let fault: GitFault | null = null;
  const requests: string[] = [];
  const server = http.createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const now = fault;
    if (now?.kind === 'hang') return;
    if (now?.kind === 'status') {
      response.writeHead(now.status).end('the server was told to say so');
      return;
    }
    if (now?.kind === 'before-push' && isPush(request)) {
      fault = null;
      now.act();
    }
    if (isRefused(request, options.login)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const user = options.login?.split(':')[0] ?? null;
    const until = now?.kind === 'late' && isRead(request) ? { until: now.until } : {};
    if ('until' in until) fault = null;
    const asked = { root: options.root, path: request.url ?? '/', user, ...until };
    void serveGit(asked, request, response);
  });
  const { address = '127.0.0.1' } = options;
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${address}:${port}`,
    requests,
    misbehave: (next) => {
      fault = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const isPush = (request: http.IncomingMessage): boolean =>
  request.method === 'POST' && (request.url ?? '').endsWith('/git-receive-pack');

const isRead = (request: http.IncomingMessage): boolean =>
  request.method === 'POST' && (request.url ?? '').endsWith('/git-upload-pack');

const isRefused = (request: http.IncomingMessage, login: string | null): boolean =>
  login !== null &&
  request.headers.authorization !== `Basic ${Buffer.from(login).toString('base64')}`;

export interface GitRequest {
  readonly root: string;
  /** Of the repository below the root, and what Git asks of it, with its query. */
  readonly path: string;
  /** Who asks; null: nobody knows. */
  readonly user: string | null;
  /** The answer is ready, and waits for this. */
  readonly until?: Promise<void>;
  /** For the repository's hooks. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * CGI: the request's fields go in as variables, the answer's come out in front of its body. Done
 * when git is, a moment before the answer ends.
 */
export const serveGit = async (
  { root, path, user, env, until }: GitRequest,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> => {
  // Who waited for its turn may have gone meanwhile: git would wait for the rest for ever.
  if (request.destroyed || response.destroyed) return;
  const url = new URL(path, 'http://server');
  const { headers } = request;
  const child = spawn('git', ['-c', 'http.receivepack=true', 'http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      // No CONTENT_LENGTH: with one, git reads the end of a body that was cut for ever.
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      REMOTE_USER: user ?? 'anyone',
      REMOTE_ADDR: '127.0.0.1',
      ...env,
    },
  });
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);
  request.on('close', () => child.stdin.end());
  response.on('close', () => child.kill());
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(child, 'close');
  const answer = Buffer.concat(chunks);
  const split = answer.indexOf('\r\n\r\n');
  const head = answer.subarray(0, Math.max(split, 0)).toString('latin1').split('\r\n');
  let status = split < 0 ? 500 : 200;
  for (const line of head) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  await until;
  response.writeHead(status).end(answer.subarray(split + 4));
};
