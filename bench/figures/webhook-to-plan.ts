// How long after a delivery of GitHub does the plan of its pull request begin? Receiver, loop and
// edge of GitHub are the product's, in this process; GitHub is the local one of the tests, which
// checks each request against GitHub's description, and its answers are part of the time. In: a
// number of rounds. Out: one row; beside it a bare http server that checks the same signature of the
// same delivery. Not here: the plan itself (pull-request-plan), the network to GitHub.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createClock } from '../../reconciler/edge/clock.ts';
import { createForgeLoop } from '../../reconciler/forge-loop.ts';
import type { LoopState } from '../../reconciler/loop.ts';
import { BASE, viewOf } from '../../test/support/forge-world.ts';
import { endWorlds, world, type World } from '../../test/support/github-edge.ts';
import { bareReceiver, catchPulls, post } from '../support/deliveries.ts';
import { withEnds } from '../support/ends.ts';
import { type Figure, median, ms, quantile, spread } from '../support/figure.ts';

const ROUNDS = 100;
/** The first rounds log in and compile the code. */
const WARM_UP = 5;
const GOAL_MS = 50;
/** People do not push four times a second: calls that follow one another are drawn together. */
const APART_MS = 600;
const LIMIT_MS = 10_000;

export const webhookToPlan: Figure = {
  name: 'webhook-to-plan',
  what: 'delivery of a webhook → plan of its pull request begins',
  run: ({ count }) =>
    withEnds(async (ends) => {
      ends.add(endWorlds);
      return [await measure(count ?? ROUNDS)];
    }),
};

const measure = async (rounds: number) => {
  const at = await world();
  const { hub, folder, git } = at;
  const catcher = await catchPulls();
  const bare = await bareReceiver(hub.app.webhookSecret);
  await at.pull('topic');
  hub.hook(catcher.url);
  const receiving = await startLoop(at, join(folder, 'secret'));
  const [ours, floor]: [number[], number[]] = [[], []];
  for (let round = -WARM_UP; round < rounds; round += 1) {
    await git('commit', '-q', '--allow-empty', '-m', `round ${round}`);
    const head = await git('rev-parse', 'HEAD');
    await git('push', '-q', hub.pushUrl('ada'), 'topic');
    await hub.settled();
    const delivery = catcher.take();
    const floorAt = performance.now();
    await post(bare.url, delivery);
    const floorMs = performance.now() - floorAt;
    const planned = receiving.planOf(head);
    const start = performance.now();
    await post(receiving.url, delivery);
    const tookMs = (await planned) - start;
    if (round >= 0) {
      ours.push(tookMs);
      floor.push(floorMs);
    }
    await pause(APART_MS);
  }
  await receiving.stop();
  for (const server of [catcher, bare]) server.close();
  const p99 = quantile(ours, 0.99);
  return {
    what: 'webhook received → plan started',
    ours: spread(ours),
    floor: `bare server, same signature ${ms(median(floor))}`,
    result: `p99 ${ms(p99)}`,
    goal: `p99 ≤ ${GOAL_MS} ms`,
    met: p99 <= GOAL_MS,
  };
};

/** The product's receiver, edge and loop over a cluster at rest; plans end at once. */
const startLoop = async ({ forge, main }: World, secretFile: string) => {
  const github = forge({ webhook: { address: '127.0.0.1:0', path: '/webhook', secretFile } });
  const url = `http://${await github.listen()}/webhook`;
  const view = viewOf([BASE]);
  const head = { ...view.tree.head, oid: main };
  const commit = { ...view.desired.commit, oid: main };
  const state: LoopState = {
    view: { ...view, tree: { ...view.tree, head }, desired: { ...view.desired, commit } },
    failure: null,
    write: null,
    refused: null,
  };
  const begun = new Map<string, (at: number) => void>();
  const never = () => Promise.reject(new Error('nothing is written'));
  const quiet = () => undefined;
  const loop = createForgeLoop({
    forge: github,
    plans: {
      plan: async (ask) => {
        begun.get(ask.head)?.(performance.now());
        return { kind: 'untouched', base: ask.base, head: ask.head };
      },
      close: async () => undefined,
    },
    source: {
      commit: never,
      record: never,
      offer: never,
      complete: async (tree) => tree,
      listCommits: async () => [head],
    },
    clock: createClock(),
    log: { info: quiet, warn: quiet, error: quiet },
    loop: { state: () => state, wake: quiet, watch: () => () => true },
  });
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  return {
    url,
    planOf: (oid: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error('no plan began')), LIMIT_MS);
        begun.set(oid, (when) => {
          clearTimeout(late);
          begun.delete(oid);
          resolve(when);
        });
      }),
    stop: async () => {
      stop.abort();
      await running;
    },
  };
};
