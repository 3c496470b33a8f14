// Counts that machines wrote, beside the jobs that they are of (rules 7).
// In: scale files of a tree, its jobs. Out: what is wrong with them, and files in which a group is
// lacking. Not here: what a count is (spec.ts), writing one down (reconciler/plan/proposals).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { pointerOf } from '../../schema/places.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files } from '../../schema/source.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { jobNames } from './draft.ts';
import { placeOf, type Layout } from './layout.ts';
import { problemAt, problemOf, type Found } from './problem.ts';
import type { ReadDocument, Reader } from './read.ts';

export interface Counts {
  readonly problems: readonly Problem[];
  /** Valid files that do not name every group whose count is the machine's. */
  readonly open: NonNullable<DesiredState['openScaleFiles']>;
}

interface Around {
  /** One for each job of the layout. */
  readonly jobs: readonly (DesiredJob | null)[];
  readonly files: Files;
  readonly read: Reader;
}

export const lookAtCounts = (layout: Layout, { jobs, files, read }: Around): Counts => {
  const found = layout.paths.scale.map((path): Counts => {
    const { namespace, job } = jobNames(path);
    const file = files.get(path);
    const document = file && read('scale', path, file);
    if (!document?.value) return NOTHING;
    if (!files.has(`jobs/${namespace}/${job}.yaml`)) {
      const message = `There is no job \`${namespace}/${job}\`.`;
      return { problems: [problemOf(path, { code: 'scale-unused', message })], open: [] };
    }
    const at = jobs[placeOf(layout.jobs, `${namespace}/${job}`)];
    return at ? countsOf(document, at) : NOTHING;
  });
  return {
    problems: found.flatMap(({ problems }) => problems),
    open: found.flatMap(({ open }) => open),
  };
};

const NOTHING: Counts = { problems: [], open: [] };

const countsOf = (document: ReadDocument<'scale'>, { id, spec }: DesiredJob): Counts => {
  const { path, file } = document;
  const said = Object.entries(document.value ?? {});
  const problems = said.flatMap(([name, count]) => {
    const group = spec.groups.find((one) => one.name === name);
    const fault = faultOf(id, { name, count, group });
    return fault === null ? [] : [problemAt(document, pointerOf([name]), fault)];
  });
  const isLacking = spec.groups.some(({ scale }) => scale !== null && !scale.fromFile);
  const open =
    isLacking && file.kind === 'text' ? [{ path, text: file.text, blob: file.blob }] : [];
  return { problems, open };
};

/** A count counts only where the job gives it to the machine, and only inside its bounds. */
const faultOf = (
  job: string,
  said: { readonly name: string; readonly count: number; readonly group: GroupSpec | undefined },
): Found | null => {
  const { name, count, group } = said;
  if (group === undefined) {
    return { code: 'scale-unused', message: `Job \`${job}\` has no group \`${name}\`.` };
  }
  if (group.scale === null) {
    const message = `The count of group \`${name}\` stands in the job file, so this one is not read.`;
    return { code: 'scale-unused', message };
  }
  const { min, max } = group.scale;
  const clamped = Math.min(max, Math.max(min, count));
  if (clamped === count) return null;
  const message = `Group \`${name}\` has ${min} to ${max} copies, so ${count} counts as ${clamped}.`;
  return { code: 'scale-clamped', message };
};
