// A cluster on real containerd whose repository is on the local GitHub, and what people do there.
// In: how many nodes, job files. Out: the hub, the cluster, pull requests, merges, waiting for
// checks. Not here: tests.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { startCluster, type Cluster, type ClusterOptions } from './cluster.ts';
import { git, type FileSet } from './git-repo.ts';
import { startGitHub, type GitHub, type GitHubOptions } from './github/github.ts';
import type { CheckRun } from './github/state.ts';
import { freePort } from './registry.ts';

export interface GitHubCluster {
  readonly hub: GitHub;
  readonly cluster: Cluster;
  /** Where deliveries arrive. */
  readonly webhook: string;
  /** The check of this name on the commit, once it is as wanted; there is never a second one. */
  readonly checkOf: (
    name: string,
    commit: string,
    holds?: (check: CheckRun) => boolean,
  ) => Promise<CheckRun>;
  /** Edits on a branch of their own, pushed and opened by ada. */
  readonly propose: (branch: string, files: FileSet) => Promise<Proposed>;
  /** The work tree stands where GitHub's branch stands; its commit. */
  readonly follow: () => string;
  /** By grace; the commit that it made. */
  readonly merge: (pull: number) => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface Proposed {
  readonly head: string;
  readonly number: number;
}

export type GitHubClusterOptions = Pick<ClusterOptions, 'nodes' | 'files' | 'settings' | 'memory'> &
  Pick<GitHubOptions, 'limits'> & {
    /** In place of the App: a token of this person, and no webhook. */
    readonly tokenOf?: string;
  };

const LIMIT_MS = 180_000;

export const startGitHubCluster = async (options: GitHubClusterOptions): Promise<GitHubCluster> => {
  const { limits, tokenOf, ...rest } = options;
  const hub = await startGitHub(limits === undefined ? {} : { limits });
  try {
    const port = await freePort();
    const webhook = `http://127.0.0.1:${port}/webhook`;
    hub.hook(webhook);
    hub.person('ada', 'write');
    hub.person('grace', 'write');
    hub.person('mallory', 'read');
    const cluster = await startCluster({
      ...rest,
      url: async (workTree) => {
        await hub.push(workTree, null, 'main');
        return hub.cloneUrl;
      },
      words: ({ root }) =>
        tokenOf === undefined ? forgeWords(hub, root, port) : tokenWords(hub, root, tokenOf),
    });
    const close = async () => {
      try {
        await cluster.close();
      } finally {
        await hub.close();
      }
    };
    return { hub, cluster, webhook, close, ...acts(hub, cluster) };
  } catch (error) {
    await hub.close().catch(() => undefined);
    throw error;
  }
};

export const forgeWords = (hub: GitHub, root: string, port: number): readonly string[] => {
  const file = (name: string, text: string) => {
    writeFileSync(join(root, name), text, { mode: 0o600 });
    return name;
  };
  file('app.pem', hub.app.privateKey);
  file('webhook-secret', hub.app.webhookSecret);
  const forge = {
    repository: `${hub.owner}/${hub.name}`,
    github: hub.url,
    app: { id: hub.app.id, installation: hub.app.installationId, private_key_file: 'app.pem' },
    webhook: { listen: `127.0.0.1:${port}`, secret_file: 'webhook-secret' },
    environment_url: 'https://shop.example',
  };
  file('forge.yaml', JSON.stringify(forge, null, 2));
  return ['--forge', join(root, 'forge.yaml')];
};

const tokenWords = (hub: GitHub, root: string, login: string): readonly string[] => {
  writeFileSync(join(root, 'token'), hub.person(login).token, { mode: 0o600 });
  const repository = `${hub.owner}/${hub.name}`;
  const forge = { repository, github: hub.url, token_file: 'token' };
  writeFileSync(join(root, 'forge.yaml'), JSON.stringify(forge, null, 2));
  return ['--forge', join(root, 'forge.yaml')];
};

const acts = (hub: GitHub, cluster: Cluster) => {
  const checkOf: GitHubCluster['checkOf'] = async (
    name,
    commit,
    holds = ({ status }) => status === 'completed',
  ) => {
    const end = performance.now() + LIMIT_MS;
    let last: CheckRun | undefined;
    while (performance.now() < end) {
      const all = hub.checks(commit).filter((check) => check.name === name);
      expect(all.length, 'never a second check').toBeLessThanOrEqual(1);
      last = all[0];
      if (last !== undefined && holds(last)) return last;
      await sleep(100);
    }
    const status = await cluster.purser('status').catch(String);
    const log = cluster.reconciler.tail(30);
    throw new Error(`${name} of ${commit}: ${JSON.stringify(last, shown, 2)}\n${status}\n${log}`);
  };

  const follow = (): string => {
    git(cluster.repository, 'fetch', '--quiet', hub.folder, 'main');
    git(cluster.repository, 'reset', '--quiet', '--hard', 'FETCH_HEAD');
    return git(cluster.repository, 'rev-parse', 'HEAD');
  };

  const propose: GitHubCluster['propose'] = async (branch, files) => {
    follow();
    git(cluster.repository, 'checkout', '--quiet', '-b', branch);
    const head = cluster.commit(files, branch);
    await hub.push(cluster.repository, 'ada', branch);
    git(cluster.repository, 'checkout', '--quiet', 'main');
    const { number } = await hub.openPull({ head: branch, by: 'ada' });
    await hub.settled();
    return { head, number };
  };

  const merge = async (pull: number): Promise<string> => {
    await hub.merge({ pull, by: 'grace' });
    await hub.settled();
    return follow();
  };

  return { checkOf, follow, propose, merge };
};

/** Of a check what a person reads: its suite holds the App, key and all. */
const shown = (key: string, value: unknown): unknown => (key === 'suite' ? undefined : value);
