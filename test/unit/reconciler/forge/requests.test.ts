// What becomes of clicks and comments: who may, what is asked again, what is written.

import { describe, expect, test } from 'vitest';
import type { PlannedPull } from '../../../../reconciler/forge/pulls.ts';
import {
  answerTo,
  removersToKnow,
  type Answer,
  type RequestContext,
} from '../../../../reconciler/forge/requests.ts';
import type { ForgeRequest } from '../../../../schema/forge.ts';
import type { Plan } from '../../../../schema/plan.ts';
import type { CommitChange, SourceFile } from '../../../../schema/source.ts';
import { ready, story, textFile } from '../../../support/tree.ts';

const WEB = 'jobs/shop/web.yaml';
const { tree, desired } = ready(
  story({
    'cluster.yaml': 'name: shop\npolicies:\n  registries: [reg.example]\n',
    [WEB]: 'image: reg.example/web:1 # the shop\n',
  }),
);
const head = tree.head.oid;

const request = (fields: Partial<ForgeRequest> = {}): ForgeRequest => ({
  id: 'r1',
  kind: 'button',
  action: 'approve',
  by: { login: 'grace', id: 2 },
  permission: 'write',
  commit: 'h1',
  pull: 7,
  ...fields,
});

const planned = (slots: readonly string[], fields: Partial<PlannedPull> = {}): PlannedPull => ({
  head: 'h1',
  base: head,
  live: 1,
  plannedAt: 0,
  plan: {
    kind: 'planned',
    effects: { slots },
    base: head,
    head: 'h1',
  },
  whole: null,
  isBeyond: false,
  approvals: [],
  behind: null,
  open: [],
  unjudged: null,
  told: {
    commit: 'h1',
    status: 'completed',
    conclusion: 'action_required',
    title: '',
    words: '',
    all: '',
    covers: undefined,
  },
  comment: null,
  ...fields,
});

const plan = (status: Plan['deployments'][number]['status']): Plan => ({
  commit: head,
  steps: [],
  blocked: [],
  proposals: [],
  deployments: desired.jobs.map(({ id, deployment, spec, commit }) => ({
    job: id,
    deployment,
    specHash: spec.specHash,
    commit,
    status,
    isRollback: false,
    reason: null,
    groups: [],
  })),
  problems: [],
  synced: false,
  guarded: [],
  wakeAt: null,
});

const context = (fields: Partial<RequestContext> = {}): RequestContext => ({
  desired,
  plan: plan('rolling'),
  tree,
  pull: planned(['shop/web/web[0]']),
  authors: [{ login: 'ada', id: 1 }],
  person: null,
  change: undefined,
  at: '2026-01-02T03:04:05.000Z',
  ...fields,
});

const words = (answer: Answer): string => ('words' in answer ? answer.words : '');

describe('who may', () => {
  test.each(['none', 'read'] as const)('a person with permission %s may nothing', (permission) => {
    for (const action of ['plan', 'approve', 'rollback', 'promote', 'retry', 'reland'] as const) {
      const answer = answerTo(request({ action, permission }), context());
      expect(answer).toEqual({
        kind: 'refuse',
        words: 'grace may not write to this repository, and cannot ask for this.',
      });
    }
  });

  test('who wrote a part of it does not approve it', () => {
    const asked = request({ by: { login: 'ada', id: 1 } });
    expect(words(answerTo(asked, context()))).toContain('somebody else must approve it');
    const own = { ...desired, cluster: { ...desired.cluster, ownApproval: true } };
    expect(answerTo(asked, context({ desired: own })).kind).toBe('record');
  });
});

