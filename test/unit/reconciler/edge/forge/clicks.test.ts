// Which deliveries are clicks on our buttons, which ask to say a check again, and which are nothing.

import { describe, expect, test } from 'vitest';
import { isNews, movesBranch, toldBy } from '../../../../../reconciler/edge/forge/clicks.ts';

const COMMIT = 'a'.repeat(40);
/** As it is once GitHub has told the repository's id. */
const isOurs = ({ id }: { readonly id: unknown }) => id === 5;
const OURS = { cluster: 'shop', isOurs };

interface Given {
  readonly event?: string;
  readonly payload?: unknown;
  readonly signature?: string;
}

const payload = (change: object = {}): object => ({
  action: 'requested_action',
  repository: { id: 5, full_name: 'acme/cluster' },
  sender: { login: 'ada', id: 7 },
  requested_action: { identifier: 'approve' },
  check_run: { head_sha: COMMIT, external_id: `purser:shop:plan:${COMMIT}` },
  ...change,
});

const told = ({ event = 'check_run', payload: body = payload(), signature = '' }: Given = {}) =>
  toldBy({ id: 'd1', event, payload: body, signature, at: 5 }, OURS);

test('a click: who, which button, on which check; a part of the signature names it', () => {
  expect(told({ signature: `sha256=${'0123456789abcdef'.repeat(4)}` })).toEqual({
    kind: 'click',
    click: {
      id: 'd1',
      seal: '0123456789abcdef',
      action: 'approve',
      by: { login: 'ada', id: 7 },
      kind: 'plan',
      commit: COMMIT,
      at: 5,
    },
  });
});

test('a click brings what its button carried', () => {
  const identifier = 'approve-0123456789ab';
  expect(identifier.length).toBeLessThanOrEqual(20);
  const asked = told({ payload: payload({ requested_action: { identifier } }) });
  expect(asked).toMatchObject({ click: { action: 'approve', covers: '0123456789ab' } });
});

test.each(['approve', 'rollback', 'promote', 'retry', 'reland'])('the button %s', (identifier) => {
  const asked = told({ payload: payload({ requested_action: { identifier } }) });
  expect(asked).toMatchObject({ kind: 'click', click: { action: identifier } });
});

test('a re-run of the plan is asked for by a person, of the sync said again', () => {
  const again = payload({ action: 'rerequested', requested_action: undefined });
  expect(told({ payload: again })).toMatchObject({ kind: 'click', click: { action: 'plan' } });
  const check_run = { head_sha: COMMIT, external_id: `purser:shop:sync:${COMMIT}` };
  expect(told({ payload: { ...again, check_run } })).toEqual({ kind: 'again', commit: COMMIT });
  const suite = payload({ action: 'rerequested', check_suite: { head_sha: COMMIT } });
  expect(told({ event: 'check_suite', payload: suite })).toEqual({ kind: 'again', commit: COMMIT });
});

const run = (external_id: unknown, head_sha: unknown = COMMIT) =>
  payload({ check_run: { head_sha, external_id } });

test.each<[string, Given]>([
  ['no payload', { payload: null }],
  ['a text', { payload: 'check_run' }],
  ['another event', { event: 'push' }],
  [
    'another repository',
    { payload: payload({ repository: { id: 6, full_name: 'acme/cluster' } }) },
  ],
  ['no repository', { payload: payload({ repository: undefined }) }],
  ['another cluster', { payload: run(`purser:ship:plan:${COMMIT}`) }],
  ['a cluster whose name begins as ours', { payload: run(`purser:shop2:plan:${COMMIT}`) }],
  ['a check of others', { payload: run('build-17') }],
  ['a check without an external id', { payload: run(null) }],
  ['another kind', { payload: run(`purser:shop:deploy:${COMMIT}`) }],
  ['an external id of another commit', { payload: run(`purser:shop:plan:${'b'.repeat(40)}`) }],
  ['no commit id', { payload: run('purser:shop:plan:main', 'main') }],
  [
    'a button that carries something else',
    { payload: payload({ requested_action: { identifier: 'approve-<b>' } }) },
  ],
  ['an unknown button', { payload: payload({ requested_action: { identifier: 'delete' } }) }],
  ['a button of an object', { payload: payload({ requested_action: { identifier: {} } }) }],
  ['nobody', { payload: payload({ sender: null }) }],
  ['a person whose id is a text', { payload: payload({ sender: { login: 'ada', id: '7' } }) }],
  ['our own check as it is written', { payload: payload({ action: 'completed' }) }],
  ['a suite that ended', { event: 'check_suite', payload: payload({ action: 'completed' }) }],
  [
    'a suite of no commit',
    {
      event: 'check_suite',
      payload: payload({ action: 'rerequested', check_suite: { head_sha: '../x' } }),
    },
  ],
])('%s is nothing', (_, given) => {
  expect(told(given)).toEqual({ kind: 'nothing' });
});

describe('what wakes', () => {
  test.each([
    ['push', undefined, true],
    ['pull_request', 'opened', true],
    ['pull_request_review', 'submitted', true],
    ['issue_comment', 'created', true],
    ['merge_group', 'checks_requested', true],
    ['installation', 'created', true],
    ['check_run', 'created', false],
    ['check_run', 'completed', false],
    ['check_run', 'requested_action', true],
    ['check_run', 'rerequested', true],
    ['check_suite', 'completed', false],
    ['check_suite', 'requested', true],
    ['star', 'created', false],
    ['ping', undefined, false],
  ])('%s %s: %s', (event, action, wakes) => {
    expect(isNews(event, action === undefined ? {} : { action }, isOurs)).toBe(wakes);
  });
});

describe('what has the repository read', () => {
  const at = { branch: 'main', cluster: 'shop' };
  test.each([
    ['a push to the branch', 'push', { ref: 'refs/heads/main' }, true],
    ['a push that says no branch', 'push', {}, true],
    ["a push to the ledger's branch", 'push', { ref: 'refs/heads/purser/shop/ledger' }, true],
    ['a push to a pull request', 'push', { ref: 'refs/heads/topic' }, false],
    ['one to a branch whose name begins alike', 'push', { ref: 'refs/heads/main-2' }, false],
    ['a merge', 'pull_request', { action: 'closed' }, true],
    ['a pull request that is pushed to', 'pull_request', { action: 'synchronize' }, false],
    ['a comment', 'issue_comment', { action: 'created' }, false],
  ])('%s', (_, event, body, moves) => {
    expect(movesBranch({ event, payload: body }, at)).toBe(moves);
  });
});
