// Git over http for the local GitHub: `/<owner>/<name>(.git)/…` with tokens, rules of branches, and
// what a push means for pull requests.
// In: http requests of Git. Out: answers of the real git, webhooks. Not here: CGI (git-server.ts).

import { chmodSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import { join } from 'node:path';
import { serveGit } from '../git-server.ts';
import { callerOf, mayUseGit } from './access.ts';
import { changingRefs } from './pulls.ts';
import { refusedPush } from './routes-repos.ts';
import type { Hub, Repo } from './state.ts';
import { HubError, actorOf, findRepo } from './state.ts';

const ADDRESS =
  /^\/([^/]+)\/([^/]+?)(?:\.git)?(\/(?:info\/refs|git-upload-pack|git-receive-pack).*)$/;

/** Whether Git asked; then it is answered. */
export const serveGitHttp = async (
  hub: Hub,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<boolean> => {
  const match = ADDRESS.exec(request.url ?? '');
  if (match === null) return false;
  const [, owner = '', name = '', rest = ''] = match;
  const refuse = (status: number, words: string): boolean => {
    const headers = status === 401 ? { 'www-authenticate': 'Basic realm="GitHub"' } : {};
    request.resume();
    response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(words);
    return true;
  };
  let caller: ReturnType<typeof callerOf>;
  try {
    caller = callerOf(hub, request.headers.authorization);
  } catch (error) {
    // A suspended installation's token.
    if (error instanceof HubError && error.status === 403) return refuse(403, error.message);
    return refuse(401, 'remote: Invalid username or token.');
  }
  const repo = findRepo(hub, owner, name);
  const isPush = rest.includes('git-receive-pack');
  if (repo === null || !mayUseGit(repo, caller, 'read')) {
    return caller.kind === 'nobody' ? refuse(401, '') : refuse(404, 'Repository not found.');
  }
  if (isPush && !mayUseGit(repo, caller, 'write')) {
    if (caller.kind === 'nobody') return refuse(401, '');
    return refuse(403, `remote: Permission to ${owner}/${name}.git denied to this account.`);
  }
  if (isPush && repo.archived) {
    return refuse(403, 'remote: This repository was archived so it is read-only.');
  }
  const serve = () =>
    serveGit(
      {
        root: hub.folder,
        path: `/${repo.id}.git${rest}`,
        user: caller.kind === 'nobody' ? null : actorOf(caller).login,
        env: { HUB_REFUSED: isPush ? refusedRefs(repo, caller) : '' },
      },
      request,
      response,
    );
  if (isPush && request.method === 'POST') {
    await changingRefs({ hub, repo }, actorOf(caller), serve);
  } else await serve();
  return true;
};

/** Lines `<ref> <words>` for the hook: newlines of the words as `\\n`. */
const refusedRefs = (repo: Repo, caller: ReturnType<typeof callerOf>): string =>
  repo.protections
    .map(({ branch }) => {
      const why = refusedPush(repo, caller, branch);
      return why === null ? '' : `refs/heads/${branch} ${why.replaceAll('\n', String.raw`\n`)}\n`;
    })
    .join('');

/** Run by git for each pushed ref: refuses those that HUB_REFUSED names, and history's rewriting. */
const HOOK = `#!/bin/sh
printf '%s' "$HUB_REFUSED" | while read -r ref words; do
  if [ "$ref" = "$1" ]; then printf '%b\\n' "$words" >&2; exit 1; fi
done
`;

/** What a bare repository of the hub needs beside its objects. */
export const installHook = (folder: string): void => {
  const hook = join(folder, 'hooks', 'update');
  writeFileSync(hook, HOOK);
  chmodSync(hook, 0o755);
};
