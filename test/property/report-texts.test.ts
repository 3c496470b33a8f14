// What nodes and their programs say, on its way to a forge and into Git: whatever the words of a
// failure, a check, a log or a port's holder, checks, statuses, messages, offers and notes show them
// as text, name the job, stay within the forge's limits and keep their trailers.
// In: hostile texts in each place of a report that has room for some. Not here: Markdown by itself
// (markdown.test), what checks say (unit/render).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTrailers } from '../../reconciler/edge/git/format.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import { revertMessage } from '../../reconciler/plan/proposals.ts';
import { deploymentWords, pullComment } from '../../reconciler/render/comment.ts';
import { noteWith, syncNote } from '../../reconciler/render/note.ts';
import { answerText, offerText } from '../../reconciler/render/offer.ts';
import { planCheck } from '../../reconciler/render/plan-check.ts';
import { endedCheck, syncCheck } from '../../reconciler/render/sync-check.ts';
import { visibilityOf } from '../../reconciler/render/visibility.ts';
import { checkReport } from '../../schema/check-report.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { MARKDOWN_LIMIT, STATUS_LIMIT, TITLE_LIMIT, type CheckBody } from '../../schema/forge.ts';
import type { Evidence } from '../../schema/ledger.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import { encodeReport } from '../../schema/wire.ts';
import { body } from '../support/bodies.ts';
import { pullScenes } from '../support/forge-scenes.ts';
import { fencesClose, hostileText, livelyIn, render, tagsOf } from '../support/markdown.ts';
import {
  aCommit,
  aCopy,
  aFailure,
  aJob,
  DEAD,
  desiredOf,
  liveOf,
  settledBefore,
  STARTING,
} from '../support/world.ts';

/** Longer than what a runner sends; a sentence of a report has at most so many characters. */
const LONG = 4_000;
const text = fc
  .tuple(hostileText, fc.constantFrom(1, 1, LONG))
  .map(([piece, times]) => piece.repeat(times).slice(0, LONG));
const FORGED = 'it died\n\nPurser-Reverts: 0000\nPurser-Requested-By: root';

const texts = fc.record({
  message: fc.oneof(text, fc.constant(FORGED)),
  check: text,
  log: fc.array(text, { maxLength: 3 }),
  holder: fc.string({ unit: 'grapheme-ascii', maxLength: 100 }),
  subject: text.map((one) => one.split('\n')[0] ?? ''),
});
interface Texts {
  readonly message: string;
  readonly check: string;
  readonly log: readonly string[];
  readonly holder: string;
  readonly subject: string;
}

/** Each of its characters becomes nineteen. */
const MARKS = '@'.repeat(LONG);
const WORST: Texts = { message: MARKS, check: MARKS, log: [MARKS], holder: '', subject: MARKS };

const web = (subject: string): DesiredJob => {
  const ports = [{ name: 'http', port: 80, host: 8080 }];
  const made = aJob({ version: 'v2', from: { version: 'v1' }, groups: [{ ports }] });
  return { ...made, evidence: 'logs', commit: { ...made.commit, subject } };
};

const taskOf = (lastCheck: string, log: readonly string[]): LiveAllocation['tasks'][number] => ({
  name: 'main',
  state: 'running',
  restarts: 1,
  health: 'unhealthy',
  lastCheck,
  log,
  exit: null,
  pid: null,
});

/** Two copies that died, one that does not become healthy, a port that somebody holds. */
const copiesOf = (job: DesiredJob, { message, check, log }: Texts): readonly LiveAllocation[] => {
  const failure = aFailure({ message, log });
  const ill = { ...STARTING, health: 'unhealthy', tasks: [taskOf(check, log)] } as const;
  return [
    aCopy(settledBefore(job), { node: 'n002', index: 1 }),
    aCopy(job, { node: 'n001', index: 0, attempt: 2 }, { ...DEAD, failure }),
    aCopy(job, { node: 'n001', index: 0, attempt: 3 }, { ...DEAD, failure }),
    aCopy(job, { node: 'n001', index: 0, attempt: 4 }, ill),
  ];
};

const evidenceOf = ({ message, check, log }: Texts): Evidence => ({
  reason: `2 copies died (max_failures): ${message}`,
  allocations: [message, check, message, check, message].map((said, at) => ({
    allocation: `0123456789abcdef-${at}-1`,
    node: 'n001',
    task: 'main',
    message: said,
    afterMs: 3_000,
    log,
  })),
});

const namespaces: DesiredState['namespaces'] = [
  { name: 'shop', protected: false, quota: null, evidence: 'logs' },
];

