// Makes a GitHub App from a manifest: a page on loopback sends the browser to GitHub with it, GitHub
// sends the browser back with a code, the code is exchanged for the App's key and secrets, and the
// browser goes on to where the App is installed.
// In: what the App may do. Out: its id, key and webhook secret, kept by the caller before the browser
// goes on. The page serves one person once: it answers to its own address only and to the state that
// it gave. Not here: keeping them (github-setup), waiting for the installation (github-install).

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { siteOf } from '../reconciler/edge/forge/options.ts';
import { PERMISSIONS, TEAM_PERMISSIONS } from '../reconciler/edge/forge/permissions.ts';
import { CommandError } from './command-error.ts';

export interface MadeApp {
  readonly id: number;
  readonly slug: string;
  readonly pem: string;
  readonly webhookSecret: string;
  /** Its page on the site. */
  readonly url: string;
}

export interface AppAsk {
  readonly apiUrl: string;
  readonly owner: string;
  readonly repo: string;
  readonly isOrganization: boolean;
  readonly name: string;
  /** null: GitHub keeps deliveries in its list and sends them nowhere. */
  readonly webhookUrl: string | null;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Before the browser goes on: GitHub tells key and secret once. */
  readonly keep: (made: MadeApp) => Promise<void>;
  /** Default: PATIENCE_MS. */
  readonly patienceMs?: number;
}

export const EVENTS = [
  'check_run',
  'check_suite',
  'issue_comment',
  'merge_group',
  'pull_request',
  'pull_request_review',
  'push',
] as const;

/** A name that leads nowhere (RFC 2606): GitHub lists what it could not deliver. */
const NOWHERE = 'https://purser.invalid/webhook';
/** GitHub's code is good for an hour; nobody sits before the page for longer than this. */
const PATIENCE_MS = 15 * 60_000;
const MINUTE_MS = 60_000;
/** GitHub's limit. */
const NAME_MAX = 34;

/** Serves the page until GitHub has sent the browser back and the App is kept. */
export const makeApp = async (ask: AppAsk): Promise<MadeApp> => {
  const { signal, say, patienceMs = PATIENCE_MS } = ask;
  const server = createServer();
  const port = await listen(server);
  const host = `127.0.0.1:${port}`;
  say(`Open http://${host}/ in a browser: GitHub shows what the App may do and asks you.`);
  say(`  No browser on this machine? On yours: ssh -L ${port}:127.0.0.1:${port} THIS-MACHINE`);
  try {
    return await new Promise<MadeApp>((resolve, reject) => {
      const end = (words: string) => () => reject(new CommandError(words));
      const patience = AbortSignal.timeout(patienceMs);
      const minutes = Math.ceil(patienceMs / MINUTE_MS);
      patience.addEventListener(
        'abort',
        end(
          `nobody came back from GitHub within ${minutes} min: run \`purser github setup\` again`,
        ),
      );
      signal.addEventListener('abort', end('stopped before the App was made'));
      if (signal.aborted) end('stopped before the App was made')();
      const page = pageServer(ask, { host, port, done: resolve, failed: reject });
      server.on('request', (request, response) => void page(request, response));
    });
  } finally {
    server.close();
    server.closeIdleConnections();
  }
};

const listen = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new CommandError(`no page can be served on this machine: ${error.message}`)),
    );
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });

interface Serving {
  readonly host: string;
  readonly port: number;
  readonly done: (made: MadeApp) => void;
  readonly failed: (error: unknown) => void;
}

