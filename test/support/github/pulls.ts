// What happens to pull requests: opened, pushed to, merged three ways, closed; and what a change
// of refs means for them.
// In: records and refs. Out: changed records, refs/pull/N/head, webhooks.
// Not here: who may do it (routes-pulls.ts, access.ts).

import { commitOf, commitTree, filesBetween, gitIn, isAncestor, logOf } from './git.ts';
import { mergeBase, mergedTree, moveRef, readRefs, rebased } from './git.ts';
import type { Place, PullAction, Push, PushedCommit } from './payloads.ts';
import { pullPayload, pushPayload, suitePayload } from './payloads.ts';
import type { Mergeable, PullSize } from './shapes-pulls.ts';
import type { Account, Pull, Repo, Suite } from './state.ts';
import { HubError, fullName, reaches, unprocessable } from './state.ts';
import { tell } from './webhooks.ts';

export type MergeMethod = 'merge' | 'squash' | 'rebase';

/** Changes of a repository's refs, one after the other; pushes and merges are told afterwards. */
export const changingRefs = async <T>(
  { hub, repo }: Place,
  by: Account,
  change: () => Promise<T>,
): Promise<T> => {
  const work = repo.queue.then(async () => {
    const before = await readRefs(repo.folder);
    const result = await change();
    await refsChanged({ hub, repo }, before, by);
    return result;
  });
  repo.queue = work.catch(() => undefined);
  return work;
};

const refsChanged = async (
  place: Place,
  before: ReadonlyMap<string, string>,
  by: Account,
): Promise<void> => {
  const { hub, repo } = place;
  const after = await readRefs(repo.folder);
  for (const ref of new Set([...before.keys(), ...after.keys()])) {
    const [from, to] = [before.get(ref) ?? null, after.get(ref) ?? null];
    if (from === to || !/^refs\/(heads|tags)\//.test(ref)) continue;
    repo.pushedAtMs = hub.now();
    const push = await pushOf(repo, ref, { from, to });
    tell(place, 'push', { payload: pushPayload(place, push, by), sender: by });
    if (!ref.startsWith('refs/heads/')) continue;
    const branch = ref.slice('refs/heads/'.length);
    if (to !== null) await openSuites(place, { sha: to, branch, before: from }, by);
    await branchMoved(place, { branch, from, to }, by);
  }
};

/** GitHub tells of at most so many commits. */
const COMMITS_LIMIT = 2048;

const pushOf = async (
  repo: Repo,
  ref: string,
  { from, to }: { readonly from: string | null; readonly to: string | null },
): Promise<Push> => {
  const forced = from !== null && to !== null && !(await isAncestor(repo.folder, from, to));
  const base =
    ref === `refs/heads/${repo.defaultBranch}` ? null : `refs/heads/${repo.defaultBranch}`;
  const range = from !== null ? [`^${from}`] : base === null ? [] : [`^${base}`];
  const commits =
    to === null
      ? []
      : await logOf(repo.folder, '--reverse', `--max-count=${COMMITS_LIMIT}`, to, ...range);
  const pushed = await Promise.all(commits.map((commit) => withFiles(repo, commit)));
  const head = to === null ? null : await withFiles(repo, await commitOf(repo.folder, to));
  return { ref, before: from, after: to, forced, commits: pushed, head };
};

const withFiles = async (repo: Repo, commit: PushedCommit['commit']): Promise<PushedCommit> => {
  const parent = commit.parents[0] ?? null;
  const args = ['diff-tree', '-r', '--root', '--no-renames', '--no-commit-id', '--name-status'];
  const range = parent === null ? [commit.sha] : [parent, commit.sha];
  const lines = (await gitIn(repo.folder, [...args, '-z', ...range])).split('\0');
  const files = { added: [] as string[], removed: [] as string[], modified: [] as string[] };
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const kind = lines[at] === 'A' ? 'added' : lines[at] === 'D' ? 'removed' : 'modified';
    files[kind].push(lines[at + 1] ?? '');
  }
  return { commit, ...files };
};

