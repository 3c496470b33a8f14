// Who reads addresses from `status` has `shutdown_delay` to notice that a copy goes (rules 10.6):
// updates, reverts and drains, with a reconciler and runners that are slow or die meanwhile.

import { expect, it } from 'vitest';

import type { LiveState } from '../../schema/live.ts';
import type { Ms } from '../../schema/spec.ts';
import { GOOD } from './fake/registry.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { allocationOf } from './truth.ts';
import type { World } from './world.ts';

const WEB = 'shop/web';
const DELAY_MS: Ms = 5_000;
/** The reader looks so often. */
const LOOK_MS: Ms = 10;

/** Copies that a reader would ask. */
const offered = (live: LiveState | undefined): readonly string[] =>
  (live?.nodes ?? [])
    .flatMap(({ allocations }) => allocations)
    .filter(({ health, stopping }) => health === 'healthy' && !stopping)
    .map(({ allocation }) => allocation);

/** From when each copy was offered last to its end, as long as nobody but an order ends one. */
const gaps = async (tell: (world: World) => void, until: Ms): Promise<readonly Ms[]> => {
  const web = {
    ...plainJob('web'),
    behaviour: { ...GOOD, stopsAfterMs: 0 },
    shutdownDelayMs: DELAY_MS,
  };
  const { time, world } = startTold(plainScenario(3, [web]));
  tell(world);
  const lastOffered = new Map<string, Ms>();
  const found: Ms[] = [];
  let running = new Set<string>();
  while (time.now() < until) {
    await time.run(time.now() + LOOK_MS, () => true);
    const now = time.now();
    const left = new Set(
      [...world.nodes.values()].flatMap(({ machine }) =>
        [...machine.containers.values()].flatMap((container) =>
          container.task === 'running' ? (allocationOf(container) ?? []) : [],
        ),
      ),
    );
    for (const id of running) {
      const at = lastOffered.get(id);
      if (!left.has(id) && at !== undefined) found.push(now - at);
    }
    running = left;
    for (const id of offered(world.view()?.told())) lastOffered.set(id, now);
  }
  expect(world.checker.violations).toEqual([]);
  return found;
};

const changes = ({ time, human }: World): void => {
  time.at(90_000, 'deploy', () => human.edit(WEB, { version: 2 }, 'Deploy v2'));
  time.at(150_000, 'revert', () => human.edit(WEB, { version: 1 }, 'Revert'));
  time.at(210_000, 'drain', () => human.drain('n1', true));
  time.at(250_000, 'undrain', () => human.drain('n1', false));
};

it('a copy is offered to nobody for shutdown_delay before it is signalled', async () => {
  const found = await gaps(changes, 300_000);
  expect(found.length).toBeGreaterThanOrEqual(7);
  expect(Math.min(...found)).toBeGreaterThanOrEqual(DELAY_MS - LOOK_MS);
});

it('nor when runners and the reconciler are started again meanwhile', async () => {
  const found = await gaps((world) => {
    changes(world);
    for (const at of [91_000, 152_500, 211_000]) {
      world.time.at(at, 'the runners die', () => {
        for (const name of world.nodes.keys()) world.restartRunner(name, 500);
      });
      world.time.at(at + 1_500, 'the reconciler dies', () => world.killReconciler(700));
    }
  }, 300_000);
  expect(found.length).toBeGreaterThanOrEqual(7);
  expect(Math.min(...found)).toBeGreaterThanOrEqual(DELAY_MS - LOOK_MS);
});
