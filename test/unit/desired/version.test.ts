// The version: golden hashes, what changes it and what does not. Rules 2.1, 2.2.

import { describe, expect, it } from 'vitest';
import { digestOf, jobOf, ready, story, type Change } from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example], host_paths: [/srv]}\n';
const IMAGE = `r.example/web@${digestOf('one')}`;

const hashOfJob = (job: string, more: Change = {}): string => {
  const { desired } = ready(
    story({
      'cluster.yaml': CLUSTER,
      'jobs/shop/web.yaml': job,
      'configs/a.toml': 'a',
      'configs/a.env': 'A=1\n',
      ...more,
    }),
  );
  return jobOf(desired, 'shop/web').spec.specHash;
};

const LONG = `job: web
restarted_at: now
groups:
  web:
    network: {mode: bridge}
    ports: {http: 8080, admin: {port: 9090, host: 9090}}
    tasks:
      server:
        image: ${IMAGE}
        entrypoint: [/bin/server]
        command: [--port, "8080"]
        environment: {LEVEL: info, VERSION: 1.10}
        env_file: configs/a.env
        files: {/etc/a.toml: configs/a.toml}
        volumes: ["data:/data", "/srv:/srv:ro"]
        resources: {cpu: 250m, memory: 128MiB}
        checks: {ready: {http: /h, port: http, interval: 10s}}
        kill_signal: SIGTERM
`;

describe('golden hashes: a release that changes one of these restarts every copy', () => {
  it.each([
    [
      'short',
      `image: ${IMAGE}\n`,
      'dbb2aaa5f9fe42aeb5a5437c5ba52e401e836901caa4e9b0c25b745daaf7defd',
    ],
    ['long', LONG, 'b8fc751672e60706be9f13779194e1e33f6f99edb426fc923ac63f88b8c99a62'],
    [
      'health check',
      `image: ${IMAGE}\nports: {http: 80}\nhealthcheck: {tcp: http}\n`,
      '8ffade13d1f91984c0d211e4c2ed5f4a13a4ede18fbe53f6f9f071957d21e651',
    ],
  ])('%s', (_name, job, golden) => {
    expect(hashOfJob(job)).toBe(golden);
  });
});

it('what a namespace says of evidence is not part of the version (6.4)', () => {
  const job = `image: ${IMAGE}\n`;
  const files = {
    'cluster.yaml': CLUSTER,
    'jobs/shop/web.yaml': job,
    'namespaces/shop.yaml': 'evidence: logs\n',
  };
  const web = jobOf(ready(story(files)).desired, 'shop/web');
  expect(web.evidence).toBe('logs');
  expect(web.spec.specHash).toBe(hashOfJob(job));
  const codes = ready(story({ ...files, 'namespaces/shop.yaml': 'evidence: codes\n' })).desired;
  expect(jobOf(codes, 'shop/web')).not.toHaveProperty('evidence');
});

describe('the same version', () => {
  it.each([
    [
      'flow and block',
      `image: ${IMAGE}\nports: {http: 80}\n`,
      `image: ${IMAGE}\nports:\n  http: 80\n`,
    ],
    ['comments', `image: ${IMAGE}\n`, `# hello\nimage: ${IMAGE} # there\n`],
    ['key order', `image: ${IMAGE}\nuser: "1"\n`, `user: "1"\nimage: ${IMAGE}\n`],
    ['identity', `image: ${IMAGE}\n`, `job: web\nnamespace: shop\n$schema: x\nimage: ${IMAGE}\n`],
    ['short and long', `image: ${IMAGE}\n`, `groups: {web: {tasks: {web: {image: ${IMAGE}}}}}\n`],
    [
      'units',
      `image: ${IMAGE}\nresources: {cpu: 500m, memory: 1GiB}\n`,
      `image: ${IMAGE}\nresources: {cpu: 0.5, memory: 1024Mi}\n`,
    ],
    [
      'durations',
      `image: ${IMAGE}\nports: {h: 80}\nchecks: {ready: {tcp: h, interval: 60s}}\n`,
      `image: ${IMAGE}\nports: {h: 80}\nchecks: {ready: {tcp: h, interval: 1m}}\n`,
    ],
    [
      'volumes',
      `image: ${IMAGE}\nvolumes: ["data:/d"]\n`,
      `image: ${IMAGE}\nvolumes: [{name: data, path: /d}]\n`,
    ],
    ['ports', `image: ${IMAGE}\nports: {h: 80}\n`, `image: ${IMAGE}\nports: {h: {port: 80}}\n`],
    ['tag beside a digest', `image: ${IMAGE}\n`, `image: ${IMAGE.replace('@', ':1@')}\n`],
    [
      'where a mounted file lies',
      `image: ${IMAGE}\nfiles: {/a: configs/a.toml}\n`,
      `image: ${IMAGE}\nfiles: {/a: configs/b.toml}\n`,
    ],
  ])('%s', (_name, a, b) => {
    expect(hashOfJob(b, { 'configs/b.toml': 'a' })).toBe(hashOfJob(a));
  });

  it.each([
    'count: 3',
    'count: {min: 1, max: 3}',
    'priority: 60',
    'stopped: true',
    'update: {max_parallel: 2, paused: true, promote: 0123456789ab}',
    'restart: {attempts: 5}',
    'reschedule: {delay: 1m}',
    'stop_after: 5s',
    'shutdown_delay: 1s',
    'kill_timeout: 20s',
    'labels: {team: a}',
    'constraints: ["node.pool = web"]',
    'spread: [{attribute: node.zone}]',
  ])('in place: %s', (line) => {
    expect(hashOfJob(`image: ${IMAGE}\n${line}\n`)).toBe(hashOfJob(`image: ${IMAGE}\n`));
  });
});