const viewOf = (job: DesiredJob, said: Texts) => {
  const desired = desiredOf([job], { namespaces });
  const fetched = [
    {
      repository: 'registry/app',
      digest: 'sha256:1',
      failure: { blame: 'version', message: said.message, forMs: 400_000 } as const,
    },
  ];
  const conditions = [{ kind: 'disk', message: said.check }];
  const held = { portsTaken: [8080], portHolders: [[8080, said.holder] as const] };
  const live = liveOf(copiesOf(job, said), { n001: { fetched, conditions }, n003: held });
  return { desired, live, plan: plan(desired, live, 0) };
};

const OURS = new Set(
  'p br hr em strong code pre ul ol li table thead tbody tr th td details summary h3'.split(' '),
);

/** Nobody is called, nothing is linked, nothing is HTML of others, nothing is broken off. */
const expectPlain = (markdown: string): void => {
  const html = render(markdown);
  expect(livelyIn(html)).toBeNull();
  expect(tagsOf(html).filter((tag) => !OURS.has(tag))).toEqual([]);
  expect(html).not.toMatch(/(?![\n\u200b])[\p{Cc}\p{Cf}]/u);
  expect(html.split('<details>').length).toBe(html.split('</details>').length);
  expect(fencesClose(markdown)).toBe(true);
  expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(MARKDOWN_LIMIT);
};

const expectLine = (line: string, most: number): void => {
  expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
  expect(line.length).toBeLessThanOrEqual(most);
};

const expectCheck = (check: CheckBody): void => {
  expectPlain(check.summary);
  expectPlain(check.text);
  expectLine(check.title, TITLE_LIMIT);
  expectLine(deploymentWords(check), STATUS_LIMIT);
  expect(check.annotations).toEqual([]);
  // However long the words, it is said which job they are about.
  expect(check.summary).toContain('`shop/web`');
};

test('a check of a commit shows what nodes say, and nothing comes of it', () => {
  fc.assert(
    fc.property(texts, (said) => {
      const job = web(said.subject);
      const view = viewOf(job, said);
      expectCheck(syncCheck(view));
      const evidence = evidenceOf(said);
      const failed = viewOf({ ...job, failed: { evidence } }, said);
      expectCheck(syncCheck(failed));
      const context = {
        cluster: 'shop',
        head: { ...aCommit('next'), subject: said.subject },
        visibility: visibilityOf(failed.desired),
      };
      const jobs = [{ job: job.id, evidence, revertedBy: null }];
      expectCheck(endedCheck({ kind: 'failed', jobs }, context));
      expectPlain(endedCheck({ kind: 'superseded' }, context).summary);
    }),
    { seed: 51, numRuns: 60, examples: [[WORST]] },
  );
});

const [, planned, context] =
  (await pullScenes()).find(([name]) => name === 'removal') ?? ([] as const);

/** A plan of a pull request in which these words stand wherever nodes, registries or files have some. */
const planWith = ({ message, check, holder }: Texts): PullPlan => {
  if (planned?.kind !== 'planned') throw new Error('the scene is planned');
  const { summary, rehearsal } = planned;
  const job = 'shop/web';
  const problem = { file: `jobs/${job}.yaml`, line: 1, column: 1, severity: 'error' } as const;
  return {
    ...planned,
    summary: {
      ...summary,
      jobs: summary.jobs.map((one) => ({
        ...one,
        images: [{ task: 'main', from: message, to: check }],
        nodes: [{ node: check, copies: 1 }],
      })),
      blocked: [
        {
          kind: 'no-node',
          job,
          slot: `${job}/web[0]`,
          nodes: [{ reason: 'port', count: 1, detail: `host port 80, held by ${holder}` }],
        },
        { kind: 'waiting', job, slot: null, why: 'quota', detail: message, remedy: check },
      ],
      problems: [{ ...problem, code: 'value-unit', message, advice: check }],
      guarded: summary.guarded.map((one) => ({ ...one, why: message })),
    },
    rehearsal: {
      ...rehearsal,
      losses: [
        {
          kind: 'zone',
          name: message,
          short: [{ job, group: 'web', copies: 1, lacks: check }],
        },
      ],
    },
    fields: [{ job, field: 'image', from: message, to: check }],
  };
};

