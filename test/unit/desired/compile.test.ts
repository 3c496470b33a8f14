// compile: normal form, counts, documents, problems across files. Rules 1, 7, 9.3, 14.

import { describe, expect, it } from 'vitest';
import { digestOf, jobOf, ready, story, type Change } from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const PINNED = `r.example/web:1@${digestOf('one')}`;

const compiled = (job: string, more: Change = {}) =>
  ready(story({ 'cluster.yaml': CLUSTER, 'jobs/shop/web.yaml': job, ...more })).desired;

const codes = (job: string, more: Change = {}) =>
  compiled(job, more).problems.map(({ file, line, code }) => `${file}:${line} ${code}`);

describe('normal form', () => {
  it('writes short forms out and applies the built-in defaults', () => {
    const job = jobOf(compiled(`image: ${PINNED}\nports: {http: 8080}\n`), 'shop/web');
    expect(job.standing).toEqual({ kind: 'head' });
    expect(job.spec.groups).toHaveLength(1);
    expect(job.spec).toMatchObject({
      id: 'shop/web',
      priority: 50,
      update: { maxParallel: { kind: 'count', copies: 1 }, order: 'stop-first', autoRevert: true },
      groups: [
        {
          name: 'web',
          count: 1,
          ask: { cpuMilli: 100, memoryBytes: 134_217_728 },
          ports: [{ name: 'http', port: 8080, host: null }],
          restart: { attempts: 2, intervalMs: 1_800_000, delayMs: 15_000, mode: 'fail' },
          tasks: [
            {
              name: 'web',
              image: { repository: 'r.example/web', digest: digestOf('one') },
              killTimeoutMs: 10_000,
            },
          ],
        },
      ],
    });
  });

  it('sorts groups, tasks and variables, and sums what tasks ask for', () => {
    const job = jobOf(
      compiled(
        `groups:\n  b:\n    tasks:\n      z: {image: ${PINNED}, resources: {cpu: 250m}}\n` +
          `      a: {image: ${PINNED}, resources: {memory: 1GiB}}\n` +
          `  a: {image: ${PINNED}, environment: {Z: 1.10, A: yes}}\n`,
      ),
      'shop/web',
    );
    expect(job.spec.groups.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(job.spec.groups[1]?.tasks.map(({ name }) => name)).toEqual(['a', 'z']);
    expect(job.spec.groups[1]?.ask).toEqual({
      cpuMilli: 350,
      memoryBytes: 1024 ** 3 + 128 * 1024 ** 2,
    });
    expect(job.spec.groups[0]?.tasks[0]?.environment).toEqual([
      ['A', 'yes'],
      ['Z', '1.10'],
    ]);
    expect([...job.lines]).toEqual([
      ['a', 6],
      ['b', 2],
    ]);
  });

  it('merges env files under environment and inlines mounted files', () => {
    const job = jobOf(
      compiled(
        `image: ${PINNED}\nenv_file: configs/web.env\nenvironment: {B: own}\n` +
          `files: {/etc/web.toml: configs/web.toml}\n`,
        { 'configs/web.env': '# c\nA=1\nexport B=2\nC="x y"\n', 'configs/web.toml': 'a = 1\n' },
      ),
      'shop/web',
    );
    const [task] = job.spec.groups[0]?.tasks ?? [];
    expect(task?.environment).toEqual([
      ['A', '1'],
      ['B', 'own'],
      ['C', 'x y'],
    ]);
    expect(task?.files).toEqual([
      { path: '/etc/web.toml', source: 'configs/web.toml', content: 'a = 1\n' },
    ]);
  });

  it('writes healthcheck out as ready and live (rules 4.1)', () => {
    const job = jobOf(
      compiled(`image: ${PINNED}\nports: {http: 80}\nhealthcheck: {http: /h, retries: 2}\n`),
      'shop/web',
    );
    const checks = job.spec.groups[0]?.tasks[0]?.checks;
    expect(checks?.ready).toMatchObject({ probe: { kind: 'http', path: '/h', port: 'http' } });
    expect([checks?.ready?.retries, checks?.live?.retries]).toEqual([2, 6]);
  });

  it('puts the defaults of cluster.yaml where the job says nothing', () => {
    const cluster = `${CLUSTER}defaults:\n  priority: 70\n  update: {max_parallel: 25%, canary: 1}\n`;
    const job = jobOf(
      compiled(`image: ${PINNED}\nupdate: {canary: 0}\n`, { 'cluster.yaml': cluster }),
      'shop/web',
    );
    expect(job.spec.priority).toBe(70);
    expect(job.spec.update.maxParallel).toEqual({ kind: 'percent', percent: 25 });
    expect(job.spec.update.canary).toBe(0);
  });
});

describe('counts (rules 7)', () => {
  const machine = `image: ${PINNED}\ncount: {min: 2, max: 5}\n`;
  const group = (job: string, more: Change = {}) =>
    jobOf(compiled(job, more), 'shop/web').spec.groups[0];

  it.each([
    ['people’s count', `image: ${PINNED}\ncount: 3\n`, {}, 3, null],
    ['no scale file: min', machine, {}, 2, { min: 2, max: 5, fromFile: false }],
    ['from the file', machine, { 'scale/shop/web.yaml': 'web: 4\n' }, 4, { fromFile: true }],
    ['clamped', machine, { 'scale/shop/web.yaml': 'web: 40\n' }, 5, { fromFile: true }],
    ['stopped', `${machine}stopped: true\n`, { 'scale/shop/web.yaml': 'web: 4\n' }, 0, { max: 5 }],
  ] as const)('%s', (_name, job, more, count, scale) => {
    const found = group(job, more);
    expect(found?.count).toBe(count);
    if (scale === null) expect(found?.scale).toBeNull();
    else expect(found?.scale).toMatchObject(scale);
  });

  it('says what a count outside its bounds counts as, and which file lacks a group', () => {
    const text = 'web: 40\n';
    expect(codes(machine, { 'scale/shop/web.yaml': text })).toEqual([
      'scale/shop/web.yaml:1 scale-clamped',
    ]);
    const path = 'scale/shop/web.yaml';
    expect(compiled(machine, { [path]: text }).openScaleFiles).toEqual([]);
    expect(compiled(machine, { [path]: '{}\n' }).openScaleFiles).toMatchObject([
      { path, text: '{}\n' },
    ]);
    expect(compiled(machine, { [path]: 'web: many\n' }).openScaleFiles).toEqual([]);
  });

  it('says when a count in a scale file is not read', () => {
    const more = { 'scale/shop/web.yaml': 'web: 4\nother: 2\n', 'scale/shop/no.yaml': 'no: 1\n' };
    expect(codes(`image: ${PINNED}\n`, more)).toEqual([
      'scale/shop/no.yaml:1 scale-unused',
      'scale/shop/web.yaml:1 scale-unused',
      'scale/shop/web.yaml:2 scale-unused',
    ]);
  });
});

describe('documents', () => {
  it('reads cluster, namespaces and nodes', () => {
    const desired = compiled(`image: ${PINNED}\n`, {
      'cluster.yaml': `${CLUSTER}max_deployments: 2\nlost_after: 1m\nguards: {own_approval: true}\n`,
      'namespaces/shop.yaml': 'protected: true\nquota: {cpu: "4"}\nevidence: logs\n',
      'nodes/n2.yaml': 'drain: {volumes: stop}\n',
      'nodes/n1.yaml': 'pool: web\nlabels: {zone: a}\n',
    });
    expect(desired.cluster).toMatchObject({
      name: 'home',
      maxDeployments: 2,
      lostAfterMs: 60_000,
      ownApproval: true,
    });
    expect(desired.namespaces).toEqual([
      {
        name: 'shop',
        protected: true,
        quota: { cpuMilli: 4000, memoryBytes: Number.MAX_SAFE_INTEGER },
        evidence: 'logs',
      },
    ]);
    expect(desired.nodes).toEqual([
      { name: 'n1', labels: [['zone', 'a']], pool: 'web', drain: 'no' },
      { name: 'n2', labels: [], pool: null, drain: 'volumes' },
    ]);
    expect(desired.standing).toEqual({ kind: 'ok' });
  });

  it('stops where the ledger is that of another branch (rules 1.1)', () => {
    const commits = story({ 'cluster.yaml': CLUSTER });
    const record = { kind: 'cluster', cluster: 'home', branch: 'prod', directory: '' } as const;
    expect(ready(commits, { ledger: [record] }).desired.standing.kind).toBe('stopped');
  });
});

describe('problems across files', () => {
  const refused = { kind: 'refused', blob: 'b', why: 'symlink', size: null } as const;
  it.each([
    ['missing file', 'files: {/a: configs/a}', {}, 'source-missing'],
    ['refused file', 'files: {/a: configs/a}', { 'configs/a': refused }, 'source-refused'],
    ['outside configs', 'files: {/a: cluster.yaml}', {}, 'source-outside'],
    ['bad env line', 'env_file: configs/a', { 'configs/a': 'what\n' }, 'env-line'],
    ['too large', 'files: {/a: configs/a}', { 'configs/a': 'x'.repeat(250_000) }, 'body-too-large'],
    ['host path', 'volumes: ["/srv:/srv"]', {}, 'host-path-not-allowed'],
    ['stop_after', 'stop_after: 16s', {}, 'stop-after-too-long'],
  ] as const)('%s', (_name, line, more, code) => {
    const found = compiled(`image: ${PINNED}\n${line}\n`, more);
    expect(found.problems.map((problem) => problem.code)).toEqual([code]);
    expect(found.problems[0]).toMatchObject({ file: 'jobs/shop/web.yaml', severity: 'error' });
    expect(found.jobs).toEqual([]);
  });

  it('says in people’s units how much too large a group is', () => {
    const files = { 'configs/a': 'x'.repeat(250_000) };
    const [problem] = compiled(`image: ${PINNED}\nfiles: {/a: configs/a}\n`, files).problems;
    expect(problem?.message).toMatch(/have 244.\d+KiB, [\d.]+KiB more than the [\d.]+KiB that/);
  });

  it('names the line of cluster.yaml that allows a registry', () => {
    const [problem] = compiled(`image: other.example/web@${digestOf('one')}\n`).problems;
    expect(problem).toMatchObject({ code: 'registry-not-allowed', line: 1, column: 8 });
    expect(problem?.advice).toContain('- other.example');
  });

  it('allows host paths as policy says', () => {
    const cluster = `${CLUSTER}  \n`.replace(
      'registries: [r.example]',
      'registries: [r.example], host_paths: ["/srv/shared:ro", /data]',
    );
    const with_ = (volume: string) =>
      codes(`image: ${PINNED}\nvolumes: ["${volume}"]\n`, { 'cluster.yaml': cluster });
    expect(with_('/srv/shared/x:/x:ro')).toEqual([]);
    expect(with_('/data:/x')).toEqual([]);
    expect(with_('/srv/shared:/x')).toEqual(['jobs/shop/web.yaml:2 host-path-not-allowed']);
    expect(with_('/database:/x')).toEqual(['jobs/shop/web.yaml:2 host-path-not-allowed']);
    expect(with_('/data/../etc:/x')).toEqual(['jobs/shop/web.yaml:2 host-path-not-allowed']);
  });

  it('lets stop_after just fit into lost_after (rules 9.3)', () => {
    expect(codes(`image: ${PINNED}\nstop_after: 15s\n`)).toEqual([]);
    expect(codes(`image: ${PINNED}\nstop_after: 15s\nshutdown_delay: 1s\n`)).toEqual([
      'jobs/shop/web.yaml:2 stop-after-too-long',
    ]);
  });

  it('refuses canaries that a default asks of a group with a volume (rules 14)', () => {
    const cluster = `${CLUSTER}defaults: {update: {canary: 1}}\n`;
    const job = `image: ${PINNED}\nvolumes: ["data:/d"]\n`;
    expect(codes(job, { 'cluster.yaml': cluster })).toEqual([
      'jobs/shop/web.yaml:1 canary-with-volume',
    ]);
  });
});
