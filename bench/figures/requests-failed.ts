// Requests that fail while a job is updated and reverted again and again under load. The client
// reads addresses as a script would, from `status --json`, once a second, and asks every copy that
// is healthy and not stopping. `--count N`: updates and reverts, 200 as documented.

import { execFile } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { StateAnswer } from '../../schema/control.ts';
import { type BenchCluster, copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import type { Figure } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { answers } from './published-port.ts';

const CHANGES = 200;
const COPIES = 3;
const JOB = 'default/web';
const FILE = 'jobs/default/web.yaml';
const LIMIT_MS = 120_000;
const ASK_EVERY_MS = 20;
const READ_EVERY_MS = 1000;

const exec = promisify(execFile);

export const requestsFailed: Figure = {
  name: 'requests-failed',
  what: 'requests failed during rolling updates and reverts under load',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const job = (version: string) =>
      `image: ${REPOSITORY}:1@${image.digest}\ncount: ${COPIES}\nentrypoint: [/bin/serve]\n` +
      `environment: { VERSION: "${version}" }\nports: { http: 8080 }\n` +
      'healthcheck: { http: /, port: http, interval: 500ms }\nshutdown_delay: 4s\n' +
      'update: { max_parallel: 1, min_healthy_time: 0s }\n' +
      'resources: { cpu: 10m, memory: 16MiB }\n';
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      files: { [FILE]: job('first') },
    });
    const client = startClient(cluster);
    try {
      await cluster.until(settledAt(JOB, COPIES), LIMIT_MS);
      await client.reading();
      const changes = count ?? CHANGES;
      for (let round = 0; round < changes; round += 1) {
        const version = round % 2 === 0 ? `round ${round}` : 'first';
        const { repository } = cluster;
        repository.move(repository.prepare({ [FILE]: job(version) }));
        await cluster.until(replacedBy(repository.newest(), COPIES), LIMIT_MS);
        say(`change ${round + 1}: ${client.counts().failed} of ${client.counts().asked} failed`);
      }
      await sleep(READ_EVERY_MS);
      const { asked, failed } = client.counts();
      return [
        {
          what: `requests failed during ${changes} rolling updates and reverts`,
          ours: `${failed} of ${asked}`,
          floor: '',
          result: String(failed),
          goal: '0',
          met: failed === 0 && asked > 0,
        },
      ];
    } finally {
      await client.stop();
      await cluster.close();
    }
  },
};

/** HEAD is acted on, nothing is left to do, and all copies are healthy. */
const replacedBy =
  (commit: string, count: number) =>
  (state: StateAnswer): boolean =>
    state.view?.desired.commit.oid === commit &&
    state.view.plan.steps.length === 0 &&
    settledAt(JOB, count)(state) &&
    copiesOf(state, JOB).every(({ body }) => {
      const job = state.view?.desired.jobs.find(({ id }) => id === JOB);
      return job?.spec.groups.some(({ hash }) => hash === body.spec.hash) ?? false;
    });

/** What this client reads of `status --json`. */
interface Status {
  readonly jobs: readonly {
    readonly copies: readonly {
      readonly health: string;
      readonly stopping: boolean;
      readonly ports: readonly { readonly host: number }[];
    }[];
  }[];
}

interface Client {
  readonly reading: () => Promise<void>;
  readonly counts: () => { readonly asked: number; readonly failed: number };
  readonly stop: () => Promise<void>;
}

const startClient = (cluster: BenchCluster): Client => {
  const program = path.resolve(import.meta.dirname, '../../dist/main.js');
  let ports: readonly number[] = [];
  let stopped = false;
  let asked = 0;
  let failed = 0;
  const read = async (): Promise<void> => {
    const args = [program, 'status', '--json', '--root', cluster.root];
    const { stdout } = await exec(process.execPath, args, { maxBuffer: 1 << 26 });
    const { jobs } = JSON.parse(stdout) as Status;
    ports = jobs
      .flatMap(({ copies }) => copies)
      .filter(({ health, stopping }) => health === 'healthy' && !stopping)
      .flatMap((copy) => copy.ports.map(({ host }) => host));
  };
  const reader = async (): Promise<void> => {
    while (!stopped) {
      await read().catch(() => undefined);
      await sleep(READ_EVERY_MS);
    }
  };
  const asker = async (): Promise<void> => {
    for (let turn = 0; !stopped; turn += 1) {
      const port = ports[turn % Math.max(1, ports.length)];
      if (port !== undefined) {
        asked += 1;
        if (!(await answers(port))) failed += 1;
      }
      await sleep(ASK_EVERY_MS);
    }
  };
  const running = [reader(), asker()];
  return {
    counts: () => ({ asked, failed }),
    reading: async () => {
      while (ports.length < COPIES) await sleep(READ_EVERY_MS);
    },
    stop: async () => {
      stopped = true;
      await Promise.all(running);
    },
  };
};
