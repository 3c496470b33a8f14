// What a check of a setup on GitHub asks, and what it finds.
// In: nothing. Out: types. Not here: the checks (github-check, github-webhook).

import type { ForgeConfig } from '../reconciler/config.ts';
import type { Wire } from '../reconciler/edge/forge/wire.ts';
import type { ClockPort } from '../reconciler/ports.ts';

export interface Finding {
  readonly name: string;
  /** `unknown`: it cannot be read with what was given. */
  readonly state: 'ok' | 'missing' | 'unknown';
  readonly words: string;
  /** What to do; absent where nothing is to be done. */
  readonly fix?: string;
}

export interface CheckAsk {
  readonly config: ForgeConfig;
  readonly wire: Wire;
  readonly branch: string;
  /** The cluster's directory in the repository, '' for its root. */
  readonly directory: string;
  /** What GitHub sends deliveries to; null: nowhere. */
  readonly webhookUrl: string | null;
  readonly clock: ClockPort;
}
