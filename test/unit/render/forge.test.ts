// What checks and comments say, text by text, and what holds for all of them.
// `npx vitest run --project fast test/unit/render -u` writes the golden files anew: read them then.

import { marked } from 'marked';
import { describe, expect, test } from 'vitest';
import { closedComment, deploymentWords, pullComment } from '../../../reconciler/render/comment.ts';
import { BUTTONS } from '../../../reconciler/render/buttons.ts';
import { planCheck } from '../../../reconciler/render/plan-check.ts';
import {
  ANNOTATIONS_LIMIT,
  BUTTONS_LIMIT,
  MARKDOWN_LIMIT,
  STATUS_LIMIT,
  TITLE_LIMIT,
  type CheckBody,
} from '../../../schema/forge.ts';
import {
  pageOf,
  pullChecks,
  pullScenes,
  syncAt,
  syncChecks,
  visibilityAt,
  type Level,
} from '../../support/forge-scenes.ts';
import { comments, rareChecks } from '../../support/forge-texts.ts';

const checks = new Map([...(await pullChecks()), ...syncChecks(), ...(await rareChecks())]);

const get = (name: string): CheckBody => {
  const check = checks.get(name);
  if (check === undefined) throw new Error(`there is no scene ${name}`);
  return check;
};

describe('golden', () => {
  // A thousand jobs are looked at by their number, not as a file of 60,000 characters.
  const names = [...checks.keys()].filter((name) => name !== 'many-jobs');
  test.each(names)('%s', async (name) => {
    await expect(`${pageOf(get(name))}\n`).toMatchFileSnapshot(`./golden/${name}.md`);
  });
  test.each([...comments()])('%s', async (name, text) => {
    await expect(`${text}\n`).toMatchFileSnapshot(`./golden/${name}.md`);
  });
});

describe('every check', () => {
  test.each([...checks])('%s keeps the forge’s limits', (_name, check) => {
    const { title, summary, text, annotations, buttons, status, conclusion } = check;
    expect(title.length).toBeLessThanOrEqual(TITLE_LIMIT);
    expect(title).not.toBe('');
    expect(summary.length).toBeLessThanOrEqual(MARKDOWN_LIMIT);
    expect(text.length).toBeLessThanOrEqual(MARKDOWN_LIMIT);
    expect(summary).not.toBe('');
    expect(annotations.length).toBeLessThanOrEqual(ANNOTATIONS_LIMIT);
    expect(buttons.length).toBeLessThanOrEqual(BUTTONS_LIMIT);
    expect(conclusion === null).toBe(status !== 'completed');
    expect(deploymentWords(check).length).toBeLessThanOrEqual(STATUS_LIMIT);
  });

  test.each([...checks])('%s mentions nobody and brings in no HTML of others', (_name, check) => {
    const html = String(marked.parse(`${check.summary}\n\n${check.text}`, { async: false }));
    const bare = html.replaceAll(/<(code|pre)\b[^>]*>[\s\S]*?<\/\1>/g, '');
    expect(bare).not.toMatch(/@\w|<img|<script|<a /);
    expect(html.split('<details>').length).toBe(html.split('</details>').length);
    expect(html).not.toMatch(/(?![\n\u200b])[\p{Cc}\p{Cf}]/u);
  });
});

test('labels and descriptions of buttons have GitHub’s lengths', () => {
  for (const { id, label, description } of Object.values(BUTTONS)) {
    expect(id.length).toBeLessThanOrEqual(20);
    expect(label.length).toBeLessThanOrEqual(20);
    expect(description.length).toBeLessThanOrEqual(40);
  }
});

