// Who is behind a change, by GitHub's own identities: authors, reviews, teams, and how a commit of
// the branch came there: squash, rebase, merge commit, direct push.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { PERMISSIONS as APP_PERMISSIONS } from '../../reconciler/edge/forge/permissions.ts';
import { endWorlds, world } from '../support/github-edge.ts';

afterEach(endWorlds);

const APP = { permissions: { ...APP_PERMISSIONS, members: 'read' } } as const;

/** grace and ada may write, mallory may read; grace and mallory are of the team. */
const shop = async () => {
  const made = await world({ app: APP });
  const { hub } = made;
  for (const login of ['ada', 'grace']) hub.person(login, 'write');
  hub.person('mallory', 'read');
  hub.team('shop/web', 'grace', 'mallory');
  const behind = (pull: number) => made.forge().behind({ kind: 'pull', pull }, ['@shop/web']);
  return { ...made, behind };
};

const names = (people: readonly { readonly name: string }[]) => people.map(({ name }) => name);

describe('a pull request', () => {
  test('is its opener’s and its commits’ authors’; an approval speaks for login and teams', async () => {
    const { hub, pull, behind } = await shop();
    const { number } = await pull('topic', 'ada');
    hub.review(number, 'grace', 'APPROVE');
    expect(await behind(number)).toEqual({
      authors: [
        { name: 'a@b', as: [] },
        { name: 'ada', as: ['@ada'] },
      ],
      approvals: [{ name: 'grace', as: ['@grace', '@shop/web'] }],
    });
  });

  test('only the newest word of each counts, for the newest commit, of who may write', async () => {
    const { hub, git, pull, behind } = await shop();
    const { number } = await pull('topic', 'ada');
    hub.review(number, 'mallory', 'APPROVE');
    expect(names((await behind(number)).approvals)).toEqual([]);
    const first = hub.review(number, 'grace', 'APPROVE');
    hub.review(number, 'grace', 'COMMENT');
    expect(names((await behind(number)).approvals)).toEqual(['grace']);
    hub.dismiss(first, 'ada');
    expect(names((await behind(number)).approvals)).toEqual([]);
    hub.review(number, 'grace', 'APPROVE');
    hub.review(number, 'grace', 'REQUEST_CHANGES');
    expect(names((await behind(number)).approvals)).toEqual([]);
    hub.review(number, 'grace', 'APPROVE');
    expect(names((await behind(number)).approvals)).toEqual(['grace']);
    await git('commit', '-q', '--allow-empty', '-m', 'more');
    await git('push', '-q', hub.pushUrl('ada'), 'topic');
    await hub.settled();
    expect(names((await behind(number)).approvals)).toEqual([]);
  });

  test('a team that cannot be asked about is named with the permission that lacks', async () => {
    const { hub, pull, behind } = await shop();
    const { number } = await pull('topic', 'ada');
    hub.permit(APP_PERMISSIONS);
    hub.review(number, 'grace', 'APPROVE');
    const { approvals, unread } = await behind(number);
    expect(approvals).toEqual([{ name: 'grace', as: ['@grace'] }]);
    expect(unread?.teams).toEqual(['@shop/web']);
    expect(unread?.why).toContain("Purser's GitHub App lacks «Members: Read-only» in shop/cluster");
    hub.takeProblems();
  });
});

