// GitHub's refusals in words for a person: what follows from each, and that nothing leaks.

import { describe, expect, test } from 'vitest';
import {
  failureOf,
  type Asker,
  type Refusal,
} from '../../../../../reconciler/edge/forge/failure.ts';
import { missingPermissions } from '../../../../../reconciler/edge/forge/permissions.ts';

const APP: Asker = {
  site: 'https://github.com',
  repository: 'acme/cluster',
  secretFile: '/etc/purser/app.pem',
  isApp: true,
};
const TOKEN: Asker = { ...APP, secretFile: '/etc/purser/token', isApp: false };

const refusal = (change: Partial<Refusal> = {}): Refusal => ({
  status: 422,
  message: 'Validation Failed',
  headers: {},
  method: 'POST',
  path: '/repos/acme/cluster/check-runs',
  ...change,
});

const NOT_OURS = 'Resource not accessible by integration';
const ARCHIVED = 'Repository was archived so is read-only.';

test.each<[Partial<Refusal>, string, RegExp]>([
  [{ status: 401, message: 'Bad credentials' }, 'broken', /accept the App's key in .*app\.pem/],
  [{ status: 403, message: 'This installation has been suspended' }, 'broken', /is suspended/],
  [{ status: 403, message: NOT_OURS }, 'broken', /lacks «Checks: Read and write» in acme\/cluster/],
  [
    { status: 403, message: 'Unable to create comment because issue is locked.' },
    'broken',
    /refuses POST .*: Unable to create comment because issue is locked\./,
  ],
  [
    { status: 403, message: ARCHIVED },
    'broken',
    /is archived on GitHub.*unarchive it at .*settings/,
  ],
  [{ status: 404 }, 'broken', /is the App installed in acme\/cluster\?/],
  [{ status: 410 }, 'broken', /does not show/],
  [{ status: 409, message: 'Reference moved' }, 'stale', /refuses POST .*: Reference moved/],
  [
    { status: 422, message: 'No commit found for SHA: abc' },
    'stale',
    /no such commit \(any more\)/,
  ],
  [{ status: 422 }, 'broken', /refuses POST \/repos\/acme\/cluster\/check-runs: Validation Failed/],
  [{ status: 400 }, 'broken', /refuses/],
  [{ status: 451 }, 'broken', /refuses/],
  [{ status: 500, message: '' }, 'retry', /does not answer well \(500\)/],
  [{ status: 502 }, 'retry', /does not answer well \(502\)/],
  [{ status: 503 }, 'retry', /does not answer well \(503\)/],
])('%j is %s', (change, consequence, words) => {
  const failure = failureOf(refusal(change), APP, null);
  expect(failure).toMatchObject({ kind: 'edge-failure', consequence, status: change.status });
  expect(failure.message).toMatch(words);
});

test('a wait that was asked for comes before what else the status would mean', () => {
  for (const status of [403, 429, 503]) {
    const failure = failureOf(refusal({ status }), APP, '12:00:00 UTC');
    expect(failure).toMatchObject({ consequence: 'retry', status });
    expect(failure.message).toContain('asks to wait until 12:00:00 UTC');
  }
});

test('a token is told of as a token', () => {
  const words = (status: number) =>
    failureOf(refusal({ status, message: NOT_OURS }), TOKEN, null).message;
  expect(words(401)).toContain('the token in /etc/purser/token');
  expect(words(403)).toContain('grant it to the token');
  expect(words(404)).toContain("among the token's repositories");
});

test.each<[Partial<Refusal>, string | null]>([
  [{ status: 401 }, 'login'],
  [{ status: 403, message: 'This installation has been suspended' }, 'login'],
  [{ status: 403, message: 'Resource protected by organization SAML enforcement.' }, 'login'],
  [{ status: 403, message: ARCHIVED }, 'writes'],
  [{ status: 403, message: NOT_OURS }, 'checks:write'],
  [{ status: 403, message: NOT_OURS, method: 'GET' }, 'checks:read'],
  [{ status: 403, message: 'Unable to create comment because issue is locked.' }, null],
  [{ status: 404, path: '/app/installations/7/access_tokens' }, 'login'],
  [{ status: 404, path: '/repos/acme/cluster' }, 'login'],
  [{ status: 404, path: '/repos/acme/cluster/pulls' }, 'login'],
  [{ status: 404, message: 'Integration not found', path: '/app' }, 'login'],
  [{ status: 404, path: '/repos/acme/cluster/pulls/7' }, null],
  [{ status: 404, path: '/repos/acme/cluster/check-runs/7' }, null],
  [{ status: 422 }, null],
  [{ status: 502 }, null],
])('%j holds up %s', (change, scope) => {
  const failure = failureOf(refusal(change), APP, null);
  expect(failure.scope).toBe(scope);
  // That one thing is gone is an answer; that all is refused is none.
  if (change.status === 404) expect(failure.status).toBe(scope === null ? 404 : null);
});

test('of what GitHub says one line is told, cut, without control characters', () => {
  const message = `<html>\n\u001b[31m${'x'.repeat(5000)}`;
  const told = failureOf(refusal({ status: 502, message }), APP, null).message;
  expect(told.includes('\n') || told.includes('\u001b')).toBe(false);
  expect(told.length).toBeLessThan(300);
});

test('no header gets into the words', () => {
  const headers = { authorization: 'token ghs_secret', 'set-cookie': 'a=secret' };
  for (const status of [401, 403, 404, 409, 422, 500]) {
    expect(failureOf(refusal({ status, headers }), APP, null).message).not.toContain('secret');
  }
});

describe('which permission is missing', () => {
  const header = 'x-accepted-github-permissions';
  test.each<[string, Partial<Refusal>, string]>([
    [
      'what the header says',
      { headers: { [header]: 'checks=write,metadata=read' } },
      '«Checks: Read and write» and «Metadata: Read-only»',
    ],
    [
      'several of which one would do',
      { headers: { [header]: 'issues=write; pull_requests=write,contents=read' } },
      '«Issues: Read and write» or «Pull requests: Read and write» and «Contents: Read and write»',
    ],
    [
      'a name that is new to us',
      { headers: { [header]: 'rockets=write' } },
      '«rockets: Read and write»',
    ],
    ['an empty header', { headers: { [header]: '' } }, '«Checks: Read and write»'],
    ['reading what is written too', { method: 'GET' }, '«Checks: Read and write»'],
    ['statuses', { path: '/repos/a/b/statuses/c' }, '«Commit statuses: Read and write»'],
    ['deployments', { path: '/repos/a/b/deployments/1/statuses' }, '«Deployments: Read and write»'],
    ['comments', { path: '/repos/a/b/issues/1/comments' }, '«Pull requests: Read and write»'],
    ['pull requests', { path: '/repos/a/b/pulls' }, '«Pull requests: Read and write»'],
    ['refs', { path: '/repos/a/b/git/refs' }, '«Contents: Read and write»'],
    ['files', { path: '/repos/a/b/contents/cluster.yaml' }, '«Contents: Read and write»'],
    ['folding', { path: '/graphql' }, '«Pull requests: Read and write»'],
    ['a path that we do not know', { path: '/zen' }, ''],
  ])('%s', (_, change, names) => {
    const asked = refusal({ status: 403, ...change });
    expect(missingPermissions(asked, asked.headers[header])).toBe(names);
  });
});
