// Fifty allocations without network, started by a runner; beside it `ctr run --config` with the
// same specification and a log file, four at a time, in the same containerd, turn by turn.

import { containerId } from '../../schema/ids.ts';
import { type BenchCluster, copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import { atATime, createCtr, type Ctr } from '../support/ctr.ts';
import { type Figure, median, spread } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { filesOf } from '../support/rootfs.ts';

const COPIES = 50;
const ROUNDS = 3;
const PLACES = 4;
const GOAL = 0.95;
const LIMIT_MS = 120_000;

export const containersPerSecond: Figure = {
  name: 'containers-per-second',
  what: '50 allocations without network, against `ctr run --config` four at a time',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const job = (copies: number) =>
      `image: ${REPOSITORY}:1@${image.digest}\ncount: ${copies}\nnetwork: { mode: none }\n` +
      'update: { min_healthy_time: 0s }\nresources: { cpu: 10m, memory: 16MiB }\n';
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      files: { 'jobs/default/first.yaml': job(1) },
    });
    try {
      await cluster.until(settledAt('default/first', 1));
      const [copy] = copiesOf(await cluster.state(), 'default/first');
      const like = containerId(copy?.allocation ?? '', 'first');
      const files = await filesOf(cluster, like);
      const ctr = await createCtr({ socket: cluster.socket, root: cluster.root, like, files });
      const ours: number[] = [];
      const peer: number[] = [];
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        peer.push(await ctrRound(cluster, ctr, round));
        ours.push(await purserRound(cluster, job));
        say(`round ${round}: ${rate(ours.at(-1) ?? 0)}, ctr ${rate(peer.at(-1) ?? 0)}`);
      }
      const ratio = median(peer) / median(ours);
      return [
        {
          what: `${COPIES} allocations started, no network`,
          ours: `${rate(median(ours))}; ${spread(ours)}`,
          floor: `ctr ×${PLACES} ${rate(median(peer))}; ${spread(peer)}`,
          result: `${ratio.toFixed(2)} of ctr's rate`,
          goal: `≥ ${GOAL}`,
          met: ratio >= GOAL,
        },
      ];
    } finally {
      await cluster.close();
    }
  },
};

const rate = (tookMs: number): string => `${((COPIES * 1000) / tookMs).toFixed(1)}/s`;

/** From before the first `ctr` to the last start that containerd tells. */
const ctrRound = async (cluster: BenchCluster, ctr: Ctr, round: number): Promise<number> => {
  const ids = Array.from({ length: COPIES }, (_, at) => `c${round}-${at}`);
  cluster.starts.clear();
  await atATime(ids, PLACES, ctr.run);
  await cluster.starts.until('started', COPIES, LIMIT_MS);
  const took = spanOf(cluster);
  await atATime(ids, PLACES, ctr.end);
  return took;
};

const purserRound = async (
  cluster: BenchCluster,
  job: (copies: number) => string,
): Promise<number> => {
  const { repository, starts } = cluster;
  const file = 'jobs/default/many.yaml';
  starts.clear();
  repository.move(repository.prepare({ [file]: job(COPIES) }));
  await starts.until('started', COPIES, LIMIT_MS);
  const took = spanOf(cluster);
  await cluster.until(settledAt('default/many', COPIES), LIMIT_MS);
  // Scaled to 0 they would wait for an approval (rules 8.1); stopped by word they go.
  repository.move(repository.prepare({ [file]: `${job(COPIES)}stopped: true\n` }));
  await cluster.until((state) => copiesOf(state, 'default/many').length === 0, LIMIT_MS);
  return took;
};

/**
 * From the first start to the last, stretched by one: N starts have N - 1 gaps. What comes before
 * the first (ours: the commit and the plan; ctr's: nothing) has a figure of its own.
 */
const spanOf = ({ starts }: BenchCluster): number => {
  const times = starts.started.map(({ at }) => at);
  const span = Math.max(...times) - Math.min(...times);
  return (span * times.length) / (times.length - 1);
};
