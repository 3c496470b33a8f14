// Webhooks of the local GitHub beside GitHub's own examples: the same keys, at every depth.
// In: @octokit/webhooks-examples. Out: keys that are ours alone or theirs alone.

import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { EVENTS } from '../../cli/github-app.ts';
import { startGitHub } from '../support/github/github.ts';

interface Examples {
  readonly name: string;
  readonly examples: readonly Payload[];
}
type Payload = Readonly<Record<string, unknown>>;

const EXAMPLES = createRequire(import.meta.url)(
  '@octokit/webhooks-examples/api.github.com/index.json',
) as readonly Examples[];

const isObject = (value: unknown): value is Payload =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `a.b.c` of every key; a list's are those of its first item. Null and empty lists hold none. */
const keysOf = (value: unknown, at = ''): readonly string[] => {
  if (Array.isArray(value)) return keysOf(value[0], `${at}[]`);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    `${at}.${key}`,
    ...keysOf(item, `${at}.${key}`),
  ]);
};

/** Parents of missing keys that are there with null or an empty list in what was sent. */
const isReachable = (key: string, payload: Payload): boolean => {
  let now: unknown = payload;
  for (const step of key.slice(1).split('.').slice(0, -1)) {
    const [name = '', ...lists] = step.split('[]');
    now = isObject(now) ? now[name] : undefined;
    for (const _ of lists) now = Array.isArray(now) ? now[0] : undefined;
    if (!isObject(now)) return false;
  }
  return true;
};

/** In every example of the action, and those that some have. */
const expected = (event: string, action: unknown) => {
  const all = EXAMPLES.find(({ name }) => name === event)?.examples ?? [];
  const same = all.filter((each) => each['action'] === action);
  const some = new Set(all.flatMap((each) => keysOf(each)));
  const each = (same.length > 0 ? same : all).map((one) => ({ one, keys: new Set(keysOf(one)) }));
  const always = [...some].filter((key) =>
    each.every(({ one, keys }) => keys.has(key) && isReachable(key, one)),
  );
  return { some, always };
};

/** What GitHub added after the examples were taken, as its description of the API says. */
const NEWER =
  /\.(client_id|performed_via_github_app|rebaseable|allow_forking|issue\.pull_request(\.\w+)?)$/;
/** Parts whose keys GitHub itself shows in several ways. */
const VARYING = /permissions\.|\.(organization|milestone|license|changes)(\.|$)/;

test('every webhook has the keys of its examples', async () => {
  const hub = await startGitHub();
  hub.hook('http://127.0.0.1:9/nobody-listens');
  const folder = initRepository(tempFolder('payloads'));
  try {
    const commit = (name: string) => commitFiles(folder, { [name]: `${name}\n` }, name);
    commit('a');
    await hub.push(folder, 'ada', 'main');
    git(folder, 'switch', '--quiet', '--create', 'topic');
    const head = commit('b');
    await hub.push(folder, 'ada', 'topic');
    await hub.openPull({ head: 'topic', by: 'ada', body: 'text' });
    const next = commit('c');
    await hub.push(folder, 'ada', 'topic');
    await hub.closePull(1, 'ada');
    await hub.reopenPull(1, 'ada');
    hub.comment(1, 'ada', 'hello');
    hub.review(1, 'bob', 'APPROVE');
    await hub.queue(1, 'ada');
    await check(hub, next);
    hub.click({ check: 'plan/shop', commit: next, button: 'approve', by: 'ada' });
    hub.rerun('plan/shop', next, 'ada');
    hub.uninstall();
    await hub.settled();
    expect(head).not.toBe(next);
    const wrong = new Set<string>();
    for (const { event, action, body } of hub.deliveries()) {
      const payload = JSON.parse(body) as Payload;
      const { some, always } = expected(event, action ?? undefined);
      const ours = new Set(keysOf(payload));
      for (const key of ours) {
        const isNew = NEWER.test(key) || VARYING.test(key) || VARYING.test(`${key}.`);
        if (!some.has(key) && !isNew) wrong.add(`${event}: ${key} is ours alone`);
      }
      for (const key of always) {
        if (ours.has(key) || VARYING.test(key) || !isReachable(key, payload)) continue;
        wrong.add(`${event}.${action}: ${key} is missing`);
      }
    }
    expect([...wrong]).toEqual([]);
    const told = new Set(hub.deliveries().map(({ event }) => event));
    expect([...told].toSorted()).toEqual([...EVENTS, 'installation'].toSorted());
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await hub.close();
  }
});

const check = async (hub: Awaited<ReturnType<typeof startGitHub>>, sha: string): Promise<void> => {
  const token = hub.pushUrl(null).split(/x-access-token:|@/)[1];
  const response = await fetch(`${hub.api}/repos/shop/cluster/check-runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({
      name: 'plan/shop',
      head_sha: sha,
      conclusion: 'success',
      output: { title: 't', summary: 's' },
      actions: [{ label: 'Approve', description: 'd', identifier: 'approve' }],
    }),
  });
  expect(response.status).toBe(201);
};
