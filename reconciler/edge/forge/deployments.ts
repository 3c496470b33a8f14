// GitHub Deployments: one of each commit and environment, and its statuses.
// In: reports. Out: deployments that people see beside the code, written when they differ. GitHub
// merges nothing and waits for no check. With a success it ends those of the environment before, so
// that one of them is active: the one that runs.

import type { DeploymentReport } from '../../../schema/forge.ts';
import { STATUS_LIMIT } from '../../../schema/forge.ts';
import { shortened } from '../../../schema/plain.ts';
import type { Self } from './account.ts';
import type { ApiDeployment, ApiDeploymentStatus } from './answers.ts';
import { createTurns } from './turns.ts';
import type { Wire } from './wire.ts';

export type WriteDeployment = (report: DeploymentReport) => Promise<void>;

interface Known {
  readonly id: number;
  /** The newest status as text; '' for none. */
  readonly status: string;
}

const KNOWN_MAX = 500;
/** Of one commit and environment there is one of ours, and seldom others. */
const PAGES_MAX = 2;

export const createDeployments = (
  wire: Wire,
  { self }: { readonly self: () => Promise<Self> },
): WriteDeployment => {
  const known = wire.memory<string, Known>();
  const inTurn = createTurns();

  const find = async (report: DeploymentReport): Promise<Known | null> => {
    const { login } = await self();
    const { commit, environment } = report;
    const found = await wire.pages<ApiDeployment>(
      {
        route: 'GET /repos/{owner}/{repo}/deployments',
        params: { sha: commit, environment },
        pick: (data) => data as readonly ApiDeployment[],
        once: true,
      },
      PAGES_MAX,
    );
    const ours = found.filter(({ creator }) => creator?.login === login);
    const [first] = ours.toSorted((a, b) => a.id - b.id);
    if (first === undefined) return null;
    const newest = await wire.poll({
      route: 'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses',
      params: { deployment_id: first.id, per_page: 1 },
      pick: (data) => (data as readonly ApiDeploymentStatus[])[0],
      once: true,
    });
    const { state = '', description = '', environment_url: url } = newest ?? {};
    return { id: first.id, status: state === '' ? '' : textOf(state, description, url ?? null) };
  };

  const make = async ({ commit, environment }: DeploymentReport): Promise<Known> => {
    const made = await wire.send('POST /repos/{owner}/{repo}/deployments', {
      ref: commit,
      environment,
      task: 'deploy',
      auto_merge: false,
      required_contexts: [],
      transient_environment: false,
      // GitHub ends none of a production environment, and a cluster may be called `production`.
      production_environment: false,
      description: `Purser: ${environment}`,
    });
    return { id: (made as ApiDeployment).id, status: '' };
  };

  const write = async (report: DeploymentReport): Promise<void> => {
    const { commit, environment, state, url } = report;
    const key = `${environment} ${commit}`;
    const there = known.get(key) ?? (await find(report)) ?? (await make(report));
    const description = shortened(report.description, STATUS_LIMIT);
    const status = textOf(state, description, url);
    known.delete(key);
    if (there.status !== status) {
      await wire.send('POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses', {
        deployment_id: there.id,
        state,
        description,
        auto_inactive: true,
        ...(url === null ? {} : { environment_url: url }),
      });
    }
    known.set(key, { id: there.id, status });
    const oldest = known.keys().next().value;
    if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
  };

  return (report) => inTurn(`${report.environment} ${report.commit}`, () => write(report));
};

const textOf = (state: string, description: string, url: string | null): string =>
  [state, description, url ?? ''].join('\n');
