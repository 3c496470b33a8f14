// Plans of pull requests from the thread that makes them: real repositories, a registry that notes
// who asks, and the limits that end the thread. In: repositories made by git. Out: tests. Not here:
// the merge (pulls), the texts (render).

import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPullPlans, type PullPlansOptions } from '../../reconciler/edge/pull-plans.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { createKeep } from '../../reconciler/edge/keep.ts';
import { createReader, documentsToKeep } from '../../reconciler/desired/read.ts';
import { createMemos } from '../../reconciler/memos.ts';
import type { PullPlansPort } from '../../reconciler/ports.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import { bundle } from '../support/bundle.ts';
import { startGitServer } from '../support/git-server.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { liveOf } from '../support/world.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const job = (more: string): string => `image: reg.example/app:1@${DIGEST}\ncount: 2\n${more}`;
const nodes = Object.fromEntries(
  ['n001', 'n002', 'n003'].map((name) => [`nodes/${name}.yaml`, `node: ${name}\n`]),
);
const BASE = {
  'cluster.yaml': 'name: ship\npolicies: { registries: [reg.example] }\n',
  'jobs/shop/web.yaml': job('environment: { MODE: old, TOKEN: t1 }\n'),
  ...nodes,
};
const live = liveOf([]);

const planned = (plan: PullPlan): Extract<PullPlan, { kind: 'planned' }> => {
  if (plan.kind !== 'planned') throw new Error(JSON.stringify(plan));
  return plan;
};

