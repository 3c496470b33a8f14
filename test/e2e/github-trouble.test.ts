// What goes wrong around GitHub, on real containerd: forks, force-pushes, storms of deliveries, an
// outage, a branch that refuses, a reconciler without its disk. In: the local GitHub. Out: tests
// that containers were left alone, and that each thing is told once and in the right place.

import { createHmac } from 'node:crypto';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import { liveCopies, pidsOf, pushApp } from '../support/cluster.ts';
import { git } from '../support/git-repo.ts';
import { startGitHubCluster, type GitHubCluster } from '../support/github-cluster.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const PLAN = 'plan/e2e';
const SYNC = 'sync/e2e';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 3, ...changes });

let at: GitHubCluster;
beforeAll(async () => {
  at = await startGitHubCluster({ nodes: 2, files: { [FILE]: web('1') } });
  await at.cluster.settled(WEB, 60_000);
  await at.checkOf(SYNC, at.follow());
});
afterAll(() => at?.close());
// A test that fails while GitHub is away must not take the others with it.
afterEach(() => {
  at.hub.away(null);
  at.hub.protect([]);
});

const SOON = { timeout: 90_000, interval: 200 };
const pids = async () => pidsOf(await at.cluster.state(), WEB);

test('a fork is planned by what the base says: nothing runs, no login is used, secrets are masked', async () => {
  const { cluster, hub, checkOf, follow } = at;
  const { host, seen } = cluster.proxy;
  const auth = Buffer.from('bot:hunter2').toString('base64');
  writeFileSync(cluster.logins, JSON.stringify({ auths: { [host]: { auth } } }));
  await pushApp(cluster.registry, '2', 'other bytes');
  const before = await pids();
  follow();
  const clusterYaml = readFileSync(join(cluster.repository, 'cluster.yaml'), 'utf8');
  let asked = 0;
  const theirs = createServer(() => void (asked += 1)).listen(0, '127.0.0.1');
  await once(theirs, 'listening');
  const evilHost = `127.0.0.1:${(theirs.address() as AddressInfo).port}`;
  cluster.git('checkout', '--quiet', '-b', 'evil');
  const evil = ['  API_TOKEN: hunter3', '  GREETING: hello'];
  const text = web('2').replace('environment:', ['environment:', ...evil].join('\n'));
  const head = cluster.commit(
    {
      [FILE]: text.replace('%APP%', `${host}/app:2`),
      'jobs/shop/new.yaml': web('new', { count: 1 }),
      'jobs/shop/own.yaml': appJob({ image: `${evilHost}/app:1`, version: '1', count: 1 }),
      'cluster.yaml': clusterYaml.replace(`["${host}"]`, `["${host}", "${evilHost}"]`),
    },
    'evil @everyone <script>alert(1)</script>',
  );
  cluster.git('checkout', '--quiet', 'main');
  seen.length = 0;
  await hub.push(cluster.repository, 'mallory', 'evil').then(
    () => expect.fail('mallory may not push'),
    (error: unknown) => expect(String(error)).toMatch(/403|denied/),
  );
  const url = hub.fork('mallory');
  await hub.settled();
  await pushTo(url, 'evil');
  const { number } = await hub.openPull({ head: 'evil', by: 'mallory', fromFork: true });
  const check = await checkOf(PLAN, head);
  const told = `${check.output.title}\n${check.output.summary}\n${check.output.text}`;
  expect(told, told).toContain(WEB);
  expect(told).toContain('shop/new');
  expect(told).toContain('GREETING');
  expect(told).not.toMatch(/hunter\d/);
  const manifests = seen.filter(({ path }) => path.includes('/manifests/2'));
  expect(manifests.length, 'the base names this registry').toBeGreaterThan(0);
  expect(seen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  expect(asked, 'what only the fork names is not asked').toBe(0);
  theirs.close();
  expect(await pids()).toEqual(before);
  await expect.poll(() => hub.comments(number).length, SOON).toBe(1);
  expect(hub.comments(number)[0]?.body).not.toMatch(/hunter\d/);
  hub.comment(number, 'mallory', '/purser approve');
  await expect
    .poll(() => hub.comments(number)[1]?.reactions.map(({ content }) => content), SOON)
    .toEqual(['confused']);
  await hub.closePull(number, 'mallory');
  writeFileSync(cluster.logins, '{}');
});

const pushTo = async (url: string, branch: string): Promise<void> => {
  await promisify(execFile)('git', ['-C', at.cluster.repository, 'push', '-q', url, branch]);
  await at.hub.settled();
};

test('a force-push on a pull request: its new head gets a check, the comment is the same one', async () => {
  const { cluster, hub, checkOf, propose } = at;
  const { head: old, number } = await propose('again', { [FILE]: web('2') });
  await checkOf(PLAN, old);
  await expect.poll(() => hub.comments(number).length, SOON).toBe(1);
  const [first] = hub.comments(number);
  const body = first?.body;
  git(cluster.repository, 'checkout', '--quiet', '-B', 'again', 'main');
  const head = cluster.commit({ [FILE]: web('2', { count: 4 }) }, 'again, otherwise');
  // Forced twice in a moment: the one in between may be planned or not, and is left in no state.
  const between = cluster.commit({ [FILE]: web('2', { count: 5 }) }, 'in between');
  await hub.push(cluster.repository, 'ada', '+again:again');
  await hub.push(cluster.repository, 'ada', `+${head}:refs/heads/again`);
  git(cluster.repository, 'checkout', '--quiet', 'main');
  expect((await checkOf(PLAN, head)).output.title).toMatch(/4 start, 3 stop/);
  const checks = [old, between, head].flatMap((commit) => hub.checks(commit));
  expect(checks.filter(({ status }) => status !== 'completed')).toEqual([]);
  await expect.poll(() => hub.comments(number)[0]?.body, SOON).not.toBe(body);
  expect(hub.comments(number).map(({ id }) => id)).toEqual([first?.id]);
  await hub.closePull(number, 'ada');
});

test('a storm of 5,000 deliveries while a version rolls out: nothing is lost, and nothing waits', async () => {
  const { cluster, hub, checkOf, propose, merge, webhook } = at;
  const quiet = await propose('quiet', { [FILE]: web('3') });
  /** From the merge until the copies are there, and until the check says so. */
  const rollOut = async (number: number) => {
    const commit = await merge(number);
    const start = performance.now();
    await cluster.settled(WEB);
    await checkOf(SYNC, commit);
    return performance.now() - start;
  };
  const quietMs = await rollOut(quiet.number);
  const stormy = await propose('stormy', { [FILE]: web('4') });
  const other = await propose('other', { [FILE]: web('5') });
  await checkOf(PLAN, other.head);
  const memory = cluster.reconciler.memoryBytes() ?? 0;
  const requests = hub.requests().length;
  const storm = stormOf(webhook, hub.app.webhookSecret, 5000);
  hub.comment(other.number, 'ada', '/purser plan');
  const stormyMs = await rollOut(stormy.number);
  const answers = await storm;
  expect(answers).toEqual({ 200: 1000, 202: 2500, 400: 250, 401: 1000, 413: 125, 415: 125 });
  await expect
    .poll(
      () => hub.comments(other.number).find(({ author }) => author.login === 'ada')?.reactions,
      SOON,
    )
    .toHaveLength(1);
  const looks = hub
    .requests()
    .slice(requests)
    .filter((line) => /GET .*state=open/.test(line));
  const grown = (cluster.reconciler.memoryBytes() ?? 0) - memory;
  console.log(
    `a rollout took ${Math.round(quietMs)} ms, in the storm ${Math.round(stormyMs)} ms; ` +
      `memory grew by ${Math.round(grown / 2 ** 20)} MiB; ${looks.length} looks`,
  );
  // A machine that does other things too takes twice as long for one of them now and then.
  expect(stormyMs).toBeLessThan(5 * quietMs);
  expect(grown).toBeLessThan(128 * 2 ** 20);
  expect(liveCopies(await cluster.state(), WEB)).toHaveLength(3);
  await hub.closePull(other.number, 'ada');
});

test('GitHub is away in the middle of a rollout: the cluster heals itself, and all is told after', async () => {
  const { cluster, hub, checkOf, propose, merge } = at;
  const { number, head } = await propose('away', { [FILE]: web('6') });
  await checkOf(PLAN, head);
  // It comes behind the check, and one that is merged by then gets none.
  await expect.poll(() => hub.comments(number).length, SOON).toBe(1);
  const merged = await merge(number);
  await checkOf(SYNC, merged, () => true);
  hub.away('reset');
  const isNew = ({ body }: ReturnType<typeof liveCopies>[number]) =>
    JSON.stringify(body.spec).includes('"6"');
  await cluster.until('the rollout goes on without it', (state) => {
    const copies = liveCopies(state, WEB);
    const shown = copies.map(({ health, allocation }) => `${allocation} ${health}`).join();
    return copies.filter((one) => isNew(one) && one.health === 'healthy').length === 3 || shown;
  });
  hub.away('silent');
  const before = await cluster.state();
  const [copy] = liveCopies(before, WEB);
  if (copy === undefined) throw new Error('no copy');
  const task = `${copy.allocation}.${copy.tasks[0]?.name}`;
  await cluster.ctr(copy.node, 'tasks', 'kill', '-s', 'SIGKILL', task);
  await cluster.until('what was killed runs again', (state) => {
    const now = pidsOf(state, WEB);
    const others = Object.entries(pidsOf(before, WEB)).filter(([name]) => name !== task);
    const isHealed = typeof now[task] === 'number' && now[task] !== pidsOf(before, WEB)[task];
    return (isHealed && others.every(([name, pid]) => now[name] === pid)) || JSON.stringify(now);
  });
  hub.away('bad-gateway');
  // What GitHub left without an answer is given up within half a minute.
  await expect
    .poll(() => cluster.purser('status'), { timeout: 60_000, interval: 500 })
    .toMatch(/Git cannot be read[^]*Git cannot be written[^]*The forge is not told: GitHub /);
  const writes = hub.writes().length;
  hub.away(null);
  const back = performance.now();
  expect((await checkOf(SYNC, merged)).conclusion).toBe('success');
  console.log(`all told ${Math.round(performance.now() - back)} ms after GitHub was back`);
  await expect.poll(() => hub.comments(number)[0]?.minimized, SOON).toBeTruthy();
  expect(hub.comments(number)).toHaveLength(1);
  expect(hub.writes().length - writes).toBeLessThanOrEqual(8);
  await expect.poll(() => cluster.purser('status'), SOON).not.toContain('cannot be');
});

test('a branch that refuses: the revert is one pull request, and the rollout stays stopped', async () => {
  const { cluster, hub, checkOf, propose, merge, follow } = at;
  hub.protect([{ requirePull: true }]);
  const { number } = await propose('crash', { [FILE]: web('7', { fail: 'crash' }) });
  const bad = await merge(number);
  const failed = await checkOf(SYNC, bad, ({ conclusion }) => conclusion === 'failure');
  expect(failed.output.summary).toContain('exit code 7');
  const offers = () => hub.pulls().filter(({ head }) => head.ref.startsWith('purser/e2e/revert-'));
  await expect.poll(() => offers().length, SOON).toBe(1);
  const [offer] = offers();
  expect(offer?.body).toContain(`Purser-Reverts: ${bad}`);
  const plan = await checkOf(PLAN, offer?.head.sha ?? '');
  expect(plan.conclusion).toBe('success');
  await cluster.until('old copies stand in for what failed', (state) => {
    const copies = liveCopies(state, WEB).filter(({ health }) => health === 'healthy');
    return copies.length === 3 || copies.map(({ allocation }) => allocation).join();
  });
  const stopped = await pids();
  await sleep(3000);
  expect(await pids(), 'it stays stopped').toEqual(stopped);
  expect(follow()).toBe(bad);
  expect(await cluster.purser('status')).toMatch(
    /Git cannot be written \(a revert\).*the server refused it:.*hook declined/,
  );
  const taken = await merge(offer?.number ?? 0);
  expect((await checkOf(SYNC, taken)).conclusion).toBe('success');
  expect(liveCopies(await cluster.settled(WEB), WEB)).toHaveLength(3);
  expect(offers()).toHaveLength(1);
  expect(hub.checks(bad).map(({ conclusion }) => conclusion)).toEqual(['failure']);
  const branches = () => git(hub.folder, 'branch', '--list', 'purser/e2e/revert-*');
  await expect.poll(branches, SOON).toBe('');
  // Once more, and this time a person is quicker than who would merge it.
  const again = await propose('crash-2', { [FILE]: web('71', { fail: 'crash' }) });
  await merge(again.number);
  await expect.poll(() => offers().length, SOON).toBe(2);
  cluster.commit({ [FILE]: web('72') }, 'web 72, by hand');
  hub.protect([{ requirePull: true, bypass: ['ada'] }]);
  await hub.push(cluster.repository, 'ada', 'main');
  const second = () => offers().find(({ number: one }) => one !== offer?.number);
  await expect.poll(() => second()?.state, SOON).toBe('closed');
  expect(second()?.body).toMatch(
    /Closed by Purser: the branch has another version of `shop\/web` since commit `[0-9a-f]{12}`/,
  );
  await expect.poll(branches, SOON).toBe('');
  await cluster.settled(WEB);
});

test('a reconciler without its disk finds its checks and its comment again', async () => {
  const { cluster, hub, checkOf, propose, follow } = at;
  // What was not told before it was killed is told after, and is no second telling.
  const told = follow();
  await checkOf(SYNC, told, ({ conclusion }) => conclusion === 'success');
  const deployment = () =>
    hub
      .deployments()
      .find(({ sha }) => sha === told)
      ?.statuses.at(-1);
  await expect.poll(() => deployment()?.state, SOON).toBe('success');
  const { number, head } = await propose('kept', { [FILE]: web('8') });
  await checkOf(PLAN, head);
  await expect.poll(() => hub.comments(number).length, SOON).toBe(1);
  const before = await pids();
  await cluster.reconciler.end('SIGKILL');
  rmSync(join(cluster.root, 'cache'), { recursive: true, force: true, maxRetries: 5 });
  const requests = hub.requests().length;
  cluster.reconciler.start();
  const looked = () =>
    hub
      .requests()
      .slice(requests)
      .filter((line) => line.includes('check-runs'));
  await expect.poll(() => looked().length, SOON).toBeGreaterThanOrEqual(2);
  await cluster.until('the nodes are heard again', ({ view }) =>
    cluster.nodes.every(({ name }) =>
      view.live.nodes.some((one) => one.name === name && one.connected),
    ),
  );
  await sleep(3000);
  expect(await pids()).toEqual(before);
  const made = hub
    .requests()
    .slice(requests)
    .filter((line) => /^POST .*(check-runs|comments|deployments)/.test(line));
  expect(made).toEqual([]);
  expect((await checkOf(SYNC, follow())).conclusion).toBe('success');
  const again = cluster.git('rev-parse', 'kept');
  git(cluster.repository, 'checkout', '--quiet', 'kept');
  const next = cluster.commit({ [FILE]: web('8', { count: 2 }) }, 'fewer');
  await hub.push(cluster.repository, 'ada', 'kept');
  git(cluster.repository, 'checkout', '--quiet', 'main');
  await checkOf(PLAN, next);
  await checkOf(PLAN, again);
  expect(hub.comments(number)).toHaveLength(1);
  await hub.closePull(number, 'ada');
});

test('a rewritten branch stops syncing, says so in the check of its head, and goes on when told', async () => {
  const { cluster, hub, checkOf, follow } = at;
  const old = follow();
  const before = await pids();
  cluster.git('commit', '--quiet', '--amend', '-m', 'said otherwise');
  const forced = cluster.commit({ [FILE]: web('forced', { maxParallel: 3 }) }, 'another line');
  await hub.push(cluster.repository, 'ada', '+main:main');
  const check = await checkOf(SYNC, forced);
  expect(check.conclusion).toBe('failure');
  expect(check.output.title).toBe('Nothing is synced: the branch was rewritten');
  expect(check.output.summary).toContain(`\`purser resume --at ${forced}\``);
  await sleep(2000);
  expect(await pids()).toEqual(before);
  expect(hub.checks(old).map(({ conclusion }) => conclusion)).toEqual(['success']);
  await cluster.purser('resume', '--at', forced);
  await checkOf(SYNC, forced, ({ conclusion }) => conclusion === 'success');
  expect(liveCopies(await cluster.settled(WEB), WEB)).toHaveLength(3);
});

/** What of forty deliveries each is; GitHub's own examples are the bodies. */
type Kind = 'new' | 'again' | 'forged' | 'unsigned' | 'cut' | 'form' | 'huge';
const KINDS: readonly Kind[] = [
  ...Array.from({ length: 20 }, () => 'new' as const),
  ...Array.from({ length: 8 }, () => 'again' as const),
  ...Array.from({ length: 4 }, () => 'forged' as const),
  ...Array.from({ length: 4 }, () => 'unsigned' as const),
  'cut',
  'cut',
  'form',
  'huge',
];
const HUGE = Buffer.alloc(4 * 2 ** 20 + 1, 'x');
const AT_ONCE = 50;

const EXAMPLES = createRequire(import.meta.url)(
  '@octokit/webhooks-examples/api.github.com/index.json',
) as readonly { readonly name: string; readonly examples: readonly object[] }[];
const EVENTS = EXAMPLES.flatMap(({ name, examples }) => examples.map((body) => ({ name, body })));

/** How many got which answer. */
const stormOf = async (
  url: string,
  secret: string,
  count: number,
): Promise<Readonly<Record<number, number>>> => {
  const answers: Record<number, number> = {};
  const send = async (index: number): Promise<void> => {
    const kind = KINDS[index % KINDS.length] ?? 'new';
    const id = kind === 'again' ? index - 20 : index; // that one was `new`
    const { name, body: example } = EVENTS[id % EVENTS.length] ?? { name: 'push', body: {} };
    const whole = JSON.stringify({ storm: id, ...example });
    const body = kind === 'huge' ? HUGE : Buffer.from(kind === 'cut' ? whole.slice(0, -9) : whole);
    const key = kind === 'forged' ? 'guessed' : secret;
    const signature = `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;
    const status = await fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': kind === 'form' ? 'application/x-www-form-urlencoded' : 'application/json',
        'x-github-event': name,
        'x-github-delivery': `storm-${id}`,
        ...(kind === 'unsigned' ? {} : { 'x-hub-signature-256': signature }),
      },
    }).then(
      (answer) => answer.status,
      () => 413, // refused while it was still being sent
    );
    answers[status] = (answers[status] ?? 0) + 1;
  };
  for (let index = 0; index < count; index += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, one) => send(index + one)));
  }
  return answers;
};
