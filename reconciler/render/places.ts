// Lines of the files that a plan's blocked and guarded groups are written on.
// In: the changed side of a preview. Out: a place for each such group. Not here: which line of a
// group causes it (desired/field-lines); the file's own problems have places of their own.

import { compareText } from '../../schema/ids.ts';
import type { PreviewSide } from '../../schema/preview.ts';
import type { Summary } from '../../schema/summary.ts';

export const placesOf = ({ desired, first, waves }: PreviewSide): Summary['places'] & {} => {
  const last = waves.at(-1) ?? first;
  const slots = [
    ...last.blocked.flatMap(({ slot }) => slot ?? []),
    ...first.guarded.flatMap((guarded) => guarded.slots),
  ];
  const wanted = new Map<string, ReturnType<typeof slotParts>>();
  for (const slot of slots) wanted.set(groupOf(slot), slotParts(slot));
  if (wanted.size === 0) return [];
  const jobs = new Map(desired.jobs.map((job) => [job.id, job]));
  return [...wanted.values()]
    .flatMap(({ job: id, group: name }) => {
      const job = jobs.get(id);
      const group = job?.spec.groups.find((one) => one.name === name);
      const line = job?.lines.get(name);
      if (job === undefined || group === undefined || line === undefined) return [];
      return [{ job: id, group: name, file: job.file, line, wanted: group.count }];
    })
    .toSorted((a, b) => compareText(a.job, b.job) || compareText(a.group, b.group));
};

/** `shop/web/main[2]` → `shop/web/main`: slots of one group have one place. */
export const groupOf = (slot: string): string => slot.slice(0, slot.lastIndexOf('['));

/** `shop/web/main[2]` → job shop/web, group main, index 2. */
export const slotParts = (
  slot: string,
): { readonly job: string; readonly group: string; readonly index: number } => {
  const open = slot.lastIndexOf('[');
  const end = slot.lastIndexOf('/', open);
  return {
    job: slot.slice(0, end),
    group: slot.slice(end + 1, open),
    index: Number(slot.slice(open + 1, -1)),
  };
};
