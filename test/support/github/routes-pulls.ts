// Routes of pull requests: list, open, edit, merge; their comments, reactions and reviews.
// In: calls. Out: answers, changed records, webhooks. Not here: what a merge does (pulls.ts).

import type { Place } from './payloads.ts';
import { commentPayload, reviewPayload } from './payloads.ts';
import type { MergeMethod } from './pulls.ts';
import { closePull, commitsOf, filesOf, mergePull, openPull, reopenPull } from './pulls.ts';
import { sizeOf, tellPull, tryMerge } from './pulls.ts';
import { commentShape, pullShape, reviewShape, simplePullShape } from './shapes-pulls.ts';
import { commitShape, fileShape, nodeId, userShape } from './shapes.ts';
import type { Account, Answer, App, Call, Comment, Pull, Repo, Review } from './state.ts';
import type { Routes } from './state.ts';
import {
  HubError,
  actorOf,
  appOf,
  atLeast,
  findRepo,
  isoTime,
  list,
  notFound,
  ok,
} from './state.ts';
import { recordOf, repoOf, roleOf, textOf, unprocessable } from './state.ts';
import { tell } from './webhooks.ts';

/** GitHub's limit of a title, and of a body or comment. */
const TITLE_LIMIT = 256;
const BODY_LIMIT = 65_536;

const placeOf = (call: Call): Place => ({ hub: call.hub, repo: repoOf(call) });

const pullOf = (call: Call, key = 'pull_number'): Pull =>
  recordOf(repoOf(call).pulls, call.path[key]);

const commentOf = (call: Call): Comment => recordOf(repoOf(call).comments, call.path['comment_id']);

const whole = async (place: Place, pull: Pull): Promise<unknown> => {
  const mergeable = await tryMerge(place, pull);
  return pullShape(place, pull, { size: await sizeOf(place.repo, pull), mergeable });
};

/** `branch`, or `owner:branch` of a fork. */
const headOf = ({ hub, repo }: Place, text: string): { repo: Repo; ref: string } => {
  const [owner = '', ...rest] = text.split(':');
  if (rest.length === 0) return { repo, ref: text };
  const found = findRepo(hub, owner, repo.name);
  if (found === null) throw unprocessable('PullRequest', 'head', { code: 'invalid' });
  return { repo: found, ref: rest.join(':') };
};

const listPulls = (call: Call): Answer => {
  const { hub, query } = call;
  const repo = repoOf(call);
  const state = query.get('state') ?? 'open';
  const [base, head] = [query.get('base'), query.get('head')];
  const sort = query.get('sort') ?? 'created';
  const rising = (query.get('direction') ?? (query.has('sort') ? 'asc' : 'desc')) === 'asc';
  const found = [...repo.pulls.values()]
    .filter((pull) => state === 'all' || pull.state === state)
    .filter((pull) => base === null || pull.base.ref === base)
    .filter((pull) => head === null || head === `${pull.head.repo.owner.login}:${pull.head.ref}`)
    .toSorted((a, b) =>
      sort === 'updated'
        ? a.updatedAtMs - b.updatedAtMs || a.number - b.number
        : a.number - b.number,
    );
  const sorted = rising ? found : found.toReversed();
  return list(sorted.map((pull) => simplePullShape(hub, repo, pull)));
};

const tooLong = (resource: string, field: string, limit: number): HubError =>
  unprocessable(resource, field, {
    code: 'custom',
    message: `${field} is too long (maximum is ${limit} characters)`,
  });

const createPull = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const { title, body, head, base } = call.body;
  if (textOf(title).length > TITLE_LIMIT) throw tooLong('PullRequest', 'title', TITLE_LIMIT);
  if (textOf(body).length > BODY_LIMIT) throw tooLong('PullRequest', 'body', BODY_LIMIT);
  const ask = {
    title: textOf(title),
    body: typeof body === 'string' ? body : null,
    head: headOf(place, textOf(head)),
    base: textOf(base),
  };
  const pull = await openPull(place, ask, actorOf(call.caller));
  return ok(await whole(place, pull), 201);
};

const updatePull = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const pull = pullOf(call);
  const by = actorOf(call.caller);
  const { title, body, state } = call.body;
  if (textOf(title).length > TITLE_LIMIT) throw tooLong('PullRequest', 'title', TITLE_LIMIT);
  if (textOf(body).length > BODY_LIMIT) throw tooLong('PullRequest', 'body', BODY_LIMIT);
  if (typeof title === 'string') pull.title = title;
  if (typeof body === 'string') pull.body = body;
  pull.updatedAtMs = call.hub.now();
  if (state === 'closed' && pull.state === 'open') await closePull(place, pull, by);
  else if (state === 'open' && pull.state === 'closed') await reopenPull(place, pull, by);
  else await tellPull(place, pull, { action: 'edited', by });
  return ok(await whole(place, pull));
};