/** A pushed head gets a suite of each App that may write checks. */
const openSuites = async (
  place: Place,
  at: { readonly sha: string; readonly branch: string; readonly before: string | null },
  by: Account,
): Promise<void> => {
  const { hub, repo } = place;
  for (const installation of hub.installations) {
    const { app } = installation;
    if (!reaches(installation, repo) || app.permissions['checks'] !== 'write') continue;
    if ([...repo.suites.values()].some((each) => each.app === app && each.sha === at.sha)) continue;
    const nowMs = hub.now();
    const suite: Suite = {
      id: hub.nextId(),
      app,
      ...at,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      status: 'queued',
      conclusion: null,
    };
    repo.suites.set(suite.id, suite);
    const commit = await commitOf(repo.folder, at.sha);
    const payload = suitePayload(place, suite, { action: 'requested', commit });
    tell(place, 'check_suite', { payload, sender: by, only: app });
  }
};

/** Pull requests from this branch and onto it. */
const branchMoved = async (
  place: Place,
  { branch, from, to }: { branch: string; from: string | null; to: string | null },
  by: Account,
): Promise<void> => {
  const { hub, repo } = place;
  for (const base of hub.repos.values()) {
    for (const pull of base.pulls.values()) {
      if (pull.state !== 'open') continue;
      const there = { hub, repo: base };
      if (pull.head.repo === repo && pull.head.ref === branch)
        await headMoved(there, pull, { to, by });
      if (base === repo && pull.base.ref === branch && to !== null)
        await baseMoved(there, pull, { to, by });
    }
  }
  if (hub.pullsByPush && from === null && to !== null && branch !== repo.defaultBranch) {
    const { message } = await commitOf(repo.folder, to);
    const [title = '', ...body] = message.split('\n');
    const side = { head: { repo, ref: branch }, base: repo.defaultBranch };
    // A branch without commits of its own is no pull request yet.
    await openPull(place, { title, body: body.join('\n').trim(), ...side }, by).catch(
      () => undefined,
    );
  }
};

const headMoved = async (
  place: Place,
  pull: Pull,
  { to, by }: { readonly to: string | null; readonly by: Account },
): Promise<void> => {
  if (to === null) return closePull(place, pull, by);
  const before = pull.head.sha;
  pull.head.sha = to;
  pull.updatedAtMs = place.hub.now();
  await keepHead(place.repo, pull);
  await tellPull(place, pull, { action: 'synchronize', by, before });
};

const baseMoved = async (
  place: Place,
  pull: Pull,
  { to, by }: { readonly to: string; readonly by: Account },
): Promise<void> => {
  pull.base.sha = to;
  // Its commits have landed: GitHub calls that merged, whoever pushed them.
  if (!(await isAncestor(place.repo.folder, pull.head.sha, to))) return;
  pull.merged = { sha: to, by, atMs: place.hub.now() };
  await closePull(place, pull, by);
};

/** `refs/pull/N/head` in the base's repository, with the objects of a fork's branch. */
const keepHead = async (repo: Repo, pull: Pull): Promise<void> => {
  const ref = `refs/pull/${pull.number}/head`;
  if (pull.head.repo !== repo) {
    await gitIn(repo.folder, [
      'fetch',
      '--quiet',
      pull.head.repo.folder,
      `+${pull.head.sha}:${ref}`,
    ]);
  } else await gitIn(repo.folder, ['update-ref', ref, pull.head.sha]);
};

export interface PullAsk {
  readonly title: string;
  readonly body: string | null;
  readonly head: { readonly repo: Repo; readonly ref: string };
  readonly base: string;
  readonly draft?: boolean;
}

