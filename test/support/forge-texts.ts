// Rarer checks, and all that stands beside checks: comments, notes, offers, answers.
// In: nothing. Out: name → a check, name → Markdown, name → plain text, of the scenes. Not here: the
// scenes of plans and rollouts (forge-scenes), what the texts should say (golden files).

import { closedCheck, closedComment, pullComment } from '../../reconciler/render/comment.ts';
import { syncNote, type CommitSeen } from '../../reconciler/render/note.ts';
import { answerText, offerText } from '../../reconciler/render/offer.ts';
import { planCheck } from '../../reconciler/render/plan-check.ts';
import { heldCheck, refusedCheck } from '../../reconciler/render/sync-check.ts';
import { visibilityOf } from '../../reconciler/render/visibility.ts';
import { revertMessage } from '../../reconciler/plan/proposals.ts';
import type { CheckBody } from '../../schema/forge.ts';
import type { HeldFile } from '../../schema/ledger.ts';
import type { RefusedInPull } from '../../schema/pull-plan.ts';
import { refusedEach } from '../../schema/refused-words.ts';
import type { CommitInfo, RefusedCommits } from '../../schema/source.ts';
import { CONTEXT, HOSTILE, WEB, checkOf, failing, pinned, planOf } from './forge-scenes.ts';
import { pullScenes, web } from './forge-scenes.ts';
import { aCommit, desiredOf } from './world.ts';

const scenes = new Map((await pullScenes()).map(([name, ...rest]) => [name, rest] as const));

const sceneOf = (name: string) => {
  const scene = scenes.get(name);
  if (scene === undefined) throw new Error(`there is no scene ${name}`);
  return scene;
};

const info = (name: string, email = 'ada@example.org'): CommitInfo => {
  const { oid, author, subject } = aCommit(name);
  const written = { author: { name: author, email }, authoredAt: 0, message: subject };
  return { oid, parent: null, ...written, trailers: [] };
};

/** The newest is signed and builds on one that is not. */
const UNSIGNED: RefusedCommits = {
  verify: 'strict',
  newest: info('newest'),
  cause: info('cause', 'mallory@example.org'),
  reason: { kind: 'unsigned' },
  commits: [info('newest').oid, info('cause').oid],
  each: [
    { commit: info('newest'), reason: null },
    { commit: info('cause', 'mallory@example.org'), reason: { kind: 'unsigned' } },
  ],
};

const refusal = (name: string, reason: RefusedInPull['reason']): RefusedInPull => ({
  commit: aCommit(name).oid,
  author: { name: HOSTILE, email: 'mallory@example.org' },
  reason,
});

const REFUSALS = [
  refusal('first', { kind: 'unsigned' }),
  refusal('second', { kind: 'unknown-key', key: 'SHA256:k3yOfNobody', detail: HOSTILE }),
  refusal('third', { kind: 'unsigned' }),
];

const HELD: readonly HeldFile[] = [
  {
    path: WEB,
    blob: 'b2',
    accepted: 'b1',
    commit: aCommit('pull').oid,
    since: aCommit('pull').oid,
    owners: ['@shop/web', 'ada@example.org'],
    by: 'mallory',
  },
  {
    path: 'cluster.yaml',
    blob: 'c2',
    accepted: null,
    commit: aCommit('pull').oid,
    since: aCommit('pull').oid,
    owners: ['@shop/platform'],
    by: '',
    why: `GitHub does not say who is in @shop/platform ${HOSTILE}`,
  },
];

const REWRITTEN =
  'shop: the branch was rewritten: 3f2a9c01d4e8 is no longer in main, now 0123456789ab. Nothing is ' +
  'synced until somebody who has looked at it runs `purser resume --at 0123456789ab`';

/** Two jobs change; of the namespace `back` nothing is shown. */
const partlyShown = async (): Promise<CheckBody> => {
  const plan = await planOf({
    change: {
      [WEB]: web('2', 3),
      'jobs/back/books.yaml': `image: ${pinned('books', '1')}\ncount: 2\n`,
    },
  });
  const desired = desiredOf([]);
  const visibility = visibilityOf({
    cluster: { ...desired.cluster, planVisibility: 'namespace' },
    namespaces: [
      { name: 'shop', protected: false, quota: null, evidence: 'logs', planVisibility: 'full' },
    ],
  });
  return planCheck(plan, { ...CONTEXT, visibility });
};

