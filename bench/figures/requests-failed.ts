// Requests that fail while jobs are updated and reverted and nodes are drained, again and again,
// under load. The client reads addresses as a script would, from `status --json`, once a second, and
// asks every copy that is healthy and not stopping, in a process of its own: a page that is there at
// once 50 times a second, and one that takes 300 ms three times a second. `--count N`: changes, 200 as documented: a
// rolling update or a revert of one job is one, and so is a drain or its end. `--seed N`: which.

import { setTimeout as sleep } from 'node:timers/promises';
import type { StateAnswer } from '../../schema/control.ts';
import { after, type Commit, FIRST, type Wish } from '../../test/support/load/changes.ts';
import { numbersFrom } from '../../test/support/numbers.ts';
import { copiesOf, settledAt, startCluster } from '../support/cluster.ts';
import { type Figure, ms } from '../support/figure.ts';
import { benchImage, REPOSITORY } from '../support/images.ts';
import { type Client, startClient } from '../support/requests.ts';

const CHANGES = 200;
const COPIES = 3;
const NODES = 3;
const JOBS = ['web', 'shop', 'mail', 'wiki'] as const;
const LIMIT_MS = 120_000;
const SHUTDOWN_DELAY_MS = 4000;
/** So long after they were asked for addresses are good (rules 10.6): a second is for the answer. */
const GOOD_FOR_MS = SHUTDOWN_DELAY_MS - 1000;
/** So long the client goes on after the last change: until a copy that was told to stop is gone. */
const AFTERWARDS_MS = 6000;
/** Of four commits one drains a node or ends its drain; of the others every second is a revert. */
const DRAIN_ONE_IN = 4;

export const requestsFailed: Figure = {
  name: 'requests-failed',
  what: 'requests failed during rolling updates, reverts and drains under load',
  run: async ({ count, seed, say }) => {
    const image = await benchImage();
    const jobOf = jobText(`${REPOSITORY}:1@${image.digest}`);
    const cluster = await startCluster({
      images: { [REPOSITORY]: image },
      files: filesOf(FIRST, jobOf),
      nodes: NODES,
    });
    const client = await startClient(cluster, GOOD_FOR_MS);
    try {
      const { repository } = cluster;
      await cluster.until(reached(repository.newest(), FIRST), LIMIT_MS);
      await client.knows(COPIES * JOBS.length);
      const wanted = count ?? CHANGES;
      const made: Record<Commit['kind'], number> = { update: 0, revert: 0, drain: 0, undrain: 0 };
      const random = numbersFrom(seed);
      let now = FIRST;
      for (let done = 0; done < wanted;) {
        const change = drawChange(now, random);
        now = after(now, change);
        repository.move(repository.prepare(filesOf(now, jobOf)));
        const began = performance.now();
        await cluster.until(reached(repository.newest(), now), LIMIT_MS);
        const changes = change.kind === 'update' || change.kind === 'revert' ? JOBS.length : 1;
        done += changes;
        made[change.kind] += changes;
        const { asked, failed } = client.counts();
        const tookMs = (performance.now() - began).toFixed(0);
        say(`${done}: ${change.kind}, ${tookMs} ms; ${failed} of ${asked} requests failed`);
      }
      await sleep(AFTERWARDS_MS);
      return [rowOf(made, client)];
    } finally {
      await client.stop();
      await cluster.close();
    }
  },
};

const rowOf = (made: Readonly<Record<Commit['kind'], number>>, client: Client) => {
  const { asked, failed, slowestMs, latestMs, withoutMs, reads, unread, longestReadMs } =
    client.counts();
  for (const line of client.failures()) console.error(`  failed: ${line}`);
  const drains = made.drain + made.undrain;
  return {
    what: `requests failed during ${made.update} updates, ${made.revert} reverts, ${drains} drains`,
    ours:
      `${failed} of ${asked}, the slowest took ${ms(slowestMs)}, the client was late by ` +
      `${ms(latestMs)} at most, and for ${ms(withoutMs)} had no addresses younger than ` +
      `${ms(GOOD_FOR_MS)}; addresses read ${reads} times, ${unread} reads failed, ` +
      `the longest took ${ms(longestReadMs)}`,
    floor: '',
    result: String(failed),
    goal: '0',
    met: failed === 0 && asked > 0 && unread === 0,
  };
};

const jobText =
  (image: string) =>
  (version: string): string =>
    `image: ${image}\ncount: ${COPIES}\nentrypoint: [/bin/serve]\n` +
    `environment: { VERSION: "${version}" }\nports: { http: 8080 }\n` +
    'healthcheck: { http: /, port: http, interval: 500ms }\n' +
    `shutdown_delay: ${SHUTDOWN_DELAY_MS / 1000}s\n` +
    'update: { max_parallel: 1, min_healthy_time: 0s }\n' +
    'resources: { cpu: 10m, memory: 16MiB }\n';

const drawChange = (now: Wish, random: () => number): Commit => {
  if (random() < 1 / DRAIN_ONE_IN) {
    const node = `n${1 + Math.floor(random() * NODES)}`;
    return now.drained === null ? { kind: 'drain', node } : { kind: 'undrain' };
  }
  return now.before === null ? { kind: 'update' } : { kind: 'revert' };
};

const filesOf = ({ version, drained }: Wish, jobOf: (version: string) => string) => ({
  ...Object.fromEntries(JOBS.map((job) => [`jobs/default/${job}.yaml`, jobOf(version)])),
  ...Object.fromEntries(
    Array.from({ length: NODES }, (_, at) => {
      const node = `n${at + 1}`;
      return [`nodes/${node}.yaml`, `node: ${node}\n${node === drained ? 'drain: true\n' : ''}`];
    }),
  ),
});

/** HEAD is acted on, nothing is left to do, all copies are healthy and none on a drained node. */
const reached =
  (commit: string, { drained }: Wish) =>
  (state: StateAnswer): boolean =>
    state.view?.desired.commit.oid === commit &&
    state.view.plan.steps.length === 0 &&
    JOBS.every((name) => {
      const id = `default/${name}`;
      const job = state.view?.desired.jobs.find((one) => one.id === id);
      return (
        settledAt(id, COPIES)(state) &&
        copiesOf(state, id).every(
          ({ body, node }) =>
            node !== drained &&
            (job?.spec.groups.some(({ hash }) => hash === body.spec.hash) ?? false),
        )
      );
    });
