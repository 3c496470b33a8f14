// Mistakes of people, each through a commit: status names them on their line, nothing else is
// disturbed, and the correction heals. Then the repository itself: rewritten, moved away, a remote
// that somebody forced.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ReadyState } from '../../cli/state.ts';
import { parseToken } from '../../schema/identity.ts';
import type { StateAnswer, TokenAnswer } from '../../schema/control.ts';
import { appJob } from '../support/app.ts';
import type { Cluster } from '../support/cluster.ts';
import { deploymentOf, liveCopies, pidsOf, pushApp, startCluster } from '../support/cluster.ts';
import { git } from '../support/git-repo.ts';
import type { GitServer } from '../support/git-server.ts';
import { startGitServer } from '../support/git-server.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const SAFE = 'other/safe';
const STORE = 'other/store';
const web = (version: string, more: readonly string[] = []) =>
  appJob({ image: '%APP%', version, count: 2, more });
const FILES = {
  [FILE]: web('1'),
  'jobs/other/safe.yaml': appJob({ image: '%APP%', version: '1', count: 1 }),
  'jobs/other/store.yaml': appJob({
    image: '%APP%',
    version: '1',
    count: 1,
    more: ['volumes: ["data:/data"]'],
  }),
};

const pidsOfAll = (state: ReadyState) => [WEB, SAFE, STORE].map((job) => pidsOf(state, job));