describe('a commit of the branch', () => {
  test.each(['merge', 'squash', 'rebase'] as const)(
    '%s: its pull request says who wrote and approved it, not who pressed merge',
    async (method) => {
      const { hub, git, folder, main, forge } = await shop();
      await git('checkout', '-qb', 'topic', main);
      for (const name of ['one', 'two']) {
        writeFileSync(join(folder, 'work', name), name);
        await git('add', '.');
        await git('commit', '-qm', name);
      }
      await git('push', '-q', hub.pushUrl('ada'), 'topic');
      await hub.settled();
      const { number } = await hub.openPull({ head: 'topic', by: 'ada' });
      hub.review(number, 'grace', 'APPROVE');
      const last = await hub.merge({ pull: number, by: 'grace', method });
      await git('fetch', '-q', hub.cloneUrl, 'main');
      const parent = method === 'rebase' ? await git('rev-parse', `${last}^`) : last;
      for (const commit of [last, parent]) {
        const found = await forge().behind({ kind: 'commit', commit }, ['@shop/web']);
        expect(names(found.authors)).toContain('ada');
        expect(names(found.authors)).not.toContain('grace');
        expect(found.approvals).toEqual([{ name: 'grace', as: ['@grace', '@shop/web'] }]);
      }
    },
  );

  test('a push without a pull request is its author’s alone', async () => {
    const { hub, git, main, forge } = await shop();
    const email = hub.hub.accounts.get('grace')?.email ?? '';
    await git('checkout', '-qB', 'main', main);
    await git('commit', '-q', '--allow-empty', '-m', 'direct', `--author=Grace <${email}>`);
    await git('push', '-q', hub.pushUrl('ada'), 'main');
    await hub.settled();
    const commit = await git('rev-parse', 'HEAD');
    const found = await forge().behind({ kind: 'commit', commit }, []);
    const as = [email.toLowerCase(), '@grace'];
    // The committer is a stranger: whoever forges an author shows by it.
    expect(found.authors).toEqual([
      { name: 'a@b', as: [] },
      { name: 'grace', as },
    ]);
    expect(found.approvals).toEqual([]);
  });

  test('a push that bears a verified signature is its signer’s', async () => {
    const { hub, git, main, forge } = await shop();
    const email = hub.hub.accounts.get('grace')?.email ?? '';
    await git('checkout', '-qB', 'main', main);
    await git('commit', '-q', '--allow-empty', '-m', 'hers', `--author=Grace <${email}>`);
    await git('push', '-q', hub.pushUrl('ada'), 'main');
    await hub.settled();
    const commit = await git('rev-parse', 'HEAD');
    const of = (...signedBy: readonly string[]) =>
      forge().behind({ kind: 'commit', commit, signedBy }, []);
    expect((await of()).isUnproven).toBe(true);
    const forged = await of('mallory@example.org');
    expect(forged).toEqual({
      authors: [{ name: 'mallory@example.org', as: ['mallory@example.org'] }],
      approvals: [],
    });
    const hers = await of(email.toLowerCase());
    expect([names(hers.authors), hers.isUnproven]).toEqual([['a@b', 'grace'], undefined]);
    // A principal that is no address is nobody's; the commit's own address is no proof beside it.
    const named = await of('release-key');
    expect([named.authors, named.isUnproven]).toEqual([
      [{ name: 'release-key', as: ['release-key'] }],
      undefined,
    ]);
    // GitHub need not know the address that was verified.
    const own = ['-c', 'user.email=New@example.org'];
    await git(
      ...own,
      'commit',
      '-q',
      '--allow-empty',
      '-m',
      'new',
      '--author=New <New@example.org>',
    );
    await git('push', '-q', hub.pushUrl('ada'), 'main');
    await hub.settled();
    const next = await git('rev-parse', 'HEAD');
    const ask = { kind: 'commit', commit: next, signedBy: ['new@example.org'] } as const;
    expect((await forge().behind(ask, [])).authors).toEqual([
      { name: 'new@example.org', as: ['new@example.org'] },
    ]);
  });

  test('a merge that somebody made is his own, where it is not just the pull request', async () => {
    const { hub, git, main, pull, forge } = await shop();
    const { number, head } = await pull('topic', 'ada');
    hub.review(number, 'grace', 'APPROVE');
    await git('checkout', '-qB', 'main', main);
    await git('merge', '-q', '--no-ff', '-m', 'By hand', head);
    await git('push', '-q', hub.pushUrl('ada'), 'main');
    await hub.settled();
    const commit = await git('rev-parse', 'HEAD');
    const of = async (theirs: string, isExact: boolean) => {
      const ask = { kind: 'commit', commit, merge: { theirs, isExact } } as const;
      const { authors, approvals } = await forge().behind(ask, []);
      return [names(authors), names(approvals)];
    };
    expect(await of(head, true)).toEqual([['ada'], ['grace']]);
    expect(await of(head, false)).toEqual([['a@b'], []]);
    expect(await of(main, true)).toEqual([['a@b'], []]);
  });

  test('an account speaks for its owners where it may write', async () => {
    const { hub, forge } = await shop();
    const id = (login: string) => hub.hub.accounts.get(login)?.id ?? 0;
    const ask = (login: string) =>
      forge().behind({ kind: 'account', account: { login, id: id(login) } }, ['@shop/web']);
    expect((await ask('grace')).approvals).toEqual([
      { name: 'grace', as: ['@grace', '@shop/web'] },
    ]);
    expect((await ask('mallory')).approvals).toEqual([]);
  });
});
