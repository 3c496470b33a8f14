// Problems of files as items of a list in Markdown. Three hundred files with the same mistake are
// one item, not three hundred. In: problems. Out: items in the order of the first of each. Not here:
// how important they are, remarks on their lines (plan-annotations).

import { listsOf } from '../../schema/lists.ts';
import type { Problem } from '../../schema/problems.ts';
import { code, sentence } from './markdown.ts';
import { named } from './words.ts';

export interface ProblemItem {
  readonly severity: Problem['severity'];
  /** Written when it is known that there is room. */
  readonly text: () => string;
}

/** Places that are named of one mistake; more of the same tell nothing new. */
const PLACES_SHOWN = 3;

export const problemItems = (problems: readonly Problem[]): readonly ProblemItem[] =>
  [...listsOf(problems, sameness)].flatMap(([, same]) => {
    const [first] = same;
    return first === undefined
      ? []
      : [{ severity: first.severity, text: () => itemOf(first, same.map(placeOf)) }];
  });

const sameness = ({ severity, message, advice }: Problem): string =>
  JSON.stringify([severity, message, advice]);

const placeOf = ({ file, line }: Problem): string => code(`${file}:${line}`);

/** With a full stop where it has none: advice follows it. */
export const ended = (message: string): string =>
  /[.!?…:]$/.test(message) ? message : `${message}.`;

const itemOf = ({ message, advice }: Problem, places: readonly string[]): string => {
  const rest = places.length - PLACES_SHOWN;
  const where =
    rest > 0
      ? `${places.slice(0, PLACES_SHOWN).join(', ')} and ${rest} more`
      : places.length === 1
        ? places.join('')
        : named(places);
  const colon = places.length === 1 ? '' : ':';
  return `${where}${colon} ${sentence(ended(message))} ${sentence(advice)}`;
};