/** Throws 422 as GitHub does: no such branch, nothing between them, one is open already. */
export const openPull = async (place: Place, ask: PullAsk, by: Account): Promise<Pull> => {
  const { hub, repo } = place;
  const { head, base } = ask;
  const headSha = (await readRefs(head.repo.folder)).get(`refs/heads/${head.ref}`);
  const baseSha = (await readRefs(repo.folder)).get(`refs/heads/${base}`);
  if (headSha === undefined) throw unprocessable('PullRequest', 'head', { code: 'invalid' });
  if (baseSha === undefined) throw unprocessable('PullRequest', 'base', { code: 'invalid' });
  const custom = (message: string): HubError =>
    unprocessable('PullRequest', 'base', { code: 'custom', message });
  for (const pull of repo.pulls.values()) {
    if (pull.state !== 'open' || pull.head.repo !== head.repo) continue;
    if (pull.head.ref !== head.ref || pull.base.ref !== base) continue;
    throw custom(`A pull request already exists for ${head.repo.owner.login}:${head.ref}.`);
  }
  const nowMs = hub.now();
  const pull: Pull = {
    id: hub.nextId(),
    number: repo.nextNumber,
    title: ask.title,
    body: ask.body,
    author: by,
    state: 'open',
    draft: ask.draft ?? false,
    base: { ref: base, sha: baseSha },
    head: { repo: head.repo, ref: head.ref, sha: headSha },
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    closedAtMs: null,
    merged: null,
    trial: null,
  };
  await keepHead(repo, pull);
  if (await isAncestor(repo.folder, headSha, baseSha)) {
    await gitIn(repo.folder, ['update-ref', '-d', `refs/pull/${pull.number}/head`]);
    throw custom(`No commits between ${base} and ${head.ref}`);
  }
  repo.nextNumber += 1;
  repo.pulls.set(pull.number, pull);
  await tellPull(place, pull, { action: 'opened', by });
  return pull;
};

export const closePull = async (place: Place, pull: Pull, by: Account): Promise<void> => {
  pull.state = 'closed';
  pull.closedAtMs = pull.updatedAtMs = place.hub.now();
  await tellPull(place, pull, { action: 'closed', by });
};

export const reopenPull = async (place: Place, pull: Pull, by: Account): Promise<void> => {
  const why = { code: 'invalid', message: 'state cannot be changed.' };
  if (pull.merged !== null) throw unprocessable('PullRequest', 'state', why);
  pull.state = 'open';
  pull.closedAtMs = null;
  pull.updatedAtMs = place.hub.now();
  await tellPull(place, pull, { action: 'reopened', by });
};

export const tellPull = async (
  place: Place,
  pull: Pull,
  what: {
    readonly action: PullAction;
    readonly by: Account;
    readonly before?: string;
  },
): Promise<void> => {
  const size = await sizeOf(place.repo, pull);
  // As on GitHub, nobody has tried to merge it yet when this is told.
  const payload = pullPayload(place, pull, { ...what, size, mergeable: 'unknown' });
  tell(place, 'pull_request', { payload, sender: what.by });
};

export const filesOf = async (repo: Repo, pull: Pull) => {
  const base = await mergeBase(repo.folder, pull.base.sha, pull.head.sha);
  return filesBetween(repo.folder, base, pull.head.sha);
};

/** Oldest first; GitHub shows at most 250. */
export const commitsOf = (repo: Repo, pull: Pull) =>
  logOf(repo.folder, '--reverse', '--max-count=250', pull.head.sha, `^${pull.base.sha}`);

export const sizeOf = async (repo: Repo, pull: Pull): Promise<PullSize> => {
  const base = await mergeBase(repo.folder, pull.base.sha, pull.head.sha);
  const range = [base ?? pull.base.sha, pull.head.sha];
  const [numbers, count] = await Promise.all([
    gitIn(repo.folder, ['diff', '--numstat', '--no-renames', ...range, '--']),
    gitIn(repo.folder, ['rev-list', '--count', pull.head.sha, `^${pull.base.sha}`]),
  ]);
  const lines = numbers.split('\n').filter((line) => line !== '');
  const sum = (at: number): number =>
    lines.reduce((all, line) => all + (Number(line.split('\t')[at]) || 0), 0);
  return {
    commits: Number(count),
    additions: sum(0),
    deletions: sum(1),
    files: lines.length,
  };
};

