// An allocation with its own network namespace and a published port, until it answers http, against
// one without network until it runs: turn by turn, each by a commit.

import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchCluster, copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import { answers } from '../support/ask.ts';
import { type Figure, median, spread } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { epochMs } from '../support/repository.ts';

const ROUNDS = 15;
const GOAL = 1.4;
const QUIET_MS = 500;
const FIRST_PORT = 33_100;
const LIMIT_MS = 20_000;

export const publishedPort: Figure = {
  name: 'published-port',
  what: 'an allocation with network and published port until it answers, against one without',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const common =
      `image: ${REPOSITORY}:1@${image.digest}\nupdate: { min_healthy_time: 0s }\n` +
      'resources: { cpu: 10m, memory: 16MiB }\n';
    const bare = `${common}network: { mode: none }\nentrypoint: [/bin/serve]\n`;
    const published = (port: number) =>
      `${common}entrypoint: [/bin/serve]\nports: { http: { port: 8080, host: ${port} } }\n`;
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      files: { 'jobs/default/first.yaml': bare },
    });
    try {
      await cluster.until(settledAt('default/first', 1));
      const without: number[] = [];
      const withPort: number[] = [];
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        await sleep(QUIET_MS);
        without.push(await once(cluster, { name: `bare${round}`, job: bare, port: null }));
        await sleep(QUIET_MS);
        const port = FIRST_PORT + round;
        withPort.push(await once(cluster, { name: `port${round}`, job: published(port), port }));
        say(`round ${round}: ${withPort.at(-1)?.toFixed(0)} ms, ${without.at(-1)?.toFixed(0)} ms`);
      }
      const ratio = median(withPort) / median(without);
      return [
        {
          what: 'own namespace and published port, until it answers',
          ours: spread(withPort),
          floor: `without network ${spread(without)}`,
          result: ratio.toFixed(2),
          goal: `≤ ${GOAL}`,
          met: ratio <= GOAL,
        },
      ];
    } finally {
      await cluster.close();
    }
  },
};

interface Ask {
  readonly name: string;
  readonly job: string;
  /** Host port that must answer; null: running is enough. */
  readonly port: number | null;
}

const once = async (cluster: BenchCluster, { name, job, port }: Ask): Promise<number> => {
  const { repository, starts } = cluster;
  const commit = repository.prepare({ [`jobs/default/${name}.yaml`]: job });
  starts.clear();
  const renamed = repository.move(commit);
  await starts.until('started', 1, LIMIT_MS);
  const started = starts.started[0]?.at ?? Number.NaN;
  const ready = port === null ? started : await answering(port);
  await cluster.until(settledAt(`default/${name}`, 1));
  await cluster.until((state) => copiesOf(state, `default/${name}`).length === 1);
  return ready - renamed;
};

/** When the port answered; asked every 2 ms. */
const answering = async (port: number): Promise<number> => {
  const limit = performance.now() + LIMIT_MS;
  while (performance.now() < limit) {
    if (await answers(port)) return epochMs();
    await sleep(2);
  }
  throw new Error(`nothing answered on port ${port}`);
};
