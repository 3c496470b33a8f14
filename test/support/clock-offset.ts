// A wall clock that is wrong for one program of ours, by libfaketime (Debian's package faketime).
// In: how far it is off. Out: what the program's environment needs. The program's own Date and its TLS
// see that time; what Purser counts by, time since boot, stays right, as on a machine whose clock was
// set wrongly. Its children (containerd, runc) keep the right time: Go asks the kernel past every
// library.

import { rmSync } from 'node:fs';

/** The loader puts the folder of this machine's kind in. */
const LIBRARY = '/usr/$LIB/faketime/libfaketime.so.1';

/** `+10m`, `-2h`, `+3y`; null: the clock is right. */
export const clockEnv = (offset: string | null): Readonly<Record<string, string>> =>
  offset === null
    ? {}
    : {
        LD_PRELOAD: LIBRARY,
        FAKETIME: offset,
        FAKETIME_ONLY_CMDS: 'node',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        NO_FAKE_STAT: '1',
      };

/** What a program that was killed leaves of it in shared memory; one that ends takes it along. */
export const clearClock = (pid: number | undefined): void => {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
    rmSync(`/dev/shm/${name}`, { force: true });
  }
};
