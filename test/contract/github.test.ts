// The edge of GitHub against the local GitHub, which checks every request by GitHub's own
// description: checks, comments, deployments, clicks, comments of people, and what goes wrong.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { endWorlds, report, world } from '../support/github-edge.ts';

afterEach(endWorlds);

const remark = (line: number) => ({
  path: 'jobs/shop/web.yaml',
  startLine: line,
  endLine: line,
  level: 'warning' as const,
  title: `line ${line}`,
  message: 'too much',
});

test('one check of a commit and kind: made once, changed when it differs, found after a loss', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  expect(await one.check('plan', head)).toBeNull();
  await one.writeCheck(report(head, { status: 'queued', conclusion: null, buttons: [] }));
  await one.writeCheck(report(head));
  const writes = hub.writes().length;
  await one.writeCheck(report(head));
  const other = forge();
  expect(await other.check('plan', head)).toEqual(report(head));
  await other.writeCheck(report(head));
  await forge().writeCheck(report(head));
  expect(hub.writes()).toHaveLength(writes);
  await other.writeCheck(report(head, { conclusion: 'success', buttons: [] }));
  expect(hub.checks(head)).toHaveLength(1);
  expect(hub.checks(head)[0]).toMatchObject({ name: 'plan/test', conclusion: 'success' });
  await other.writeCheck(report(head, { kind: 'sync' }));
  expect(hub.checks(head).map(({ name }) => name)).toEqual(['plan/test', 'sync/test']);
});

test('that there is no check is asked once, and the one that is made then is found', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  const asked = () => hub.requests().filter((line) => /GET .*check-runs/.test(line)).length;
  const ahead = one.check('plan', head);
  await one.writeCheck(report(head));
  expect([await ahead, asked()]).toEqual([null, 1]);
  expect(await one.check('plan', head)).toEqual(report(head));
  await one.writeCheck(report(head, { title: 'b' }));
  expect(hub.checks(head)).toHaveLength(1);
});

test('two writers at once make one check', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  await Promise.all([one.writeCheck(report(head)), one.writeCheck(report(head, { title: 'b' }))]);
  expect(hub.checks(head)).toHaveLength(1);
});

test('annotations: fifty a request, none of them twice', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const annotations = Array.from({ length: 120 }, (_, index) => remark(index + 1));
  await forge().writeCheck(report(head, { annotations }));
  expect(hub.writes().filter(({ path }) => path.includes('check-runs'))).toHaveLength(3);
  const other = forge();
  expect((await other.check('plan', head))?.annotations).toHaveLength(120);
  await other.writeCheck(report(head, { title: 'c', annotations: [...annotations, remark(500)] }));
  expect((await forge().check('plan', head))?.annotations).toHaveLength(121);
});

test('titles of two-unit characters are cut between them, and taken', async () => {
  const { hub, forge, pull, main } = await world();
  const { head } = await pull('topic');
  const long = `x${'😀'.repeat(200)}`;
  const one = forge();
  const annotations = [{ ...remark(1), message: long.repeat(50) }];
  await one.writeCheck(report(head, { title: long, annotations }));
  const ask = { commit: main, environment: 'test', description: long, url: null };
  await one.writeDeployment({ ...ask, state: 'success' });
  const title = (await forge().check('plan', head))?.title ?? '';
  expect([/\p{Cs}/u.test(title), title.endsWith('😀…'), title.length]).toEqual([false, true, 254]);
  expect(JSON.stringify(hub.deployments())).toContain('😀…');
});

test('a list of many pages that grows between two looks is whole each time', async () => {
  const { hub, forge, pull } = await world();
  const { number } = await pull('topic');
  hub.comment(number, 'ada', '/purser plan');
  const one = forge();
  const asked = async () => (await one.look()).requests.map(({ by }) => by.login);
  for (let round = 0; round < 3; round += 1) {
    for (let index = 0; index < 110; index += 1) hub.comment(number, 'ada', `talk ${index}`);
    expect(await asked()).toEqual(['ada']);
  }
  hub.comment(number, 'ada', '/purser plan');
  expect(await asked()).toEqual(['ada', 'ada']);
});

