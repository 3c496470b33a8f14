// Seeds that once failed, one by one, beside the many of sim.test.ts.
// What a failing seed did: npm run sim -- --seed N --trace

import { describe, expect, it } from 'vitest';

import { runSeed } from './run.ts';

/** Seeds that once showed a bug; the words say which. */
const KEPT: readonly (readonly [number, string])[] = [
  [2856, 'a standby that saw a resume behind the next commit in sync refused the branch for good'],
  [3499, 'an older copy began beside the newer one on their volume, by orders that came late'],
  [26, 'a job’s new content ran although the rules that came with it named owners'],
  [51, 'slots with volumes went unasked, once an owner let through what had counted as synced'],
  [
    143,
    'a revert in a file with owners was said to come by the commit of the version it brought back',
  ],
  [200, 'the same as 51, with all jobs at once'],
  [14, 'a slot that no node takes held up another, which was rolled and brought back by turns'],
  [23, 'a singleton came back on contact beside the copy that had replaced it'],
  [30, 'a third copy was planned beside two of a slot'],
  [
    146,
    'a singleton was healed at its old version between two steps of a rollout, again and again',
  ],
  [144, 'a singleton’s copy that came back began while the other was being stopped'],
  [148, 'two copies of a singleton were started on one node'],
  [
    152,
    'a reconciler that never saw a node called a commit synced, so a volume’s slot went unasked',
  ],
  [
    169,
    'a stop that waited for an image went ahead when others had failed meanwhile, and too few were left',
  ],
  [258, 'a job that was stopped while its image was looked up blocked every plan'],
  [285, 'a new copy on a drained node and an old one held a slot together for ever'],
  [324, 'a group with stop_after started after a reboot before any orders'],
  [
    338,
    'a file broken between a failed mark and its revert was expected to be reverted all the same',
  ],
  [41, 'a machine’s count of none was never written down'],
  [415, 'a version that settled in a history thrown away was expected to be gone back to'],
  [427, 'copies were expected by a version whose image was never resolved'],
  [458, 'a singleton’s copy came back beside its successor, neither seen to run, and was begun'],
  [472, 'a superseded copy that never came up held its slot while the next version was paused'],
  [505, 'a job was deleted while a stop waited for an image, and its copies stayed for good'],
  [509, 'what was to follow a copy died for want of its image, and nothing was tried again'],
  [539, 'the same as 509, and the version was neither failed nor reverted'],
  [544, 'the same as 505, with a job that was stopped'],
  [559, 'a singleton whose next image nobody has was not reverted'],
  [
    571,
    'a stop that waited for an image was granted as stop-first and taken back as start-first, in turns',
  ],
  [581, 'a count that the guard held back was expected to surge by the policy before'],
  [
    647,
    'a held job’s slot with a copy that never came up, of a version thrown away, had to be healed',
  ],
  [
    665,
    'a revert that the ledger did not know of was thrown away, and its deployment reverted again',
  ],
  [
    745,
    'an empty node whose runner was ahead of a rewritten branch took nothing, and no remedy was named',
  ],
  [779, 'a third copy was planned in a slot with a volume whose new version failed as it began'],
  [794, 'a reconciler’s wait for first reports ended a rounding error early, again and again'],
  [
    1161,
    'a job whose file was broken when it was synced was removed with its volume, and nobody asked',
  ],
  [857, 'a new copy on a drained node whose image never came held its slot, and nobody said why'],
  [867, 'a rollout stalled for good behind a stop that waited for an image nobody has'],
  [
    1168,
    'an owner let broken content through, and what stood before it counted, which nobody had let through',
  ],
  [1215, 'a copy with stop_after that no reconciler answered was said to be stopped by an order'],
  [1323, 'the same as 779, while the old copy was on its way out'],
  [1481, 'a deployment settled while the record of its failure was on its way'],
  [1406, 'a good version failed, as its runner was suspended before it saw the copies healthy'],
  [
    1054,
    'copies were marked and a commit called synced again and again while a branch was not followed',
  ],
  [1398, 'a job broken while its first image was looked up was forgotten, and never ran'],
  [
    1486,
    'a singleton’s copy that had stopped itself was begun again before all nodes were heard from',
  ],
  [90, 'a runner that was suspended as it began a singleton’s copy began it beside its successor'],
  [83, 'a singleton’s copy that came back began beside another while the tree was empty'],
  [99, 'a copy ordered and taken back before its runner answered was forgotten, and ran on'],
  [
    668,
    'HEAD without jobs removed those that nobody owns while the owners of the others were asked',
  ],
  [760, 'a copy on a drained node waited to stop for an image of a version nobody wanted any more'],
  [918, 'a poststop task of a singleton ran after a power cut, beside the copy that replaced it'],
  [1436, 'the same as 745, on a node whose volume’s slot could go nowhere else'],
];

describe('simulation', () => {
  it.each(KEPT)('seed %i: %s', async (seed) => {
    expect((await runSeed({ seed, trace: false })).violations).toEqual([]);
  });
});