describe('files', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, files: FILES });
    for (const job of [WEB, SAFE, STORE]) await cluster.settled(job);
  });
  afterAll(() => cluster?.close());

  const hasProblem = (state: ReadyState, file: string, code: string): true | string =>
    state.view.plan.problems.some((one) => one.file === file && one.code === code) ||
    JSON.stringify(state.view.plan.problems);

  const MISTAKES: readonly (readonly [string, string, string, string])[] = [
    ['YAML that does not parse', 'yaml-syntax', FILE, 'count: [2\nimage: x\n'],
    ['an unknown field', 'field-unknown', FILE, web('2', ['replicas: 3'])],
    ['a wrong unit', 'value-unit', FILE, web('2').replace('memory: 32MiB', 'memory: 32 parrots')],
    [
      'a host port twice',
      'port-twice',
      FILE,
      web('2').replace(
        '{ http: 8080 }',
        '{ http: { port: 8080, host: 8090 }, b: { port: 1, host: 8090 } }',
      ),
    ],
    [
      'a namespace that is not valid',
      'field-unknown',
      'namespaces/shop.yaml',
      'namespace: shop\nquotas: 3\n',
    ],
    ['a node file that is not valid', 'field-unknown', 'nodes/n1.yaml', 'node: n1\ndrains: true\n'],
    ['a cluster file that is not valid', 'field-unknown', 'cluster.yaml', 'name: e2e\nlost: 1s\n'],
  ];

  test.each(MISTAKES)(
    '%s is shown, disturbs nothing, and heals',
    async (name, code, file, text) => {
      const before = pidsOfAll(await cluster.state());
      cluster.commit({ [file]: text }, name);
      const state = await cluster.until('the problem is shown', (now) =>
        hasProblem(now, file, code),
      );
      const problem = state.view.plan.problems.find((one) => one.code === code);
      expect(problem?.line).toBeGreaterThanOrEqual(1);
      expect(await cluster.purser('status')).toContain(`${file}:${problem?.line}`);
      await sleep(1500);
      expect(pidsOfAll(await cluster.state())).toEqual(before);
      cluster.git('revert', '--no-edit', 'HEAD');
      const after = await cluster.settled(WEB);
      expect(after.view.plan.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
      expect(pidsOfAll(after)).toEqual(before);
    },
  );

  test('a job larger than any node is blocked with the reason, and the old copies stay', async () => {
    const before = pidsOfAll(await cluster.state());
    const text = web('2').replace('memory: 32MiB', 'memory: 64GiB');
    cluster.commit({ [FILE]: text }, 'too large');
    const state = await cluster.until(
      'it is blocked',
      (now) =>
        now.view.plan.blocked.some(({ job, kind }) => job === WEB && kind === 'no-node') ||
        JSON.stringify(now.view.plan.blocked),
    );
    expect(deploymentOf(state, WEB)?.status).toBe('blocked');
    expect(await cluster.purser('status')).toMatch(/fits on no node: 2 nodes: .*memory/);
    await sleep(1500);
    expect(pidsOfAll(await cluster.state())).toEqual(before);
    cluster.git('revert', '--no-edit', 'HEAD');
    expect(pidsOfAll(await cluster.settled(WEB))).toEqual(before);
  });

  test('a check on a port that nobody listens on fails the version, and it goes back', async () => {
    const text = appJob({ image: '%APP%', version: '2', count: 2, healthyDeadline: '10s' })
      .replace('{ http: 8080 }', '{ http: 8080, admin: 9999 }')
      .replace('healthcheck: { http: /healthz, port: http', 'healthcheck: { tcp: admin');
    const bad = cluster.commit({ [FILE]: text }, 'asks the wrong port');
    await cluster.until('a revert', () => cluster.git('rev-parse', 'HEAD~1') === bad, 60_000);
    expect(cluster.git('log', '-1', '--format=%B')).toContain(`Purser-Reverts: ${bad}`);
    expect(liveCopies(await cluster.settled(WEB), WEB)).toHaveLength(2);
  });

  test('a commit without any job stops nothing, and says how it can be meant', async () => {
    const before = pidsOfAll(await cluster.state());
    cluster.commit(Object.fromEntries(Object.keys(FILES).map((path) => [path, null])), 'all gone');
    await cluster.until('it is refused', ({ view }) => view.desired.standing.kind === 'stopped');
    expect(await cluster.purser('status')).toContain('allow_empty');
    await sleep(1500);
    expect(pidsOfAll(await cluster.state())).toEqual(before);
    cluster.git('revert', '--no-edit', 'HEAD');
    expect(pidsOfAll(await cluster.settled(WEB))).toEqual(before);
  });

  test('a branch that is rewritten here is followed', async () => {
    cluster.commit({ [FILE]: web('3') }, 'soon forgotten');
    await cluster.settled(WEB);
    cluster.git('reset', '--hard', '--quiet', 'HEAD~1');
    cluster.commit({ [FILE]: web('4') }, 'instead');
    const state = await cluster.settled(WEB);
    expect(liveCopies(state, WEB).map(({ body }) => body.spec.tasks[0]?.environment)).toEqual([
      [['VERSION', '4']],
      [['VERSION', '4']],
    ]);
  });

  test('a repository that was moved away stops nothing, and is read again when it is back', async () => {
    const before = pidsOfAll(await cluster.state());
    renameSync(cluster.repository, `${cluster.repository}-away`);
    await untilFailure(cluster, /repository/);
    expect(await cluster.purser('status')).toContain('Git cannot be read');
    expect(pidsOfAll(await cluster.state())).toEqual(before);
    renameSync(`${cluster.repository}-away`, cluster.repository);
    cluster.commit({ [FILE]: web('5') }, 'back again');
    await cluster.settled(WEB, 60_000);
  });

  test('removing a job with a named volume waits for an approval', async () => {
    const before = pidsOfAll(await cluster.state());
    const commit = cluster.commit({ 'jobs/other/store.yaml': null }, 'no store any more');
    const state = await cluster.until('the guard holds it', ({ view }) =>
      view.plan.guarded.some(({ job }) => job === STORE),
    );
    await sleep(1500);
    expect(pidsOfAll(await cluster.state())).toEqual(before);
    const slots = state.view.plan.guarded.flatMap((one) => one.slots);
    const approval = { kind: 'approval', id: 'a1', by: 'ada@example.org', commit, slots };
    const rest = { at: new Date().toISOString(), nodes: [], used: false };
    await cluster.call('record', { records: [{ ...approval, ...rest }] });
    await cluster.until('it is gone', (now) => {
      const copies = now.view.live.nodes.flatMap(({ allocations }) => allocations);
      return copies.every(({ body }) => body.job !== 'store');
    });
    const after = await cluster.settled(WEB);
    expect(pidsOf(after, SAFE)).toEqual(before[1]);
  });
});

