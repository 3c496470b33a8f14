// Ten copies replaced five at a time, and back again by a revert, against the same containers
// killed
// and started with `ctr`, five at a time: turn by turn.

import { containerId } from '../../schema/ids.ts';
import { type BenchCluster, copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import { atATime, createCtr, type Ctr } from '../support/ctr.ts';
import { type Figure, median, spread } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { filesOf } from '../support/rootfs.ts';
import { setTimeout as sleep } from 'node:timers/promises';

const COPIES = 10;
const PARALLEL = 5;
const ROUNDS = 5;
const GOAL = 1.3;
const QUIET_MS = 1000;
const LIMIT_MS = 60_000;
const JOB = 'default/many';

export const rollingUpdate: Figure = {
  name: 'rolling-update',
  what: '10 copies replaced 5 at a time, and reverted, against kill and start with `ctr`',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const job = (version: string) =>
      `image: ${REPOSITORY}:1@${image.digest}\ncount: ${COPIES}\nnetwork: { mode: none }\n` +
      `environment: { VERSION: "${version}" }\n` +
      `update: { max_parallel: ${PARALLEL}, min_healthy_time: 0s }\n` +
      'resources: { cpu: 10m, memory: 16MiB }\n';
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      files: {
        'jobs/default/many.yaml': job('first'),
        // Stays as it is: ctr's containers use its network namespace and its files.
        'jobs/default/model.yaml': job('first').replace(`count: ${COPIES}`, 'count: 1'),
      },
    });
    try {
      await cluster.until(settledAt(JOB, COPIES), LIMIT_MS);
      await cluster.until(settledAt('default/model', 1), LIMIT_MS);
      const [copy] = copiesOf(await cluster.state(), 'default/model');
      const like = containerId(copy?.allocation ?? '', 'model');
      const files = await filesOf(cluster, like);
      const ctr = await createCtr({ socket: cluster.socket, root: cluster.root, like, files });
      const ids = Array.from({ length: COPIES }, (_, at) => `c${at}`);
      await atATime(ids, PARALLEL, ctr.run);
      const samples = { update: [] as number[], revert: [] as number[], ctr: [] as number[] };
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        await sleep(QUIET_MS);
        samples.ctr.push(await replaceWithCtr(ctr, ids));
        await sleep(QUIET_MS);
        samples.update.push(await roll(cluster, job(`round ${round}`)));
        await sleep(QUIET_MS);
        samples.revert.push(await roll(cluster, job('first')));
        const last = Object.entries(samples).map(
          ([name, all]) => `${name} ${all.at(-1)?.toFixed(0)}`,
        );
        say(`round ${round}: ${last.join(', ')} ms`);
      }
      await ctr.close();
      return [
        rowOf('rolling update', samples.update, samples.ctr),
        rowOf('its revert', samples.revert, samples.ctr),
      ];
    } finally {
      await cluster.close();
    }
  },
};

/** From the rename to the last new container's start. */
const roll = async (cluster: BenchCluster, text: string): Promise<number> => {
  const { repository, starts } = cluster;
  const commit = repository.prepare({ 'jobs/default/many.yaml': text });
  starts.clear();
  const renamed = repository.move(commit);
  await starts.until('started', COPIES, LIMIT_MS);
  const took = Math.max(...starts.started.map(({ at }) => at)) - renamed;
  await cluster.until(
    (state) => settledAt(JOB, COPIES)(state) && (state.view?.plan.steps.length ?? 1) === 0,
    LIMIT_MS,
  );
  return took;
};

/** Kill, delete, start anew; as many at a time as the rolling update may. */
const replaceWithCtr = async (ctr: Ctr, ids: readonly string[]): Promise<number> => {
  const began = performance.now();
  await atATime(ids, PARALLEL, async (id) => {
    await ctr.end(id);
    await ctr.run(id);
  });
  return performance.now() - began;
};

const rowOf = (what: string, ours: readonly number[], peer: readonly number[]) => {
  const ratio = median(ours) / median(peer);
  return {
    what: `${what} of ${COPIES} copies, ${PARALLEL} at a time`,
    ours: spread(ours),
    floor: `ctr ${spread(peer)}`,
    result: ratio.toFixed(2),
    goal: `≤ ${GOAL}`,
    met: ratio <= GOAL,
  };
};