describe('another version', () => {
  it.each([
    'type: service',
    'restarted_at: then',
    'network: {mode: bridge}',
    'ports: {http: 80}',
    'entrypoint: [/x]',
    'command: [x]',
    'environment: {A: b}',
    'env_file: configs/a.env',
    'user: "1"',
    'working_dir: /',
    'read_only: false',
    'tmpfs: [/tmp]',
    'files: {/a: configs/a.toml}',
    'volumes: ["data:/d"]',
    'resources: {cpu: 100m}',
    'pids: 10',
    'cap_add: [NET_ADMIN]',
    'cap_drop: [ALL]',
    'checks: {ready: {exec: [x]}}',
    'healthcheck: {exec: [x]}',
    'kill_signal: SIGTERM',
  ])('a written field counts, even at its default: %s', (line) => {
    expect(hashOfJob(`image: ${IMAGE}\n${line}\n`)).not.toBe(hashOfJob(`image: ${IMAGE}\n`));
  });

  it('comes with another content of a mounted file or an env file', () => {
    const job = `image: ${IMAGE}\nfiles: {/a: configs/a.toml}\nenv_file: configs/a.env\n`;
    expect(hashOfJob(job, { 'configs/a.toml': 'b' })).not.toBe(hashOfJob(job));
    expect(hashOfJob(job, { 'configs/a.env': 'A=2\n' })).not.toBe(hashOfJob(job));
    expect(hashOfJob(job, { 'configs/a.env': '# c\nA=1\n' })).toBe(hashOfJob(job));
  });

  it('comes with a cluster default that applies and forms the version, and with no other', () => {
    const job = `image: ${IMAGE}\n`;
    const under = (defaults: string) =>
      hashOfJob(job, { 'cluster.yaml': `${CLUSTER}defaults: ${defaults}\n` });
    expect(under('{priority: 70, restart: {attempts: 1}}')).toBe(hashOfJob(job));
    expect(under('{resources: {cpu: 100m}}')).not.toBe(hashOfJob(job));
    expect(under('{resources: {cpu: 100m}}')).toBe(
      hashOfJob(`image: ${IMAGE}\nresources: {cpu: 100m}\n`),
    );
  });
});

describe('groups', () => {
  it('have hashes of their own', () => {
    const { desired } = ready(
      story({
        'cluster.yaml': CLUSTER,
        'jobs/shop/web.yaml': `groups: {a: {image: ${IMAGE}}, b: {image: ${IMAGE}, user: "1"}}\n`,
        'jobs/shop/api.yaml': `groups: {a: {image: ${IMAGE}}, b: {image: ${IMAGE}}}\n`,
      }),
    );
    const [web, api] = ['shop/web', 'shop/api'].map((id) => jobOf(desired, id).spec);
    expect(web?.groups[0]?.hash).toBe(api?.groups[0]?.hash);
    expect(web?.groups[1]?.hash).not.toBe(api?.groups[1]?.hash);
    expect(web?.specHash).not.toBe(api?.specHash);
  });
});