const untilFailure = async (cluster: Cluster, words: RegExp): Promise<void> => {
  const failure = async () => (await cluster.call<StateAnswer>('state')).failure ?? '';
  await expect.poll(failure, { timeout: 40_000, interval: 200 }).toMatch(words);
};

const GIT_PASSWORD = 'g1t-Passw0rd-of-the-remote';
const REGISTRY_PASSWORD = 'r3gistry-Passw0rd';
const API_TOKEN = 'zQ81-of-the-job';
const basic = (password: string): string => Buffer.from(`ada:${password}`).toString('base64');

describe('a remote', () => {
  let cluster: Cluster;
  let server: GitServer;
  /** Of the programs that are started from now on. */
  const env: Record<string, string> = {};
  beforeAll(async () => {
    cluster = await startCluster({
      nodes: 1,
      files: { [FILE]: web('1') },
      // The node joins by a token.
      link: 'tls',
      outside: true,
      env,
      url: async (workTree) => {
        const remotes = join(workTree, '../remotes');
        mkdirSync(remotes);
        git(remotes, 'clone', '--quiet', '--bare', workTree, 'shop.git');
        git(workTree, 'remote', 'add', 'origin', join(remotes, 'shop.git'));
        server = await startGitServer({ root: remotes, login: `ada:${GIT_PASSWORD}` });
        return `${server.url}/shop.git`.replace('//', `//ada:${GIT_PASSWORD}@`);
      },
    });
    // The node's file is a commit.
    cluster.git('pull', '--quiet', '--ff-only', 'origin', 'main');
    await cluster.settled(WEB);
  });
  afterAll(async () => {
    await cluster?.close();
    await server?.close();
  });

  test('a failed version is reverted by a commit that is pushed', async () => {
    const bad = cluster.commit(
      { [FILE]: appJob({ image: '%APP%', version: '2', count: 2, fail: 'crash' }) },
      'crashes',
    );
    cluster.git('push', '--quiet', 'origin', 'main');
    await cluster.until('a pushed revert', () => {
      cluster.git('pull', '--quiet', '--ff-only', 'origin', 'main');
      return cluster.git('rev-parse', 'HEAD~1') === bad;
    });
    await cluster.settled(WEB);
  });

  test('a server that is down stops nothing', async () => {
    const before = pidsOf(await cluster.settled(WEB), WEB);
    server.misbehave({ kind: 'status', status: 503 });
    await untilFailure(cluster, /503/);
    expect(pidsOf(await cluster.state(), WEB)).toEqual(before);
    server.misbehave(null);
    await cluster.until('it is read again', ({ failure }) => failure === null || failure);
  });

  test('a branch that was rewritten stops syncing until a person resumes', async () => {
    const before = pidsOf(await cluster.settled(WEB), WEB);
    cluster.git('reset', '--hard', '--quiet', 'HEAD~2');
    const forced = cluster.commit({ [FILE]: web('forced') }, 'another line');
    cluster.git('push', '--quiet', '--force', 'origin', 'main');
    await untilFailure(cluster, new RegExp(`purser resume --at ${forced}`));
    expect(pidsOf(await cluster.state(), WEB)).toEqual(before);
    await cluster.purser('resume', '--at', forced);
    const state = await cluster.settled(WEB, 60_000);
    expect(liveCopies(state, WEB).map(({ body }) => body.spec.tasks[0]?.environment)).toEqual([
      [['VERSION', 'forced']],
      [['VERSION', 'forced']],
    ]);
  });

  test('what a job of the host’s network finds listening on its node is DNS', async () => {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('there is a node');
    const inside = (...words: readonly string[]): readonly string[] =>
      execFileSync('nsenter', [`--net=/run/netns/${node.netns}`, 'ss', '-Hln', ...words], {
        encoding: 'utf8',
      })
        .split('\n')
        .filter((line) => line.trim() !== '');
    const ports = inside('-t', '-u').map((line) => line.trim().split(/\s+/)[4] ?? '');
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((at) => !/^10\.\d+\.\d+\.1:53$/.test(at))).toEqual([]);
    // Names of sockets that are no files begin with an @.
    expect(inside('-x').filter((line) => line.includes(' @'))).toEqual([]);
  });

  test('no log tells a secret, however much it is asked to tell', async () => {
    // All that the libraries can tell.
    Object.assign(env, { GRPC_TRACE: 'all', GRPC_VERBOSITY: 'DEBUG', PURSER_DEBUG: '1' });
    for (const one of [cluster.reconciler, cluster.node('n1').runner]) {
      await one.end('SIGTERM');
      one.start();
    }
    await cluster.settled(WEB);
    const tokenOf = async (...words: readonly string[]): Promise<string> =>
      (JSON.parse(await cluster.purser('node', 'token', '--json', ...words)) as TokenAnswer).token;
    const asked = (token: string): Promise<string> => {
      vi.stubEnv('PURSER_TOKEN', token);
      return cluster
        .purser('status', '--reconciler', `${cluster.hub}:7420`)
        .finally(vi.unstubAllEnvs);
    };
    const [view, joining] = [await tokenOf('--role', 'view'), await tokenOf()];
    expect(await asked(view)).toContain(WEB);
    await expect(asked(joining)).rejects.toThrow(/token/);
    cluster.proxy.meet((request, response) => {
      if (request.headers.authorization === `Basic ${basic(REGISTRY_PASSWORD)}`) return 'pass';
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return 'done';
    });
    const auths = { [cluster.proxy.host]: { auth: basic(REGISTRY_PASSWORD) } };
    writeFileSync(cluster.logins, JSON.stringify({ auths }));
    await pushApp(cluster.registry, 'login');
    const secret = web('s').replace('environment:', `environment:\n  API_TOKEN: ${API_TOKEN}`);
    const text = secret.replace('%APP%', `${cluster.proxy.host}/app:login`);
    cluster.commit({ [FILE]: text }, 'an image behind a login, and a secret');
    cluster.git('push', '--quiet', 'origin', 'main');
    await cluster.settled(WEB, 60_000);
    server.misbehave({ kind: 'status', status: 401 });
    await untilFailure(cluster, /401/);
    const folder = join(cluster.root, 'logs');
    const logs = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
    expect(logs.join('')).toContain('"authorization":["***"]');
    const keys = keysBelow(cluster.root);
    expect(keys.length).toBeGreaterThanOrEqual(2);
    const secrets = [
      GIT_PASSWORD,
      basic(GIT_PASSWORD),
      REGISTRY_PASSWORD,
      basic(REGISTRY_PASSWORD),
      API_TOKEN,
      parseToken(view)?.secret ?? '',
      parseToken(joining)?.secret ?? '',
      'PRIVATE KEY',
      ...keys,
    ];
    for (const one of secrets) {
      expect(one.length).toBeGreaterThan(8);
      for (const log of logs) expect(log.includes(one), one.slice(0, 4)).toBe(false);
    }
  });
});

/** The first line of each private key: of the authority, and of the node that joined. */
const keysBelow = (root: string): readonly string[] =>
  [join(root, 'authority'), join(root, 'n1/identity')].flatMap((folder) =>
    readdirSync(folder).flatMap(
      (name) => /PRIVATE KEY-----\n(\S+)/.exec(readFileSync(join(folder, name), 'utf8'))?.[1] ?? [],
    ),
  );
