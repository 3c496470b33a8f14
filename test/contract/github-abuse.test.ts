// What comes twice, late, from strangers, or when GitHub is unwell: the edge of GitHub against the
// local GitHub. In: real signed deliveries, faults. Out: tests. Not here: what all goes well
// (github), the receiver's own refusals (github-webhooks), what GitHub lets us do (github-rights).

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { createClock } from '../../reconciler/edge/clock.ts';
import type { GitHub } from '../../reconciler/edge/forge/options.ts';
import { endWorlds, report, world, type World } from '../support/github-edge.ts';

afterEach(endWorlds);

/** A new process with a receiver, told to GitHub. */
const receiving = async ({ hub, folder, forge }: World): Promise<GitHub & { url: string }> => {
  const secretFile = join(folder, 'secret');
  const made = forge({ webhook: { address: '127.0.0.1:0', path: '/w', secretFile } });
  const url = `http://${await made.listen()}/w`;
  hub.hook(url);
  return { ...made, url };
};

const click = (at: World, commit: string, by = 'ada') =>
  at.hub.click({ check: 'plan/test', commit, button: 'approve', by });

test('a click that a webhook brings counts once, though GitHub lists its delivery too', async () => {
  const at = await world();
  const { head } = await at.pull('topic');
  const one = await receiving(at);
  let wakes = 0;
  const stop = one.watch(() => void (wakes += 1));
  await one.writeCheck(report(head));
  expect((await one.look()).requests).toEqual([]);
  const before = wakes;
  click(at, head);
  await at.hub.settled();
  await expect.poll(() => wakes).toBeGreaterThan(before);
  const { requests } = await one.look();
  expect(requests).toMatchObject([{ action: 'approve', permission: 'write', commit: head }]);
  expect((await one.look()).requests).toEqual(requests);
  stop();
});

test('after a restart an answered click counts for nothing, delivered again or forged from a copy', async () => {
  const at = await world();
  const { head } = await at.pull('topic');
  const one = await receiving(at);
  await one.writeCheck(report(head));
  click(at, head);
  await at.hub.settled();
  const [request] = (await one.look()).requests;
  if (request === undefined) throw new Error('no request');
  await one.answer(request, 'Approved.', true);
  await one.close();
  const other = await receiving(at);
  expect((await other.look()).requests).toEqual([]);
  const sent = at.hub.deliveries().find(({ action }) => action === 'requested_action');
  if (sent === undefined) throw new Error('no delivery');
  at.hub.redeliver(sent.id);
  await at.hub.settled();
  expect((await other.look()).requests).toEqual([]);
  const third = await receiving(at);
  const headers = { ...sent.headers, 'x-github-delivery': 'somebody-elses' };
  const copied = await fetch(third.url, { method: 'POST', headers, body: sent.body });
  expect(copied.status).toBe(202);
  expect((await third.look()).requests).toEqual([]);
  expect(at.hub.checks(head)[0]?.output.summary?.match(/Approved\./g)).toHaveLength(1);
});

test('a click that was not answered before a restart is found again', async () => {
  const at = await world();
  const { head } = await at.pull('topic');
  const one = await receiving(at);
  await one.writeCheck(report(head));
  click(at, head);
  await at.hub.settled();
  await one.close();
  const { requests } = await at.forge().look();
  expect(requests).toMatchObject([{ action: 'approve', commit: head }]);
});

test('a token that ends in the middle of a rollout: everything is told with a new one', async () => {
  const { hub, forge, main } = await world();
  const one = forge();
  const deployment = { commit: main, environment: 'test', description: 'web', url: null };
  const sync = (title: string) => report(main, { kind: 'sync', title, buttons: [] });
  await one.writeCheck(sync('web 1/3'));
  await one.writeDeployment({ ...deployment, state: 'in_progress' });
  const before = await one.token();
  await sleep(5100); // octokit takes a 401 before for a delay
  hub.expireTokens();
  await one.writeCheck(sync('web 2/3'));
  await sleep(5100);
  hub.expireTokens();
  await one.writeDeployment({ ...deployment, state: 'success' });
  expect(hub.checks(main)).toMatchObject([{ output: { title: 'web 2/3' } }]);
  expect(hub.deployments()).toHaveLength(1);
  expect(await one.token()).not.toBe(before);
});

