// Web pages of the local GitHub: what people see and press there. Plain HTML without scripts.
// In: http requests that are neither Git's nor the API's. Out: pages; forms that do what the pages
// say, as the person chosen in them. Not here: how things look in detail (page-parts.ts).

import type http from 'node:http';
import { appPage, isManifestPost } from './app-pages.ts';
import { commitOf, filesBetween, logOf } from './git.ts';
import type { Safe } from './html.ts';
import { markup } from './html.ts';
import { checkBox, commentBox, fileBox, layout, pullRow, whoBox } from './page-parts.ts';
import { commitRow, deploymentRow } from './page-parts.ts';
import type { MergeMethod } from './pulls.ts';
import { closePull, filesOf, commitsOf, mergePull, missingChecks, reopenPull } from './pulls.ts';
import { tryMerge } from './pulls.ts';
import { readBody } from './rest.ts';
import { askAgain, pressButton } from './routes-checks.ts';
import { addComment, addReview } from './routes-pulls.ts';
import { resolveCommit } from './git.ts';
import type { Account, CheckRun, Hub, Pull, Repo } from './state.ts';
import { HubError, findRepo, fullName, notFound, recordOf, roleOf, textOf } from './state.ts';
import { atLeast } from './state.ts';

/** What a form does; then the browser goes to the returned address. */
type Act = (ask: Ask) => Promise<string> | string;
type Page = (ask: Ask) => Promise<Safe> | Safe;

interface Ask {
  readonly hub: Hub;
  readonly repo: Repo;
  readonly id: string;
  readonly form: URLSearchParams;
  /** Chosen in the form, or last time. */
  readonly by: Account;
}

export const createPages = (hub: Hub): http.RequestListener => {
  return (request, response) => {
    serve(hub, request, response).catch((error: unknown) => {
      const status = error instanceof HubError ? error.status : 500;
      if (status === 500) hub.problems.push(`${request.url}: ${String(error)}`);
      const words = error instanceof HubError ? error.message : 'Something went wrong.';
      send(
        response,
        status,
        layout(
          'Error',
          markup`<h1>${String(status)}</h1>
            <p>${words}</p>`,
        ),
      );
    });
  };
};

const send = (response: http.ServerResponse, status: number, page: Safe): void => {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    // Whatever got into a page against the rules above does nothing there.
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  response.end(page.safe);
};