/** `/` posts the manifest to GitHub; `/created` is where GitHub sends the browser with a code. */
const pageServer = (ask: AppAsk, { host, port, done, failed }: Serving) => {
  const state = randomBytes(16).toString('hex');
  const page = formPage(ask, { state, back: `http://${host}/created` });
  let isTaken = false;
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Another site's page could name this address: it is answered under its own names only.
    const names = [host, `localhost:${port}`];
    const isOurs = request.method === 'GET' && names.includes(request.headers.host ?? '');
    const url = new URL(request.url ?? '/', `http://${host}`);
    const code = url.searchParams.get('code') ?? '';
    if (isOurs && url.pathname === '/') return answer(response, 200, page);
    const isBack = isOurs && url.pathname === '/created' && code !== '';
    if (!isBack || !isEqual(url.searchParams.get('state') ?? '', state)) {
      return answer(response, 404, htmlOf('<p>Nothing is here.</p>'));
    }
    if (isTaken) return answer(response, 409, htmlOf('<p>This was used already.</p>'));
    isTaken = true;
    try {
      const made = await converted(ask.apiUrl, code);
      await ask.keep(made);
      response.on('close', () => done(made));
      response.writeHead(303, { location: installUrl(made), 'cache-control': 'no-store' }).end();
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      response.on('close', () => failed(error));
      answer(response, 502, htmlOf(`<p>${escaped(words)}</p><p>See the terminal.</p>`));
    }
  };
};

export const installUrl = ({ url }: Pick<MadeApp, 'url'>): string => `${url}/installations/new`;

/** GitHub takes a code once. */
const converted = async (apiUrl: string, code: string): Promise<MadeApp> => {
  const again = 'run `purser github setup` again';
  const answered = await fetch(`${apiUrl}/app-manifests/${encodeURIComponent(code)}/conversions`, {
    method: 'POST',
    headers: { accept: 'application/vnd.github+json', 'user-agent': 'purser' },
    signal: AbortSignal.timeout(30_000),
  }).catch((error: unknown) => {
    throw new CommandError(`${siteOf(apiUrl)} cannot be reached: ${causeOf(error)}; ${again}`);
  });
  if (!answered.ok) {
    throw new CommandError(`GitHub does not give out the App's key (${answered.status}): ${again}`);
  }
  const { id, slug, pem, webhook_secret, html_url } = (await answered.json()) as {
    readonly id: number;
    readonly slug: string;
    readonly pem: string;
    readonly webhook_secret: string | null;
    readonly html_url: string;
  };
  return { id, slug, pem, webhookSecret: webhook_secret ?? '', url: html_url };
};

/** What fetch hides behind «fetch failed». */
export const causeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
};

const isEqual = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

const answer = (response: ServerResponse, status: number, page: string): void => {
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    // Else the browser keeps the connection, and the program waits for its end.
    connection: 'close',
  };
  response.writeHead(status, headers).end(page);
};

const htmlOf = (body: string): string =>
  `<!doctype html><meta charset="utf-8"><title>Purser</title>
<style>body{font:17px/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto}</style>
${body}`;

const formPage = (
  ask: AppAsk,
  { state, back }: { readonly state: string; readonly back: string },
): string => {
  const site = siteOf(ask.apiUrl);
  const settings = ask.isOrganization ? `organizations/${ask.owner}/settings` : 'settings';
  const action = `${site}/${settings}/apps/new?state=${state}`;
  const manifest = JSON.stringify(manifestOf(ask, back));
  return htmlOf(`<form action="${escaped(action)}" method="post">
<input type="hidden" name="manifest" value="${escaped(manifest)}">
<p>GitHub shows what the App may do, and makes it when you agree.</p>
<button>Make the App on ${escaped(new URL(site).host)}</button>
</form><script>document.forms[0].submit()</script>`);
};

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

type ManifestAsk = Pick<
  AppAsk,
  'name' | 'apiUrl' | 'owner' | 'repo' | 'webhookUrl' | 'isOrganization'
>;

export const manifestOf = (ask: ManifestAsk, back: string) => {
  const { name, apiUrl, owner, repo, webhookUrl, isOrganization } = ask;
  return {
    name: name.slice(0, NAME_MAX),
    url: `${siteOf(apiUrl)}/${owner}/${repo}`,
    description: `Purser runs the cluster that ${owner}/${repo} describes: plans, checks, buttons.`,
    hook_attributes: { url: webhookUrl ?? NOWHERE, active: true },
    redirect_url: back,
    public: false,
    // A person has no teams.
    default_permissions: isOrganization ? { ...PERMISSIONS, ...TEAM_PERMISSIONS } : PERMISSIONS,
    default_events: EVENTS,
  };
};
