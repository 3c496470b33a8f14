// What comes twice, late, from strangers, or when GitHub is unwell: the edge of GitHub against the
// local GitHub. In: real signed deliveries, faults. Out: tests. Not here: what all goes well
// (github), the receiver's own refusals (github-webhooks).

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
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
  await sleep(300);
  expect(wakes).toBeGreaterThan(before);
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
