// Pages of the local GitHub: what people see and press, and that nobody's text becomes HTML.
// In: checks, comments and titles, hostile ones among them. Out: pages, presses of buttons.

import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import type { GitHub } from '../support/github/github.ts';
import { startGitHub } from '../support/github/github.ts';
import { markdown } from '../support/github/html.ts';

let hub: GitHub;
let folder: string;
let head: string;
beforeEach(async () => {
  hub = await startGitHub();
  folder = initRepository(tempFolder('pages'));
  commitFiles(folder, { 'a.yaml': 'one: 1\n' }, 'first');
  await hub.push(folder, 'ada', 'main');
  git(folder, 'switch', '--quiet', '--create', 'topic');
  head = commitFiles(folder, { 'a.yaml': 'one: 2\n' }, HOSTILE);
  await hub.push(folder, 'ada', 'topic');
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  await hub.close();
});

const HOSTILE = '</pre></title><script>alert(1)</script><img src=x onerror=alert(2)>';

const api = async (path: string, body: object): Promise<void> => {
  const token = hub.pushUrl(null).split(/x-access-token:|@/)[1];
  const headers = { authorization: `Bearer ${token}` };
  const text = JSON.stringify(body);
  const answer = await fetch(`${hub.api}${path}`, { method: 'POST', headers, body: text });
  expect(answer.status).toBe(201);
};

const page = async (path: string): Promise<string> => {
  const answer = await fetch(`${hub.url}/shop/cluster${path}`);
  expect(answer.status).toBe(200);
  return answer.text();
};

const press = (path: string, form: Record<string, string>, headers = {}): Promise<Response> =>
  fetch(`${hub.url}/shop/cluster${path}`, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
    headers,
  });

const makeCheck = () =>
  api('/repos/shop/cluster/check-runs', {
    name: 'plan/shop',
    head_sha: head,
    conclusion: 'action_required',
    output: {
      title: HOSTILE,
      summary: `**3 stop**\n\n<details><summary>more</summary>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n</details>\n\n${HOSTILE}`,
      annotations: [
        {
          path: 'a.yaml',
          start_line: 1,
          end_line: 1,
          annotation_level: 'failure',
          title: 'does not fit',
          message: HOSTILE,
        },
      ],
    },
    actions: [{ label: 'Approve', description: HOSTILE.slice(0, 40), identifier: 'approve' }],
  });

test('a pull request shows its check, its annotations on the line, and its comments', async () => {
  await hub.openPull({ head: 'topic', by: 'ada', title: HOSTILE, body: HOSTILE });
  await makeCheck();
  hub.comment(1, 'ada', `hello **world** ${HOSTILE}`);
  const text = await page('/pull/1');
  expect(text).toContain('<strong>3 stop</strong>');
  expect(text).toContain('<details><summary>more</summary>');
  expect(text).toMatch(/\+one: 2<\/div>\s*<div class="note">/);
  expect(text).toContain('<button name="button" value="approve"');
  for (const path of ['', '/pull/1', `/commit/${head}`, `/runs/${hub.checks()[0]?.id}`]) {
    const shown = await page(path);
    expect(shown, path).toContain('plan/shop');
    expect(shown, path).not.toMatch(/<script|<img/i);
  }
});

test.each([
  '<script>alert(1)</script>',
  '[x](javascript:alert(1))',
  '[x](//evil.example)',
  '![x](http://evil.example/pixel.png)',
  '<details ontoggle=alert(1)>',
  '<b onclick="x">b</b>',
  '```"><script>x</script>\n<script>\n```',
  '| <script>x</script> |\n|---|\n| <img src=x> |',
  '<a href="javascript:x">x</a>',
  '[x](https://a.example/"onmouseover="alert(1))',
])('Markdown of anybody makes no HTML of their own: %s', (text) => {
  const tags = [...markdown(text).safe.matchAll(/<[^>]*>/g)].map(([tag]) => tag);
  for (const tag of tags) {
    const isPlain =
      /^<\/?(p|div|details|summary|b|code|pre|table|thead|tbody|tr|th|td)( class="[\w-]*(?:&quot;[^"]*)?")?>$/;
    const isLink = /^<a href="https?:\/\/[^"]*" rel="nofollow noreferrer">$|^<\/a>$/;
    expect(isPlain.test(tag) || isLink.test(tag), tag).toBe(true);
  }
});

