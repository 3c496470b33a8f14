// Where a GitHub App may be, and its installation in the repository, which a person makes in the
// browser meanwhile.
// In: an App's id and key. Out: the installation's number. Not here: making the App (github-app).

import type { ForgeConfig } from '../reconciler/config.ts';
import type { Wire } from '../reconciler/edge/forge/wire.ts';
import { siteOf } from '../reconciler/edge/forge/options.ts';
import { CommandError } from './command-error.ts';
import { causeOf, installUrl } from './github-app.ts';

/** A person installs the App in the browser meanwhile. */
const PATIENCE_MS = 10 * 60_000;
const STEP_MS = 2000;
const MINUTE_MS = 60_000;

export interface InstallAsk {
  /** Its App's own requests are made with the key: any number of an installation does. */
  readonly config: ForgeConfig;
  readonly wire: Wire;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** The command that goes on from here. */
  readonly again: string;
  /** Default: PATIENCE_MS. */
  readonly patienceMs?: number;
}

/** Waits until it is installed. Throws CommandError with the way to go on. */
export const installationOf = async (ask: InstallAsk): Promise<number> => {
  const { config, signal, say, again, patienceMs = PATIENCE_MS } = ask;
  const repository = `${config.owner}/${config.repo}`;
  const until = performance.now() + patienceMs;
  let page = '';
  for (let tries = 0; ; tries += 1) {
    const found = await lookFor(ask.wire);
    if (found !== null) return found;
    if (tries === 0) {
      page = await installPage(ask.wire);
      say(`Install it in ${repository}: ${page}`);
      say(`Waiting until it is installed in ${repository} …`);
    }
    const isStopped = signal.aborted;
    if (isStopped || performance.now() > until) {
      const minutes = Math.ceil(patienceMs / MINUTE_MS);
      const why = isStopped
        ? `stopped before the App was installed in ${repository}`
        : `the App was not installed in ${repository} within ${minutes} min`;
      throw new CommandError(`${why}: install it at ${page}, then run\n  ${again}`);
    }
    await pause(signal);
  }
};

const lookFor = async (wire: Wire): Promise<number | null> => {
  try {
    return await wire.poll({
      route: 'GET /repos/{owner}/{repo}/installation',
      params: {},
      pick: (data) => (data as { readonly id: number }).id,
    });
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 404) return null;
    throw error;
  }
};

const installPage = (wire: Wire): Promise<string> =>
  wire.poll({
    route: 'GET /app',
    params: {},
    pick: (data) => installUrl({ url: (data as { readonly html_url: string }).html_url }),
  });

const pause = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, STEP_MS);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });

/**
 * Whether the owner is an organization: a private App can be installed only where its owner is.
 * null: GitHub does not tell it strangers, as some Enterprise Servers do. Throws CommandError where
 * nobody answers, or there is no such owner.
 */
export const isOrganization = async (apiUrl: string, owner: string): Promise<boolean | null> => {
  const answer = await fetch(`${apiUrl}/users/${encodeURIComponent(owner)}`, {
    headers: { accept: 'application/vnd.github+json', 'user-agent': 'purser' },
    signal: AbortSignal.timeout(15_000),
  }).catch((error: unknown) => {
    throw new CommandError(`${siteOf(apiUrl)} cannot be reached: ${causeOf(error)}`);
  });
  if (answer.status === 404) {
    throw new CommandError(`${siteOf(apiUrl)} has no account ${owner}: look at --repository`);
  }
  if (!answer.ok) return null;
  const { type } = (await answer.json().catch(() => ({}))) as { readonly type?: string };
  return type === undefined ? null : type === 'Organization';
};
