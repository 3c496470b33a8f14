// Parts of the local GitHub's pages: rows, boxes, the frame.
// In: records of state.ts. Out: HTML. Not here: which page has which (pages.ts).

import type { GitCommit, GitFile } from './git.ts';
import type { Safe } from './html.ts';
import { html, markdown } from './html.ts';
import type { Account, CheckRun, Comment, Deployment, Json, Pull, Repo } from './state.ts';
import { fullName, textOf } from './state.ts';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:1rem auto;padding:0 1rem}
.box{border:1px solid #ccd;border-radius:6px;padding:.7rem 1rem;margin:.8rem 0}
pre,code{font:13px/1.4 ui-monospace,monospace}pre{overflow-x:auto}table{border-collapse:collapse}
td,th{border:1px solid #ccd;padding:.2rem .5rem}.add{background:#e6ffec}.del{background:#ffebe9}
.success{color:#1a7f37}.failure{color:#cf222e}.note{background:#fff8c5;white-space:pre-wrap}
form{display:inline}textarea{width:100%}`;

export const layout = (title: string, body: Safe): Safe =>
  html`<!doctype html>
    <html lang="en">
      <meta charset="utf-8" /><title>${title}</title>
      <style>
        ${{ safe: STYLE }}
      </style>
      <p><a href="/">${title}</a> on a local GitHub</p>
      ${body}
    </html>`;

/** As whom a form acts. */
export const whoBox = (people: readonly Account[], chosen: Account): Safe =>
  html`<label
    >as
    <select name="as">
      ${people.map(({ login }) =>
        login === chosen.login
          ? html`<option selected>${login}</option>`
          : html`<option>${login}</option>`,
      )}
    </select></label
  >`;

const MARKS: Readonly<Record<string, string>> = {
  success: '✓',
  failure: '✗',
  cancelled: '⊘',
  action_required: '!',
};

const markOf = ({ status, conclusion }: CheckRun): string =>
  status === 'completed' ? (MARKS[conclusion ?? ''] ?? '·') : '…';

const checksOf = (repo: Repo, sha: string): Safe => {
  const runs = [...repo.checks.values()].filter((run) => run.sha === sha);
  return html`${runs.map(
    (run) => html` <a href="/${fullName(repo)}/runs/${run.id}">${markOf(run)} ${run.name}</a>`,
  )}`;
};

export const pullRow = (repo: Repo, pull: Pull): Safe =>
  html`<li>
    ${pull.merged === null ? pull.state : 'merged'}
    <a href="/${fullName(repo)}/pull/${pull.number}">#${pull.number} ${pull.title}</a>
    by ${pull.author.login} ${checksOf(repo, pull.head.sha)}
  </li>`;

export const commitRow = (repo: Repo, { sha, message, author }: GitCommit): Safe =>
  html`<li>
    <a href="/${fullName(repo)}/commit/${sha}"><code>${sha.slice(0, 10)}</code></a>
    ${message.split('\n')[0] ?? ''} (${author.name}) ${checksOf(repo, sha)}
  </li>`;

/** Links of others' texts are shown only where they lead to a web page. */
const webLink = (url: string): Safe =>
  /^https?:\/\//.test(url) ? html`<a href="${url}" rel="nofollow">${url}</a>` : html`${url}`;

export const deploymentRow = (repo: Repo, deployment: Deployment): Safe => {
  const last = deployment.statuses.at(-1);
  return html`<li>
    ${deployment.environment}: <b>${last?.state ?? 'pending'}</b>
    <a href="/${fullName(repo)}/commit/${deployment.sha}">${deployment.sha.slice(0, 10)}</a>
    ${last?.description ?? ''} ${webLink(last?.environmentUrl ?? '')}
  </li>`;
};

/** A check with its text and buttons; `back`: where a click returns to, below the repository. */
export const checkBox = (
  repo: Repo,
  run: CheckRun,
  { who, back }: { readonly who: Safe; readonly back: string },
): Safe => {
  const path = `/${fullName(repo)}/runs/${run.id}`;
  const { title, summary, text } = run.output;
  return html`<div class="box">
    <h3 class="${run.conclusion ?? ''}">
      ${markOf(run)} <a href="${path}">${run.name}</a> ${run.conclusion ?? run.status}:
      ${title ?? ''}
    </h3>
    ${markdown(summary ?? '')} ${markdown(text ?? '')}
    ${run.annotations.length === 0 ? null : html`<p>${run.annotations.length} annotation(s)</p>`}
    <form method="post" action="${path}/click">
      <input type="hidden" name="back" value="/${fullName(repo)}${back}" />
      ${run.actions.length === 0 ? null : who}
      ${run.actions.map(
        ({ identifier, label, description }) =>
          html` <button name="button" value="${identifier}" title="${description}">
            ${label}
          </button>`,
      )}
    </form>
    <form method="post" action="${path}/rerun">${who} <button>Re-run</button></form>
  </div>`;
};

export const commentBox = (comment: Comment): Safe => {
  const reactions = comment.reactions.map(({ content }) => content).join(' ');
  const body = html`${markdown(comment.body)}
    <p>${reactions}</p>`;
  const head = html`<b>${comment.author.login}</b>`;
  return comment.minimized === null
    ? html`<div class="box">${head}${body}</div>`
    : html`<details class="box">
        <summary>${head}: hidden as ${comment.minimized.toLowerCase()}</summary>
        ${body}
      </details>`;
};

/** Lines of a large file are not all shown. */
const LINES_SHOWN = 400;

export const fileBox = (file: GitFile, notes: readonly Json[]): Safe => {
  const lines = file.patch.split('\n').slice(0, LINES_SHOWN);
  const first = /^@@ -\d+(?:,\d+)? \+(\d+)/;
  let at = 0;
  const shown = lines.map((line) => {
    const start = first.exec(line)?.[1];
    if (start !== undefined) at = Number(start) - 1;
    else if (!line.startsWith('-')) at += 1;
    const here = start === undefined ? notes.filter((note) => Number(note['end_line']) === at) : [];
    const kind = line.startsWith('+') ? 'add' : line.startsWith('-') ? 'del' : '';
    return html`<div class="${kind}">${line}</div>
      ${here.map(noteBox)}`;
  });
  return html`<div class="box">
    <b>${file.path}</b> ${file.status} +${file.additions} −${file.deletions}
    <pre>${shown}</pre>
  </div>`;
};

const noteBox = (note: Json): Safe =>
  html`<div class="note">
    <b>${textOf(note['annotation_level'])}: ${textOf(note['title'])}</b> ${textOf(note['message'])}
  </div>`;