describe('approve what a commit of the branch takes away', () => {
  const guarded = [{ job: 'shop/web', slots: ['shop/web/web[0]', 'shop/web/web[1]'], why: 'w' }];
  const onHead = request({ pull: null, commit: head });
  const held = (fields: Partial<RequestContext> = {}) =>
    context({ plan: { ...plan('waiting'), guarded }, pull: null, authors: [], ...fields });

  test('is recorded with all slots that wait', () => {
    const answer = answerTo(onHead, held());
    expect(answer).toMatchObject({
      words: 'Approved: 2 copies may stop for good.',
      records: [{ commit: head, slots: ['shop/web/web[0]', 'shop/web/web[1]'], used: false }],
    });
    expect(answer.kind === 'record' && answer.records[0]).not.toHaveProperty('ahead');
  });

  test('not by whoever took it away, and not where nobody knows who that is', () => {
    const ada = request({ ...onHead, by: { login: 'ada', id: 1 } });
    const mine = held({ authors: [{ login: 'ada', id: 1 }] });
    expect(words(answerTo(ada, mine))).toContain('somebody else must approve it');
    expect(answerTo(onHead, mine).kind).toBe('record');
    expect(words(answerTo(onHead, held({ authors: [null] })))).toContain('purser approve');
    const own = { ...desired, cluster: { ...desired.cluster, ownApproval: true } };
    expect(answerTo(ada, { ...mine, desired: own }).kind).toBe('record');
  });

  test('the addresses whose accounts must be known: of each removal, else of the newest commit', () => {
    const { plan: now } = held();
    expect(removersToKnow(onHead, { desired, plan: now })).toEqual([desired.commit.email]);
    const removers = new Map([['shop/web', ['b@x', 'a@x']]]);
    const known = { ...desired, removers };
    expect(removersToKnow(onHead, { desired: known, plan: now })).toEqual(['a@x', 'b@x']);
    expect(removersToKnow(request(), { desired: known, plan: now })).toEqual([]);
  });

  test('of an older commit, or where nothing waits, it is refused', () => {
    const older = request({ pull: null, commit: 'c'.repeat(40) });
    expect(words(answerTo(older, held()))).toContain('A newer commit is on the branch');
    const none = context({ pull: null });
    expect(words(answerTo(onHead, none))).toBe('Nothing waits for approval.');
  });
});

describe('approve', () => {
  test('is recorded with the slots that the plan showed', () => {
    expect(answerTo(request(), context())).toEqual({
      kind: 'record',
      words: 'Approved: 1 copy may stop for good.',
      records: [
        {
          kind: 'approval',
          id: 'r1',
          by: 'grace <2+grace@forge>',
          at: '2026-01-02T03:04:05.000Z',
          commit: 'h1',
          slots: ['shop/web/web[0]'],
          nodes: [],
          ahead: true,
          used: false,
        },
      ],
    });
  });

  test.each<[string, Partial<RequestContext>, string]>([
    ['a plan that is older than the branch', { pull: planned(['x'], { base: 'b0' }) }, 'newest'],
    ['a plan of an older push', { pull: planned(['x'], { head: 'h0' }) }, 'newest'],
    ['nothing planned', { pull: null }, 'newest'],
    ['nothing to approve', { pull: planned([]) }, 'Nothing in this plan waits'],
  ])('refuses %s', (_, fields, said) => {
    const answer = answerTo(request(), context(fields));
    expect(answer.kind).toBe('refuse');
    expect(words(answer)).toContain(said);
  });
});

describe('approve, as an owner', () => {
  const change = { path: WEB, blob: 'b1', owners: ['@Shop/Web'] };
  const ofOwners = (slots: readonly string[], fields: Partial<PlannedPull> = {}): PlannedPull => {
    const one = planned(slots);
    if (one.plan.kind !== 'planned') throw new Error('it is planned');
    const authors = [{ name: 'ada', as: ['@ada'] }];
    const behind = { authors, approvals: [] };
    return { ...one, plan: { ...one.plan, owned: [change] }, behind, ...fields };
  };
  const grace = { name: 'grace', as: ['@grace', '@shop/web'] };
  const record = {
    kind: 'approval',
    id: 'r1-files',
    by: 'grace <2+grace@forge>',
    at: '2026-01-02T03:04:05.000Z',
    commit: 'h1',
    slots: [],
    nodes: [],
    files: [{ path: WEB, blob: 'b1' }],
    as: ['@grace', '@shop/web'],
    used: false,
  };

  test('is recorded with the contents that the plan showed', () => {
    expect(answerTo(request(), context({ pull: ofOwners([]), person: grace }))).toEqual({
      kind: 'record',
      words: 'Approved: shop/web may change.',
      records: [record],
    });
  });

  test('slots and files are two records, since they end at different times', () => {
    const slots = ['shop/web/web[0]'];
    const answer = answerTo(request(), context({ pull: ofOwners(slots), person: grace }));
    expect(answer.kind === 'record' && answer.records).toEqual([
      expect.objectContaining({ id: 'r1', slots, ahead: true }),
      record,
    ]);
  });

  test('of somebody who owns nothing of it counts for the slots alone', () => {
    const stranger = { name: 'grace', as: ['@grace'] };
    const refused = answerTo(request(), context({ pull: ofOwners([]), person: stranger }));
    expect(words(refused)).toBe('grace owns none of the files that wait. Their owners: @Shop/Web.');
    const slots = ['shop/web/web[0]'];
    const answer = answerTo(request(), context({ pull: ofOwners(slots), person: stranger }));
    expect(answer.kind === 'record' && answer.records.map(({ kind }) => kind)).toEqual([
      'approval',
    ]);
  });

  test('nothing waits once an owner’s review approved it', () => {
    const behind = { authors: [{ name: 'ada', as: [] }], approvals: [grace] };
    const pull = ofOwners([], { behind });
    const answer = answerTo(request(), context({ pull, person: grace }));
    expect(words(answer)).toContain('Nothing in this plan waits');
  });
});