test.each<[number, RegExp]>([
  [429, /its limit of requests is reached/],
  [503, /it is out of service/],
])('%i with a time to wait: nothing is asked until then', async (status, words) => {
  const { hub, forge, main } = await world();
  const one = forge();
  await one.look();
  const headers = { 'retry-after': '30' };
  hub.fault({ path: /check-runs/, times: 1, kind: { status, headers } });
  const refused = one.writeCheck(report(main));
  await expect(refused).rejects.toMatchObject({ consequence: 'retry', status });
  await expect(refused).rejects.toThrow(/asks to wait until \d\d:\d\d:\d\d UTC/);
  const before = hub.requests().length;
  await expect(one.writeCheck(report(main))).rejects.toThrow(words);
  await expect(one.writeDeployment({ ...DEPLOYMENT, commit: main })).rejects.toThrow(words);
  expect(hub.requests()).toHaveLength(before);
});

const DEPLOYMENT = { environment: 'test', state: 'success', description: '', url: null } as const;

test('a pull request from a fork is known as one, and gets its check', async () => {
  const { hub, forge, git } = await world();
  hub.person('mallory', 'none');
  await git('checkout', '-qb', 'evil');
  await git('commit', '-q', '--allow-empty', '-m', 'evil');
  await git('push', '-q', hub.fork('mallory'), 'evil');
  await hub.settled();
  const { number } = await hub.openPull({ head: 'evil', by: 'mallory', fromFork: true });
  const head = await git('rev-parse', 'HEAD');
  const one = forge();
  const { pulls } = await one.look();
  expect(pulls).toMatchObject([{ number, head, fromFork: true, author: { login: 'mallory' } }]);
  await one.writeCheck(report(head));
  expect((await forge().check('plan', head))?.title).toBe(report(head).title);
  hub.comment(number, 'mallory', '/purser approve');
  const { requests } = await forge().look();
  expect(requests.map(({ permission }) => permission)).not.toContain('write');
});

test('strangers are answered so often an hour, and keep nobody who may write waiting', async () => {
  const { hub, forge, pull } = await world();
  const { number, head } = await pull('topic');
  const one = forge();
  await one.writeCheck(report(head));
  await sleep(1100); // GitHub's times are whole seconds
  for (let index = 0; index < 15; index += 1) {
    hub.person(`eve${index}`, 'none');
    hub.comment(number, `eve${index}`, '/purser approve');
  }
  hub.comment(number, 'ada', '/purser approve');
  const { requests } = await one.look();
  expect(requests[0]).toMatchObject({ by: { login: 'ada' }, permission: 'write' });
  const reactions = () => hub.comments(number).filter((each) => each.reactions.length > 0).length;
  for (const request of requests) await one.answer(request, 'no', false);
  expect(reactions()).toBe(11);
  expect((await one.look()).requests).toEqual([]);
});

