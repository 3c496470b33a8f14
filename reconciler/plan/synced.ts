// Is a removal still under way? Until none is, the last synced commit stays where it was (rules
// 8.1).
// In: a job's view. Out: a yes or no. Not here: the guard, the record itself (plan).

import { isLive } from './classify.ts';
import type { JobView } from './slots.ts';

/** A live copy that HEAD wants no more, on a node that can be told so. */
export const removalPends = (view: JobView): boolean =>
  view.groups.some((group) =>
    group.copies.some(
      (copy) => isLive(copy) && (copy.class === 'unwanted' || copy.class === 'surplus'),
    ),
  );
