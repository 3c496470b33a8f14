// A node falls silent: its runner is killed. From the instant at which it counts as lost (the last
// report that the reconciler took in, and `lost_after`) to the start of the last copy that replaces
// those it held, as the other nodes' own containerd tells it. The reconciler, three runners and their
// containerds are real. Floor: one `ctr run -d` with the same specification, in the same run.

import { setTimeout as sleep } from 'node:timers/promises';
import type { StateAnswer } from '../../schema/control.ts';
import { containerId } from '../../schema/ids.ts';
import { type BenchCluster, copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import { createCtr } from '../support/ctr.ts';
import { type Figure, median, ms, quantile, spread } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { epochMs } from '../support/repository.ts';
import { filesOf } from '../support/rootfs.ts';
import { type Starts, watchStarts } from '../support/starts.ts';

const NODES = 3;
const COPIES = 6;
const ROUNDS = 8;
const LOST_AFTER_MS = 12_000;
const GOAL_MS = 1000;
const LIMIT_MS = 120_000;
/** The cut session wakes the reconciler; by then its view says when it heard from the node last. */
const SEEN_MS = 1500;
const JOB = 'default/web';

export const nodeLost: Figure = {
  name: 'node-lost',
  what: 'node silent for lost_after → its copies replaced on others, beside `ctr run -d`',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      nodes: NODES,
      files: {
        'cluster.yaml':
          `name: bench\npolicies: { registries: [bench.local] }\nlost_after: ${LOST_AFTER_MS}ms\n` +
          'guards: { own_approval: true }\n',
        'jobs/default/web.yaml':
          `image: ${REPOSITORY}:1@${image.digest}\ncount: ${COPIES}\nnetwork: { mode: none }\n` +
          'update: { min_healthy_time: 0s }\nresources: { cpu: 10m, memory: 16MiB }\n',
      },
    });
    const watches: Starts[] = [];
    try {
      await cluster.until(isWhole, LIMIT_MS);
      for (const socket of cluster.sockets) watches.push(await watchStarts(socket));
      const floor: number[] = [];
      const ours: number[] = [];
      const bare = await bareStart(cluster);
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        floor.push(await bare(round));
        const place = 1 + (round % (NODES - 1));
        const lost = await loseNode(cluster, { place, watches });
        ours.push(lost.beyondMs);
        say(`round ${round}: ${lost.copies} copies, ${ms(lost.beyondMs)} beyond lost_after`);
      }
      const beyond = quantile(ours, 0.99) - median(floor);
      return [
        {
          what: `node lost → its copies run elsewhere, beyond lost_after, ${COPIES} copies on ${NODES} nodes`,
          ours: `${spread(ours)}, p99 ${ms(quantile(ours, 0.99))}`,
          floor: `ctr run -d ${spread(floor)}`,
          result: `p99 +${beyond.toFixed(0)} ms`,
          goal: `p99 ≤ +${GOAL_MS} ms`,
          met: beyond <= GOAL_MS,
        },
      ];
    } finally {
      for (const watch of watches) watch.close();
      await cluster.close();
    }
  },
};

/** All nodes are there, and all copies. */
const isWhole = (state: StateAnswer): boolean =>
  settledAt(JOB, COPIES)(state) &&
  state.view?.live.nodes.filter(({ connected }) => connected).length === NODES;

/** One `ctr run -d`, from its start to its end. */
const bareStart = async (cluster: BenchCluster) => {
  // The first node's containerd is the one that ctr works in.
  const copy = copiesOf(await cluster.state(), JOB).find(({ node }) => node === 'n1');
  const like = containerId(copy?.allocation ?? '', 'web');
  const files = await filesOf(cluster, like);
  const ctr = await createCtr({ socket: cluster.socket, root: cluster.root, like, files });
  return async (round: number): Promise<number> => {
    const began = performance.now();
    await ctr.run(`c${round}`);
    const tookMs = performance.now() - began;
    await ctr.end(`c${round}`);
    return tookMs;
  };
};

interface Losing {
  /** Which node; never the first, which ctr works on. */
  readonly place: number;
  readonly watches: readonly Starts[];
}

/** Kills a runner, waits for what replaces its copies, and brings the node back. */
const loseNode = async (cluster: BenchCluster, { place, watches }: Losing) => {
  const name = `n${place + 1}`;
  const copies = copiesOf(await cluster.state(), JOB).filter(({ node }) => node === name).length;
  for (const watch of watches) watch.clear();
  await cluster.killRunner(place);
  await sleep(SEEN_MS);
  const lostAt = lastHeardAt(await cluster.state(), name) + LOST_AFTER_MS;
  const started = (): readonly number[] =>
    watches.flatMap((watch, at) =>
      at === place
        ? []
        : watch.started.filter(({ namespace }) => namespace === 'purser').map((seen) => seen.at),
    );
  const limit = performance.now() + LIMIT_MS;
  while (started().length < copies) {
    if (performance.now() > limit) throw new Error(`the copies of ${name} were not replaced`);
    await sleep(10);
  }
  const beyondMs = Math.max(...started(), lostAt) - lostAt;
  cluster.startRunner(place);
  await cluster.until(isWhole, LIMIT_MS);
  return { copies, beyondMs };
};

/** Milliseconds since 1970. */
const lastHeardAt = ({ view }: StateAnswer, name: string): number => {
  const node = view?.live.nodes.find((one) => one.name === name);
  if (view === null || node === undefined || node.connected) {
    throw new Error(`the reconciler has not seen that ${name} was cut off`);
  }
  return epochMs() - view.ageMs - node.silentForMs;
};