test('conclusions: safe, invalid or without room, to be approved; never anything else', () => {
  const conclusions = [...checks].map(([name, { conclusion, buttons }]) => [
    name,
    conclusion,
    buttons.map(({ id }) => id).join(' '),
  ]);
  expect(conclusions).toEqual([
    ['rollout', 'success', ''],
    ['hostile-value', 'success', ''],
    ['rollout-counts', 'success', ''],
    ['does-not-fit', 'failure', ''],
    ['removal', 'action_required', 'approve'],
    ['owners', 'action_required', 'approve'],
    ['removal-approved', 'success', ''],
    ['problems', 'failure', ''],
    ['plain-tag', 'success', ''],
    ['image-missing', 'failure', ''],
    ['drain', 'success', ''],
    ['many-jobs', 'success', ''],
    ['untouched', 'success', ''],
    ['conflict', 'failure', ''],
    ['failed', 'failure', ''],
    ['sync-begins', null, 'rollback'],
    ['sync-rolling', null, 'rollback'],
    ['sync-done', 'success', 'rollback'],
    ['sync-crashing', 'failure', 'rollback retry'],
    ['sync-canary', null, 'promote rollback'],
    ['sync-failed', 'failure', 'rollback retry'],
    ['sync-stopped', 'failure', ''],
    ['sync-owners', 'action_required', 'approve rollback'],
    ['sync-owners-degraded', 'action_required', 'approve rollback retry'],
    ['sync-owners-asked', null, 'rollback'],
    ['ended-synced', 'success', 'rollback'],
    ['ended-superseded', 'cancelled', ''],
    ['ended-failed', 'failure', ''],
    ['ended-failed-without-logs', 'failure', ''],
    ['rollout-namespace', 'success', ''],
    ['unsigned', 'failure', ''],
    ['unsigned-untouched', 'failure', ''],
    ['owners-unjudged', 'action_required', 'approve'],
    ['closed', 'cancelled', ''],
    ['closed-merged', 'cancelled', ''],
    ['closed-owners', 'cancelled', ''],
    ['sync-refused-rewritten', 'failure', ''],
    ['sync-refused-unsigned', 'failure', ''],
    ['sync-refused-below', 'failure', ''],
    ['sync-held', 'action_required', ''],
    ['sync-failed-counts', 'failure', 'rollback retry'],
  ]);
});

test('a thousand jobs: what matters stands, the rest is counted', () => {
  const { title, summary, text } = get('many-jobs');
  expect(title).toBe('1000 start');
  expect(summary).toMatch(/_… and \d+ more jobs\._/);
  expect(summary).toContain('**Rehearsal:**');
  expect(text).toMatch(/_… and \d+ more jobs\._/);
  expect(text.length).toBeGreaterThan(MARKDOWN_LIMIT * 0.9);
});

test('log lines are shown where the namespace allows them, and nowhere else', () => {
  expect(get('sync-failed').text).toContain('panic');
  expect(get('ended-failed').text).toContain('panic');
  expect(JSON.stringify([...checks.values()])).not.toContain('hunter2');
  expect(JSON.stringify(get('ended-failed-without-logs'))).not.toContain('panic');
});

test('counts show no name, version, value or node', () => {
  const { summary, text } = get('rollout-counts');
  expect(text).toBe('');
  expect(summary).not.toMatch(/shop\/web|n00\d|LOG_LEVEL|sha256|MiB/);
  expect(get('rollout-counts').title).toBe(get('rollout').title);
});

const NAMED = /shop\/web|shop\/store|n00\d|sha256|MiB|of \d+ slots/;

const scenes = await pullScenes();

const planAt = (level: Level, name: string): CheckBody => {
  const found = scenes.find(([scene]) => scene === name);
  if (found === undefined) throw new Error(`there is no scene ${name}`);
  return planCheck(found[1], { ...found[2], visibility: visibilityAt(level) });
};

test('counts: a remark says how many copies cannot run, not for want of what', () => {
  const [full] = planAt('full', 'does-not-fit').annotations;
  const [counts] = planAt('counts', 'does-not-fit').annotations;
  expect(full).toMatchObject({
    startLine: 3,
    title: 'This `memory` makes 3 of 3 copies unplaceable',
  });
  expect(counts).toMatchObject({
    startLine: 1,
    title: '3 of 3 copies cannot run',
    message:
      '3 of 3 copies cannot run. Why is not shown here: see `plan_visibility` in cluster.yaml.',
  });
});

test('a check that is closed names no button, and asks nobody for anything', () => {
  for (const name of ['closed', 'closed-merged', 'closed-owners']) {
    const { buttons, summary } = get(name);
    expect(buttons).toEqual([]);
    expect(summary).not.toMatch(/\*Approve\*|must approve|\/purser/);
    expect(summary).toMatch(/\*\*No(body| owner) had approved this:\*\*/);
  }
  // What names a button has it.
  const named = /\*(Approve|Promote|Roll back|Retry|Re-land)\*(?! on the check of)/g;
  for (const [name, { buttons, summary, text }] of checks) {
    const labels = new Set(buttons.map(({ label }) => label));
    for (const [, label = ''] of `${summary} ${text}`.matchAll(named)) {
      expect([name, label, labels.has(label)]).toEqual([name, label, true]);
    }
  }
});

