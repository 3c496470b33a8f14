// A plan as Markdown: the summary that a reviewer reads, and the details behind folds.
// In: a plan, its verdict, what may be shown. Out: blocks by importance; what harms comes first, as
// to order and as to what is cut last. Not here: one job (plan-jobs), cutting (cut).

import { ownedName, type OwnedChange } from '../../schema/behind.ts';
import { listsOf } from '../../schema/lists.ts';
import type { Problem } from '../../schema/problems.ts';
import type { JobChange } from '../../schema/summary.ts';
import { RANK, paragraph, type Block } from './cut.ts';
import { problemItems } from './problem-items.ts';
import { refusalBlock } from './refusals.ts';
import { code, codeInHtml, commitCode, sentence, tableHead, words } from './markdown.ts';
import { fold, FOLD_CLOSE, foldOpen } from './markdown.ts';
import { configured, fieldItems, fieldsTable, type Fields } from './plan-fields.ts';
import { imageItems, jobDetails, jobRow, JOB_COLUMNS } from './plan-jobs.ts';
import type { Planned, PlanPlace, Verdict } from './plan-verdict.ts';
import { capacityLine, roomWords, stepGroupWords } from './plan-words.ts';
import { rehearsalWords, shortagesWords } from './rehearsal.ts';
import type { Visibility } from './visibility.ts';
import { blockedLines, many, manyCopies, named } from './words.ts';

export interface Seen {
  readonly plan: Planned;
  readonly verdict: Verdict;
  readonly visibility: Visibility;
  /** Changed files that no owner has let through. */
  readonly open: readonly OwnedChange[];
  /** Why nobody can say whether owners let them through; absent: it is known. */
  readonly unjudged?: string;
  readonly place: PlanPlace;
}

export const planSummary = (seen: Seen): readonly Block[] => {
  const { plan } = seen;
  const { summary } = plan;
  const jobs = shownJobs(seen);
  const hidden = summary.jobs.length - jobs.length;
  return [
    paragraph(verdictLine(seen), RANK.verdict),
    refusalBlock(plan.refusals ?? []),
    errorsBlock(seen),
    guardedBlock(seen),
    list('Waits for owners', ownerItems(seen), RANK.verdict),
    unmetBlock(seen),
    {
      open: tableHead(JOB_COLUMNS),
      rows: jobs.map((job) => ({ text: () => jobRow(job), rank: rankOf(job) })),
      close: '',
      noun: 'job',
    },
    ...(hidden === 0
      ? []
      : [
          paragraph(
            `${many(hidden, 'changed job')} not shown here: see ${code('plan_visibility')}.`,
            RANK.change,
          ),
        ]),
    list('Images', jobs.flatMap(imageItems), RANK.change),
    list('Configuration', fieldItems(shownFields(seen), byName(jobs)), RANK.change),
    list(
      'Tags that were not looked up: what they mean may differ at the merge',
      assumedItems(seen),
      RANK.change,
    ),
    list('Room', roomItems(seen), RANK.harm),
    rehearsalBlock(seen),
    list('Waits on its way', blockedItems(seen, seen.verdict.later), RANK.detail),
    list('Warnings', problemsOf(summary.problems, 'warning'), RANK.detail),
    pendingBlock(seen),
    paragraph(footer(plan), RANK.verdict),
  ];
};

export const planDetails = (seen: Seen): readonly Block[] => {
  const { plan } = seen;
  const { summary } = plan;
  const fields = shownFields(seen);
  const steps = listsOf(
    summary.waves.flatMap(({ first, last, steps: all }) =>
      all.map((step) => ({ first, last, step })),
    ),
    ({ step }) => step.job,
  );
  const jobs = shownJobs(seen);
  return [
    {
      open: '',
      rows: jobs.map((job) => ({
        text: () =>
          jobDetails(job, {
            fields: fields.get(job.job) ?? [],
            steps: steps.get(job.job) ?? [],
          }),
        rank: rankOf(job),
      })),
      close: '',
      noun: 'job',
    },
    quietBlock(fields, byName(summary.jobs)),
    wavesBlock(seen),
    lossesBlock(seen),
    failuresBlock(seen),
  ];
};

/** What takes copies away first: a reader of three hundred rows must not have to look for it. */
const shownJobs = ({ plan, visibility }: Seen): readonly JobChange[] =>
  plan.summary.jobs
    .filter(({ job }) => visibility.job(job))
    .toSorted((a, b) => rankOf(a) - rankOf(b));

const shownFields = ({ plan, visibility }: Seen): Fields =>
  listsOf(
    plan.fields.filter(({ job }) => visibility.job(job)),
    ({ job }) => job,
  );

