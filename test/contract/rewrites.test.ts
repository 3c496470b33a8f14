// Branches that people rewrite, by real clones and pushes by force, under a policy of signatures and
// under owners: what is followed, and what status, sync check and log say of what is not
// (docs/SIGNATURES.md, docs/GITHUB.md). Not here: every way to sign and to merge (acceptance).

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { CLUSTER, GRACE, job, startRewriting, WEB, type Rewriting } from '../support/rewriting.ts';
import { signWith } from '../support/signing.ts';

let at: Rewriting;
afterEach(() => at?.close());

const EVIL = 'jobs/shop/evil.yaml';
const short = (commit: string): string => commit.slice(0, 12);
const resumeAt = (commit: string): string => `purser resume --at ${commit}`;

/** The branch stands there, by force. */
const reset = (commit: string): Promise<string> => {
  at.git('checkout', '--quiet', '--force', 'main');
  at.git('reset', '--quiet', '--hard', commit);
  return at.push();
};

const amend = (...sign: readonly string[]): Promise<string> => {
  at.git(...sign, 'commit', '--quiet', '--amend', '--message', 'Amended');
  return at.push();
};

/** As `git pull` makes it on a branch that began at `fork`: what stood on main comes second. */
const swapped = async (fork: string, tip: string): Promise<string> => {
  at.git('branch', '--force', 'theirs', tip);
  at.git('checkout', '--quiet', '-B', 'mine', fork);
  at.commit({ [EVIL]: job(66) });
  at.git('merge', '--quiet', '--no-ff', '--no-edit', 'theirs');
  if (at.hub === null) at.git('checkout', '--quiet', '-B', 'main', 'mine');
  return at.push();
};

/** A history that has nothing of what was there, and a server that keeps nothing of it either. */
const anew = async (files: Readonly<Record<string, string>>): Promise<string> => {
  at.git('checkout', '--quiet', '--orphan', 'anew');
  at.git('rm', '--quiet', '-r', '--force', '.');
  const head = at.commit(files);
  at.git('branch', '--quiet', '--force', '-M', 'anew', 'main');
  for (const name of ['mine', 'theirs']) {
    if (at.git('branch', '--list', name) !== '') at.git('branch', '--quiet', '-D', name);
  }
  await at.push();
  at.collect();
  return head;
};

const followed = async () => (await at.state()).view?.desired.commit.oid;

/** The policy, and two signed commits on top of it; all is followed. */
const signedBranch = async () => {
  const first = at.git('rev-parse', 'HEAD');
  const signer = await at.signer();
  const policy = at.commit({
    'cluster.yaml': `${CLUSTER}signatures: { verify: strict }\n`,
    'signers/allowed_signers': `ada@example.org ${at.ada.line}\n${signer}\n`,
  });
  const before = at.commit({ [WEB]: job(1) }, at.ada);
  await at.follows(
    await at
      .push()
      .then(() => at.commit({ [WEB]: job(2) }, at.ada))
      .then(at.push),
  );
  return { first, policy, before, tip: at.git('rev-parse', 'HEAD') };
};

