// Lines of the fields of one group that a node can refuse its copies for.
// In: the job's file as read, the group's name. Out: a line for each reason whose field is written.
// It is asked for a few groups, when a plan is told: no job carries its lines with it. Not here:
// the group's own line (job.ts), which reason counts (render/plan-annotations).

import type { GroupFile } from '../../schema/documents/group.ts';
import { compareText } from '../../schema/ids.ts';
import { pointerOf } from '../../schema/places.ts';
import type { NodeReason } from '../../schema/plan.ts';
import { parseVolume } from '../../schema/references.ts';
import type { FieldLines } from '../../schema/summary.ts';
import { writtenGroups, type WrittenGroup, type WrittenTask } from '../../schema/written-job.ts';
import { jobNames } from './draft.ts';
import type { ReadDocument } from './read.ts';
import { cpuMilli, sizeBytes } from './units.ts';

/**
 * 1-based. A reason is left out where nothing of its field is written (the defaults of cluster.yaml
 * stand elsewhere), and all are where the file is not valid or has no such group. Of several
 * constraints, ports or volumes it is the line of the field that holds them.
 */
export const fieldLines = (
  { path, value, positions }: ReadDocument<'job'>,
  name: string,
): FieldLines => {
  if (value === null) return {};
  const group = writtenGroups(value, jobNames(path).job).find((one) => one.name === name);
  if (group === undefined) return {};
  const pointers: readonly (readonly [NodeReason, string | null])[] = [
    ['cpu', largestAsk(group.tasks, 'cpu')],
    ['memory', largestAsk(group.tasks, 'memory')],
    ['port', below(group.pointer, 'ports', hostPorts(group.group))],
    ['constraint', below(group.pointer, 'constraints', constraintItems(group.group))],
    ['volume-elsewhere', namedVolumes(group)],
  ];
  return Object.fromEntries(
    pointers.flatMap(([reason, pointer]) =>
      pointer === null ? [] : [[reason, positions(pointer).key.line] as const],
    ),
  );
};

/** Of the task that asks for most: a group's tasks share one node, and their asks are added up. */
const largestAsk = (tasks: readonly WrittenTask[], field: 'cpu' | 'memory'): string | null => {
  const unit = field === 'cpu' ? cpuMilli : sizeBytes;
  const [largest] = tasks
    .flatMap(({ task, pointer }) => {
      const written = task.resources?.[field];
      return written === undefined ? [] : [{ pointer, asked: unit(written) }];
    })
    .toSorted((a, b) => b.asked - a.asked || compareText(a.pointer, b.pointer));
  return largest === undefined ? null : largest.pointer + pointerOf(['resources', field]);
};

type Path = readonly string[];

/** The only one, or the field that holds them all. */
const below = (pointer: string, field: string, paths: readonly Path[]): string | null => {
  const [only, ...more] = paths;
  if (only === undefined) return null;
  return pointer + pointerOf(more.length === 0 ? [field, ...only] : [field]);
};

/** Those with a fixed port on the host: any other is picked among the free ones. */
const hostPorts = ({ ports = {} }: GroupFile): readonly Path[] =>
  Object.entries(ports).flatMap(([name, port]) =>
    typeof port === 'number' || port.host === undefined ? [] : [[name, 'host']],
  );

const constraintItems = ({ constraints = [] }: GroupFile): readonly Path[] =>
  constraints.map((_, index) => [String(index)]);

/** Those of the first task that has any: a path of the host is on every node. */
const namedVolumes = ({ tasks }: WrittenGroup): string | null => {
  for (const { task, pointer } of tasks) {
    const items = (task.volumes ?? []).flatMap((volume, index) =>
      parseVolume(volume)?.kind === 'named' ? [[String(index)]] : [],
    );
    if (items.length > 0) return below(pointer, 'volumes', items);
  }
  return null;
};