test('a comment that was edited asks for nothing, whoever edited it', async () => {
  const { hub, forge, pull } = await world();
  const { number, head } = await pull('topic');
  const one = forge();
  await one.writeCheck(report(head));
  const { id } = hub.comment(number, 'ada', 'looks good');
  await sleep(1100); // GitHub's times are whole seconds
  const answer = await fetch(`${hub.api}/repos/${hub.owner}/${hub.name}/issues/comments/${id}`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${hub.person('bob').token}`, 'user-agent': 'a person' },
    body: JSON.stringify({ body: '/purser approve' }),
  });
  expect(answer.status).toBe(200);
  expect(hub.comments(number)[0]?.body).toBe('/purser approve');
  expect((await one.look()).requests).toEqual([]);
  expect((await forge().look()).requests).toEqual([]);
});

const QUOTED = [
  '> /purser approve',
  '```\n/purser approve\n```',
  '    /purser approve',
  '\t/purser approve',
  '`/purser approve`',
  'please\n/purser approve',
  '/purser approve all',
  '<!--\n/purser approve\n-->',
];

test('a command in a quotation, in code, behind or before other words asks for nothing', async () => {
  const { hub, forge, pull } = await world();
  const { number } = await pull('topic');
  for (const body of QUOTED) hub.comment(number, 'ada', body);
  expect((await forge().look()).requests).toEqual([]);
  hub.comment(number, 'ada', '\n  /purser approve\n\nsince it is fine');
  expect((await forge().look()).requests).toMatchObject([{ action: 'approve' }]);
});

test('who may not write any more may not approve; programs never may', async () => {
  const { hub, forge, pull } = await world();
  const { number } = await pull('topic', 'grace');
  const one = forge();
  hub.comment(number, 'ada', '/purser approve');
  const seen = async () => (await one.look()).requests.map(({ permission }) => permission);
  expect(await seen()).toEqual(['write']);
  // Looked at again, not remembered.
  hub.person('ada', 'read');
  expect(await seen()).toEqual(['read']);
  hub.person('renovate[bot]', 'write');
  hub.comment(number, 'renovate[bot]', '/purser approve');
  expect((await seen()).toSorted()).toEqual(['none', 'read']);
});

test('a pull request to another branch than the tracked one is nobody’s business, until it is', async () => {
  const { hub, forge, git, pull } = await world();
  await git('push', '-q', hub.pushUrl('ada'), 'main:release');
  await hub.settled();
  const { head } = await pull('topic');
  const { number } = await hub.openPull({ head: 'topic', by: 'ada', base: 'release' });
  hub.comment(number, 'ada', '/purser approve');
  const { pulls, requests } = await forge().look();
  expect(pulls.map((one) => [one.number, one.head])).toEqual([[number - 1, head]]);
  expect(requests).toEqual([]);
});

test('what happens in other repositories, or of another shape, wakes nobody and asks for nothing', async () => {
  const at = await world();
  const { head } = await at.pull('topic');
  const one = await receiving(at);
  await one.writeCheck(report(head));
  await one.look();
  let wakes = 0;
  const stop = one.watch(() => void (wakes += 1));
  click(at, head);
  await at.hub.settled();
  const sent = at.hub.deliveries().find(({ action }) => action === 'requested_action');
  if (sent === undefined) throw new Error('no delivery');
  await sleep(300);
  await expect.poll(async () => (await one.look()).requests.length).toBe(1);
  const [request] = (await one.look()).requests;
  if (request !== undefined) await one.answer(request, 'no', false);
  wakes = 0;
  const payload = JSON.parse(sent.body) as { readonly repository: object };
  const others = [
    { ...payload, repository: { ...payload.repository, id: 4711 } },
    { ...payload, repository: 7 },
    { ...payload, repository: null },
    { ...payload, check_run: { head_sha: 7, external_id: ['purser:test:plan:'] } },
    { ...payload, sender: { login: {}, id: 'x' } },
    { ...payload, requested_action: null },
  ];
  const secret = at.hub.app.webhookSecret;
  for (const [index, body] of others.entries()) {
    const text = JSON.stringify(body);
    const signature = `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;
    const headers = {
      ...sent.headers,
      'x-github-delivery': `other-${index}`,
      'x-hub-signature-256': signature,
    };
    expect((await fetch(one.url, { method: 'POST', headers, body: text })).status).toBe(202);
  }
  expect((await one.look()).requests).toEqual([]);
  await sleep(300);
  expect(wakes, 'three are of this repository').toBeLessThanOrEqual(3);
  stop();
});

