// The local GitHub for tests: that it is what octokit and git take for GitHub.
// In: requests of octokit, pushes of git. Out: answers that GitHub's description allows, webhooks.
// Not here: what Purser makes of it (test/contract/forge*.test.ts).

import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { App, Octokit } from 'octokit';
import { afterEach, describe, expect, test } from 'vitest';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import type { GitHub, GitHubOptions } from '../support/github/github.ts';
import { startGitHub } from '../support/github/github.ts';

const run = promisify(execFile);
const endings: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

interface Bench {
  readonly hub: GitHub;
  /** A work tree whose `main` is pushed. */
  readonly folder: string;
  readonly first: string;
  readonly octokit: Octokit;
  readonly of: { readonly owner: string; readonly repo: string };
}

const bench = async (options: GitHubOptions = {}): Promise<Bench> => {
  const hub = await startGitHub(options);
  endings.push(() => hub.close());
  const folder = tempFolder('github-test');
  endings.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  initRepository(folder);
  const first = commitFiles(folder, { 'a.txt': 'one\n' }, 'first');
  await hub.push(folder, 'ada', 'main');
  await hub.settled();
  return {
    hub,
    folder,
    first,
    octokit: await appOctokit(hub),
    of: { owner: 'shop', repo: 'cluster' },
  };
};

const appOctokit = async (hub: GitHub): Promise<Octokit> => {
  const { id, privateKey, installationId } = hub.app;
  const Quiet = Octokit.defaults({
    baseUrl: hub.api,
    retry: { enabled: false },
    throttle: { enabled: false },
    log: SILENT,
  });
  const app = new App({ appId: id, privateKey, Octokit: Quiet });
  return app.getInstallationOctokit(installationId);
};
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const withTopic = async (options: GitHubOptions = {}) => {
  const all = await bench(options);
  git(all.folder, 'switch', '--quiet', '--create', 'topic');
  const head = commitFiles(all.folder, { 'b.txt': 'two\n' }, 'second');
  await all.hub.push(all.folder, 'ada', 'topic');
  const pull = await all.hub.openPull({ head: 'topic', by: 'ada', title: 'Two' });
  return { ...all, head, pull };
};

