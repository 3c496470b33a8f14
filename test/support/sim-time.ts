// Virtual time of the simulator for tests that simulate no cluster: it goes on by itself, event after
// event. In: nothing. Out: time, and the way to end it. Not here: the time itself (test/sim/time).

import { createTime } from '../sim/time.ts';

export const startTime = () => {
  const time = createTime({ seed: 1, keepLines: false });
  let over = false;
  const pump = async (): Promise<void> => {
    while (!over) await time.run(time.now() + 1_000, () => true);
  };
  const done = pump();
  const close = async (): Promise<void> => {
    over = true;
    await done;
  };
  return { time, close };
};
