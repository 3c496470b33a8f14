// A branch is renamed into place in a watched local repository; how long until the first container
// runs, its image being there? Beside it: one `ctr run -d` of the same specification, in the same
// containerd, turn by turn.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerId } from '../../schema/ids.ts';
import { type BenchCluster, copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import { createCtr } from '../support/ctr.ts';
import { type Figure, median, ms, spread } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { filesOf } from '../support/rootfs.ts';

const ROUNDS = 20;
const ABOVE_FLOOR_MS = 100;
/** Reports, ledger records and shims of the round before have come to rest. */
const QUIET_MS = 700;

export const commitToContainer: Figure = {
  name: 'commit-to-container',
  what: 'branch renamed → first container running, against one `ctr run -d`',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const job = (mode: string) =>
      `image: ${REPOSITORY}:1@${image.digest}\nnetwork: { mode: ${mode} }\n` +
      'update: { min_healthy_time: 0s }\nresources: { cpu: 10m, memory: 16MiB }\n';
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      files: { 'jobs/default/first.yaml': job('none') },
    });
    try {
      await cluster.until(settledAt('default/first', 1));
      const [copy] = copiesOf(await cluster.state(), 'default/first');
      const like = containerId(copy?.allocation ?? '', 'first');
      const files = await filesOf(cluster, like);
      const ctr = await createCtr({ socket: cluster.socket, root: cluster.root, like, files });
      const samples = { ctr: [] as number[], none: [] as number[], bridge: [] as number[] };
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        await sleep(QUIET_MS);
        const began = performance.now();
        await ctr.run(`c${round}`);
        samples.ctr.push(performance.now() - began);
        for (const mode of ['none', 'bridge'] as const) {
          await sleep(QUIET_MS);
          samples[mode].push(await oneCommit(cluster, `${mode}${round}`, job(mode)));
        }
        say(
          `round ${round}: ${Object.values(samples)
            .map((all) => ms(all.at(-1) ?? 0))
            .join('  ')}`,
        );
      }
      await ctr.close();
      return [rowOf(samples, 'none'), rowOf(samples, 'bridge')];
    } finally {
      await cluster.close();
    }
  },
};

const oneCommit = async (cluster: BenchCluster, name: string, job: string): Promise<number> => {
  const commit = cluster.repository.prepare({ [path.join('jobs/default', `${name}.yaml`)]: job });
  cluster.starts.clear();
  const renamed = cluster.repository.move(commit);
  await cluster.starts.until('started', 1, 20_000);
  const at = cluster.starts.started[0]?.at ?? Number.NaN;
  await cluster.until(settledAt(`default/${name}`, 1));
  return at - renamed;
};

const rowOf = (
  samples: Readonly<Record<'ctr' | 'none' | 'bridge', readonly number[]>>,
  mode: 'none' | 'bridge',
) => {
  const above = median(samples[mode]) - median(samples.ctr);
  return {
    what: `branch renamed → container running, network ${mode}`,
    ours: spread(samples[mode]),
    floor: `ctr run -d ${spread(samples.ctr)}`,
    result: `${above >= 0 ? '+' : ''}${above.toFixed(0)} ms`,
    goal: `≤ +${ABOVE_FLOOR_MS} ms`,
    met: above <= ABOVE_FLOOR_MS,
  };
};
