// Is a removal still under way? Until none is, the last synced commit stays where it was (rules
// 8.1).
// In: a job's view. Out: a yes or no. Not here: the guard, the record itself (plan).

import { isLive } from './classify.ts';
import type { JobView } from './slots.ts';

/**
 * A live copy that HEAD wants no more, on a node that can be told so; also of a group that went and
 * is kept until the new version has settled, since it may have to come back.
 */
export const removalPends = ({ job, groups }: JobView): boolean =>
  groups.some(({ copies, frame }) => {
    const isGone = frame.target === null && !job.spec.stopped;
    return copies.some(
      (copy) => isLive(copy) && (isGone || copy.class === 'unwanted' || copy.class === 'surplus'),
    );
  });
