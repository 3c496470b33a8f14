// What several commands ask of the newest view: the state, a job by the name that a person typed, its copies.
// In: a control connection. Out: parts of the view, or an error that names what there is.

import type { OverviewAnswer, StateAnswer } from '../schema/control.ts';
import type { DesiredJob } from '../schema/desired.ts';
import type { LiveAllocation } from '../schema/live.ts';
import { connect } from './client.ts';
import type { Common } from './command.ts';
import { CommandError } from './command-error.ts';

export type ReadyState = StateAnswer & { readonly view: NonNullable<StateAnswer['view']> };

/** One answer over a connection of its own. */
export const ask = async <Answer>(
  common: Common,
  method: string,
  argument: unknown = null,
): Promise<Answer> => {
  const control = await connect(common.socket);
  try {
    return await control.call<Answer>(method, argument);
  } finally {
    control.close();
  }
};

export const readyState = async (common: Common): Promise<ReadyState> =>
  ready(await ask<StateAnswer>(common, 'state'));

/** The state, or the overview, once there is one. */
export const ready = <Answer extends StateAnswer | OverviewAnswer>(
  state: Answer,
): Answer & { readonly view: NonNullable<Answer['view']> } => {
  const { view } = state;
  if (view === null) {
    throw new CommandError(
      state.failure ?? 'the reconciler has not read its repository yet: try again in a moment',
    );
  }
  return { ...state, view };
};

/** `web` or `shop/web`; a short name must be unique. */
export const findJob = ({ view }: ReadyState, name: string): DesiredJob => {
  const { jobs } = view.desired;
  const matches = jobs.filter(({ id, spec }) => id === name || spec.job === name);
  const [first, second] = matches;
  if (first !== undefined && second === undefined) return first;
  if (second !== undefined) {
    throw new CommandError(
      `\`${name}\` is ambiguous: ${matches.map(({ id }) => id).join(', ')}; write the namespace too`,
    );
  }
  const known = jobs.map(({ id }) => id).join(', ');
  throw new CommandError(
    `there is no job \`${name}\`; there ${known === '' ? 'are none' : `is ${known}`}`,
  );
};

export const copiesOf = ({ view }: ReadyState, job: string): readonly LiveAllocation[] =>
  view.live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body }) => `${body.namespace}/${body.job}` === job)
    .toSorted((a, b) => a.body.index - b.body.index);

/** `<group>[<index>]`, or `[<index>]` where the group is named as the job. */
export const shortSlot = ({ body }: LiveAllocation): string => `${body.group}[${body.index}]`;

/** An allocation by id, by the start of its id, or by `job/group[index]` or `job[index]`. */
export const findCopy = (state: ReadyState, name: string): LiveAllocation => {
  const all = state.view.live.nodes.flatMap(({ allocations }) => allocations);
  const live = all.filter(({ phase }) => phase !== 'dead');
  const byId = all.filter(({ allocation }) => allocation === name);
  const bySlot = live.filter((copy) => slotNames(copy).includes(name));
  const byStart = all.filter(({ allocation }) => allocation.startsWith(name));
  const found = [byId, bySlot, byStart].find((matches) => matches.length > 0) ?? [];
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  throw new CommandError(
    first === undefined
      ? `there is no allocation \`${name}\`; \`purser status JOB\` lists them`
      : `\`${name}\` names ${found.length} allocations: ${found.map((copy) => copy.allocation).join(', ')}`,
  );
};

const slotNames = ({ body }: LiveAllocation): readonly string[] => {
  const { namespace, job, group, index } = body;
  return [job, `${namespace}/${job}`].flatMap((name) => [
    `${name}[${index}]`,
    `${name}/${group}[${index}]`,
  ]);
};