test('a button is pressed as the person chosen, who needs write access', async () => {
  await makeCheck();
  hub.person('eve', 'read');
  const id = hub.checks()[0]?.id ?? 0;
  hub.hook('http://127.0.0.1:9/nobody-listens');
  expect((await press(`/runs/${id}/click`, { button: 'approve', as: 'eve' })).status).toBe(403);
  const elsewhere = { origin: 'http://evil.example' };
  const form = { button: 'approve', as: 'ada' };
  expect((await press(`/runs/${id}/click`, form, elsewhere)).status).toBe(403);
  expect((await press(`/runs/${id}/click`, form)).status).toBe(303);
  await hub.settled();
  const [click, ...others] = hub.deliveries();
  expect(others).toEqual([]);
  expect(JSON.parse(click?.body ?? '{}')).toMatchObject({
    action: 'requested_action',
    requested_action: { identifier: 'approve' },
    sender: { login: 'ada' },
  });
});

test('a pull request is merged by a button', async () => {
  await hub.openPull({ head: 'topic', by: 'ada' });
  expect((await press('/pull/1/merge', { method: 'squash', as: 'ada' })).status).toBe(303);
  expect(git(hub.folder, 'show', 'main:a.yaml')).toBe('one: 2');
  expect(await page('')).toContain('merged');
});

const MANIFEST = {
  name: 'Purser of shop',
  url: 'http://purser.example',
  redirect_url: 'http://127.0.0.1:9/back',
  default_permissions: { checks: 'write', contents: 'read' },
  default_events: ['push'],
};

const postForm = (path: string, form: Record<string, string>): Promise<Response> =>
  fetch(`${hub.url}${path}`, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
    headers: { origin: 'http://127.0.0.1:9' },
  });

test('a manifest makes an App when a person agrees, and its code is good once', async () => {
  const form = { manifest: JSON.stringify(MANIFEST), state: 's1' };
  const asked = await postForm('/settings/apps/new?state=s1', form);
  expect([asked.status, await asked.text()]).toEqual([200, expect.stringContaining('Purser of')]);
  // Another site's page may show the form, and not press its button.
  expect((await postForm('/settings/apps', form)).status).toBe(403);
  const made = await fetch(`${hub.url}/settings/apps`, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
  });
  const back = new URL(made.headers.get('location') ?? '');
  expect(back.searchParams.get('state')).toBe('s1');
  const address = `${hub.api}/app-manifests/${back.searchParams.get('code')}/conversions`;
  const app = await fetch(address, { method: 'POST' });
  expect(await app.json()).toMatchObject({
    slug: 'purser-of-shop',
    permissions: { checks: 'write' },
  });
  expect((await fetch(address, { method: 'POST' })).status).toBe(404);
});

test('a manifest that GitHub would not take', async () => {
  const refused = async (change: object): Promise<string> => {
    const manifest = JSON.stringify({ ...MANIFEST, ...change });
    const answer = await postForm('/settings/apps/new', { manifest });
    expect(answer.status).toBe(422);
    return answer.text();
  };
  expect(await refused({ default_events: ['push', 'merge_group'] })).toContain(
    'Default events unsupported: merge_group',
  );
  expect(await refused({ url: undefined })).toContain('Url is missing');
  expect(await refused({ hook_attributes: { active: true } })).toContain('Hook url is missing');
  const { status } = await postForm('/organizations/nobody/settings/apps/new', { manifest: '{}' });
  expect(status).toBe(404);
});

test('an App is installed where its owner has repositories; then the browser goes to its page', async () => {
  const setUp = { ...MANIFEST, setup_url: 'http://127.0.0.1:9/installed' };
  const install = async (organization: string, manifest: object): Promise<Response> => {
    const body = new URLSearchParams({ manifest: JSON.stringify(manifest) });
    const made = await fetch(`${hub.url}${organization}/settings/apps`, {
      method: 'POST',
      body,
      redirect: 'manual',
    });
    expect(made.status).toBe(303);
    const { slug } = hub.hub.apps.at(-1) ?? {};
    return fetch(`${hub.url}/apps/${slug}/installations/new`, {
      method: 'POST',
      body: new URLSearchParams({ account: 'shop' }),
      redirect: 'manual',
    });
  };
  const done = await install('/organizations/shop', setUp);
  expect(done.headers.get('location')).toMatch(
    /^http:.*\?installation_id=\d+&setup_action=install$/,
  );
  // Private to a person: the organization cannot have it.
  expect((await install('', { ...setUp, name: 'Mine' })).status).toBe(403);
});
