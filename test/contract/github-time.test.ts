// Clocks that differ from GitHub's, and tokens that end with the hour: the edge of GitHub against
// the local GitHub. In: a hub whose clock is set. Out: tests. Not here: a token that is taken away
// (github-abuse).

import { afterEach, expect, test, vi } from 'vitest';
import { endWorlds, report, world } from '../support/github-edge.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endWorlds();
});

const MINUTE_MS = 60_000;
const sync = (commit: string, title: string) =>
  report(commit, { kind: 'sync', title, buttons: [] });

test.each([
  { where: 'ahead of', aheadMs: 5 * MINUTE_MS, far: /4m5\ds|5m/, tries: 2 },
  { where: 'behind', aheadMs: -3 * 60 * MINUTE_MS, far: /2h59m5\ds|3h/, tries: 2 },
  // A login is dated half a minute back, and GitHub allows a minute: these are taken as they are.
  { where: 'ahead of', aheadMs: 80_000, far: /1m(19|2\d)s/, tries: 1 },
  { where: 'behind', aheadMs: -90_000, far: /1m(2\d|30)s/, tries: 1 },
  { where: 'ahead of', aheadMs: 100_000, far: /1m(39|4\d)s/, tries: 2 },
])(
  "a clock $aheadMs ms $where GitHub's: logins are made by GitHub's, and it is said",
  async ({ where, aheadMs, far, tries }) => {
    const { hub, forge, main, git } = await world({ now: () => Date.now() - aheadMs });
    const one = forge();
    expect(one.notice()).toBeNull();
    await one.look();
    await one.writeCheck(sync(main, 'web 1/3'));
    await one.writeCheck(sync(main, 'web 2/3'));
    expect(hub.checks(main)).toMatchObject([{ output: { title: 'web 2/3' } }]);
    const login = new URL(hub.cloneUrl);
    Object.assign(login, { username: 'x-access-token', password: await one.token() });
    expect(await git('ls-remote', login.href, 'main')).toContain(main);
    expect(one.notice()).toContain(`${where} GitHub's`);
    expect(one.notice()).toMatch(far);
    expect(one.notice()).toContain('timedatectl');
    // Refused once, then made by GitHub's clock; the token serves for the rest.
    const logins = hub.requests().filter((line) => line.endsWith('/access_tokens'));
    expect(logins).toHaveLength(tries);
  },
);

test("a clock that agrees with GitHub's is no news", async () => {
  const { forge, main } = await world({ now: () => Date.now() - 3000 });
  const one = forge();
  await one.look();
  await one.writeCheck(sync(main, 'web 1/3'));
  expect(one.notice()).toBeNull();
});

test('a token is renewed before its hour is over; none of its requests is refused', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const { hub, forge, main } = await world();
  const one = forge();
  await one.writeCheck(sync(main, 'web 1/3'));
  const logins = () => hub.requests().filter((line) => line.endsWith('/access_tokens')).length;
  const first = await one.token();
  for (let minute = 5; minute <= 125; minute += 5) {
    vi.setSystemTime(Date.now() + 5 * MINUTE_MS);
    await one.writeCheck(sync(main, `web after ${minute} min`));
  }
  expect(hub.checks(main)).toMatchObject([{ output: { title: 'web after 125 min' } }]);
  expect(logins()).toBe(3);
  expect(await one.token()).not.toBe(first);
  const writes = hub.requests().filter((line) => line.startsWith('PATCH'));
  expect(writes).toHaveLength(25);
});
