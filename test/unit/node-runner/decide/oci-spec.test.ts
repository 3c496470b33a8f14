// The OCI specification of a task: what an image, a job and a node add up to.
import { describe, expect, it } from 'vitest';
import { prepareAsk } from '../../../../node-runner/decide/files.ts';
import type { SpecInput } from '../../../../node-runner/decide/oci-spec.ts';
import { capabilities, ociSpec, taskArgs } from '../../../../node-runner/decide/oci-spec.ts';
import type { ImageFacts } from '../../../../node-runner/ports.ts';
import { volumeFolder } from '../../../../schema/ids.ts';
import type { TaskSpec } from '../../../../schema/spec.ts';
import { MIB, testBody, testGroup, testNode, testTask } from '../../../support/runner-specs.ts';

const image: ImageFacts = {
  name: 'r/web@sha256:aa',
  digest: 'sha256:aa',
  chainId: 'sha256:chain',
  sizeBytes: 1,
  entrypoint: ['/entry'],
  command: ['image-command'],
  environment: ['PATH=/bin', 'FROM=image'],
  workingDir: '/srv',
  user: '',
  stopSignal: null,
};
const network = { allocation: 'a-0-1', path: '/run/netns/a-0-1', address: '10.0.0.2' };

const input = (task: Partial<TaskSpec> = {}, fields: Partial<SpecInput> = {}): SpecInput => {
  const own = testTask(task);
  const body = testBody('a-0-1', { spec: testGroup({ tasks: [own] }) });
  return {
    body,
    task: own,
    image,
    user: { uid: 1000, gid: 1001, additionalGids: [5] },
    paths: {
      files: {
        'server\n/etc/hosts': '/s/hosts',
        'server\n/etc/resolv.conf': '/s/resolv',
        'server\n/cfg/app.toml': '/s/app.toml',
      },
      volumes: { [volumeFolder(body, 'data')]: '/v/data' },
      logs: {},
    },
    network,
    ports: [{ name: 'http', port: 8080, host: 21_000 }],
    node: testNode,
    ...fields,
  };
};

/** The specification is JSON to the runner; tests look into it. */
const spec = (task?: Partial<TaskSpec>, fields?: Partial<SpecInput>) =>
  JSON.parse(JSON.stringify(ociSpec(input(task, fields)))) as {
    readonly process: Record<string, never>;
    readonly root: object;
    readonly hostname: string;
    readonly annotations: object;
    readonly mounts: readonly {
      readonly destination: string;
      readonly type: string;
      readonly source: string;
      readonly options: readonly string[];
    }[];
    readonly linux: {
      readonly namespaces: readonly object[];
      readonly cgroupsPath: string;
      readonly resources: Record<string, object>;
      readonly seccomp: { readonly defaultAction: string };
      readonly maskedPaths: readonly string[];
    };
  };

describe('the command', () => {
  it.each<[string, readonly string[] | null, readonly string[] | null, readonly string[]]>([
    ['the image’s own', null, null, ['/entry', 'image-command']],
    ['a command of the job', null, ['x'], ['/entry', 'x']],
    ['an entrypoint voids the image’s command', ['/e'], null, ['/e']],
    ['both', ['/e'], ['x', 'y'], ['/e', 'x', 'y']],
    ['an empty entrypoint', [], ['/x'], ['/x']],
  ])('%s', (_name, entrypoint, command, args) => {
    expect(taskArgs(testTask({ entrypoint, command }), image)).toEqual(args);
  });
});

describe('capabilities', () => {
  it.each<[string, readonly string[], readonly string[], (names: readonly string[]) => boolean]>([
    ['the usual 14', [], [], (names) => names.length === 14 && names.includes('CAP_CHOWN')],
    ['one added, however written', ['net_admin'], [], (names) => names.includes('CAP_NET_ADMIN')],
    ['one dropped', [], ['CAP_NET_RAW'], (names) => !names.includes('CAP_NET_RAW')],
    ['all dropped', [], ['ALL'], (names) => names.length === 0],
    ['all dropped, one added', ['CHOWN'], ['ALL'], (names) => names.join() === 'CAP_CHOWN'],
    ['all', ['ALL'], [], (names) => names.length > 35 && !names.includes('CAP_ALL')],
    ['all but one', ['ALL'], ['SYS_ADMIN'], (names) => !names.includes('CAP_SYS_ADMIN')],
  ])('%s', (_name, capAdd, capDrop, holds) => {
    expect(holds(capabilities(testTask({ capAdd, capDrop })))).toBe(true);
  });
});

