// One life of a runner's loop on a world in memory.
// In: a world, what happens in it. Out: the loop has ended when it resolves. Not here: the world
// (runner-world.ts).

import { setMaxListeners } from 'node:events';
import { createTick } from '../../node-runner/tick.ts';
import { testNode } from './runner-specs.ts';
import type { World } from './runner-world.ts';

export const living = async (world: World, use: () => Promise<void>): Promise<void> => {
  const end = new AbortController();
  setMaxListeners(0, end.signal); // as many as calls are under way
  const done = createTick(world.ports, testNode).run(end.signal);
  try {
    await world.advance(200);
    await use();
  } finally {
    end.abort();
    await world.advance(6000);
    await done;
  }
};