describe('plans of pull requests', () => {
  let work = '';
  const bundles = tempFolder('pull-worker');
  const outfile = path.join(bundles, 'pull-worker.mjs');
  const opened: PullPlansPort[] = [];
  const open = (options: Partial<PullPlansOptions> = {}): PullPlansPort => {
    const port = createPullPlans({
      source: {
        repository: work,
        branch: 'main',
        directory: '',
        cluster: 'ship',
        cacheDir: work,
        sshCommand: null,
      },
      keep: null,
      auth: null,
      registryCredentials: null,
      insecureRegistries: [],
      entry: pathToFileURL(outfile),
      ...options,
    });
    opened.push(port);
    return port;
  };
  const pull = (files: Parameters<typeof commitFiles>[1]): string => {
    git(work, 'checkout', '--quiet', '-B', 'pull', 'main');
    return commitFiles(work, files, 'a change');
  };

  beforeAll(async () => {
    await bundle('reconciler/pull-worker.ts', outfile);
  });
  afterAll(() => fs.rmSync(bundles, { recursive: true, force: true, maxRetries: 5 }));
  beforeEach(() => {
    work = initRepository(tempFolder('pull-plans'));
  });
  afterEach(async () => {
    for (const port of opened.splice(0)) await port.close();
    fs.rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  });

  test('say what would happen, again and again from one thread, and write nothing', async () => {
    const base = commitFiles(work, BASE, 'first');
    const plans = open();
    const head = pull({
      'jobs/shop/web.yaml': job('environment: { MODE: new, TOKEN: t1 }\n'),
      'jobs/shop/api.yaml': job('resources: { memory: 1TiB }\n'),
    });
    const refs = git(work, 'for-each-ref');
    const first = planned(await plans.plan({ base, head, live, fromFork: false }));
    expect(first).toMatchObject({ base, head, effects: { slots: [] } });
    expect(first.summary.jobs.map((one) => one.job)).toEqual(['shop/web']);
    expect(first.summary.blocked.map((one) => one.job)).toContain('shop/api');
    expect(first.fields.filter((one) => one.job === 'shop/web')).toEqual([
      {
        job: 'shop/web',
        field: 'groups.web.tasks.web.environment.MODE',
        from: '*** (before)',
        to: '*** (after)',
      },
    ]);
    const again = planned(await plans.plan({ base, head, live, fromFork: false }));
    expect(again).toEqual(first);
    const small = pull({ 'jobs/shop/web.yaml': job('') });
    const other = planned(await plans.plan({ base, head: small, live, fromFork: false }));
    expect(other.summary.jobs.map((one) => one.job)).toEqual(['shop/web']);
    const fewer = liveOf([], { n002: { connected: false, silentForMs: 9e6 } });
    const moved = planned(await plans.plan({ base, head: small, live: fewer, fromFork: false }));
    expect(moved.snapshot).not.toBe(other.snapshot);
    expect(moved.summary.jobs[0]?.nodes.map((one) => one.node)).not.toContain('n002');
    expect(git(work, 'for-each-ref')).toBe(refs.replaceAll(head, git(work, 'rev-parse', 'pull')));
  });

  test('are the same from a thread that takes over what the reconciler has read and walked', async () => {
    commitFiles(work, BASE, 'first');
    commitFiles(work, { 'jobs/shop/web.yaml': job('environment: { MODE: new }\n') }, 'second');
    const base = commitFiles(work, { 'jobs/shop/api.yaml': job('') }, 'third');
    const head = pull({ 'jobs/shop/web.yaml': job(''), 'jobs/shop/api.yaml': null });
    const ask = { base, head, live, fromFork: false };
    const alone = planned(await open().plan(ask));
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    const names = { branch: 'main', directory: '', cluster: 'ship', cacheDir: work };
    const source = createGitSource({ repository: work, ...names, log });
    const folder = path.join(work, '.git/kept');
    const { reads } = createMemos().compile;
    const { files } = await source.read();
    for (const [name, file] of files) {
      if (name.startsWith('jobs/')) createReader(reads)('job', name, file);
    }
    await source.listCommits(1, 'jobs/shop/web.yaml');
    expect(
      source
        .walked()
        .map(({ commit }) => commit.oid)
        .at(-1),
    ).toBe(base);
    const program = 'this';
    const documents = documentsToKeep(reads, files);
    await createKeep({ folder, program, log }).keep(source.texts(), documents);
    const told: number[] = [];
    const walked = () => {
      told.push(source.walked().length);
      return source.walked();
    };
    const warm = open({ keep: { folder, program }, walked });
    expect(planned(await warm.plan(ask))).toEqual(alone);
    expect(planned(await warm.plan(ask))).toEqual(alone);
    expect(told).toEqual([3]);
    // The rest is walked in the thread.
    const some = source.walked().slice(0, 1);
    expect(planned(await open({ walked: () => some }).plan(ask))).toEqual(alone);
    source.close();
  });

  test('tell untouched, conflict, and what cannot be read', async () => {
    const start = commitFiles(work, BASE, 'first');
    const base = commitFiles(work, { 'jobs/shop/web.yaml': job('priority: 60\n') }, 'ours');
    const plans = open();
    const words = pull({ 'README.md': 'words' });
    const ask = { base, live, fromFork: false };
    expect((await plans.plan({ ...ask, head: words })).kind).toBe('untouched');
    git(work, 'checkout', '--quiet', '-B', 'other', start);
    const head = commitFiles(work, { 'jobs/shop/web.yaml': job('priority: 70\n') }, 'theirs');
    expect(await plans.plan({ ...ask, head })).toEqual({
      kind: 'conflict',
      base,
      head,
      files: ['jobs/shop/web.yaml'],
    });
    const lost = await plans.plan({ ...ask, head: 'f'.repeat(40) });
    expect(lost).toMatchObject({ kind: 'failed', message: expect.stringContaining('no commit') });
    git(work, 'checkout', '--quiet', '--orphan', 'alien');
    const alien = commitFiles(work, BASE, 'another first');
    expect(await plans.plan({ ...ask, head: alien })).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('no commit in common'),
    });
  });

  test('ask registries of the base only, for a fork without any login', async () => {
    const asked: string[] = [];
    const servers = [1, 2].map(() =>
      http
        .createServer((request, response) => {
          const { url, headers } = request;
          asked.push(`${headers.host} ${url} ${headers.authorization ?? 'nobody'}`);
          const isKnown = headers.authorization !== undefined;
          if (!isKnown) response.setHeader('www-authenticate', 'Basic realm="r"');
          response.setHeader('docker-content-digest', DIGEST);
          response.writeHead(isKnown ? 200 : 401).end();
        })
        .listen(0, '127.0.0.1'),
    );
    try {
      for (const server of servers) if (!server.listening) await once(server, 'listening');
      const [own = '', evil = ''] = servers.map(
        (server) => `127.0.0.1:${(server.address() as AddressInfo).port}`,
      );
      const credentials = path.join(work, '.git/credentials.json');
      const auth = Buffer.from('bot:SECRET').toString('base64');
      const auths = { [own]: { auth }, [evil]: { auth } };
      fs.writeFileSync(credentials, JSON.stringify({ auths }));
      const named = (...hosts: string[]) =>
        `name: ship\npolicies: { registries: [${['reg.example', ...hosts].join(', ')}] }\n`;
      const base = commitFiles(work, { ...BASE, 'cluster.yaml': named(own) }, 'first');
      const head = pull({
        'cluster.yaml': named(own, evil),
        'jobs/shop/own.yaml': `image: ${own}/app:1\n`,
        'jobs/shop/evil.yaml': `image: ${evil}/app:1\n`,
      });
      const plans = open({ registryCredentials: credentials, insecureRegistries: [own, evil] });
      const fork = planned(await plans.plan({ base, head, live, fromFork: true }));
      expect(fork.summary.assumed).toEqual([`${evil}/app:1`]);
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.filter((one) => !one.endsWith('nobody'))).toEqual([]);
      const ours = planned(await plans.plan({ base, head, live, fromFork: false }));
      expect(asked.some((one) => one.endsWith(`Basic ${auth}`))).toBe(true);
      expect(ours.summary.jobs.map((one) => one.job)).toContain('shop/own');
      expect(asked.filter((one) => one.startsWith(evil))).toEqual([]);
    } finally {
      for (const server of servers) server.close();
    }
  });

  test('of a remote are read from its mirror; the login is asked for when something is fetched', async () => {
    const base = commitFiles(work, BASE, 'first');
    const root = path.join(work, '.git/served');
    git(work, 'clone', '--quiet', '--bare', work, path.join(root, 'ship.git'));
    const head = pull({ 'jobs/shop/web.yaml': job('') });
    git(work, 'push', '--quiet', path.join(root, 'ship.git'), `${head}:refs/pull/3/head`);
    const server = await startGitServer({ root, login: 'bot:SECRET' });
    try {
      const where = { branch: 'main', directory: '', cluster: 'ship', cacheDir: root };
      const repository = `${server.url}/ship.git`;
      let asked = 0;
      const auth = async () => {
        asked += 1;
        return { kind: 'token', user: 'bot', token: 'SECRET' } as const;
      };
      const log = { info: () => {}, warn: () => {}, error: () => {} };
      const main = createGitSource({ repository, ...where, log, auth });
      await main.read();
      main.close();
      asked = 0;
      const source = { repository, ...where, sshCommand: null } as const;
      const plans = open({ source, auth });
      const found = planned(await plans.plan({ base, head, live, fromFork: false }));
      expect(found.summary.jobs.map((one) => one.job)).toEqual(['shop/web']);
      await plans.plan({ base, head, live, fromFork: false });
      expect(asked).toBe(1);
    } finally {
      await server.close();
    }
  });

  test('end at the limit of memory or time with a message; the next one is planned', async () => {
    const base = commitFiles(work, BASE, 'first');
    const text = 'x'.repeat(1_000_000);
    const large = Array.from({ length: 300 }, (_, at) => [`configs/f${at}`, `${at} ${text}`]);
    const head = pull(Object.fromEntries(large));
    const plans = open({ memoryMib: 160 });
    expect(await plans.plan({ base, head, live, fromFork: false })).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('more than 160 MiB of memory'),
    });
    const small = pull({ 'jobs/shop/web.yaml': job('') });
    planned(await plans.plan({ base, head: small, live, fromFork: false }));
    const hasty = open({ planMs: 1 });
    expect(await hasty.plan({ base, head: small, live, fromFork: false })).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('longer than 0.001 s'),
    });
    await hasty.close();
    expect(await hasty.plan({ base, head: small, live, fromFork: false })).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('stopping'),
    });
  });
});