describe('approve, on a commit of the branch', () => {
  const held = {
    path: WEB,
    blob: 'b2',
    accepted: 'b1',
    commit: head,
    since: head,
    owners: ['@shop/web'],
    by: 'ada',
  };
  const grace = { name: 'grace', as: ['@grace', '@shop/web'] };
  const asked = request({ pull: null, commit: head });
  const waiting = (fields: Partial<typeof held> = {}, own = false) => ({
    ...desired,
    cluster: { ...desired.cluster, ownApproval: own },
    heldFiles: [{ ...held, ...fields }],
  });

  test('lets the contents through that are held', () => {
    const answer = answerTo(asked, context({ desired: waiting(), person: grace, pull: null }));
    expect(answer).toMatchObject({
      kind: 'record',
      words: 'Approved: shop/web may change.',
      records: [{ id: 'r1-files', slots: [], files: [{ path: WEB, blob: 'b2' }], as: grace.as }],
    });
  });

  test.each<[string, Partial<RequestContext>, Partial<ForgeRequest>, string]>([
    ['nothing held', { person: grace }, {}, 'Nothing waits'],
    ['not judged yet', { desired: waiting({ by: '' }), person: grace }, {}, 'Nothing waits'],
    ['an older commit', { desired: waiting(), person: grace }, { commit: 'h0' }, 'newer commit'],
    ['somebody else', { desired: waiting(), person: null }, {}, 'owns none of the files'],
    ['the author', { desired: waiting({ by: 'Grace' }), person: grace }, {}, 'another owner'],
  ])('refuses %s', (_, fields, change, said) => {
    expect(words(answerTo({ ...asked, ...change }, context({ pull: null, ...fields })))).toContain(
      said,
    );
  });

  test('the author too, where the own approval counts', () => {
    const fields = { desired: waiting({ by: 'grace' }, true), person: grace, pull: null };
    expect(answerTo(asked, context(fields)).kind).toBe('record');
  });
});