const serve = async (
  hub: Hub,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> => {
  const url = new URL(request.url ?? '/', hub.web);
  const cookie = /(?:^|;\s*)as=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? null;
  if (request.method === 'POST') {
    const { origin } = request.headers;
    const isOurs = origin === undefined || origin === 'null' || origin === hub.web;
    if (!isOurs && !isManifestPost(url.pathname)) {
      throw new HubError(403, { message: 'That form is on another site.' });
    }
    const form = new URLSearchParams((await readBody(request)).toString('utf8'));
    const by = form.get('as') ?? cookie;
    const to = appPage({ hub, url, form, by }) ?? (await act(hub, url, { form, by }));
    if (typeof to !== 'string') {
      send(response, 200, to);
      return;
    }
    const keep = by !== null && /^[\w-]+$/.test(by) ? { 'set-cookie': `as=${by}; Path=/` } : {};
    response.writeHead(303, { location: to, ...keep }).end();
    return;
  }
  const [first] = hub.repos.values();
  if (url.pathname === '/' && first !== undefined) {
    response.writeHead(303, { location: `/${fullName(first)}` }).end();
    return;
  }
  const shown = appPage({ hub, url, form: null, by: cookie });
  if (shown !== null && typeof shown !== 'string') {
    send(response, 200, shown);
    return;
  }
  const { page, ...ask } = find(hub, url.pathname, PAGES, cookie);
  send(response, 200, await page({ ...ask, form: url.searchParams }));
};

/** `/owner/name/<kind>/<id>[/<act>]`. */
const ADDRESS = /^\/([\w.-]+)\/([\w.-]+)(?:\/(pull|commit|runs)\/([\w.-]+)(?:\/(\w+))?)?\/?$/;

const find = <T>(
  hub: Hub,
  path: string,
  table: Readonly<Record<string, T>>,
  by: string | null,
): Omit<Ask, 'form'> & { readonly page: T } => {
  const match = ADDRESS.exec(path);
  const [, owner = '', name = '', kind = 'repo', id = '', verb] = match ?? [];
  const repo = match === null ? null : findRepo(hub, owner, name);
  const page = table[verb === undefined ? kind : `${kind}/${verb}`];
  if (repo === null || page === undefined) throw notFound();
  const people = peopleOf(hub, repo);
  const chosen = people.find(({ login }) => login === by) ?? people[0] ?? repo.owner;
  return { hub, repo, id, by: chosen, page };
};

/** Who can be chosen: everybody who has an account. */
const peopleOf = (hub: Hub, repo: Repo): readonly Account[] =>
  [...hub.accounts.values()]
    .filter(({ kind }) => kind === 'User')
    .toSorted((a, b) => Number(isWriter(repo, b)) - Number(isWriter(repo, a)) || a.id - b.id);

const isWriter = (repo: Repo, account: Account): boolean => atLeast(roleOf(repo, account), 'write');

const mustWrite = ({ repo, by }: Ask): void => {
  if (isWriter(repo, by)) return;
  throw new HubError(403, { message: `${by.login} has no write access to ${fullName(repo)}.` });
};

const act = async (
  hub: Hub,
  url: URL,
  { form, by }: { readonly form: URLSearchParams; readonly by: string | null },
): Promise<string> => {
  const { page, ...ask } = find(hub, url.pathname, ACTS, by);
  return page({ ...ask, form });
};

const pullOf = ({ repo, id }: Ask): Pull => recordOf(repo.pulls, id);
const runOf = ({ repo, id }: Ask): CheckRun => recordOf(repo.checks, id);
const pullPath = ({ repo, id }: Ask): string => `/${fullName(repo)}/pull/${id}`;

const ACTS: Readonly<Record<string, Act>> = {
  'runs/click': (ask) => {
    mustWrite(ask);
    pressButton(ask, runOf(ask), { button: ask.form.get('button') ?? '', by: ask.by });
    return ask.form.get('back')?.startsWith('/') === true
      ? `${new URL(ask.form.get('back') ?? '/', ask.hub.web).pathname}`
      : `/${fullName(ask.repo)}/runs/${ask.id}`;
  },
  'runs/rerun': (ask) => {
    mustWrite(ask);
    askAgain(ask, runOf(ask), ask.by);
    return `/${fullName(ask.repo)}/runs/${ask.id}`;
  },
  'pull/merge': async (ask) => {
    mustWrite(ask);
    const method = ask.form.get('method');
    const known: MergeMethod = method === 'squash' || method === 'rebase' ? method : 'merge';
    await mergePull(ask, pullOf(ask), { method: known, by: ask.by });
    return pullPath(ask);
  },
  'pull/comment': (ask) => {
    const body = textOf(ask.form.get('body')).trim();
    if (body !== '') addComment(ask, pullOf(ask), { body, by: ask.by, app: null });
    return pullPath(ask);
  },
  'pull/approve': (ask) => {
    addReview(ask, pullOf(ask), { event: 'APPROVE', body: '', by: ask.by });
    return pullPath(ask);
  },
  'pull/close': async (ask) => {
    const pull = pullOf(ask);
    if (pull.author !== ask.by) mustWrite(ask);
    await (pull.state === 'open' ? closePull : reopenPull)(ask, pull, ask.by);
    return pullPath(ask);
  },
};

const PAGES: Readonly<Record<string, Page>> = {
  repo: async (ask) => {
    const { hub, repo } = ask;
    const head = await resolveCommit(repo.folder, repo.defaultBranch);
    const commits = head === null ? [] : await logOf(repo.folder, '--first-parent', '-30', head);
    const pulls = [...repo.pulls.values()].toReversed();
    const deployments = [...repo.deployments.values()].toReversed().slice(0, 10);
    return layout(
      fullName(repo),
      markup`<p>Clone: <code>${hub.web}/${fullName(repo)}.git</code></p>
        <h2>Pull requests</h2>
        ${pulls.length === 0 ? markup`<p>None yet: push a branch.</p>` : null}
        <ul>
          ${pulls.map((pull) => pullRow(repo, pull))}
        </ul>
        <h2>Commits of ${repo.defaultBranch}</h2>
        <ul>
          ${commits.map((commit) => commitRow(repo, commit))}
        </ul>
        <h2>Deployments</h2>
        <ul>
          ${deployments.map((each) => deploymentRow(repo, each))}
        </ul>`,
    );
  },
  commit: async (ask) => {
    const { hub, repo } = ask;
    const sha = await resolveCommit(repo.folder, ask.id);
    if (sha === null) throw notFound();
    const commit = await commitOf(repo.folder, sha);
    const files = await filesBetween(repo.folder, commit.parents[0] ?? null, sha);
    const checks = [...repo.checks.values()].filter((run) => run.sha === sha);
    const deployments = [...repo.deployments.values()].filter((each) => each.sha === sha);
    const who = whoBox(peopleOf(hub, repo), ask.by);
    return layout(
      fullName(repo),
      markup`<h1>Commit ${sha.slice(0, 10)}</h1>
        <pre>${commit.message}</pre>
        <p>
          ${commit.author.name} wrote it; ${commit.committer.name} committed it,
          ${commit.committer.date}.
        </p>
        ${checks.map((run) => checkBox(repo, run, { who, back: `/commit/${sha}` }))}
        <ul>
          ${deployments.map((each) => deploymentRow(repo, each))}
        </ul>
        <h2>Files</h2>
        ${files.map((file) => fileBox(file, notesOf(checks, file.path)))}`,
    );
  },
  runs: (ask) => {
    const run = runOf(ask);
    const who = whoBox(peopleOf(ask.hub, ask.repo), ask.by);
    return layout(
      fullName(ask.repo),
      markup`${checkBox(ask.repo, run, { who, back: `/runs/${run.id}` })}
        <p>Of commit <a href="/${fullName(ask.repo)}/commit/${run.sha}">${run.sha}</a></p>`,
    );
  },
  pull: async (ask) => pullPage(ask),
};

const notesOf = (checks: readonly CheckRun[], path: string) =>
  checks.flatMap(({ annotations }) => annotations.filter((note) => note['path'] === path));

const pullPage = async (ask: Ask): Promise<Safe> => {
  const { hub, repo } = ask;
  const pull = pullOf(ask);
  const able = await tryMerge(ask, pull);
  const [files, commits] = await Promise.all([filesOf(repo, pull), commitsOf(repo, pull)]);
  const checks = [...repo.checks.values()].filter(({ sha }) => sha === pull.head.sha);
  const comments = [...repo.comments.values()].filter(({ issue }) => issue === pull.number);
  const reviews = repo.reviews.filter((each) => each.pull === pull.number);
  const who = whoBox(peopleOf(hub, repo), ask.by);
  const path = pullPath(ask);
  const state = pull.merged === null ? pull.state : 'merged';
  return layout(
    fullName(repo),
    markup`<h1>${pull.title} <small>#${pull.number}</small></h1>
      <p>
        <b>${state}</b>: ${pull.author.login} wants to merge ${commits.length} commit(s) into
        <code>${pull.base.ref}</code> from
        <code>${pull.head.repo.owner.login}:${pull.head.ref}</code>
      </p>
      <p>${pull.body ?? ''}</p>
      <ul>
        ${commits.map((commit) => commitRow(repo, commit))}
      </ul>
      ${checks.map((run) => checkBox(repo, run, { who, back: `/pull/${pull.number}` }))}
      ${comments.map(commentBox)}
      ${reviews.map((each) => markup`<p><b>${each.author.login}</b>: ${each.state}</p>`)}
      ${mergeBox({ path, who, state, able, missing: missingChecks(ask, pull) })}
      <form method="post" action="${path}/comment" class="box">
        <textarea name="body" rows="3" placeholder="/purser plan"></textarea><br />
        ${who} <button>Comment</button>
      </form>
      <h2>Files changed</h2>
      ${files.map((file) => fileBox(file, notesOf(checks, file.path)))}`,
  );
};

const mergeBox = (at: {
  readonly path: string;
  readonly who: Safe;
  readonly state: string;
  readonly able: string;
  readonly missing: readonly string[];
}): Safe => {
  const { path, who, state } = at;
  const close = markup`<form method="post" action="${path}/close">
    ${who} <button>${state === 'open' ? 'Close' : 'Reopen'}</button>
  </form>`;
  if (state === 'merged') return markup``;
  if (state !== 'open') return close;
  const words =
    at.able === 'dirty'
      ? 'It conflicts with its base.'
      : at.missing.length > 0
        ? `Required: ${at.missing.join(', ')}.`
        : 'It can be merged.';
  return markup`<div class="box">
    <p>${words}</p>
    <form method="post" action="${path}/merge">
      ${who}
      <button name="method" value="merge">Merge</button>
      <button name="method" value="squash">Squash and merge</button>
      <button name="method" value="rebase">Rebase and merge</button>
    </form>
    <form method="post" action="${path}/approve">${who} <button>Approve changes</button></form>
    ${close}
  </div>`;
};