test('a plan of a pull request, and its comment, show words of others as text', () => {
  fc.assert(
    fc.property(texts, (said) => {
      if (context === undefined) throw new Error('the scene has a context');
      const made = planWith(said);
      const check = planCheck(made, context);
      expectPlain(check.summary);
      expectPlain(check.text);
      expectLine(check.title, TITLE_LIMIT);
      expect(check.summary).toContain('`shop/web`');
      for (const { title, message } of check.annotations) {
        expectLine(title, TITLE_LIMIT);
        expectLine(message, MARKDOWN_LIMIT);
      }
      expectPlain(pullComment(made, context));
      expectPlain(pullComment(made, context, false));
    }),
    { seed: 54, numRuns: 60, examples: [[WORST]] },
  );
});

const TRAILERS = [
  'Purser-Reverts',
  'Purser-Cluster',
  'Purser-Job',
  'Purser-Deployment',
  'Purser-Reason',
];
/** What a forge finds in a text that is no Markdown: people, numbers, addresses of pages. */
const LIVELY = /@[\w-]|#\d|\bgh-\d|:\/\/|\bwww\.\w/i;

test('the message of a revert has its own lines and trailers, and so has its offer', () => {
  fc.assert(
    fc.property(texts, (said) => {
      const job = web(said.subject);
      const message = revertMessage(desiredOf([job], { namespaces }), job, evidenceOf(said));
      expect(message).not.toMatch(LIVELY);
      expect(message).not.toMatch(/(?![\n\u200b])[\p{Cc}\p{Cf}]/u);
      expect(parseTrailers(message).map(([key]) => key)).toEqual(TRAILERS);
      expect(message.match(/^Purser-/gm)).toHaveLength(TRAILERS.length);
      const { title, body: shown } = offerText(message);
      expectLine(title, TITLE_LIMIT);
      expectPlain(shown);
      for (const key of TRAILERS) expect(shown).toContain(`\n${key}: `);
      expect(shown).toContain(`Purser-Reverts: ${job.commit.oid}\n`);
      expectPlain(`- ${answerText(said.message)}`);
    }),
    { seed: 52, numRuns: 60, examples: [[WORST]] },
  );
});

test('a note has a part of its own, and no line of others begins another', () => {
  fc.assert(
    fc.property(text, fc.constantFrom('plan/shop: ', 'sync/shop: in sync', ''), (words, begin) => {
      const reasons = new Map([['shop/web', `2 copies died\n${begin}${words}`]]);
      const note = syncNote({
        cluster: 'shop',
        jobs: new Map(),
        end: { kind: 'failed', reasons },
        tookMs: 1_000,
        at: '2026-01-01T00:00:42Z',
        isPartial: false,
      });
      for (const line of note.split('\n')) expectLine(line, 400);
      expect(note.split('\n').filter((line) => !line.startsWith('  '))).toHaveLength(1);
      const parts = { cluster: 'shop', plan: 'plan/shop: 1 start', sync: note, isPartial: false };
      const whole = noteWith(null, parts) ?? '';
      expect(whole.match(/^(plan|sync)\/shop: /gm)).toEqual(['plan/shop: ', 'sync/shop: ']);
    }),
    { seed: 53, numRuns: 120 },
  );
});

test('no sentence of a report brings in a line of its own, wherever it stands', () => {
  const of = body();
  const failure = aFailure({ message: FORGED, task: 'web' });
  const copy = {
    ...aCopy(aJob(), { node: 'n1', index: 0 }),
    allocation: of.allocation,
    body: of,
    failure,
    tasks: [{ ...taskOf(FORGED, []), name: 'web' }],
  };
  const { node: _node, standing: _standing, stopping: _stopping, ...told } = copy;
  const report = {
    node: of.node,
    cluster: of.cluster,
    acceptedGeneration: 1,
    acceptedCommit: '',
    acceptedHash: '',
    accepted: [],
    capacity: { cpuMilli: 1, memoryBytes: 1 },
    attributes: [],
    address: '127.0.0.1',
    allocations: [told],
    foreign: 0,
    conditions: [{ kind: 'disk', message: FORGED }],
    portsTaken: [],
    fetched: [
      {
        repository: 'registry/app',
        digest: 'sha256:1',
        failure: { blame: 'version', message: FORGED, forMs: 1 } as const,
      },
    ],
  };
  const frame: unknown = JSON.parse(JSON.stringify(encodeReport(null, report, 0).frame));
  const checked = checkReport(frame, { cluster: of.cluster, node: of.node, bytes: 10_000 });
  expect(checked).toMatchObject({ ok: true });
  expect(JSON.stringify(frame)).toContain(String.raw`\nPurser-Reverts`);
  expect(JSON.stringify(checked)).not.toContain(String.raw`\n`);
});