/** Whether it merges, tried once for each pair of commits; `refs/pull/N/merge` shows the result. */
export const tryMerge = async ({ hub, repo }: Place, pull: Pull): Promise<Mergeable> => {
  if (pull.state !== 'open') return 'unknown';
  const key = `${pull.base.sha} ${pull.head.sha}`;
  if (pull.trial?.key !== key) {
    const tree = await mergedTree(repo.folder, pull.base.sha, pull.head.sha);
    const parents = [pull.base.sha, pull.head.sha];
    const message = `Merge ${pull.head.sha} into ${pull.base.sha}`;
    const sha =
      tree === null ? null : await commitTree(repo.folder, { tree, parents, message }, pull.author);
    const ref = `refs/pull/${pull.number}/merge`;
    if (sha !== null) await gitIn(repo.folder, ['update-ref', ref, sha]);
    pull.trial = { key, sha };
  }
  if (pull.trial.sha === null) return 'dirty';
  return missingChecks({ hub, repo }, pull).length === 0 ? 'clean' : 'blocked';
};

/** Required checks that the head has not passed; `skipped` and `neutral` pass, as on GitHub. */
export const missingChecks = ({ repo }: Place, pull: Pull): readonly string[] => {
  const passed = new Set(['success', 'neutral', 'skipped']);
  const isThere = (name: string): boolean => {
    const run = [...repo.checks.values()]
      .filter((each) => each.name === name && each.sha === pull.head.sha)
      .at(-1);
    if (run !== undefined) return passed.has(run.conclusion ?? '');
    const at = repo.statuses.filter((each) => each.context === name && each.sha === pull.head.sha);
    return at.at(-1)?.state === 'success';
  };
  return repo.protections
    .filter(({ branch }) => branch === pull.base.ref)
    .flatMap(({ requiredChecks }) => requiredChecks)
    .filter((name) => !isThere(name));
};

/** Throws 405 where it may not be merged, 409 where the head is another by now. */
export const mergePull = async (
  place: Place,
  pull: Pull,
  ask: {
    readonly method: MergeMethod;
    readonly by: Account;
    readonly sha?: string;
    readonly title?: string;
    readonly message?: string;
  },
): Promise<string> => {
  const { hub, repo } = place;
  const refuse = (status: number, message: string): HubError =>
    new HubError(status, { message, status: String(status) });
  if (ask.sha !== undefined && ask.sha !== pull.head.sha) {
    throw refuse(409, 'Head branch was modified. Review and try the merge again.');
  }
  const able = await tryMerge(place, pull);
  if (able === 'blocked') {
    const [first] = missingChecks(place, pull);
    throw refuse(405, `Required status check "${first}" is expected.`);
  }
  if (able !== 'clean') throw refuse(405, 'Pull Request is not mergeable');
  const from = pull.base.sha;
  return changingRefs(place, ask.by, async () => {
    const sha = await mergeCommit(repo, pull, ask);
    if (sha === null) throw refuse(405, 'This branch can’t be rebased');
    pull.merged = { sha, by: ask.by, atMs: hub.now() };
    await moveRef(repo.folder, `refs/heads/${pull.base.ref}`, { old: from, to: sha }).catch(() => {
      pull.merged = null;
      throw refuse(409, 'Base branch was modified. Review and try the merge again.');
    });
    pull.base.sha = from;
    await closePull(place, pull, ask.by);
    return sha;
  });
};

const mergeCommit = async (
  repo: Repo,
  pull: Pull,
  ask: { readonly method: MergeMethod; readonly by: Account; title?: string; message?: string },
): Promise<string | null> => {
  const base = pull.base.sha;
  if (ask.method === 'rebase') return rebased(repo.folder, base, pull.head.sha);
  const tree = await mergedTree(repo.folder, base, pull.head.sha);
  if (tree === null) return null;
  if (ask.method === 'squash') {
    const title = ask.title ?? `${pull.title} (#${pull.number})`;
    const message = [title, ask.message ?? pull.body ?? ''].join('\n\n').trim();
    return commitTree(repo.folder, { tree, parents: [base], message }, pull.author);
  }
  const source = `${fullName(pull.head.repo).split('/')[0]}/${pull.head.ref}`;
  const title = ask.title ?? `Merge pull request #${pull.number} from ${source}`;
  const message = [title, ask.message ?? pull.title].join('\n\n').trim();
  return commitTree(repo.folder, { tree, parents: [base, pull.head.sha], message }, ask.by);
};