const merge = async (call: Call): Promise<Answer> => {
  const { merge_method: method, sha, commit_title: title, commit_message: message } = call.body;
  const merged = await mergePull(placeOf(call), pullOf(call), {
    method: (method ?? 'merge') as MergeMethod,
    by: actorOf(call.caller),
    ...(typeof sha === 'string' ? { sha } : {}),
    ...(typeof title === 'string' ? { title } : {}),
    ...(typeof message === 'string' ? { message } : {}),
  });
  return ok({ sha: merged, merged: true, message: 'Pull Request successfully merged' });
};

/** A comment by a person or an App; told to Apps. */
export const addComment = (
  place: Place,
  pull: Pull,
  ask: { readonly body: string; readonly by: Account; readonly app: App | null },
): Comment => {
  const { hub, repo } = place;
  if (ask.body.length > BODY_LIMIT) throw tooLong('IssueComment', 'body', BODY_LIMIT);
  const nowMs = hub.now();
  const comment: Comment = {
    id: hub.nextId(),
    issue: pull.number,
    author: ask.by,
    app: ask.app,
    body: ask.body,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    minimized: null,
    reactions: [],
  };
  repo.comments.set(comment.id, comment);
  pull.updatedAtMs = nowMs;
  tellComment(place, comment, 'created', ask.by);
  return comment;
};

const tellComment = (
  place: Place,
  comment: Comment,
  action: 'created' | 'edited' | 'deleted',
  by: Account,
): void => {
  const pull = recordOf(place.repo.pulls, String(comment.issue));
  const payload = commentPayload(place, comment, { action, pull });
  tell(place, 'issue_comment', { payload, sender: by });
};

/** Its author, its App, or people with write access. */
const mayEdit = (call: Call, comment: Comment): void => {
  const { caller } = call;
  if (caller.kind === 'installation' && caller.installation.app === comment.app) return;
  if (caller.kind === 'user') {
    if (caller.account === comment.author) return;
    if (atLeast(roleOf(repoOf(call), caller.account), 'write')) return;
  }
  throw new HubError(403, { message: 'Must have admin rights to Repository.', status: '403' });
};

const editComment = (call: Call): Answer => {
  const comment = commentOf(call);
  mayEdit(call, comment);
  const body = textOf(call.body['body']);
  if (body.length > BODY_LIMIT) throw tooLong('IssueComment', 'body', BODY_LIMIT);
  comment.body = body;
  comment.updatedAtMs = call.hub.now();
  tellComment(placeOf(call), comment, 'edited', actorOf(call.caller));
  return ok(commentShape(call.hub, repoOf(call), comment));
};

/** `since` counts the last change, as GitHub does. */
const listComments = (call: Call, comments: readonly Comment[]): Answer => {
  const since = Date.parse(call.query.get('since') ?? '');
  const found = comments.filter((each) => Number.isNaN(since) || each.updatedAtMs >= since);
  return list(found.map((each) => commentShape(call.hub, repoOf(call), each)));
};

const allComments = (call: Call): Answer => {
  const { query } = call;
  const key = query.get('sort') === 'updated' ? 'updatedAtMs' : 'createdAtMs';
  const found = [...repoOf(call).comments.values()].toSorted((a, b) => a[key] - b[key]);
  return listComments(call, query.get('direction') === 'desc' ? found.toReversed() : found);
};

const reactionShape = (call: Call, reaction: Comment['reactions'][number]) => ({
  id: reaction.id,
  node_id: nodeId('Reaction', reaction.id),
  user: userShape(call.hub, reaction.by),
  content: reaction.content,
  created_at: isoTime(call.hub.now()),
});

const react = (call: Call): Answer => {
  const comment = commentOf(call);
  const by = actorOf(call.caller);
  const content = textOf(call.body['content']);
  const old = comment.reactions.find((each) => each.content === content && each.by.id === by.id);
  if (old !== undefined) return ok(reactionShape(call, old), 200);
  const reaction = { id: call.hub.nextId(), content, by };
  comment.reactions.push(reaction);
  return ok(reactionShape(call, reaction), 201);
};

