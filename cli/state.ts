// What several commands ask of the newest view: the state, a job by the name that a person typed,
// its copies.
// In: a control connection. Out: parts of the view, or an error that names what there is.

import { closestMatch } from 'leven';
import { OF_LEADER, type StateAnswer } from '../schema/control.ts';
import { foreignWords, refusedWords } from '../schema/refused-words.ts';
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
  ready(await ask<StateAnswer>(common, 'state', OF_LEADER));

/** Of several reconcilers none leads at the moment: the next one goes on. */
export const isBetweenLeaders = ({ view, leader }: StateAnswer): boolean =>
  view === null && leader?.leads === false;

export const ready = (state: StateAnswer): ReadyState => {
  const { view } = state;
  if (view === null) {
    throw new CommandError(
      state.failure ?? 'the reconciler has not read its repository yet: try again in a moment',
    );
  }
  return { ...state, view };
};

type Troubled = Pick<StateAnswer, 'failure' | 'isRefused' | 'write' | 'forge' | 'forgeNotice'>;

/** What keeps Git from being read or written now, or the forge from being told, in sentences. */
export const gitTroubles = ({
  failure,
  isRefused,
  write,
  forge = null,
  forgeNotice = null,
}: Troubled): readonly string[] => [
  ...(failure === null
    ? []
    : [`${isRefused === true ? 'The branch is not followed' : 'Git cannot be read'}: ${failure}`]),
  ...(write === null ? [] : [`Git cannot be written (${write.what}): ${write.message}`]),
  ...(forge === null ? [] : [`The forge is not told: ${forge}`]),
  ...(forgeNotice === null ? [] : [`The forge is told, but ${forgeNotice}`]),
];

/** What of the branch and of the ledger is not acted on, in sentences. */
export const acceptanceTroubles = ({ desired }: ReadyState['view']): readonly string[] => [
  ...(desired.refused === undefined ? [] : [refusedWords(desired.refused)]),
  ...foreignWords(desired.foreign ?? []),
];

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
  throw new CommandError(
    `there is no job \`${name}\`${knownWords(
      name,
      jobs.flatMap(({ id, spec }) => [id, spec.job]),
    )}`,
  );
};

/** What the person may have meant: `; did you mean web?`, else what there is. */
export const knownWords = (name: string, known: readonly string[]): string => {
  const near = closestMatch(name, known, { maxDistance: Math.max(2, Math.floor(name.length / 3)) });
  if (near !== undefined) return `; did you mean ${near}?`;
  const shown = known.filter(
    (one) => known.every((any) => !any.includes('/')) || one.includes('/'),
  );
  const rest = shown.length - NAMES_SHOWN;
  const names = shown.slice(0, NAMES_SHOWN).join(', ');
  if (names === '') return '; there is none';
  return `; there is ${names}${rest > 0 ? ` and ${rest} more` : ''}`;
};

/** Names listed in an error. */
const NAMES_SHOWN = 12;

export const copiesOf = ({ view }: ReadyState, job: string): readonly LiveAllocation[] =>
  view.live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body }) => `${body.namespace}/${body.job}` === job)
    .toSorted((a, b) => a.body.index - b.body.index);

/** `<group>[<index>]`, or `[<index>]` where the group is named as the job. */
export const shortSlot = ({ body }: LiveAllocation): string => `${body.group}[${body.index}]`;

/**
 * An allocation by id, by the start of its id, by `job[index]` or `job/group[index]`, or a job's
 * only copy.
 */
export const findCopy = (state: ReadyState, name: string): LiveAllocation => {
  const all = state.view.live.nodes.flatMap(({ allocations }) => allocations);
  const live = all.filter(({ phase }) => phase !== 'dead');
  const byId = all.filter(({ allocation }) => allocation === name);
  const bySlot = live.filter((copy) => slotNames(copy).includes(name));
  const byJob = live.filter((copy) => jobNames(copy).includes(name));
  const byStart = all.filter(({ allocation }) => name !== '' && allocation.startsWith(name));
  const found = [byId, bySlot, byJob, byStart].find((matches) => matches.length > 0) ?? [];
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const isJob = found === byJob && first !== undefined;
  const names = found.map((copy) => (isJob ? slotNames(copy)[0] : copy.allocation));
  const slots = live.flatMap((copy) => slotNames(copy).slice(0, 1));
  throw new CommandError(
    first === undefined
      ? `there is no job or allocation \`${name}\`${knownWords(name, slots)}`
      : `\`${name}\` names ${found.length} allocations: ${names.join(', ')}`,
  );
};

/** A task that none of these copies has, by the names that they do have. */
export const refuseUnknownTask = (copies: readonly LiveAllocation[], task: string): void => {
  const names = new Set(copies.flatMap(({ body }) => body.spec.tasks.map(({ name }) => name)));
  if (names.size === 0 || names.has(task)) return;
  throw new CommandError(`there is no task \`${task}\`${knownWords(task, [...names])}`);
};

const jobNames = ({ body: { namespace, job } }: LiveAllocation): readonly string[] => [
  job,
  `${namespace}/${job}`,
];

/** The shortest first. */
export const slotNames = (copy: LiveAllocation): readonly string[] => {
  const { job, group, index } = copy.body;
  const short = jobNames(copy).map((name) => `${name}[${index}]`);
  const long = jobNames(copy).map((name) => `${name}/${group}[${index}]`);
  return group === job ? [...short, ...long] : [...long, ...short];
};
