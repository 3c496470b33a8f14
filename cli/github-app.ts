// Makes a GitHub App from a manifest: a page on loopback sends the browser to GitHub with it, GitHub
// sends the browser back with a code, and the code is exchanged for the App's key and secrets.
// In: what the App may do. Out: its id, key and webhook secret. The page serves one person once: it
// answers to its own address only and to the state that it gave. Not here: keeping them (github.ts).

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
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
  readonly site: string;
  readonly apiUrl: string;
  readonly owner: string;
  readonly isOrganization: boolean;
  readonly name: string;
  /** null: GitHub keeps deliveries in its list and sends them nowhere. */
  readonly webhookUrl: string | null;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** What Purser asks for, by GitHub's names. */
export const PERMISSIONS: Readonly<Record<string, 'read' | 'write'>> = {
  checks: 'write',
  contents: 'write',
  deployments: 'write',
  issues: 'write',
  metadata: 'read',
  pull_requests: 'write',
  statuses: 'write',
};

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
/** GitHub's limit. */
const NAME_MAX = 34;

export const makeApp = async (ask: AppAsk): Promise<MadeApp> => {
  const code = await codeFrom(ask);
  const answer = await fetch(
    `${ask.apiUrl}/app-manifests/${encodeURIComponent(code)}/conversions`,
    {
      method: 'POST',
      headers: { accept: 'application/vnd.github+json' },
      signal: AbortSignal.timeout(30_000),
    },
  );
  if (!answer.ok) {
    throw new CommandError(
      `GitHub did not make the App of its code (${answer.status}): run \`purser github setup\` again`,
    );
  }
  const { id, slug, pem, webhook_secret, html_url } = (await answer.json()) as {
    readonly id: number;
    readonly slug: string;
    readonly pem: string;
    readonly webhook_secret: string | null;
    readonly html_url: string;
  };
  return { id, slug, pem, webhookSecret: webhook_secret ?? '', url: html_url };
};

/** Serves the page until GitHub has sent the browser back. */
const codeFrom = async (ask: AppAsk): Promise<string> => {
  const state = randomBytes(16).toString('hex');
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const page = pageOf(ask, { state, back: `http://${host}/created` });
  ask.say(`Open http://${host}/ in a browser on this machine (or forward that port to it).`);
  try {
    return await new Promise<string>((resolve, reject) => {
      const end = (words: string) => () => reject(new CommandError(words));
      AbortSignal.timeout(PATIENCE_MS).addEventListener(
        'abort',
        end('nobody came back from GitHub within 15 minutes: run `purser github setup` again'),
      );
      ask.signal.addEventListener('abort', end('stopped before the App was made'));
      server.on('request', (request, response) => {
        // Another site's page could name this address: it is answered under its own name only.
        const url = new URL(request.url ?? '/', `http://${host}`);
        const isOurs = request.headers.host === host && request.method === 'GET';
        const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
        const code = url.searchParams.get('code');
        if (isOurs && url.pathname === '/') {
          response.writeHead(200, headers).end(page);
        } else if (
          isOurs &&
          url.pathname === '/created' &&
          code !== null &&
          isEqual(url.searchParams.get('state') ?? '', state)
        ) {
          response.writeHead(200, headers).end('<p>Done. Go on in the terminal.</p>');
          response.on('finish', () => resolve(code));
        } else {
          response.writeHead(404, headers).end('<p>Nothing is here.</p>');
        }
      });
    });
  } finally {
    server.close();
    server.closeIdleConnections();
  }
};

const isEqual = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

const pageOf = (
  ask: AppAsk,
  { state, back }: { readonly state: string; readonly back: string },
): string => {
  const settings = ask.isOrganization ? `organizations/${ask.owner}/settings` : 'settings';
  const action = `${ask.site}/${settings}/apps/new?state=${state}`;
  const manifest = JSON.stringify(manifestOf(ask, back));
  return `<!doctype html><meta charset="utf-8"><title>Purser</title>
<form action="${escaped(action)}" method="post">
<input type="hidden" name="manifest" value="${escaped(manifest)}">
<p>GitHub shows what the App may do, and makes it when you agree.</p>
<button>Make the App on ${escaped(new URL(ask.site).host)}</button>
</form><script>document.forms[0].submit()</script>`;
};

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

export const manifestOf = (ask: Pick<AppAsk, 'name' | 'site' | 'webhookUrl'>, back: string) => ({
  name: ask.name.slice(0, NAME_MAX),
  url: ask.site,
  hook_attributes: { url: ask.webhookUrl ?? NOWHERE, active: true },
  redirect_url: back,
  public: false,
  default_permissions: PERMISSIONS,
  default_events: EVENTS,
});
