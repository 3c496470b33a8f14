// Laws of whole plans of changes, from files and a cluster that runs to the texts of a check: random
// clusters, random changes, people who write more than they should.
// Not here: laws of a single plan (laws.test.ts), of a single value in Markdown (markdown.test.ts).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pullComment } from '../../reconciler/render/comment.ts';
import { planNote } from '../../reconciler/render/note.ts';
import { planCheck } from '../../reconciler/render/plan-check.ts';
import { planText } from '../../reconciler/render/plan-text.ts';
import type { PlanContext } from '../../reconciler/render/plan-verdict.ts';
import { utf8Bytes } from '../../schema/body-size.ts';
import {
  ANNOTATIONS_LIMIT,
  BUTTONS_LIMIT,
  MARKDOWN_LIMIT,
  TITLE_LIMIT,
  type CheckBody,
} from '../../schema/forge.ts';
import { plainLine } from '../../schema/plain.ts';
import { fencesClose, livelyIn, render, tagsOf } from '../support/markdown.ts';
import {
  changeOf,
  foreseen,
  pulls,
  SECRET,
  standingOf,
  type Foreseen,
  type Standing,
} from '../support/random-changes.ts';

const CONTEXT: PlanContext = { cluster: 'shop', directory: 'c', approved: new Set() };
const RUNS = { numRuns: 30 };

const over = (law: (made: Foreseen, check: CheckBody) => void): Promise<void> =>
  fc.assert(
    fc.asyncProperty(pulls, async (pull) => {
      const made = await foreseen(standingOf(pull), changeOf(pull), pull.resolves);
      law(made, checkOf(made));
    }),
    RUNS,
  );

const checkOf = ({ planned }: Foreseen): CheckBody => {
  const open = planned.owned ?? [];
  return planCheck(planned, { ...CONTEXT, open });
};

const textsOf = ({ planned }: Foreseen, check: CheckBody): readonly string[] => [
  check.title,
  check.summary,
  check.text,
  ...check.annotations.flatMap(({ title, message }) => [title, message]),
  pullComment(planned, CONTEXT),
  pullComment(planned, CONTEXT, false),
  planNote('shop', { summary: planned.summary, isCut: false }),
  ...planText(planned.summary, planned.rehearsal),
];

const shuffled = <Item>(items: readonly Item[]): readonly Item[] => [
  ...items.filter((_, i) => i % 2 === 1).toReversed(),
  ...items.filter((_, i) => i % 2 === 0),
];

const mixed = (standing: Standing): Standing => {
  const { tree, heard } = standing;
  const nodes = shuffled(heard.nodes).map(({ report, ...node }) => ({
    ...node,
    report: { ...report, allocations: shuffled(report.allocations) },
  }));
  const files = new Map(shuffled([...tree.files]));
  return { ...standing, tree: { ...tree, files }, heard: { ...heard, nodes } };
};

test('the same change has the same check, in whatever order its files and nodes come', async () => {
  await fc.assert(
    fc.asyncProperty(pulls, async (pull) => {
      const standing = standingOf(pull);
      const change = changeOf(pull);
      const first = await foreseen(standing, change, pull.resolves);
      const again = await foreseen(mixed(standing), change, pull.resolves);
      expect(checkOf(again)).toEqual(checkOf(first));
    }),
    RUNS,
  );
});

test('what changes nothing is planned as nothing', async () => {
  await fc.assert(
    fc.asyncProperty(pulls, async (pull) => {
      const standing = standingOf(pull);
      const { planned } = await foreseen(standing, {}, pull.resolves);
      const { jobs, waves, blocked, problems, guarded } = planned.summary;
      expect([jobs, waves, blocked, problems, guarded, planned.fields]).toEqual(
        Array.from({ length: 6 }, () => []),
      );
      expect(planCheck(planned, CONTEXT).title).toBe('Nothing starts or stops');
    }),
    RUNS,
  );
});

/** What a title counts, by the word behind the number. */
const counted = (title: string, word: RegExp): number =>
  Number(new RegExp(`(\\d+) ${word.source}`).exec(title)?.[1] ?? 0);