describe('roll back', () => {
  const file = (path: string, texts: readonly (string | null)[]) => {
    const [before = null, after = null, now = null] = texts.map((text) =>
      text === null ? null : textFile(text),
    );
    return { path, before, after, head: now };
  };
  const changeOf = (files: CommitChange['files']): CommitChange => ({ commit: 'c1', files });
  const asked = request({ action: 'rollback', commit: 'c1', pull: null });

  test('asks for what the commit changed', () => {
    expect(answerTo(asked, context())).toEqual({ kind: 'read' });
  });

  test('takes back all of it but counts, with the base of each edit', () => {
    const files = [
      file(WEB, ['image: a\n', 'image: b\n', 'image: b\n']),
      file('configs/new.toml', [null, 'x\n', 'x\n']),
      file('scale/shop/web.yaml', ['web: 1\n', 'web: 2\n', 'web: 2\n']),
    ];
    const answer = answerTo(asked, context({ change: changeOf(files) }));
    if (answer.kind !== 'commit') throw new Error(`a commit, not ${answer.kind}`);
    expect(answer.edits).toEqual([
      { path: WEB, content: 'image: a\n', base: textFile('image: b\n').blob },
      { path: 'configs/new.toml', content: null, base: textFile('x\n').blob },
    ]);
    expect(answer.message).toMatch(/^Purser-Reverts: c1$/m);
    expect(answer.message).toMatch(/^Purser-Requested-By: grace <2\+grace@forge>$/m);
    expect(answer.message).toMatch(/^Purser-Request: r1$/m);
  });

  test('what came to other fields since, a promotion or a retry, stays', () => {
    const since = 'image: b\nfail: crash\n# why\nrestarted_at: now\nupdate:\n  promote: abc\n';
    const files = [file(WEB, ['image: a\n# why\n', 'image: b\nfail: crash\n# why\n', since])];
    const answer = answerTo(asked, context({ change: changeOf(files) }));
    if (answer.kind !== 'commit') throw new Error(`a commit, not ${answer.kind}`);
    const content = 'image: a\n# why\nrestarted_at: now\nupdate:\n  promote: abc\n';
    expect(answer.edits).toEqual([{ path: WEB, content, base: textFile(since).blob }]);
  });

  const link: SourceFile = { kind: 'refused', blob: 'l', why: 'symlink', size: null };
  test.each<[string, CommitChange['files'], string]>([
    ['too much', null, 'git revert c1'],
    ['changed since', [file(WEB, ['a', 'b', 'c'])], 'has changed since'],
    [
      'the same field changed since',
      [file(WEB, ['image: a\n', 'image: b\n', 'image: c\n'])],
      'has changed since',
    ],
    ['another file changed since', [file('configs/x', ['a', 'b', 'c'])], 'has changed since'],
    ['taken back already', [file(WEB, ['a', 'b', 'a'])], 'taken back already'],
    [
      'no text',
      [{ path: WEB, before: link, after: textFile('b'), head: textFile('b') }],
      'is no text',
    ],
  ])('refuses where %s', (_, files, said) => {
    const answer = answerTo(asked, context({ change: changeOf(files) }));
    expect(answer.kind).toBe('refuse');
    expect(words(answer)).toContain(said);
  });
});

describe('promote and retry', () => {
  const ask = (action: 'promote' | 'retry') => request({ action, commit: head, pull: null });
  const hash = desired.jobs[0]?.spec.specHash.slice(0, 12) ?? '';

  test.each([
    ['promote', 'canary', `update:\n  promote: ${hash}`],
    ['retry', 'failed', 'restarted_at: 2026-01-02T03:04:05.000Z'],
    ['retry', 'stalled', 'restarted_at: 2026-01-02T03:04:05.000Z'],
    ['retry', 'degraded', 'restarted_at: 2026-01-02T03:04:05.000Z'],
  ] as const)('%s of what is %s edits its file, comments kept', (action, status, text) => {
    const answer = answerTo(ask(action), context({ plan: plan(status) }));
    if (answer.kind !== 'commit') throw new Error(`a commit, not ${answer.kind}`);
    const [edit] = answer.edits;
    expect(edit?.content?.replaceAll("'", '').replaceAll('"', '')).toContain(text);
    expect(edit?.content).toContain('# the shop');
    expect(edit?.path).toBe(WEB);
  });

  test.each([
    ['promote', 'rolling', 'No canary waits'],
    ['retry', 'settled', 'Nothing has failed'],
  ] as const)('%s of what is %s is refused', (action, status, said) => {
    const answer = answerTo(ask(action), context({ plan: plan(status) }));
    expect(words(answer)).toContain(said);
  });

  test('of a job whose file is gone, or cannot be edited, it is refused by name', () => {
    const at = (file: SourceFile | null) => {
      const files = new Map([...tree.files].filter(([path]) => path !== WEB));
      if (file !== null) files.set(WEB, file);
      return words(
        answerTo(ask('retry'), context({ plan: plan('failed'), tree: { ...tree, files } })),
      );
    };
    expect(at(null)).toBe(`\`${WEB}\` is not in the repository any more.`);
    expect(at({ kind: 'text', blob: 'b', text: '- a\n- list\n' })).toMatch(
      /`jobs\/shop\/web.yaml` cannot be edited here: .*Edit it by hand/,
    );
  });

  test('a button of an older commit is refused', () => {
    const asked = { ...ask('retry'), commit: 'c0' };
    expect(words(answerTo(asked, context({ plan: plan('failed') })))).toContain('newer commit');
  });
});