describe('the local GitHub', () => {
  test('takes a push, tells of it, and shows a pull request with its commits and files', async () => {
    const { octokit, of, head, first } = await withTopic();
    const { data: pull } = await octokit.rest.pulls.get({ ...of, pull_number: 1 });
    expect(pull).toMatchObject({ state: 'open', mergeable: true, commits: 1, changed_files: 1 });
    expect([pull.base.sha, pull.head.sha]).toEqual([first, head]);
    const { data: files } = await octokit.rest.pulls.listFiles({ ...of, pull_number: 1 });
    expect(files).toMatchObject([{ filename: 'b.txt', status: 'added', additions: 1 }]);
    expect(files[0]?.patch).toBe('@@ -0,0 +1 @@\n+two');
    const { data: commits } = await octokit.rest.pulls.listCommits({ ...of, pull_number: 1 });
    expect(commits.map(({ sha }) => sha)).toEqual([head]);
    const { data: list } = await octokit.rest.pulls.list({ ...of, state: 'open' });
    expect(list).toHaveLength(1);
  });

  test.each(['merge', 'squash', 'rebase'] as const)('merges by %s', async (method) => {
    const { octokit, of, hub, first } = await withTopic();
    const { data } = await octokit.rest.pulls.merge({
      ...of,
      pull_number: 1,
      merge_method: method,
    });
    expect(git(hub.folder, 'rev-parse', 'main')).toBe(data.sha);
    const parents = git(hub.folder, 'rev-parse', `${data.sha}^@`).split('\n');
    expect(parents[0]).toBe(first);
    expect(parents).toHaveLength(method === 'merge' ? 2 : 1);
    expect(git(hub.folder, 'show', 'main:b.txt')).toBe('two');
    expect(hub.pulls()[0]).toMatchObject({ state: 'closed' });
  });

  test('keeps checks with annotations and buttons, and GitHub’s limits of them', async () => {
    const { octokit, of, head, hub } = await withTopic();
    const create = (more: object) =>
      octokit.rest.checks.create({ ...of, name: 'plan/shop', head_sha: head, ...more });
    const { data: run } = await create({
      external_id: 'plan shop',
      output: { title: 'ok', summary: '**fine**' },
      actions: [{ label: 'Approve', description: 'Approve it', identifier: 'approve' }],
    });
    const { data: done } = await octokit.rest.checks.update({
      ...of,
      check_run_id: run.id,
      conclusion: 'success',
    });
    expect(done).toMatchObject({ status: 'completed', conclusion: 'success' });
    const { data: all } = await octokit.rest.checks.listForRef({ ...of, ref: head });
    expect(all.total_count).toBe(1);
    const annotation = {
      path: 'b.txt',
      start_line: 1,
      end_line: 1,
      annotation_level: 'warning',
      message: 'x',
    } as const;
    const summary = 'long';
    const annotations = Array.from({ length: 51 }, () => annotation);
    const refused = async (more: object) => {
      await expect(create(more)).rejects.toMatchObject({ status: 422 });
    };
    await refused({ output: { title: 't', summary, annotations } });
    await refused({ output: { title: 't', summary: 'é'.repeat(40_000) } });
    await refused({ actions: [{ label: 'x'.repeat(21), description: 'd', identifier: 'i' }] });
    await refused({ status: 'completed' });
    expect(hub.takeProblems().length).toBeGreaterThan(0);
    hub.click({ check: 'plan/shop', commit: head, button: 'approve', by: 'ada' });
    await hub.settled();
  });

  test('refuses what its description does not know, and says so at the end', async () => {
    const { octokit, of, hub } = await bench();
    const ask = octokit.request('POST /repos/{owner}/{repo}/check-runs', {
      ...of,
      name: 'x',
      head_sha: 'y',
      colour: 1,
    });
    await expect(ask).rejects.toMatchObject({ status: 422 });
    await expect(octokit.request('GET /repos/{owner}/{repo}/nothing', of)).rejects.toMatchObject({
      status: 404,
    });
    expect(hub.takeProblems()).toHaveLength(2);
  });

  test('tells webhooks, signed with the secret', async () => {
    const got: { event: string; body: string; signature: string }[] = [];
    const receiver = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { headers } = request;
        got.push({
          event: String(headers['x-github-event']),
          body: Buffer.concat(chunks).toString(),
          signature: String(headers['x-hub-signature-256']),
        });
        response.end('ok');
      });
    });
    await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
    endings.push(() => void receiver.close());
    const all = await bench();
    all.hub.hook(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`);
    git(all.folder, 'switch', '--quiet', '--create', 'topic');
    commitFiles(all.folder, { 'b.txt': 'two\n' }, 'second');
    await all.hub.push(all.folder, 'ada', 'topic');
    await all.hub.openPull({ head: 'topic', by: 'ada' });
    all.hub.comment(1, 'ada', '/purser plan');
    await all.hub.settled();
    expect(got.map(({ event }) => event).toSorted()).toEqual([
      'check_suite',
      'issue_comment',
      'pull_request',
      'push',
    ]);
    for (const { body, signature } of got) {
      const hash = createHmac('sha256', all.hub.app.webhookSecret).update(body).digest('hex');
      expect(signature).toBe(`sha256=${hash}`);
    }
    expect(all.hub.deliveries().every(({ statusCode }) => statusCode === 200)).toBe(true);
  });
});

describe('limits and faults', () => {
  test('pages have links, answers tags; what is unchanged costs nothing', async () => {
    const { octokit, of, head } = await withTopic();
    for (const name of ['a', 'b', 'c']) {
      await octokit.rest.checks.create({ ...of, name, head_sha: head });
    }
    const ask = { ...of, ref: head, per_page: 2 };
    const first = await octokit.rest.checks.listForRef(ask);
    expect(first.headers.link).toMatch(/page=2>; rel="next"/);
    expect(await octokit.paginate(octokit.rest.checks.listForRef, ask)).toHaveLength(3);
    const headers = { 'if-none-match': first.headers.etag ?? '' };
    const used = async () => (await octokit.rest.rateLimit.get()).data.rate.used;
    const before = await used();
    await expect(octokit.rest.checks.listForRef({ ...ask, headers })).rejects.toMatchObject({
      status: 304,
    });
    expect(await used()).toBe(before);
  });

  test('content writes are counted, and limited a minute with retry-after', async () => {
    const { octokit, of, head, hub } = await withTopic({ limits: { writesAMinute: 2 } });
    const create = () => octokit.rest.checks.create({ ...of, name: 'x', head_sha: head });
    await create();
    await create();
    await expect(create()).rejects.toMatchObject({
      status: 403,
      response: { headers: { 'retry-after': '60' } },
    });
    expect(hub.writes()).toHaveLength(2);
    expect(hub.checks()).toHaveLength(2);
  });

  test('an App without a permission, a token that ended, and a bad gateway are told', async () => {
    const { octokit, of, head, hub } = await withTopic();
    const create = () => octokit.rest.checks.create({ ...of, name: 'x', head_sha: head });
    hub.permit({ metadata: 'read' });
    await expect(create()).rejects.toMatchObject({
      status: 403,
      response: { data: { message: 'Resource not accessible by integration' } },
    });
    hub.permit({ checks: 'write' });
    hub.fault({ times: 1, kind: { status: 502 } });
    await expect(create()).rejects.toMatchObject({ status: 502 });
    await create();
    const { token } = (await octokit.auth({ type: 'installation' })) as { token: string };
    hub.expireTokens();
    const asked = fetch(`${hub.api}/repos/shop/cluster`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect((await asked).status).toBe(401);
  });

  test('a protected branch refuses pushes but of those who may bypass it', async () => {
    const { hub, folder } = await bench();
    hub.protect([{ requirePull: true, bypass: [hub.app.slug] }]);
    const next = commitFiles(folder, { 'a.txt': 'two\n' }, 'second');
    await expect(hub.push(folder, 'ada', 'main')).rejects.toThrow(/GH013.*\n.*\n?.*pull request/);
    await hub.push(folder, null, 'main');
    expect(git(hub.folder, 'rev-parse', 'main')).toBe(next);
  });

  test('a push whose client has gone ends, that which waited for it too, and the hub closes', async () => {
    const { hub } = await bench();
    const { pathname } = new URL(hub.cloneUrl);
    const auth = Buffer.from(`x:${hub.person('ada').token}`).toString('base64');
    const halves = [1, 2].map(() =>
      http.request(`${hub.url}${pathname}/git-receive-pack`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${auth}`,
          'content-type': 'application/x-git-receive-pack-request',
          'content-length': '1000',
        },
      }),
    );
    for (const half of halves) half.on('error', () => undefined).write('0094');
    await expect.poll(() => gitsOf(hub).length).toBeGreaterThan(0);
    for (const half of halves) half.destroy();
    await expect.poll(() => gitsOf(hub)).toEqual([]);
  });

  test('a deployment needs its checks, unless it says otherwise, and success retires the old', async () => {
    const { octokit, of, head, hub } = await withTopic();
    await octokit.rest.repos.createCommitStatus({ ...of, sha: head, state: 'pending' });
    const deploy = (more: object) =>
      octokit.rest.repos.createDeployment({ ...of, ref: head, environment: 'shop', ...more });
    await expect(deploy({})).rejects.toMatchObject({ status: 409 });
    const ids: number[] = [];
    for (const _ of [1, 2]) {
      const { data } = await deploy({ required_contexts: [], auto_merge: false });
      if (!('id' in data)) throw new Error('no deployment');
      ids.push(data.id);
      await octokit.rest.repos.createDeploymentStatus({
        ...of,
        deployment_id: data.id,
        state: 'success',
      });
    }
    const states = hub.deployments().map(({ statuses }) => statuses.at(-1)?.state);
    expect(states).toEqual(['inactive', 'success']);
  });

  test('a fork’s pull request is fetched from the repository that it goes to', async () => {
    const { hub, folder } = await bench();
    const url = hub.fork('mallory');
    git(folder, 'switch', '--quiet', '--create', 'evil');
    const head = commitFiles(folder, { 'e.txt': 'e\n' }, 'evil');
    await run('git', ['push', '--quiet', url, 'evil'], { cwd: folder });
    const pull = await hub.openPull({ head: 'evil', by: 'mallory', fromFork: true });
    expect(git(hub.folder, 'rev-parse', `refs/pull/${pull.number}/head`)).toBe(head);
    await expect(hub.push(folder, 'ada', `+main:refs/pull/${pull.number}/head`)).rejects.toThrow(
      /hidden ref/,
    );
  });
});

/** Commands of git that serve a repository of the hub now. */
const gitsOf = (hub: GitHub): readonly string[] =>
  readdirSync('/proc').flatMap((pid) => {
    try {
      const mine = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(dirname(hub.folder));
      return mine ? [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`] : [];
    } catch {
      return []; // no process, or one that ended
    }
  });