test('signatures, on GitHub: what goes back is held, and said with cause and remedy', async () => {
  at = await startRewriting('remote');
  const { first, before, tip } = await signedBranch();
  await reset(before);
  const back = `goes back behind ${short(tip)}`;
  await at.says(`${short(before)} by ada`, back, resumeAt(before), 'git revert -S');
  await at.check(before, 'failure: Not accepted', back, resumeAt(before));
  expect(await followed()).toBe(tip);
  await reset(tip);
  await at.follows(tip);
  // It stands on the branch again: what was said of it is over.
  await at.check(before, 'cancelled: Superseded');

  const amended = await amend(...signWith(at.ada));
  await at.says(
    'the branch was rewritten',
    `${short(tip)} is no longer in main`,
    resumeAt(amended),
  );
  await at.check(amended, 'failure', 'the branch was rewritten', resumeAt(amended));
  await at.purser('resume', '--at', amended);
  await at.follows(amended);

  const merge = await swapped(first, amended);
  const [evil, kept] = at.git('rev-parse', `${merge}^1`, `${merge}^2`).split('\n');
  expect(kept).toBe(amended);
  await at.says(`${short(evil ?? '')} by ada`, 'is not signed', resumeAt(evil ?? ''));
  await at.check(merge, 'failure: Not accepted: it is not signed', resumeAt(merge));
  expect(await followed()).toBe(amended);

  // Neither server nor disk have what was accepted: the ledger knows that it asked for signatures.
  let other = '';
  await at.restart(async () => {
    rmSync(join(at.root, 'cache'), { recursive: true, maxRetries: 5 });
    other = await anew({ 'cluster.yaml': CLUSTER, [EVIL]: job(67) });
  });
  const lost = `commit ${short(amended)}, which was accepted last and asks for signatures, is not in`;
  await at.says(lost, 'git push --force', resumeAt(other));
  await at.check(other, 'failure', lost, resumeAt(other));
  await at.purser('resume', '--at', other);
  await at.follows(other);
}, 120_000);

test('signatures, on this machine: a clock that runs ahead, the policy, what Git threw away', async () => {
  at = await startRewriting('local');
  const { first, policy, tip } = await signedBranch();
  await reset(first);
  await at.says(`${short(first)} by ada`, `goes back behind ${short(tip)}`, resumeAt(first));
  expect(await followed()).toBe(tip);
  await reset(tip);
  await at.follows(tip);

  // Somebody's clock runs ahead; who amends that a moment later is older by the date alone.
  const ahead = at.commitAt(3600, { [WEB]: job(3) }, at.ada);
  await at.follows(ahead);
  const amended = await amend(...signWith(at.ada));
  await at.follows(amended);
  // Where nobody saw when it came its date counts; the message says from when on it does not.
  const late = at.commitAt(3600, { [WEB]: job(4) }, at.ada);
  await at.follows(late);
  await at.until('it is in sync', ({ view }) => view?.desired.lastSynced === late);
  await at.restart(() => undefined);
  await at.follows(late);
  at.git('reset', '--quiet', '--hard', late);
  await at.restart(() => amend(...signWith(at.ada)));
  const early = at.git('rev-parse', 'HEAD');
  const from = at.git('log', '-1', '--format=%cd', '--date=format-local:%Y-%m-%dT%H:%M:%SZ', late);
  const why = `leaves out ${short(late)}, which was accepted before, and is dated before it`;
  await at.says(why, `dated ${from} or later: \`git commit --amend -S\``, resumeAt(early));
  expect(await followed()).toBe(late);
  at.git('reset', '--quiet', '--hard', late);
  await at.follows(late);

  // Merge commit, rebase and squash, signed by a person; a revert of the policy, unsigned and signed.
  const ways = [
    ['merge', '--quiet', '--no-ff', '--no-edit', '-S'],
    ['cherry-pick', '-S'],
    ['merge', '--quiet', '--squash'],
  ];
  for (const [place, way] of ways.entries()) {
    at.git('checkout', '--quiet', '-B', 'topic', tip);
    at.commit({ [`jobs/shop/topic${place}.yaml`]: job(5) }, at.ada);
    at.git('checkout', '--quiet', 'main');
    at.git(...signWith(at.ada), ...way, 'topic');
    if (way.includes('--squash')) at.git(...signWith(at.ada), 'commit', '--quiet', '-m', 'Squash');
    await at.follows(at.git('rev-parse', 'HEAD'));
  }
  at.git('revert', '--no-edit', policy);
  const unsigned = await at.push();
  await at.says(`${short(unsigned)} by ada`, 'is not signed', resumeAt(unsigned));
  const on = at.git('rev-parse', 'HEAD^');
  const off = await amend(...signWith(at.ada));
  await at.follows(off);
  await at.follows(at.commit({ [WEB]: job(6) }));

  // Back to where it was on; then all of it is thrown away while nobody looks.
  await reset(on);
  await at.follows(on);
  await at.until('it is in sync', ({ view }) => view?.desired.lastSynced === on);
  let other = '';
  await at.restart(async () => {
    other = await anew({ 'cluster.yaml': CLUSTER, [EVIL]: job(67) });
  });
  await at.says(`${short(on)}, which was accepted last and asks for signatures`, resumeAt(other));
  await at.purser('resume', '--at', other);
  await at.follows(other);
}, 120_000);