/** Name → a check that seldom stands there. */
export const rareChecks = async (): Promise<ReadonlyMap<string, CheckBody>> => {
  const [rollout, context] = sceneOf('rollout');
  const [removal] = sceneOf('removal');
  const [untouched] = sceneOf('untouched');
  if (rollout.kind !== 'planned' || untouched.kind !== 'untouched') throw new Error('other scenes');
  const open = [{ path: WEB, blob: 'b2', owners: ['@shop/web'] }];
  const unjudged = 'GitHub does not let Purser read who is in @shop/web (403)';
  const waiting = planCheck(removal, context);
  const asking = planCheck(...sceneOf('owners'));
  const [below, unsigned] = refusedEach(UNSIGNED);
  if (below === undefined || unsigned === undefined) throw new Error('two commits');
  return new Map([
    ['rollout-namespace', await partlyShown()],
    ['unsigned', planCheck({ ...rollout, refusals: REFUSALS }, context)],
    ['unsigned-untouched', planCheck({ ...untouched, refusals: REFUSALS.slice(0, 1) }, context)],
    ['owners-unjudged', planCheck(rollout, { ...context, open, unjudged })],
    ['closed', { ...waiting, ...closedCheck(waiting, false) }],
    ['closed-merged', { ...waiting, ...closedCheck(waiting, true) }],
    ['closed-owners', { ...asking, ...closedCheck(asking, false) }],
    ['sync-refused-rewritten', refusedCheck({ message: REWRITTEN })],
    ['sync-refused-unsigned', refusedCheck(unsigned)],
    ['sync-refused-below', refusedCheck(below)],
    ['sync-held', heldCheck(HELD, aCommit('next'))],
    ['sync-failed-counts', checkOf(failing({ planVisibility: 'counts' }))],
  ]);
};

const offerOf = (message: string): string => {
  const { title, body } = offerText(message);
  return `# ${title}\n\n${body}`;
};

const revert = (): string => {
  const { desired } = failing();
  const [job] = desired.jobs.filter(({ failed }) => failed !== null);
  if (job?.failed === undefined || job.failed === null) throw new Error('a job failed');
  return revertMessage(desired, { ...job, evidence: 'logs' }, job.failed.evidence);
};

const TAKEN_BACK = [
  'Roll back commit 0123456789ab',
  '',
  "octocat asked for it. Everything that the commit changed in the cluster's",
  'directory goes back, but for counts that a machine wrote.',
  '',
  `Purser-Reverts: ${'0123456789'.repeat(4)}`,
  'Purser-Cluster: shop',
  'Purser-Requested-By: octocat <583231+octocat@forge>',
  'Purser-Request: check-7-rollback',
  '',
].join('\n');

const ANSWERS = [
  'The plan is made anew.',
  'Approved: 3 copies may stop for good; shop/web may change.',
  'octocat wrote a part of it: somebody else must approve it, or cluster.yaml says `guards: {own_approval: true}`.',
  'Roll back commit 0123456789ab, onto 3f2a9c01d4e8.',
  `\`jobs/shop/${HOSTILE}.yaml\` has changed since. Run: git revert 0123456789ab`,
];

/** Name → Markdown beside checks. */
export const comments = (): ReadonlyMap<string, string> => {
  const [rollout, context] = sceneOf('rollout');
  const [removal, removalContext] = sceneOf('removal');
  return new Map([
    ['comment-plan', pullComment(rollout, context)],
    ['comment-removal', pullComment(removal, removalContext)],
    ['comment-token', pullComment(rollout, context, false)],
    ['comment-token-removal', pullComment(removal, removalContext, false)],
    ['comment-owners', pullComment(...sceneOf('owners'))],
    ['comment-merged', closedComment(true)],
    ['comment-closed', closedComment(false)],
    ['offer-revert', offerOf(revert())],
    ['offer-rollback', offerOf(TAKEN_BACK)],
    ['answers', ANSWERS.map((words) => `- ${answerText(words)}`).join('\n')],
  ]);
};

const SEEN: CommitSeen = {
  cluster: 'shop',
  jobs: new Map([
    ['shop/web', { starts: 3, stops: 3, updates: 0 }],
    ['shop/store', { starts: 0, stops: 0, updates: 1 }],
  ]),
  end: { kind: 'in-sync' },
  tookMs: 42_300,
  at: '2026-01-01T00:00:42Z',
  isPartial: false,
};

/** Name → what a note says of how a commit ended. */
export const endNotes = (): ReadonlyMap<string, string> =>
  new Map([
    ['note-in-sync', syncNote(SEEN)],
    ['note-nothing', syncNote({ ...SEEN, jobs: new Map(), tookMs: 200 })],
    ['note-under-way', syncNote({ ...SEEN, end: { kind: 'under-way' }, jobs: new Map() })],
    ['note-under-way-partial', syncNote({ ...SEEN, end: { kind: 'under-way' }, isPartial: true })],
    [
      'note-superseded',
      syncNote({ ...SEEN, end: { kind: 'superseded', by: aCommit('next').oid } }),
    ],
    [
      'note-failed',
      syncNote({
        ...SEEN,
        tookMs: 3_725_000,
        end: {
          kind: 'failed',
          reasons: new Map([
            ['shop/web', `2 copies died (max_failures)\n${HOSTILE}`],
            ['shop/store', 'a copy was not healthy within 5m'],
          ]),
        },
      }),
    ],
  ]);