test('a write that GitHub took and did not confirm makes no second check', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  const mend = hub.fault({ method: 'POST', path: /check-runs$/, times: 1, kind: { lost: true } });
  await expect(one.writeCheck(report(head))).rejects.toMatchObject({ consequence: 'retry' });
  mend();
  await one.writeCheck(report(head));
  expect(hub.checks(head)).toHaveLength(1);
});

test('one comment a pull request: edited in place, found again, folded, answered below', async () => {
  const { hub, forge, pull } = await world();
  const { number } = await pull('topic');
  for (let index = 0; index < 120; index += 1) hub.comment(number, 'ada', `talk ${index}`);
  hub.comment(number, 'mallory', '<!-- purser:test -->\nI am Purser');
  await forge().writeComment({ pull: number, body: 'one', folded: false });
  const other = forge();
  await other.writeComment({ pull: number, body: 'two', folded: false });
  await other.writeComment({ pull: number, body: 'two', folded: false });
  const ours = () => hub.comments(number).filter(({ app }) => app !== null);
  expect(ours()).toHaveLength(1);
  expect(ours()[0]?.body).toContain('two');
  await hub.closePull(number, 'ada');
  const third = forge();
  expect((await third.look()).pulls).toMatchObject([{ number, state: 'closed' }]);
  await third.writeComment({ pull: number, body: 'closed', folded: true });
  expect(ours()).toHaveLength(1);
  expect(ours()[0]).toMatchObject({ minimized: expect.anything() });
  expect((await third.look()).pulls).toEqual([]);
  expect((await forge().look()).pulls).toEqual([]);
});

test.each(['app', 'token'] as const)(
  'comments off (%s): none is made, one from before is folded once, closed pull requests are found',
  async (kind) => {
    const { hub, forge, pull, folder } = await world();
    writeFileSync(join(folder, 'token'), hub.person('ada').token);
    const token = { kind: 'token', tokenFile: join(folder, 'token') } as const;
    const login = kind === 'token' ? { credentials: token } : {};
    const [old, fresh] = [await pull('old'), await pull('fresh')];
    await forge(login).writeComment({ pull: old.number, body: 'one', folded: false });
    const off = forge({ ...login, comments: false });
    const waiting = report(fresh.head, { status: 'in_progress', conclusion: null, buttons: [] });
    await off.writeCheck(waiting);
    for (const body of ['two', 'three']) {
      for (const { number } of [old, fresh]) {
        await off.writeComment({ pull: number, body, folded: false });
      }
    }
    expect(hub.comments(fresh.number)).toEqual([]);
    expect(hub.comments(old.number)).toMatchObject([
      { body: expect.stringContaining('Comments of Purser are off'), minimized: expect.anything() },
    ]);
    const writes = hub.writes().length;
    await off.writeComment({ pull: old.number, body: 'four', folded: false });
    expect(hub.writes()).toHaveLength(writes);
    for (const { number } of [old, fresh]) await hub.closePull(number, 'ada');
    const later = forge({ ...login, comments: false });
    expect((await later.look()).pulls).toMatchObject([{ number: fresh.number, state: 'closed' }]);
    await later.writeCheck({ ...waiting, status: 'completed', conclusion: 'cancelled' });
    await later.writeComment({ pull: fresh.number, body: 'closed', folded: true });
    expect(hub.comments(fresh.number)).toEqual([]);
    expect((await later.look()).pulls).toEqual([]);
    expect((await forge({ ...login, comments: false }).look()).pulls).toEqual([]);
  },
);