test('an answer that has no end, or 100 MB, is given up without being held', async () => {
  const { hub, forge, main } = await world();
  const one = forge();
  await one.look();
  for (const bytes of [100 * 2 ** 20, Infinity]) {
    const mend = hub.fault({ path: /check-runs/, kind: { bytes } });
    const before = process.memoryUsage().rss;
    await expect(one.check('plan', main)).rejects.toMatchObject({
      consequence: 'retry',
      message: expect.stringContaining("GitHub's answer has more than 32MiB, and was not read"),
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    mend();
  }
  expect(await one.check('plan', main)).toBeNull();
});

test('another host that GitHub leads to is not asked, and gets no login', async () => {
  const { hub, forge, main } = await world();
  const asked: string[] = [];
  const other = http.createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? ''}`);
    response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
  });
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const { port } = other.address() as AddressInfo;
  const location = `http://127.0.0.1:${port}/stolen`;
  const one = forge();
  try {
    for (const status of [302, 308]) {
      const mend = hub.fault({ kind: { status, headers: { location } } });
      const words = new RegExp(
        `says to ask http://127\\.0\\.0\\.1:${port} instead, which is not done`,
      );
      await expect(one.check('plan', main)).rejects.toThrow(words);
      await expect(one.writeCheck(report(main))).rejects.toThrow(words);
      mend();
    }
    const loop = hub.fault({ kind: { status: 302, headers: { location: `${hub.api}/user` } } });
    await expect(one.check('plan', main)).rejects.toThrow(/leads from one address to another/);
    loop();
    expect(asked).toEqual([]);
    await one.writeCheck(report(main));
  } finally {
    other.close();
  }
});

test('a repository that is renamed is followed: nothing is lost, and it is said', async () => {
  const at = await world();
  const { hub, pull } = at;
  const { number, head } = await pull('topic');
  const one = await receiving(at);
  await one.writeCheck(report(head));
  expect(one.notice()).toBeNull();
  hub.rename('cluster-two');
  await one.writeCheck(report(head, { title: 'after' }));
  expect(hub.checks(head)).toMatchObject([{ output: { title: 'after' } }]);
  await one.writeComment({ pull: number, body: 'one', folded: false });
  click(at, head);
  await hub.settled();
  const { pulls, requests } = await one.look();
  expect(pulls).toMatchObject([{ number, fromFork: false }]);
  expect(requests).toMatchObject([{ action: 'approve', commit: head }]);
  expect(one.notice()).toContain('shop/cluster is shop/cluster-two on GitHub now');
  const other = at.forge();
  expect((await other.look()).pulls).toHaveLength(1);
  expect(other.notice()).toContain('repository: shop/cluster-two');
});

test('a repository that is deleted and made anew: its clicks count, and it is told all again', async () => {
  const at = await world();
  const { hub, pull } = at;
  const { number, head } = await pull('topic');
  const real = createClock();
  let ahead = 0;
  const clock = { ...real, now: () => real.now() + ahead };
  hub.hook('http://127.0.0.1:9/nobody'); // GitHub lists what it could not deliver
  const one = at.forge({}, clock);
  const look = async () => {
    ahead += 61_000;
    return one.look();
  };
  const say = async (pullNumber: number) => {
    await one.writeCheck(report(head));
    await one.writeComment({ pull: pullNumber, body: 'one', folded: false });
  };
  expect((await look()).pulls).toMatchObject([{ number }]);
  await say(number);
  expect(one.renewals?.()).toBe(0);
  hub.remake();
  const again = await hub.openPull({ head: 'topic', by: 'ada' });
  expect((await look()).pulls).toMatchObject([{ number: again.number, head }]);
  expect(one.renewals?.()).toBe(1);
  await say(again.number);
  expect(hub.checks(head)).toHaveLength(1);
  expect(hub.comments(again.number)).toHaveLength(1);
  click(at, head);
  await hub.settled();
  expect((await look()).requests).toMatchObject([{ action: 'approve', commit: head }]);
  expect(one.renewals?.()).toBe(1);
});
