// Requests that fail while services change under load: jobs are updated and reverted, nodes drained,
// runners started anew with another build, and the reconciler that leads killed, the latter two amid
// the former. One client goes through HAProxy, whose backends a runner keeps in a file, with
// connections of its own, kept ones and answers that take 300 ms; one on each of two nodes looks each
// service up by DNS for every request. `--count N`: changes, 1,000 as documented: of a commit each
// job that it touches is one. `--seed N`: which.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  drawRound,
  NOTHING,
  sumOf,
  tallied,
  type Tally,
  wordsOf,
} from '../../test/support/load/changes.ts';
import type { AskerCounts } from '../../test/support/load/clients.ts';
import { type LoadWorld, startLoad } from '../../test/support/load/world.ts';
import { numbersFrom } from '../../test/support/numbers.ts';
import { thisRelease } from '../../test/support/release.ts';
import { withEnds } from '../support/ends.ts';
import { type Figure, ms } from '../support/figure.ts';

const CHANGES = 1000;
const JOBS = 12;
const PER_SECOND = { proxy: { new: 40, kept: 80, slow: 8 }, dns: { new: 30, slow: 4 } };
/** Of its log, shown beside requests that failed. */
const HAPROXY_LINES = 60;
/** So long the clients go on after the last change: until what was told to stop is gone. */
const AFTERWARDS_MS = 5000;

export const serviceRequests: Figure = {
  name: 'service-requests',
  what: 'requests failed through HAProxy and by DNS during changes of all kinds under load',
  run: ({ count, seed, say }) =>
    withEnds(async ({ add }) => {
      const release = thisRelease('--only-programs');
      add(release.remove);
      const builds = [[release.runner], [MAIN, 'node']];
      let starts = 0;
      const programs = () => ({
        reconciler: [MAIN, 'reconciler'],
        runner: builds[(starts += 1) % builds.length] ?? [],
      });
      const world = await startLoad({ jobs: JOBS, perSecond: PER_SECOND, programs });
      add(world.close);
      const random = numbersFrom(seed);
      const began = performance.now();
      let made = NOTHING;
      let shown = 0;
      const showFailures = (): void => {
        const lines = world.clients.failures.slice(shown);
        for (const line of lines) say(`failed: ${line}`);
        if (lines.length > 0) say(`HAProxy said: ${world.haproxy.tail(HAPROXY_LINES)}`);
        shown = world.clients.failures.length;
      };
      while (sumOf(made) < (count ?? CHANGES)) {
        const round = drawRound(world.wish(), world.nodes, random);
        const roundBegan = performance.now();
        await world.round(round);
        made = tallied(made, round, JOBS);
        const { asked, failed } = totalOf(world);
        const tookMs = (performance.now() - roundBegan).toFixed(0);
        showFailures();
        say(`${sumOf(made)}: ${wordsOf(round)}: ${tookMs} ms; ${failed} of ${asked} failed`);
      }
      await sleep(AFTERWARDS_MS);
      await world.clients.stop();
      showFailures();
      return [rowOf(world, made, performance.now() - began)];
    }),
};

const MAIN = path.resolve(import.meta.dirname, '../../dist/main.js');

const totalOf = ({ clients }: LoadWorld): AskerCounts => {
  const all = Object.values(clients.counts());
  const sum = (key: keyof AskerCounts) => all.reduce((total, one) => total + one[key], 0);
  const most = (key: keyof AskerCounts) => Math.max(...all.map((one) => one[key]));
  return {
    asked: sum('asked'),
    answered: sum('answered'),
    failed: sum('failed'),
    slowestMs: most('slowestMs'),
    slowestLookUpMs: most('slowestLookUpMs'),
    latestMs: most('latestMs'),
  };
};

const rowOf = (world: LoadWorld, made: Tally, tookMs: number) => {
  const { asked, answered, failed, slowestMs, slowestLookUpMs, latestMs } = totalOf(world);
  const each = Object.entries(world.clients.counts())
    .map(([name, one]) => `${name} ${one.failed} of ${one.asked}`)
    .join(', ');
  return {
    what:
      `requests failed during ${made.update} updates, ${made.revert} reverts, ` +
      `${made.drain + made.undrain} drains or ends of drains, ${made.runner} runners started anew, ` +
      `${made.leader} leaders killed`,
    ours:
      `${failed} of ${asked} in ${(tookMs / 60_000).toFixed(0)} minutes (${each}); the slowest answer took ` +
      `${ms(slowestMs)}, the slowest look-up ${ms(slowestLookUpMs)}; HAProxy was reloaded ` +
      `${world.haproxy.reloads()} times; a client did not run for ${ms(latestMs)} of a request at most`,
    floor: '',
    result: String(failed),
    goal: '0',
    met: failed === 0 && answered === asked && asked > 0 && world.haproxy.refused() === 0,
  };
};