const STATES = {
  APPROVE: 'APPROVED',
  REQUEST_CHANGES: 'CHANGES_REQUESTED',
  COMMENT: 'COMMENTED',
} as const;

export const addReview = (
  place: Place,
  pull: Pull,
  ask: { readonly event: keyof typeof STATES; readonly body: string; readonly by: Account },
): Review => {
  const { hub, repo } = place;
  if (ask.event === 'APPROVE' && ask.by.id === pull.author.id) {
    throw new HubError(422, {
      message: 'Unprocessable Entity',
      errors: ['Review Can not approve your own pull request'],
      status: '422',
    });
  }
  const review: Review = {
    id: hub.nextId(),
    pull: pull.number,
    author: ask.by,
    state: STATES[ask.event],
    body: ask.body,
    commit: pull.head.sha,
    atMs: hub.now(),
  };
  repo.reviews.push(review);
  const payload = reviewPayload(place, review, pull);
  tell(place, 'pull_request_review', { payload, sender: ask.by });
  return review;
};

/** By people with write access; it counts for nothing from then on. */
export const dismissReview = (
  place: Place,
  pull: Pull,
  { review, by }: { readonly review: Review; readonly by: Account },
): void => {
  review.state = 'DISMISSED';
  const payload = { ...reviewPayload(place, review, pull), action: 'dismissed' };
  tell(place, 'pull_request_review', { payload, sender: by });
};

const createReview = (call: Call): Answer => {
  const event = call.body['event'];
  const review = addReview(placeOf(call), pullOf(call), {
    event: event === 'APPROVE' || event === 'REQUEST_CHANGES' ? event : 'COMMENT',
    body: textOf(call.body['body']),
    by: actorOf(call.caller),
  });
  return ok(reviewShape(call.hub, repoOf(call), review));
};

export const pullRoutes: Routes = {
  'GET /repos/{owner}/{repo}/pulls': listPulls,
  'POST /repos/{owner}/{repo}/pulls': createPull,
  'GET /repos/{owner}/{repo}/pulls/{pull_number}': async (call) =>
    ok(await whole(placeOf(call), pullOf(call))),
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': updatePull,
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits': async (call) => {
    const repo = repoOf(call);
    const commits = await commitsOf(repo, pullOf(call));
    return list(commits.map((commit) => commitShape(call.hub, repo, commit)));
  },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/files': async (call) => {
    const place = placeOf(call);
    const pull = pullOf(call);
    // GitHub lists at most 3,000 files.
    const files = (await filesOf(place.repo, pull)).slice(0, 3000);
    return list(files.map((file) => fileShape(place, file, pull.head.sha)));
  },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/merge': (call) => ({
    kind: 'one',
    status: pullOf(call).merged === null ? 404 : 204,
  }),
  'PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge': merge,
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews': (call) => {
    const repo = repoOf(call);
    const { number } = pullOf(call);
    const found = repo.reviews.filter(({ pull }) => pull === number);
    return list(found.map((review) => reviewShape(call.hub, repo, review)));
  },
  'POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews': createReview,
  'PUT /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals': (call) => {
    const review = repoOf(call).reviews.find(({ id }) => id === Number(call.path['review_id']));
    if (review === undefined) throw notFound();
    dismissReview(placeOf(call), pullOf(call), { review, by: actorOf(call.caller) });
    return ok(reviewShape(call.hub, repoOf(call), review));
  },
  'GET /repos/{owner}/{repo}/issues/comments': allComments,
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) =>
    ok(commentShape(call.hub, repoOf(call), commentOf(call))),
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': editComment,
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) => {
    const comment = commentOf(call);
    mayEdit(call, comment);
    repoOf(call).comments.delete(comment.id);
    tellComment(placeOf(call), comment, 'deleted', actorOf(call.caller));
    return { kind: 'one', status: 204 };
  },
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': (call) => {
    const { number } = pullOf(call, 'issue_number');
    const all = [...repoOf(call).comments.values()];
    return listComments(
      call,
      all.filter(({ issue }) => issue === number),
    );
  },
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': (call) => {
    const comment = addComment(placeOf(call), pullOf(call, 'issue_number'), {
      body: textOf(call.body['body']),
      by: actorOf(call.caller),
      app: appOf(call.caller),
    });
    return ok(commentShape(call.hub, repoOf(call), comment), 201);
  },
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': (call) => {
    const content = call.query.get('content');
    const found = commentOf(call).reactions.filter(
      (each) => content === null || each.content === content,
    );
    return list(found.map((each) => reactionShape(call, each)));
  },
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': react,
};