test('a pull request that is closed again after it was opened again is told of again', async () => {
  const { hub, forge, pull } = await world();
  const { number } = await pull('topic');
  const one = forge();
  const say = (folded: boolean) => one.writeComment({ pull: number, body: `${folded}`, folded });
  await say(false);
  await say(true);
  await say(false);
  await hub.closePull(number, 'ada');
  expect((await one.look()).pulls).toMatchObject([{ number, state: 'closed' }]);
});

test('one that ended before it had a comment is told of by its check, but for a head of another', async () => {
  const { hub, forge, pull, git } = await world();
  const [lone, twin] = [await pull('lone'), await pull('twin')];
  await git('push', '-q', hub.pushUrl('ada'), `${twin.head}:refs/heads/again`);
  await hub.settled();
  await hub.openPull({ head: 'again', by: 'ada' });
  const one = forge();
  for (const { head } of [lone, twin]) await one.writeCheck(report(head));
  for (const { number } of [lone, twin]) await hub.closePull(number, 'ada');
  const closed = async () =>
    (await one.look()).pulls.filter(({ state }) => state === 'closed').map(({ number }) => number);
  expect(await closed()).toEqual([lone.number]);
  await one.writeCheck(report(lone.head, { conclusion: 'cancelled', buttons: [] }));
  await one.writeComment({ pull: lone.number, body: 'closed', folded: true });
  expect(await closed()).toEqual([]);
  expect(hub.comments(lone.number)).toEqual([]);
});

test('clicks that GitHub lists are not lost with a look that fails', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  hub.hook('http://127.0.0.1:9/nobody');
  await one.writeCheck(report(head));
  for (const by of ['ada', 'grace']) {
    hub.person(by, 'write');
    hub.click({ check: 'plan/test', commit: head, button: 'approve', by });
  }
  await hub.settled();
  const asked = () => one.look().then(({ requests }) => requests.map(({ by }) => by.login));
  // The first click comes with a look that fails at the second, that one with the next that fails.
  const [, second] = hub.deliveries().filter(({ action }) => action === 'requested_action');
  for (const path of [new RegExp(`deliveries/${second?.id}$`), /\/pulls/]) {
    const mend = hub.fault({ path, kind: { status: 422 } });
    await expect(asked()).rejects.toThrow();
    mend();
  }
  expect((await asked()).toSorted()).toEqual(['ada', 'grace']);
});

test('words to a comment that could not be written are written with the next look', async () => {
  const { hub, forge, pull } = await world();
  const { number, head } = await pull('topic');
  const one = forge();
  await one.writeCheck(report(head));
  await one.writeComment({ pull: number, body: 'ours', folded: false });
  hub.comment(number, 'ada', '/purser plan');
  const [request] = (await one.look()).requests;
  if (request === undefined) throw new Error('no request');
  const mend = hub.fault({ method: 'PATCH', path: /\/issues\/comments/, kind: { status: 403 } });
  await expect(one.answer(request, 'Planned again.', true)).rejects.toThrow();
  mend();
  const [again] = (await forge().look()).requests;
  expect(again?.id).toBe(request.id);
  await forge().answer(again ?? request, 'Planned again.', true);
  expect(hub.comments(number)[0]?.body).toContain('Planned again.');
  expect((await forge().look()).requests).toEqual([]);
});

test('a click: told once with what its sender may do, answered below the check, also after a loss', async () => {
  const { hub, forge, pull } = await world();
  const { number, head } = await pull('topic');
  const one = forge();
  hub.hook('http://127.0.0.1:9/nobody'); // GitHub lists what it could not deliver
  await one.writeCheck(report(head));
  hub.click({ check: 'plan/test', commit: head, button: 'approve', by: 'ada' });
  await hub.settled();
  const state = await one.look();
  expect(state.requests).toMatchObject([
    { kind: 'button', action: 'approve', permission: 'write', commit: head, pull: number },
  ]);
  const [request] = state.requests;
  if (request === undefined) throw new Error('no request');
  await one.answer(request, 'Approved: 3 copies may go.', true);
  expect((await one.look()).requests).toEqual([]);
  expect((await forge().look()).requests).toEqual([]);
  const summary = hub.checks(head)[0]?.output.summary ?? '';
  expect(summary).toContain('> **Approve**, asked by ada: Approved: 3 copies may go.');
  expect(await forge().check('plan', head)).toEqual(report(head));
  await forge().writeCheck(report(head, { summary: 'New.' }));
  expect(hub.checks(head)[0]?.output.summary).toContain('Approved: 3 copies may go.');
});

