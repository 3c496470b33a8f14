// Checks of any input: within the forge's limits, well-formed, and nobody is mentioned.
// In: random worlds; plans whose every text tries to be more than text. Out: failures with the
// input. Not here: escaping by itself (markdown.test.ts), what the texts say (unit/render).

import fc from 'fast-check';
import { marked } from 'marked';
import { expect, test } from 'vitest';
import { plan } from '../../reconciler/plan/plan.ts';
import { pullComment } from '../../reconciler/render/comment.ts';
import { planCheck } from '../../reconciler/render/plan-check.ts';
import { endedCheck, syncCheck } from '../../reconciler/render/sync-check.ts';
import {
  ANNOTATIONS_LIMIT,
  BUTTONS_LIMIT,
  MARKDOWN_LIMIT,
  TITLE_LIMIT,
  type CheckBody,
} from '../../schema/forge.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import { HOSTILE } from '../support/forge-scenes.ts';
import { worlds } from '../support/random-worlds.ts';
import { aCommit } from '../support/world.ts';

const OURS = new Set(
  'p strong em code pre ul li table thead tbody tr th td details summary'.split(' '),
);

const expectSound = ({ title, summary, text, annotations, buttons, ...rest }: CheckBody): void => {
  expect(title.length).toBeLessThanOrEqual(TITLE_LIMIT);
  expect(title).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(Math.max(summary.length, text.length)).toBeLessThanOrEqual(MARKDOWN_LIMIT);
  expect(annotations.length).toBeLessThanOrEqual(ANNOTATIONS_LIMIT);
  expect(annotations.every((one) => one.title.length <= TITLE_LIMIT)).toBe(true);
  expect(buttons.length).toBeLessThanOrEqual(BUTTONS_LIMIT);
  expect(rest.conclusion === null).toBe(rest.status !== 'completed');
  for (const markdown of [summary, text]) {
    const html = String(marked.parse(markdown, { async: false }));
    const tags = [...html.matchAll(/<(\/?)([a-z0-9]+)/gi)];
    expect(tags.map(([, , tag]) => tag ?? '').filter((tag) => !OURS.has(tag))).toEqual([]);
    const balance = tags.reduce((sum, [, slash]) => sum + (slash === '/' ? -1 : 1), 0);
    expect(balance).toBe(0);
    expect(html.replaceAll(/<(code|pre)\b[^>]*>[\s\S]*?<\/\1>/g, '')).not.toMatch(/@\w/);
  }
};

test('the check of a commit, in any world', () => {
  fc.assert(
    fc.property(worlds, ({ desired, live, now }) => {
      expectSound(syncCheck({ desired, live, plan: plan(desired, live, now) }));
    }),
    { numRuns: 150 },
  );
});

const text = fc.oneof(
  fc.constant(HOSTILE),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom('@everyone', '```', '</details>\n\n# x', '| a |\n|---|', '<b>', '`', ''),
);
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 6 });
const orNull = fc.option(text);
const count = fc.integer({ min: 0, max: 9 });
const resources = fc.record({ cpuMilli: count, memoryBytes: count });
const problem = fc.record({
  file: text,
  line: fc.constant(1),
  column: fc.constant(1),
  code: text,
  severity: fc.constantFrom('error' as const, 'warning' as const),
  message: text,
  advice: text,
});
const blocked = fc.record({
  kind: fc.constant('waiting' as const),
  job: text,
  slot: orNull,
  why: fc.constantFrom('quota' as const, 'held' as const, 'canary' as const),
  detail: text,
  remedy: orNull,
});
const job = fc.record({
  job: text,
  file: text,
  kind: fc.constantFrom('new' as const, 'removed' as const, 'changed' as const),
  from: orNull,
  to: orNull,
  images: some(fc.record({ task: text, from: orNull, to: orNull })),
  copies: fc.record({ from: count, to: count }),
  nodes: some(fc.record({ node: text, copies: count })),
  waves: count,
  downAtMost: count,
  starts: count,
  stops: count,
  updates: count,
});
const shortage = fc.record({ job: text, group: text, copies: count, lacks: text });

const planned: fc.Arbitrary<PullPlan> = fc.record({
  kind: fc.constant('planned' as const),
  summary: fc.record({
    jobs: some(job),
    waves: fc.constant([]),
    blocked: some(blocked),
    problems: some(problem),
    guarded: some(fc.record({ job: text, slots: some(text), why: text })),
    pending: fc.record({ steps: count, blocked: some(blocked), problems: some(problem) }),
    capacity: fc.record({ before: resources, after: resources, total: resources }),
    assumed: some(text),
    stopped: orNull,
  }),
  rehearsal: fc.record({
    losses: some(
      fc.record({
        kind: fc.constantFrom('node' as const, 'zone' as const),
        name: text,
        short: some(shortage),
      }),
    ),
    left: count,
    waves: some(fc.record({ job: text, wave: count, healthy: count, wanted: count })),
    rollbacks: some(fc.record({ job: text, takesMs: fc.option(count) })),
  }),
  fields: some(fc.record({ job: text, field: text, from: orNull, to: orNull })),
  effects: fc.record({ slots: some(text) }),
  base: text,
  head: text,
  snapshot: text,
});

const CONTEXT = { cluster: 'shop', directory: '', approved: new Set<string>() };

test('the check of a pull request and its comment, of any texts', () => {
  fc.assert(
    fc.property(planned, (made) => {
      expectSound(planCheck(made, CONTEXT));
      const comment = pullComment(made, CONTEXT);
      expect(comment.length).toBeLessThanOrEqual(MARKDOWN_LIMIT);
    }),
    { numRuns: 300 },
  );
});

test('the check of a commit that ended, of any evidence', () => {
  const allocation = fc.record(
    { allocation: text, node: text, task: orNull, message: text, log: some(text) },
    { requiredKeys: ['allocation', 'node', 'task', 'message'] },
  );
  const visibility = { cluster: true, job: () => true, logs: () => true };
  fc.assert(
    fc.property(text, text, some(allocation), orNull, (id, reason, allocations, revertedBy) => {
      const jobs = [{ job: id, evidence: { reason, allocations }, revertedBy }];
      const head = { ...aCommit('head'), subject: reason };
      expectSound(endedCheck({ kind: 'failed', jobs }, { cluster: 'shop', head, visibility }));
    }),
    { numRuns: 300 },
  );
});
