// What the edge of GitHub is told, and what its parts share.
// In: nothing. Out: types and names. Not here: the configuration's file (cli).

import type { Account } from '../../../schema/forge.ts';
import type { ForgeConfig } from '../../config.ts';
import type { ClockPort, ForgePort, LogPort } from '../../ports.ts';

export interface GitHubOptions {
  readonly config: ForgeConfig;
  readonly cluster: string;
  /** The branch that the cluster follows. */
  readonly branch: string;
  readonly clock: ClockPort;
  readonly log: LogPort;
}

export interface GitHub extends ForgePort {
  /** Opens the receiver of webhooks; its address with the port that it got; null: there is none. */
  readonly listen: () => Promise<string | null>;
  readonly close: () => Promise<void>;
  /** Wakes when a delivery tells that the branch may have moved; the stop function ends it. */
  readonly watchBranch: (wake: () => void) => () => void;
  /** For Git over http(s): an installation's token, or the one in the file. Throws EdgeFailure. */
  readonly token: () => Promise<string>;
  /** What a person should know though GitHub is told all; null: nothing. */
  readonly notice: () => string | null;
  /** Writes to GitHub in the last hour, for status and tests. */
  readonly writes: () => number;
}

/** `https://github.com` for `https://api.github.com`, `https://HOST` for `https://HOST/api/v3`. */
export const siteOf = (apiUrl: string): string =>
  apiUrl === PUBLIC_API ? 'https://github.com' : apiUrl.replace(/\/api\/v3\/?$/, '');

/** The API of a site, as people name it: `https://github.com` or an Enterprise Server. */
export const apiOf = (site: string): string => {
  const url = site.replace(/\/+$/, '');
  return url === 'https://github.com' ? PUBLIC_API : `${url}/api/v3`;
};

/** GitHub keeps one for each account, by its number: a login can pass on to somebody else. */
export const addressOf = (apiUrl: string, { login, id }: Account): string =>
  `${id}+${login}@users.noreply.${new URL(siteOf(apiUrl)).hostname}`;

const PUBLIC_API = 'https://api.github.com';
