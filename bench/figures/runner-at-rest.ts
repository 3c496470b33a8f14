// What a runner with 50 allocations costs while nothing happens but their checks, every 10 s:
// memory and CPU of its process. Beside it: the same process before it had any.

import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { settledAt, startCluster } from '../support/cluster.ts';
import type { Figure } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';

const COPIES = 50;
const GOAL_MB = 110;
const GOAL_PERCENT = 1;
const WATCH_MS = 30_000;
const LIMIT_MS = 180_000;
/** By then V8 has collected what the starts left behind: three times the whole heap. */
const REST_MS = 30_000;

export const runnerAtRest: Figure = {
  name: 'runner-at-rest',
  what: 'memory and CPU of a runner with 50 allocations and their checks',
  run: async ({ count, say }) => {
    const image = await benchImage();
    const cluster = await startCluster({ images: { [REPOSITORY]: image }, files: {} });
    const watchMs = count === null ? WATCH_MS : count * 1000;
    try {
      const { runner } = cluster.pids();
      await sleep(5000);
      const empty = await costOf(runner, 10_000);
      say(`empty: ${empty.megabytes.toFixed(0)} MB, ${empty.percent.toFixed(2)} %`);
      const job =
        `image: ${REPOSITORY}:1@${image.digest}\ncount: ${COPIES}\nentrypoint: [/bin/serve]\n` +
        'ports: { http: 8080 }\nhealthcheck: { http: /, port: http, interval: 10s }\n' +
        'update: { min_healthy_time: 0s }\nresources: { cpu: 10m, memory: 16MiB }\n';
      cluster.repository.move(cluster.repository.prepare({ 'jobs/default/many.yaml': job }));
      await cluster.until(settledAt('default/many', COPIES), LIMIT_MS);
      await sleep(REST_MS);
      const full = await costOf(runner, watchMs);
      say(`${COPIES}: ${full.megabytes.toFixed(0)} MB, ${full.percent.toFixed(2)} %`);
      return [
        {
          what: `memory of a runner with ${COPIES} allocations`,
          ours: `${full.megabytes.toFixed(0)} MB`,
          floor: `without any ${empty.megabytes.toFixed(0)} MB`,
          result: `${full.megabytes.toFixed(0)} MB`,
          goal: `≤ ${GOAL_MB} MB`,
          met: full.megabytes <= GOAL_MB,
        },
        {
          what: `CPU of a runner with ${COPIES} allocations, checks every 10 s`,
          ours: `${full.percent.toFixed(2)} % of a core over ${watchMs / 1000} s`,
          floor: `without any ${empty.percent.toFixed(2)} %`,
          result: `${full.percent.toFixed(2)} %`,
          goal: `≤ ${GOAL_PERCENT} %`,
          met: full.percent <= GOAL_PERCENT,
        },
      ];
    } finally {
      await cluster.close();
    }
  },
};

/** Linux counts the CPU time of processes in these. */
const TICK_MS = 10;

const costOf = async (pid: number, overMs: number) => {
  const before = cpuMs(pid);
  await sleep(overMs);
  const percent = ((cpuMs(pid) - before) / overMs) * 100;
  const rss = /VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  return { percent, megabytes: Number(rss?.[1] ?? Number.NaN) / 1024 };
};

/** Fields 14 and 15 of stat: user and system time. */
const cpuMs = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
};
