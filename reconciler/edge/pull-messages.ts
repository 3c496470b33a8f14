// What the main thread and the thread that plans pull requests say to each other.
// In: nothing. Out: types. Not here: either of them (pull-plans, ../pull-worker).

import type { HeldFile } from '../../schema/ledger.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { Step } from './git/step.ts';
import type { PullReaderOptions } from './git/pulls.ts';
import type { Auth } from './git/remote.ts';
import type { CopiesPart, HeadPart } from './live-parts.ts';

/** Plain values only: it is copied. */
export interface PullWorkerData {
  readonly source: Pick<
    PullReaderOptions,
    'repository' | 'branch' | 'directory' | 'cluster' | 'cacheDir'
  > & { readonly sshCommand: string | null };
  /** What the reconciler keeps for its next start, and the code that wrote it; null: nothing. */
  readonly keep: { readonly folder: string; readonly program: string } | null;
  /** Somebody is asked for the login of the repository; else it stands in its URL, or is none. */
  readonly asksAuth: boolean;
  /** docker's config.json with credentials of registries, or null. */
  readonly registryCredentials: string | null;
  readonly insecureRegistries: readonly string[];
}

export type ToPullWorker =
  | { readonly kind: 'copies'; readonly part: CopiesPart }
  /** Once, before the first plan: what the main thread has walked of the branch. */
  | { readonly kind: 'walked'; readonly steps: readonly Step[] }
  | {
      readonly kind: 'plan';
      readonly base: string;
      readonly head: string;
      readonly fromFork: boolean;
      readonly live: HeadPart;
      readonly held?: readonly HeldFile[];
    }
  | { readonly kind: 'auth'; readonly auth: Auth }
  | { readonly kind: 'no-auth'; readonly message: string };

export type FromPullWorker =
  | { readonly kind: 'planned'; readonly plan: PullPlan }
  /** A login is needed now. */
  | { readonly kind: 'auth' };