const byName = (jobs: readonly JobChange[]): ReadonlyMap<string, JobChange> =>
  new Map(jobs.map((job) => [job.job, job]));

/** Jobs that are written otherwise, of which nothing starts or stops. */
const quietBlock = (fields: Fields, acting: ReadonlyMap<string, JobChange>): Block => ({
  open: '',
  rows: [...configured(fields)]
    .filter(([job]) => !acting.has(job))
    .map(([job, changes]) => ({
      text: () => fold(`${codeInHtml(job)} starts and stops nothing`, fieldsTable(changes)),
      rank: RANK.detail,
    })),
  close: '',
  noun: 'job',
});

/** What takes copies away is read first and cut last. */
const rankOf = ({ kind, starts, stops, updates }: JobChange): number => {
  if (kind === 'removed' || stops > starts) return RANK.harm;
  return starts + stops > 0 || updates === 0 ? RANK.change : RANK.detail;
};

const verdictLine = ({ plan: { summary }, verdict, place }: Seen): string => {
  const { conclusion, uncovered, unowned } = verdict;
  if (summary.stopped !== null) {
    return `**Nothing would be done at all:** ${sentence(summary.stopped)}`;
  }
  switch (conclusion) {
    case 'failure':
      return '**Do not merge this as it stands.**';
    case 'action_required':
      if (uncovered === 0) {
        return `${OWNER_MUST} ${many(unowned, 'file')} of it. ${HOW[place].owner}`;
      }
      return `${SOMEBODY_MUST} ${manyCopies(uncovered)} would stop for good. ${HOW[place].removal}`;
    case 'success': {
      if (verdict.approved > 0) {
        return `**Approved:** ${manyCopies(verdict.approved)} may stop for good.`;
      }
      return summary.waves.length === 0 ? '**Nothing starts or stops.**' : '**Safe to merge.**';
    }
    default:
      return conclusion satisfies never;
  }
};

const OWNER_MUST = '**An owner must approve this:**';
const SOMEBODY_MUST = '**Somebody must approve this:**';
const COMMAND = code('/purser approve');

/** What a person can do about it, where they read it. */
const HOW: Readonly<Record<PlanPlace, { readonly owner: string; readonly removal: string }>> = {
  check: {
    owner: `A review that approves does, as do *Approve* above and the comment ${COMMAND}.`,
    removal: `Press *Approve* above, or comment ${COMMAND}.`,
  },
  comment: {
    owner: `A review that approves does, as do *Approve* in the check and the comment ${COMMAND}.`,
    removal: `Press *Approve* in the check, or comment ${COMMAND}.`,
  },
  'only-comment': {
    owner: `A review that approves does, as does the comment ${COMMAND}.`,
    removal: `Comment ${COMMAND}.`,
  },
};

/** A summary of a check that has no button any more, and of which nobody can approve anything. */
export const withoutAsking = (summary: string): string =>
  summary
    .replace(` ${HOW.check.owner}`, '')
    .replace(` ${HOW.check.removal}`, '')
    .replace(OWNER_MUST, '**No owner had approved this:**')
    .replace(SOMEBODY_MUST, '**Nobody had approved this:**');

type Item = string | (() => string);

const list = (title: string, items: readonly Item[], rank: number): Block => ({
  open: `**${title}**\n`,
  rows: listed(items, rank),
  close: '',
  noun: 'line',
});

const listed = (items: readonly Item[], rank: number): Block['rows'] =>
  items.map((item) => ({ text: () => `- ${typeof item === 'string' ? item : item()}`, rank }));

const problemsOf = (
  problems: readonly Problem[],
  severity: Problem['severity'],
): readonly (() => string)[] =>
  problemItems(problems.filter((one) => one.severity === severity)).map(({ text }) => text);

/** So many errors tell that files are broken: what takes copies away must not be cut for more. */
const ERRORS_FIRST = 50;

const errorsBlock = ({ plan: { summary } }: Seen): Block => {
  const block = list('Errors', problemsOf(summary.problems, 'error'), RANK.verdict);
  const rows = block.rows.map((row, at) => (at < ERRORS_FIRST ? row : { ...row, rank: RANK.harm }));
  return { ...block, rows };
};

const guardedBlock = ({ plan: { summary }, visibility }: Seen): Block => {
  const items = summary.guarded
    .filter(({ job }) => visibility.job(job))
    .map(({ job, slots, why }) => {
      const short = slots.map((slot) =>
        slot.startsWith(`${job}/`) ? slot.slice(job.length + 1) : slot,
      );
      return `${code(job)} loses ${manyCopies(slots.length)} (${words(named(short))}): ${sentence(why)}`;
    });
  return list('Waits for approval', items, RANK.verdict);
};

