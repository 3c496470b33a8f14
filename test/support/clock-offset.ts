// A wall clock that is wrong for one program of ours, by libfaketime (Debian's package faketime).
// In: how far it is off. Out: words for its command line. The program's own Date and its TLS
// see that time; what Purser counts by, time since boot, stays right, as on a machine whose clock was
// set wrongly. Its children (containerd, runc) keep the right time, as Go asks the kernel past every
// library.

import { rmSync } from 'node:fs';

/** The loader puts the folder of this machine's kind in. */
const LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';

/** Children are to have none of it: each would leave its own traces in shared memory. */
const ALONE = '--import=data:text/javascript,delete%20process.env.LD_PRELOAD';

/** What stands before `node` in a command line; `+10m`, `-2h`, `+3y`, null: the clock is right. */
export const clockWords = (offset: string | null): readonly string[] =>
  offset === null
    ? []
    : [
        'env',
        `LD_PRELOAD=${LIBRARY}`,
        `FAKETIME=${offset}`,
        'FAKETIME_DONT_FAKE_MONOTONIC=1',
        'NO_FAKE_STAT=1',
        `NODE_OPTIONS=${ALONE}`,
      ];

/** What a program that was killed leaves of it in shared memory; one that ends takes it along. */
export const clearClock = (pid: number | undefined): void => {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
    rmSync(`/dev/shm/${name}`, { force: true });
  }
};
