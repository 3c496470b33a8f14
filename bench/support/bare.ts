// The least that lies between a push and a finished check: the list of pull requests, a `git fetch`
// of the head, what checks there are, and one request more in place of the check's writing, one after
// the other. In: the local GitHub, a head. Out: how long that takes. Nothing is planned or written.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { GitHub } from '../../test/support/github/github.ts';

export interface BareTook {
  readonly tookMs: number;
  /** Of it, the `git fetch`. */
  readonly fetchMs: number;
}

export type BareWay = (head: string) => Promise<BareTook>;

/** `folder` becomes a mirror of the branch. */
export const bareWay = async (hub: GitHub, folder: string): Promise<BareWay> => {
  // Never synchronously: the GitHub that answers is in this process.
  const run = promisify(execFile);
  const url = hub.pushUrl('ada');
  const fetchInto = (what: string) =>
    run('git', ['-C', folder, 'fetch', '--quiet', '--no-tags', '--no-auto-gc', url, what]);
  await run('git', ['init', '--quiet', '--bare', folder]);
  await fetchInto('refs/heads/main:refs/heads/main');
  const headers = { authorization: `token ${hub.person('ada').token}` };
  const ask = async (path: string): Promise<void> => {
    const answer = await fetch(`${hub.api}/repos/${hub.owner}/${hub.name}/${path}`, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  return async (head) => {
    const start = performance.now();
    await ask('pulls?state=open&per_page=100');
    const fetchAt = performance.now();
    await fetchInto(head);
    const fetchMs = performance.now() - fetchAt;
    await ask(`commits/${head}/check-runs`);
    await ask(`commits/${head}/check-runs`);
    return { tookMs: performance.now() - start, fetchMs };
  };
};
