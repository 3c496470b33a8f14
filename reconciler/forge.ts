// The forge of a reconciler put together: GitHub, the thread that plans pull requests, their loop.
// In: a configuration, the main loop, the Git source. Out: a running loop and the way to stop it. What
// it needs is loaded only where a forge is configured. Not here: any decision.

import { setTimeout as pause } from 'node:timers/promises';
import { saidTogether } from '../schema/plain.ts';
import type { ForgeConfig, ReconcilerConfig } from './config.ts';
import type { GitSource } from './edge/git/source.ts';
import type { GitHub } from './edge/forge/options.ts';
import { forgeLogin, type Login } from './forge-login.ts';
import { createForgeLoop } from './forge-loop.ts';
import type { Loop } from './loop.ts';
import type { ClockPort, LogPort } from './ports.ts';

/** A write that is under way is waited for so long when the reconciler ends. */
const STOP_WAIT_MS = 2000;

export const openForge = async (
  config: ReconcilerConfig,
  ports: { readonly clock: ClockPort; readonly log: LogPort },
): Promise<Forge | null> => {
  const { forge, cluster, repository } = config;
  if (forge === null) return null;
  const { createGitHub } = await import('./edge/forge/github.ts');
  const make = () => createGitHub({ config: forge, cluster, branch: repository.branch, ...ports });
  const github = make();
  /** What a loop ended with is over: one that begins again, with a new lease, has one of its own. */
  let unused: GitHub | null = github;
  return {
    // An installation's token opens the repository too, unless another login is given.
    auth: forgeLogin(forge, repository.url, github.token),
    behind: github.behind,
    start: (started) => {
      const mine = unused ?? make();
      unused = null;
      return startForge({ ...started, ...ports, config, github: mine });
    },
  };
};

/** GitHub, ready to be asked; its loop is started once the main loop runs. */
export interface Forge {
  /** A login of the repository; null: the forge has none for that address. */
  readonly auth: Login | null;
  readonly behind: GitHub['behind'];
  readonly start: (started: Pick<ForgeAsk, 'loop' | 'source' | 'auth'>) => Promise<RunningForge>;
}

interface ForgeAsk {
  readonly config: ReconcilerConfig;
  readonly github: GitHub;
  readonly loop: Loop;
  readonly source: GitSource;
  /** The login of the repository; null: what its URL holds, or none. */
  readonly auth: Login | null;
  readonly clock: ClockPort;
  readonly log: LogPort;
}

export interface RunningForge {
  /** What the forge does not let us do now; null: all is well. */
  readonly failure: () => string | null;
  /** What a person should know though the forge is told all; null: nothing. */
  readonly notice: () => string | null;
  /** Where webhooks arrive; null: there is no receiver. */
  readonly webhookAddress: string | null;
  readonly stop: () => Promise<void>;
}

const startForge = async (ask: ForgeAsk): Promise<RunningForge> => {
  const { config, github, loop, source, auth, clock, log } = ask;
  const { createPullPlans } = await import('./edge/pull-plans.ts');
  const { repository, cluster, cacheDir, program } = config;
  const { registryCredentials, insecureRegistries } = config;
  const plans = createPullPlans({
    source: {
      repository: repository.url,
      branch: repository.branch,
      directory: repository.directory,
      cluster,
      cacheDir,
      sshCommand: null,
    },
    keep: program === null ? null : { folder: cacheDir, program },
    registryCredentials,
    insecureRegistries,
    auth,
    walked: source.walked,
  });
  const webhookAddress = await github.listen();
  const stop = new AbortController();
  const { environmentUrl: url } = config.forge ?? {};
  const environment = url === undefined ? {} : { environmentUrl: url };
  const tools = { plans, source, clock, log, loop };
  const forgeLoop = createForgeLoop({ forge: github, ...tools, ...environment });
  const running = forgeLoop.run(stop.signal);
  // A push is told by a webhook long before the next poll of the repository. A failure to read is
  // met and told by the main loop.
  const unwatch = github.watchBranch(() => void source.refresh().catch(() => undefined));
  log.info({ repository: shown(config.forge), webhook: webhookAddress }, 'reports to the forge');
  return {
    failure: forgeLoop.failure,
    notice: () => saidTogether(github.notice(), forgeLoop.notice()),
    webhookAddress,
    stop: async () => {
      unwatch();
      stop.abort();
      // A GitHub that is silent keeps nobody from ending: what was not told is told after a start.
      await Promise.race([running, pause(STOP_WAIT_MS, undefined, { ref: false })]);
      await Promise.all([plans.close(), github.close()]);
    },
  };
};

const shown = (forge: ForgeConfig | null): string =>
  forge === null ? '' : `${forge.owner}/${forge.repo}`;