test('a canary says that it waits without a limit, and what promotes it or takes it back', () => {
  const { summary, title } = get('sync-canary');
  expect(title).toContain('canary waits for promotion');
  expect(summary).toContain('waits, for as long as nobody decides');
  expect(summary).toContain('Press *Promote*, or run `purser promote shop/web`');
  expect(summary).toContain('Press *Roll back* to take the commit back.');
});

test('files that wait for owners: whose approval, of what, also beside a job that failed since', () => {
  const { title, summary } = get('sync-owners');
  expect(title).toBe('1 file waits for @shop/team');
  expect(summary).toMatch(/- shop\/store waits for an approval of .*shop\/team \(commit/);
  expect(get('sync-owners-degraded')).toMatchObject({
    status: 'completed',
    conclusion: 'action_required',
    title,
  });
});

test('counts: neither a removal nor its remark on a line says why, of which job, where', () => {
  const { title, summary, text, annotations, conclusion } = planAt('counts', 'removal');
  expect(annotations).toMatchObject([
    { title: '2 copies would stop for good', message: 'Somebody must approve it.' },
  ]);
  expect(`${title} ${summary} ${text}`).not.toMatch(NAMED);
  expect([conclusion, title]).toEqual(['action_required', get('removal').title]);
});

test.each([
  ['rolls', { kind: 'healthy' }, 18_000],
  ['crashes', { kind: 'crashes', afterMs: 2_000 }, 4_000],
] as const)('counts: a commit that %s is told without names', (_, behaviour, ms) => {
  const [full, counts] = [syncAt('full', behaviour, ms), syncAt('counts', behaviour, ms)];
  expect(JSON.stringify(full)).toMatch(NAMED);
  expect(JSON.stringify(counts)).not.toMatch(NAMED);
  expect(JSON.stringify(counts)).not.toMatch(/exited|died/);
  expect(counts.summary).toContain('1 job not shown here: see `plan_visibility`.');
  expect([counts.status, counts.conclusion]).toEqual([full.status, full.conclusion]);
  expect(syncAt('namespace', behaviour, ms)).toEqual(counts);
  expect(syncAt('open', behaviour, ms)).toEqual(full);
});

test('namespace: jobs of those that say so are shown, the cluster’s room and nodes are not', () => {
  expect(planAt('namespace', 'removal')).toEqual(planAt('counts', 'removal'));
  const open = planAt('open', 'removal');
  expect(open.summary).toContain('`shop/web` loses 2 copies');
  expect(open.annotations[0]?.message).toMatch(/^shop\/web: .* slots of namespace shop would go/);
  const [full, part] = [planAt('full', 'rollout'), planAt('open', 'rollout')];
  expect(full.summary).toMatch(/Promised to copies[^]*not zone a: shop\/web 1 copy short/);
  expect(part.summary).not.toMatch(/Promised to copies|zone a/);
  expect(part.summary).toContain('Quota of `shop`');
  expect(part.summary).toContain('`shop/web`');
  expect(part.text).toContain('LOG_LEVEL');
});

test('the comment on a pull request is the check’s summary; closed, it is one line', async () => {
  const plan = { kind: 'untouched', base: 'a'.repeat(40), head: 'b'.repeat(40) } as const;
  const context = { cluster: 'shop', directory: 'clusters/shop', approved: new Set<string>() };
  await expect(`${pullComment(plan, context)}\n`).toMatchFileSnapshot('./golden/comment.md');
  const alone = pullComment(plan, context, false);
  expect(alone).toContain('Nothing of this cluster changes');
  expect(alone).not.toContain('in the check');
  expect(closedComment(true)).toMatch(/^Merged/);
  expect(closedComment(false)).toMatch(/^Closed/);
});

test('what a namespace does not show is counted, and the rest of it is shown', () => {
  const { summary, text } = get('rollout-namespace');
  expect(summary).toContain('shop/web');
  expect(`${summary}${text}`).not.toMatch(/books|back\//);
  expect(summary).toContain('1 changed job not shown here');
});

test('a deployment is described by the title, as far as it fits', () => {
  expect(deploymentWords({ title: 'x'.repeat(300) })).toHaveLength(STATUS_LIMIT);
});