test('comments of people: commands with what they may do; ours by reaction; edited ones count not', async () => {
  const { hub, forge, pull } = await world();
  const { number, head } = await pull('topic');
  hub.person('eve', 'none');
  hub.comment(number, 'ada', 'I would say /purser approve');
  hub.comment(number, 'ada', '/purser approve'); // before any plan was shown
  const one = forge();
  await one.writeCheck(report(head));
  await new Promise((done) => setTimeout(done, 1100)); // GitHub's times are whole seconds
  hub.comment(number, 'eve', '/purser approve');
  hub.comment(number, 'ada', '/purser plan\nplease');
  const { requests } = await one.look();
  expect(
    requests.map(({ by, action, permission, commit }) => [by.login, action, permission, commit]),
  ).toEqual([
    ['ada', 'approve', 'write', '0'.repeat(40)],
    ['ada', 'plan', 'write', head],
    ['eve', 'approve', expect.stringMatching(/none|read/), head],
  ]);
  for (const request of requests) await one.answer(request, 'so it is', request.by.login === 'ada');
  expect((await forge().look()).requests).toEqual([]);
});

test('a button carries what its text shows; a comment counts for what stood there before it', async () => {
  const { hub, forge, pull } = await world();
  const { number, head } = await pull('topic');
  const showing = (covers: string) => {
    const [approve] = report(head).buttons;
    return report(head, approve === undefined ? {} : { buttons: [{ ...approve, covers }] });
  };
  const one = forge();
  hub.hook('http://127.0.0.1:9/nobody'); // GitHub lists what it could not deliver
  await one.writeCheck(showing('0123456789ab'));
  expect(await forge().check('plan', head)).toEqual(showing('0123456789ab'));
  await new Promise((done) => setTimeout(done, 1100)); // GitHub's times are whole seconds
  hub.comment(number, 'ada', '/purser approve');
  hub.click({ check: 'plan/test', commit: head, button: 'approve', by: 'ada' });
  await hub.settled();
  const [click, comment] = (await one.look()).requests.toSorted((a, b) =>
    a.kind < b.kind ? -1 : 1,
  );
  expect(click).toMatchObject({ kind: 'button', action: 'approve', covers: '0123456789ab' });
  expect(comment).toMatchObject({ kind: 'comment', action: 'approve', commit: head });
  const apart = (hub.comments(number)[0]?.createdAtMs ?? 0) - (comment?.at ?? 0);
  expect(Math.abs(apart)).toBeLessThan(1000);
  expect(Math.abs((one.epochMs?.() ?? 0) - Date.now())).toBeLessThan(5000);
  await new Promise((done) => setTimeout(done, 1100));
  await one.writeCheck(showing('ba9876543210'));
  const { requests } = await forge().look();
  expect(requests.map(({ kind, commit }) => [kind, commit])).toContainEqual([
    'comment',
    '0'.repeat(40),
  ]);
});

