// The rehearsal in one sentence: what if something were lost, or failed, right after the change.
// In: a rehearsal. Out: "Survives any one node; not zone b: shop/web 2 copies short of 1.2 GiB; …".
// Not here: how it is worked out (reconciler/plan/rehearse).

import { listsOf } from '../../schema/lists.ts';
import type { Loss, Rehearsal, Shortage } from '../../schema/pull-plan.ts';
import type { Visibility } from './visibility.ts';
import { many, manyCopies, named } from './words.ts';

/** Kinds of shortage that are named in the sentence; the rest is counted. */
const LOSSES_NAMED = 3;
/** Shortages that are named of one loss. */
const SHORTAGES_NAMED = 3;

/** Plain words, without Markdown; '' where there is nothing to say. */
export const rehearsalWords = (rehearsal: Rehearsal, visibility: Visibility): string => {
  const parts = [
    ...lossesWords(rehearsal, 'node', visibility),
    ...lossesWords(rehearsal, 'zone', visibility),
    ...(rehearsal.left === 0 ? [] : [`${rehearsal.left} more not looked at`]),
    ...waveWords(rehearsal, visibility),
    ...rollbackWords(rehearsal, visibility),
  ];
  const sentence = unanswered(parts).join('; ');
  return sentence === '' ? '' : `${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}.`;
};

/** `not zone b` follows `survives any one node`; where nothing of that kind is before it, it is said. */
const unanswered = (parts: readonly string[]): readonly string[] =>
  parts[0]?.startsWith('not ') !== true
    ? parts
    : parts.map((part, at) =>
        part.replace(/^not /, at === 0 ? 'does not survive the loss of ' : 'nor of '),
      );

const lossesWords = (
  { losses }: Rehearsal,
  kind: Loss['kind'],
  visibility: Visibility,
): readonly string[] => {
  const all = losses.filter((loss) => loss.kind === kind);
  const bad = all.filter(({ short }) => short.length > 0);
  if (all.length === 0) return [];
  const waits = waitsWords(all, kind, visibility);
  if (bad.length === 0) return waits.length === 0 ? [`survives any one ${kind}`] : waits;
  if (!visibility.cluster) return [`not ${bad.length} of ${many(all.length, kind)}`, ...waits];
  const alike = [...listsOf(bad, ({ short }) => shortagesWords(short, visibility))];
  const shown = alike
    .slice(0, LOSSES_NAMED)
    .map(
      ([what, of]) =>
        `not ${kind}${of.length === 1 ? '' : 's'} ${named(of.map(({ name }) => name))}: ${what}`,
    );
  const rest = alike.slice(LOSSES_NAMED).reduce((sum, [, of]) => sum + of.length, 0);
  return [...shown, ...(rest > 0 ? [`nor ${many(rest, `more ${kind}`)}`] : []), ...waits];
};

/** A loss of many nodes at once is rather a network that broke: nobody moves copies by himself. */
const waitsWords = (
  all: readonly Loss[],
  kind: Loss['kind'],
  visibility: Visibility,
): readonly string[] => {
  const waiting = all.filter(({ waits }) => waits === true).map(({ name }) => name);
  if (waiting.length === 0) return [];
  const what = visibility.cluster
    ? `${kind}${waiting.length === 1 ? '' : 's'} ${named(waiting)}`
    : `${waiting.length} of ${many(all.length, kind)}`;
  return [`after a loss of ${what} nothing is replaced until a person approves`];
};

export const shortagesWords = (short: readonly Shortage[], visibility: Visibility): string => {
  const seen = short.filter(({ job }) => visibility.job(job));
  const shown = seen.slice(0, SHORTAGES_NAMED).map(({ job, group, copies, lacks }) => {
    const isOnly = job.endsWith(`/${group}`);
    return `${isOnly ? job : `${job}/${group}`} ${manyCopies(copies)} short of ${lacks}`;
  });
  const rest = short.length - shown.length;
  const others = rest === 0 ? [] : [`${many(rest, 'other group')} short`];
  return [...shown, ...others].join(', ');
};

/** The worst moment: the wave whose failure leaves the smallest part of the copies healthy. */
const waveWords = ({ waves }: Rehearsal, visibility: Visibility): readonly string[] => {
  const [worst] = waves
    .filter(({ job, healthy, wanted }) => visibility.job(job) && healthy < wanted)
    .toSorted((a, b) => a.healthy / a.wanted - b.healthy / b.wanted);
  if (worst === undefined) return [];
  const { job, wave, healthy, wanted } = worst;
  return [`if wave ${wave} of ${job} fails, ${healthy} of ${wanted} copies stay healthy`];
};

const rollbackWords = ({ rollbacks }: Rehearsal, visibility: Visibility): readonly string[] => {
  const times = rollbacks.flatMap(({ takesMs }) => takesMs ?? []);
  const never = rollbacks.filter(({ takesMs }) => takesMs === null);
  const seen = never.filter(({ job }) => visibility.job(job)).map(({ job }) => job);
  const longest = Math.max(...times);
  return [
    ...(times.length === 0 ? [] : [`rollback takes about ${roundedTime(longest)}`]),
    ...(never.length === 0
      ? []
      : [
          seen.length === 1 && never.length === 1
            ? `${seen[0] ?? ''} has no version to go back to`
            : `${many(never.length, 'job')} without a version to go back to`,
        ]),
  ];
};

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A forecast is not exact to the second: 37,200 → `40 s`, 205,000 → `4 min`. */
const roundedTime = (ms: number): string => {
  if (ms < 10 * SECOND) return `${Math.max(1, Math.ceil(ms / SECOND))} s`;
  if (ms < 2 * MINUTE) return `${Math.ceil(ms / (10 * SECOND)) * 10} s`;
  return `${Math.ceil(ms / MINUTE)} min`;
};