test('the counts of the title are those of the lists below it', async () => {
  await over(({ planned: { summary }, preview }, { title }) => {
    const [starts, stops, moves] = [/start\b/, /stop\b/, /moves?\b/].map((word) =>
      counted(title, word),
    );
    const sum = (key: 'starts' | 'stops' | 'updates'): number =>
      summary.jobs.reduce((all, job) => all + job[key], 0);
    expect([(starts ?? 0) + (moves ?? 0), (stops ?? 0) + (moves ?? 0)]).toEqual([
      sum('starts'),
      sum('stops'),
    ]);
    expect(counted(title, /updated in place/)).toBe(sum('updates'));
    expect(counted(title, /jobs? removed/)).toBe(
      summary.jobs.filter(({ kind }) => kind === 'removed').length,
    );
    expect(counted(title, /errors?\b/)).toBe(
      summary.problems.filter(({ severity }) => severity === 'error').length,
    );
    // And the lists are those of the plans: what the change makes start is planned to start.
    const planned = new Set(
      preview.change.waves.flatMap(({ steps }) =>
        steps.flatMap((step) => (step.kind === 'start' ? [step.slot] : [])),
      ),
    );
    const listed = summary.waves.flatMap(({ steps }) =>
      steps.flatMap(({ kind, job, group, indexes }) =>
        kind === 'start' ? indexes.map((index) => `${job}/${group}[${index}]`) : [],
      ),
    );
    expect(listed.filter((slot) => !planned.has(slot))).toEqual([]);
  });
});

const PLAIN_TAGS = new Set(
  'p h1 h2 h3 h4 h5 table thead tbody tr th td details summary code pre strong em ul ol li br hr'.split(
    ' ',
  ),
);

/** What Markdown does that a plan has no use for; null: nothing. */
const misbehaves = (markdown: string): string | null => {
  const html = render(markdown);
  if (!fencesClose(markdown)) return 'a fence stays open';
  const odd = tagsOf(html).find((tag) => !PLAIN_TAGS.has(tag));
  if (odd !== undefined) return `a tag <${odd}>`;
  const folds = [...html.matchAll(/<(\/?)details>/g)].map(([, close]) => close === '');
  if (folds.filter(Boolean).length * 2 !== folds.length) return 'a fold stays open';
  return livelyIn(html);
};

test('whatever is written in it, a check keeps the limits of a forge and is nothing but a text', async () => {
  await over(({ planned }, check) => {
    expect(check.title.length).toBeLessThanOrEqual(TITLE_LIMIT);
    expect(check.title).toBe(plainLine(check.title));
    expect(check.annotations.length).toBeLessThanOrEqual(ANNOTATIONS_LIMIT);
    expect(check.buttons.length).toBeLessThanOrEqual(BUTTONS_LIMIT);
    const comments = [true, false].map((has) => pullComment(planned, CONTEXT, has));
    for (const text of [check.summary, check.text, ...comments]) {
      expect(utf8Bytes(text)).toBeLessThanOrEqual(MARKDOWN_LIMIT);
      expect(misbehaves(text)).toBeNull();
    }
    for (const { title, startLine, endLine } of check.annotations) {
      expect(title.length).toBeLessThanOrEqual(TITLE_LIMIT);
      expect(startLine).toBeGreaterThanOrEqual(1);
      expect(endLine).toBeGreaterThanOrEqual(startLine);
    }
  });
});

test('that law catches what is more than text', () => {
  for (const text of ['<img src=x>', '@everyone', '```\nopen', '<details>', 'see #12']) {
    expect(misbehaves(`| a | b |\n|---|---|\n| ${text} | c |\n\n${text}`)).not.toBeNull();
  }
});

test('a secret is in no text, wherever people wrote it', async () => {
  let written = 0;
  await over((made, check) => {
    written += made.planned.fields.filter(({ to }) => to === '*** (after)').length;
    expect(textsOf(made, check).filter((text) => text.includes(SECRET))).toEqual([]);
    expect(JSON.stringify(made.planned.fields)).not.toContain(SECRET);
  });
  // A run in which nobody changes a secret would prove nothing.
  expect(written).toBeGreaterThan(0);
});

test('once a change is done there is nothing left to do', async () => {
  await fc.assert(
    fc.asyncProperty(pulls, async (pull) => {
      const standing = standingOf({ before: pull.after, playedMs: 120_000 });
      const { preview } = await foreseen(standing, {}, true);
      const left = preview.base.first.steps;
      expect(left).toEqual([]);
    }),
    RUNS,
  );
});