describe('a task', () => {
  it('runs as its user, without new privileges, under seccomp, in its own cgroup and shim', () => {
    const made = spec();
    expect(made.process).toMatchObject({
      user: { uid: 1000, gid: 1001, additionalGids: [5] },
      cwd: '/srv',
      noNewPrivileges: true,
      oomScoreAdj: 500,
      terminal: false,
    });
    expect(made.process).not.toHaveProperty('rlimits');
    expect(made.hostname).toBe('a-0-1');
    expect(made.annotations).toEqual({ 'io.containerd.runc.v2.group': 'a-0-1' });
    expect(made.linux.cgroupsPath).toBe('/purser/n1/a-0-1.server');
    expect(made.linux.seccomp.defaultAction).toBe('SCMP_ACT_ERRNO');
    expect(made.linux.maskedPaths).toContain('/proc/kcore');
  });

  it('has the limits of its resources', () => {
    const made = spec({ cpuMilli: 250, cpuMaxMilli: 1500, memoryMaxBytes: 256 * MIB });
    expect(made.linux.resources).toMatchObject({
      cpu: { shares: 256, quota: 150_000, period: 100_000 },
      memory: { limit: 256 * MIB, swap: 256 * MIB, reservation: 128 * MIB },
      pids: { limit: 4096 },
      devices: [{ allow: false, access: 'rwm' }],
    });
    const plain = spec({ pidsMax: 10 });
    expect(plain.linux.resources['cpu']).toEqual({ shares: 102 });
    expect(plain.linux.resources['pids']).toEqual({ limit: 10 });
  });

  it('mounts files read-only, volumes as asked, and tmpfs, parents before children', () => {
    const made = spec({
      readOnlyRoot: true,
      tmpfs: ['/cfg'],
      files: [{ path: '/cfg/app.toml', source: 'a', content: 'x' }],
      volumes: [
        { kind: 'named', name: 'data', path: '/data', readOnly: false, onLoss: 'wait' },
        { kind: 'host', source: '/srv/shared', path: '/data/shared', readOnly: true },
      ],
    });
    const own = made.mounts.slice(7);
    expect(own.map(({ destination }) => destination)).toEqual([
      '/cfg',
      '/cfg/app.toml',
      '/data',
      '/data/shared',
      '/etc/hosts',
      '/etc/resolv.conf',
    ]);
    expect(own.map(({ options }) => options.at(-1))).toEqual([
      'mode=1777',
      'ro',
      'rw',
      'ro',
      'ro',
      'ro',
    ]);
    expect(own[2]?.source).toBe('/v/data');
    expect(made.root).toEqual({ path: 'rootfs', readonly: true });
  });

  it('joins the network of its allocation, or the host’s with its /sys and its resolver', () => {
    expect(spec().linux.namespaces).toContainEqual({ type: 'network', path: '/run/netns/a-0-1' });
    const host = spec({}, { network: null });
    expect(host.linux.namespaces).not.toContainEqual(expect.objectContaining({ type: 'network' }));
    const mount = (path: string) => host.mounts.find(({ destination }) => destination === path);
    expect(mount('/sys')).toMatchObject({ type: 'bind', source: '/sys' });
    expect(mount('/etc/resolv.conf')?.source).toBe('/etc/resolv.conf');
  });

  it('is the same text for the same input', () => {
    expect(JSON.stringify(ociSpec(input()))).toBe(JSON.stringify(ociSpec(input())));
  });
});

describe('files', () => {
  const task = testTask({
    files: [{ path: '/etc/hosts', source: 'h', content: 'own' }],
    volumes: [
      { kind: 'named', name: 'data', path: '/data', readOnly: false, onLoss: 'wait' },
      { kind: 'host', source: '/srv', path: '/srv', readOnly: true },
    ],
  });
  const body = testBody('a-0-1', { index: 3, spec: testGroup({ tasks: [task] }) });

  it('are ours unless the job has its own, and volumes belong to the slot', () => {
    const ask = prepareAsk(body, network, testNode);
    expect(ask.volumes).toEqual(['default.web.web.3.data']);
    expect(ask.tasks[0]?.files).toEqual([
      { path: '/etc/hostname', content: 'a-0-1\n' },
      { path: '/etc/resolv.conf', content: testNode.resolvConf },
      { path: '/etc/hosts', content: 'own' },
    ]);
  });

  it('are the job’s alone in the host’s network', () => {
    expect(prepareAsk(body, null, testNode).tasks[0]?.files).toHaveLength(1);
  });
});