test('deployments: one of a commit, a status when it differs', async () => {
  const { hub, forge, main } = await world();
  const ask = { commit: main, environment: 'test', description: 'web 1/3', url: null };
  const one = forge();
  await one.writeDeployment({ ...ask, state: 'in_progress' });
  await one.writeDeployment({ ...ask, state: 'in_progress' });
  await forge().writeDeployment({ ...ask, state: 'in_progress' });
  await forge().writeDeployment({ ...ask, state: 'success' });
  expect(hub.deployments()).toHaveLength(1);
  expect(hub.writes().filter(({ path }) => path.includes('/statuses'))).toHaveLength(2);
  const url = 'https://shop.example';
  await forge().writeDeployment({ ...ask, state: 'success', url });
  await forge().writeDeployment({ ...ask, state: 'success', url });
  expect(hub.writes().filter(({ path }) => path.includes('/statuses'))).toHaveLength(3);
  expect(JSON.stringify(hub.deployments())).toContain('"environmentUrl":"https://shop.example"');
});

test('a deployment that succeeds ends the one that succeeded before it, also in `production`', async () => {
  const { hub, forge, main, pull } = await world();
  const { head } = await pull('topic');
  const ask = { environment: 'production', description: 'web 3/3', url: null };
  for (const commit of [main, head]) {
    await forge().writeDeployment({ ...ask, commit, state: 'success' });
  }
  const ends = hub.deployments().map(({ statuses }) => statuses.at(-1)?.state);
  expect(ends).toEqual(['inactive', 'success']);
});

test('pull requests: opened once a branch, merge groups, authors', async () => {
  const { hub, forge, pull, git } = await world();
  const { number, head } = await pull('topic', 'bob');
  const one = forge();
  const { pulls } = await one.look();
  expect(pulls).toMatchObject([{ number, head, fromFork: false, state: 'open' }]);
  expect((await one.authors(number)).map(({ login }) => login)).toContain('bob');
  const group = await hub.queue(number, 'ada');
  const other = forge();
  expect((await other.look()).groups).toEqual([
    { head: group.head, base: group.base, pull: number },
  ]);
  await git('checkout', '-qb', 'purser/revert');
  await git('commit', '-q', '--allow-empty', '-m', 'x');
  await git('push', '-q', hub.pushUrl('ada'), 'purser/revert');
  const ask = { branch: 'purser/revert', title: 'Revert', body: 'Because.' };
  const made = await one.openPull(ask);
  expect(await other.openPull(ask)).toBe(made);
  expect(await other.openPull({ ...ask, title: 'Again' })).toBe(made);
  expect(hub.pulls().filter(({ title }) => title === 'Again')).toHaveLength(1);
  await hub.closePull(made, 'ada');
  expect(await forge().openPull(ask)).toBe(made);
  expect(hub.pulls().filter(({ head }) => head.ref === 'purser/revert')).toHaveLength(1);
});

test('a pull request of our own that nobody needs is closed with its reason, once', async () => {
  const { hub, forge, git } = await world();
  await git('checkout', '-qb', 'purser/revert');
  await git('commit', '-q', '--allow-empty', '-m', 'x');
  await git('push', '-q', hub.pushUrl('ada'), 'purser/revert');
  const pull = await forge().openPull({ branch: 'purser/revert', title: 'Revert', body: 'Why.' });
  const ask = { pull, branch: 'purser/revert', words: 'Closed: done already.' };
  expect(await forge().branches('purser/re')).toEqual(['purser/revert']);
  expect(await forge().branches('purser/other')).toEqual([]);
  await forge().closePull(ask);
  await forge().closePull(ask);
  const closed = hub.pulls().find(({ number }) => number === pull);
  expect([closed?.state, closed?.body]).toEqual(['closed', 'Why.\n\n---\n\nClosed: done already.']);
  const refs = await git('ls-remote', hub.pushUrl('ada'), 'refs/heads/purser/*');
  expect(refs).toBe('');
  expect(await forge().branches('purser/')).toEqual([]);
  await forge().closePull({ ...ask, pull: null });
  hub.takeProblems();
});