const ownerItems = ({ open, unjudged }: Seen): readonly string[] => [
  ...open.map(
    ({ path, owners }) =>
      `${code(ownedName(path))} needs an approval of ${owners.map(code).join(' or ')}.`,
  ),
  ...(unjudged === undefined ? [] : [`Who has approved is not known: ${sentence(unjudged)}`]),
];

const unmetBlock = (seen: Seen): Block =>
  list('Not done, and why', blockedItems(seen, seen.verdict.unmet), RANK.verdict);

const blockedItems = ({ visibility }: Seen, blocked: Verdict['unmet']): readonly string[] =>
  blockedLines(blocked.filter(({ job }) => visibility.job(job))).map(sentence);

const assumedItems = ({ plan: { summary }, visibility }: Seen): readonly string[] =>
  visibility.cluster ? summary.assumed.map(code) : [];

const roomItems = ({ plan: { summary }, visibility }: Seen): readonly string[] => {
  if (summary.waves.length === 0) return [];
  const quotas = (summary.quotas ?? [])
    .filter(({ namespace }) => visibility.job(`${namespace}/`))
    .map(
      ({ namespace, before, after, quota }) =>
        `Quota of ${code(namespace)}: ${roomWords(before, after, quota)}.`,
    );
  return [...(visibility.cluster ? [capacityLine(summary)] : []), ...quotas];
};

const rehearsalBlock = ({ plan: { rehearsal }, visibility }: Seen): Block => {
  const sentence = rehearsalWords(rehearsal, visibility);
  return sentence === ''
    ? { open: '', rows: [], close: '', noun: 'line' }
    : paragraph(`**Rehearsal:** ${words(sentence)}`, RANK.harm);
};

const pendingBlock = (seen: Seen): Block => {
  const { steps, blocked, problems } = seen.plan.summary.pending;
  const items = [
    ...(steps === 0 ? [] : [many(steps, 'step')]),
    ...blockedItems(seen, blocked),
    ...problemsOf(problems, 'error'),
    ...problemsOf(problems, 'warning'),
  ];
  return {
    open: `${foldOpen('Pending without this change too')}\n`,
    rows: listed(items, RANK.background),
    close: `\n${FOLD_CLOSE}`,
    noun: 'line',
  };
};

const footer = ({ base, head, snapshot }: Planned): string =>
  `Commit ${commitCode(head)} merged onto ${commitCode(base)}, in the cluster as it is in snapshot ${code(snapshot)}.`;

const wavesBlock = ({ plan: { summary }, visibility }: Seen): Block => {
  const rows = summary.waves.flatMap(({ first, last, steps }) => {
    const seen = steps.filter(({ job }) => visibility.job(job));
    const name = first === last ? `Wave ${first}` : `Waves ${first}–${last}, one after the other`;
    return seen.map((step) => ({
      text: () => `- ${name}: ${words(stepGroupWords(step))}`,
      rank: step.kind === 'stop' ? RANK.detail : RANK.background,
    }));
  });
  const count = summary.waves.at(-1)?.last ?? 0;
  return {
    open: `${foldOpen(`All steps, in ${many(count, 'wave')}`)}\n`,
    rows,
    close: `\n${FOLD_CLOSE}`,
    noun: 'step',
  };
};

const lossesBlock = ({ plan: { rehearsal }, visibility }: Seen): Block => {
  const rows = rehearsal.losses
    .filter(({ short }) => short.length > 0 && visibility.cluster)
    .map(({ kind, name, short }) => ({
      text: `- ${kind} ${code(name)}: ${words(shortagesWords(short, visibility))}`,
      rank: RANK.detail,
    }));
  return {
    open: `${foldOpen('What would be short after a loss')}\n`,
    rows,
    close: `\n${FOLD_CLOSE}`,
    noun: 'failure',
  };
};

/** The summary says the worst wave only. */
const failuresBlock = ({ plan: { rehearsal }, visibility }: Seen): Block => {
  const rows = rehearsal.waves
    .filter(({ job }) => visibility.job(job))
    .map(({ job, wave, healthy, wanted }) => ({
      text: () => `- Wave ${wave} of ${code(job)}: ${healthy} of ${wanted} copies stay healthy`,
      rank: healthy < wanted ? RANK.detail : RANK.background,
    }));
  return {
    open: `${foldOpen('If a wave failed')}\n`,
    rows,
    close: `\n${FOLD_CLOSE}`,
    noun: 'wave',
  };
};