/** Grace owns the jobs and the rules; her last change counts. */
const ownedBranch = async () => {
  const first = at.git('rev-parse', 'HEAD');
  const rules = `owners: |\n  /jobs/ ${GRACE}\n  /cluster.yaml ${GRACE}\n`;
  const own = 'guards: { own_approval: true }\n';
  at.commit({ 'cluster.yaml': `${CLUSTER}${own}${rules}` });
  await at.follows(await at.push());
  const before = at.commit({ [WEB]: job(1) });
  await at.follows(before);
  const tip = at.commitAs(GRACE, { [WEB]: job(2) });
  await at.follows(tip);
  await counts(tip, 'nothing is held', []);
  return { first, before, tip };
};

/** That commit is followed, and these files wait for their owner: as status and log say. */
const counts = async (commit: string, what: string, paths: readonly string[]): Promise<void> => {
  await at.follows(commit);
  const { view } = await at.until(what, ({ view: now }) => {
    const held = (now?.desired.heldFiles ?? []).map(({ path }) => path);
    const isKnown = now?.desired.heldFiles?.every(({ by }) => by !== '') ?? true;
    return isKnown && JSON.stringify(held) === JSON.stringify(paths);
  });
  const web = view?.desired.jobs.find(({ id }) => id === 'shop/web');
  expect(web?.standing.kind, 'web is there').toMatch(/head|held/);
  if (paths.length > 0) await at.says(`waits for an approval of ${GRACE}`, 'An owner approves it');
};

test('owners, on this machine: no rewrite brings anything past them', async () => {
  at = await startRewriting('local');
  const { first, before, tip } = await ownedBranch();
  await reset(before);
  await counts(before, 'the older content waits', [WEB]);
  await reset(tip);
  await counts(tip, 'what she wrote counts again', []);
  await reset(first);
  await counts(first, 'the rules wait too', ['cluster.yaml', WEB]);
  await reset(tip);
  await counts(tip, 'all counts again', []);

  // The ledger too: what it lacks then, such as what waits, nobody has taken back.
  const ledger = 'refs/purser/shop/ledger';
  await at.until('all is written down', ({ view }) => view?.desired.owed.length === 0);
  const [newest, older] = [at.git('rev-parse', ledger), at.git('rev-parse', `${ledger}~2`)];
  await at.restart(() => void at.git('update-ref', ledger, older));
  const why = `was set back: it stands at ${short(older)} and lacks ${short(newest)}`;
  await at.says(why, `git update-ref ${ledger} ${newest}`, `purser resume --ledger ${older}`);
  await at.purser('resume', '--ledger', older);
  await counts(tip, 'it goes on from there', []);

  const amended = await amend();
  await counts(amended, 'the same content needs nobody', []);
  const merge = await swapped(first, amended);
  await counts(merge, 'what the merge brings waits', [EVIL]);
  at.git('revert', '--no-edit', '-m', '2', merge);
  const undone = at.git('rev-parse', 'HEAD');
  await counts(undone, 'nothing waits', []);
  at.git('revert', '--no-edit', at.git('log', '-1', '--format=%H', '--', 'cluster.yaml'));
  const unruled = at.git('rev-parse', 'HEAD');
  await counts(unruled, 'the rules go on', ['cluster.yaml']);
  await reset(undone);
  await counts(undone, 'nothing waits any more', []);

  let other = '';
  await at.restart(async () => {
    other = await anew({ 'cluster.yaml': CLUSTER, [EVIL]: job(67) });
  });
  const lost = 'by whose owners files are judged, is not in the repository';
  await at.says(lost, 'git push --force', resumeAt(other));
  expect(await followed()).toBeUndefined();
  await at.purser('resume', '--at', other);
  await at.follows(other);
}, 120_000);