test('without an App: statuses that are not written twice', async () => {
  const { hub, folder, forge, main } = await world();
  writeFileSync(join(folder, 'token'), `${hub.person('robot', 'write').token}\n`);
  const credentials = { kind: 'token' as const, tokenFile: join(folder, 'token') };
  const one = forge({ credentials });
  await one.writeCheck(report(main, { kind: 'sync', title: 'x'.repeat(200) }));
  await one.writeCheck(report(main, { kind: 'sync', title: 'x'.repeat(200) }));
  await forge({ credentials }).writeCheck(report(main, { kind: 'sync', title: 'x'.repeat(200) }));
  expect(hub.statuses(main)).toMatchObject([{ context: 'sync/test', state: 'failure' }]);
  expect(hub.statuses(main)[0]?.description).toHaveLength(140);
  expect(hub.checks()).toEqual([]);
});

test('a token that ends between two requests is made anew', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  await one.writeCheck(report(head));
  await new Promise((done) => setTimeout(done, 5100)); // octokit takes a 401 before for a delay
  hub.expireTokens();
  await one.writeCheck(report(head, { title: 'after' }));
  expect(hub.checks(head)[0]?.output.title).toBe('after');
});

test('what is missing is named, and where to grant it', async () => {
  const { hub, forge, pull, folder } = await world();
  const { head } = await pull('topic');
  hub.permit({ contents: 'write', pull_requests: 'write', metadata: 'read', checks: 'read' });
  const refused = await forge()
    .writeCheck(report(head))
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({ consequence: 'broken' });
  expect(String(refused)).toMatch(/lacks «Checks: Read and write»/);
  expect(String(refused)).toContain(`${hub.url}/shop/cluster/settings/installations`);
  writeFileSync(join(folder, 'key.pem'), 'nothing');
  await expect(forge().look()).rejects.toThrow(/holds no private key/);
  expect(String(refused)).not.toContain('ghs_');
});

test('limits: told until when, and nothing is asked before', async () => {
  const { hub, forge, pull } = await world();
  const { head } = await pull('topic');
  const one = forge();
  await one.look();
  hub.fault({ path: /check-runs/, times: 1, kind: { secondary: { retryAfterS: 60 } } });
  await expect(one.writeCheck(report(head))).rejects.toThrow(
    /asks to wait until \d\d:\d\d:\d\d UTC/,
  );
  const before = hub.requests().length;
  await expect(one.writeCheck(report(head))).rejects.toMatchObject({ consequence: 'retry' });
  expect(hub.requests()).toHaveLength(before);
  await forge().writeCheck(report(head));
  hub.fault({ path: /pulls/, times: 1, kind: { primary: { resetInS: 1800 } } });
  await expect(forge().look()).rejects.toThrow(/its limit of requests is reached/);
  hub.fault({ path: /pulls/, kind: { status: 502 } });
  await expect(forge().look()).rejects.toMatchObject({ consequence: 'retry', status: 502 });
});

test('what has not changed costs nothing of the rate', async () => {
  const { hub, forge, pull } = await world();
  await pull('topic');
  const one = forge({ webhook: null });
  await one.look();
  const before = hub.requests().length;
  await one.look();
  expect(hub.requests()).toHaveLength(before);
});

test('what is told in the middle of a look is in the next look', async () => {
  const { hub, folder, forge, pull } = await world();
  const webhook = { address: '127.0.0.1:0', path: '/w', secretFile: join(folder, 'secret') };
  const github = forge({ webhook });
  hub.hook(`http://${await github.listen()}/w`);
  expect((await github.look()).pulls).toEqual([]);
  hub.comment((await pull('one')).number, 'ada', 'wakes the edge');
  await hub.settled();
  const slow = hub.fault({
    method: 'GET',
    path: /matching-refs/,
    times: 1,
    kind: { slowMs: 1500 },
  });
  const asked = () => hub.requests().filter((line) => line.includes('matching-refs')).length;
  const before = asked();
  const look = github.look();
  while (asked() === before) await sleep(5); // this look has its list of pull requests by then
  await pull('two');
  await hub.settled();
  expect((await look).pulls).toHaveLength(1);
  expect((await github.look()).pulls).toHaveLength(2);
  slow();
});
