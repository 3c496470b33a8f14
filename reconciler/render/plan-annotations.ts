// Remarks of a plan on the lines that cause them.
// In: a plan, its verdict. Out: annotations, the most important first. Their text is shown as it
// is: it is no Markdown. Not here: sending them in portions (edge/forge).

import { ANNOTATIONS_LIMIT, TITLE_LIMIT } from '../../schema/forge.ts';
import type { Annotation } from '../../schema/forge.ts';
import { listsOf } from '../../schema/lists.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { Blocked, NodeReason } from '../../schema/plan.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Summary } from '../../schema/summary.ts';
import type { Seen } from './plan-blocks.ts';
import { groupOf } from './places.ts';
import { blockedLines, manyCopies, NODE_WORDS } from './words.ts';

/** GitHub takes 64 KB; a remark that nobody reads to its end helps nobody. */
const MESSAGE_LIMIT = 1_000;

/** Longer paths, and those that are no plain text, are named in the summary alone. */
const PATH_LIMIT = 1000;

/** One remark that the forge refuses would keep the whole check from being written. */
const isPlainPath = ({ path }: Annotation): boolean =>
  path.length <= PATH_LIMIT && plainLine(path) === path;

export const planAnnotations = (seen: Seen, directory: string): readonly Annotation[] => {
  const { problems } = seen.plan.summary;
  const within = (file: string) => (directory === '' ? file : `${directory}/${file}`);
  const errors = problems.filter(({ severity }) => severity === 'error');
  const warnings = problems.filter(({ severity }) => severity !== 'error');
  return [
    ...errors.map(problemRemark),
    ...blockedRemarks(seen),
    ...guardedRemarks(seen),
    ...warnings.map(problemRemark),
  ]
    .filter(isPlainPath)
    .slice(0, ANNOTATIONS_LIMIT)
    .map((remark) => ({
      ...remark,
      path: within(remark.path),
      title: shortened(plainLine(remark.title), TITLE_LIMIT),
      message: shortened(plainLine(remark.message), MESSAGE_LIMIT),
    }));
};

const problemRemark = ({ file, line, severity, code, message, advice }: Problem): Annotation => ({
  path: file,
  startLine: line,
  endLine: line,
  level: severity === 'error' ? 'failure' : 'warning',
  title: code,
  message: `${message} ${advice}`,
});

const placesIn = ({ places = [] }: Summary): ReadonlyMap<string, (typeof places)[number]> =>
  new Map(places.map((place) => [`${place.job}/${place.group}`, place]));

const blockedRemarks = ({ plan, verdict, visibility }: Seen): readonly Annotation[] => {
  const places = placesIn(plan.summary);
  const slots = verdict.unmet.filter(({ slot }) => slot !== null);
  return [...listsOf(slots, ({ slot }) => groupOf(slot ?? ''))].flatMap(([group, blocked]) => {
    const place = places.get(group);
    if (place === undefined) return [];
    const [first] = blocked;
    const isSeen = visibility.job(place.job);
    const worst = first === undefined || !isSeen ? null : worstField(first);
    const line = (worst === null ? null : place.lines?.[worst]) ?? place.line;
    const count = new Set(blocked.map(({ slot }) => slot)).size;
    const of = `${count} of ${manyCopies(Math.max(count, place.wanted))}`;
    const why = isSeen ? `: ${blockedLines(blocked).join('; ')}.` : ` ${HIDDEN}`;
    return [
      {
        path: place.file,
        startLine: line,
        endLine: line,
        level: 'failure' as const,
        title: first === undefined || !isSeen ? `${of} cannot run` : titleOf(first, of),
        message: isSeen ? `${of} of ${group} cannot run${why}` : `${of} cannot run.${why}`,
      },
    ];
  });
};

/** Which resource lacks, and of which group, is no count. */
const HIDDEN = 'Why is not shown here: see `plan_visibility` in cluster.yaml.';

/** What a person would change in the file, by the reason that most nodes give. */
const FIELDS: Partial<Readonly<Record<NodeReason, string>>> = {
  memory: 'This `memory`',
  cpu: 'This `cpu`',
  port: 'This host port',
  constraint: 'A constraint',
  'volume-elsewhere': 'Its volume',
};

const worstField = (blocked: Blocked): NodeReason | null => {
  if (blocked.kind === 'waiting') return null;
  const [worst] = blocked.nodes
    .filter(({ reason }) => FIELDS[reason] !== undefined)
    .toSorted((a, b) => b.count - a.count);
  return worst?.reason ?? null;
};

const titleOf = (blocked: Blocked, of: string): string => {
  if (blocked.kind === 'waiting') return `${of} cannot run`;
  const worst = worstField(blocked);
  if (worst === null) {
    const [reason] = blocked.nodes;
    return `${of} fit on no node${reason === undefined ? '' : `: ${NODE_WORDS[reason.reason]}`}`;
  }
  return `${FIELDS[worst] ?? ''} makes ${of} unplaceable`;
};

/** Of jobs whose file is there still: fewer copies, or a group less. */
const guardedRemarks = ({ plan, visibility }: Seen): readonly Annotation[] => {
  const places = placesIn(plan.summary);
  return plan.summary.guarded.flatMap(({ slots, why }) =>
    [...listsOf(slots, groupOf)].flatMap(([group, gone]) => {
      const place = places.get(group);
      if (place === undefined) return [];
      const because = visibility.job(place.job) ? `${place.job}: ${why}. ` : '';
      return [
        {
          path: place.file,
          startLine: place.line,
          endLine: place.line,
          level: 'warning' as const,
          title: `${manyCopies(gone.length)} would stop for good`,
          message: `${because}Somebody must approve it.`,
        },
      ];
    }),
  );
};
