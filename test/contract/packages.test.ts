// What `npm run package` makes: the same bytes each time, programs that run from one file, units that
// systemd accepts. In: the sources. Out: packages in folders of their own, unpacked beside the machine.
// Not here: an installation (it needs a machine), upgrades (test/e2e/upgrade).

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import pack from '../../package.json' with { type: 'json' };
import { createPullPlans } from '../../reconciler/edge/pull-plans.ts';
import { commitFiles, initRepository, tempFolder } from '../support/git-repo.ts';
import { previousRelease, type Release, thisRelease } from '../support/release.ts';
import { liveOf } from '../support/world.ts';

const PROGRAMS = ['runner', 'reconciler'] as const;
const UNITS = '/usr/lib/systemd/system';

let made: Release;
let root: string;
beforeAll(() => {
  made = thisRelease();
  root = tempFolder('packages');
  for (const name of ['purser', 'purser-runner', 'purser-reconciler']) {
    execFileSync('dpkg-deb', ['-R', debOf(made, name), join(root, name)]);
    execFileSync('dpkg-deb', ['-x', debOf(made, name), root]);
  }
});
afterAll(() => {
  made?.remove();
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});

const debOf = ({ folder, version }: Release, name: string): string =>
  join(folder, `${name}_${version}_all.deb`);

const node = (...args: readonly string[]): string =>
  execFileSync(process.execPath, args, { encoding: 'utf8' });

const settingOf = (unit: string, key: string): string =>
  readFileSync(join(root, UNITS, unit), 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${key}=`))
    ?.slice(key.length + 1) ?? '';

test('the same sources give the same bytes, whatever the umask', () => {
  const before = process.umask(0o077);
  const again = thisRelease();
  process.umask(before);
  const sums = ({ folder }: Release) => readFileSync(join(folder, 'SHA256SUMS'), 'utf8');
  expect(sums(again)).toBe(sums(made));
  expect(sums(made).trim().split('\n')).toHaveLength(5);
  execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: made.folder });
  again.remove();
});

test.each(PROGRAMS)('the %s runs from one file, as its unit starts it', (name) => {
  const unit = `purser-${name}.service`;
  const [program = '', ...words] = settingOf(unit, 'ExecStart').split(' ');
  expect(program).toBe('/usr/bin/node');
  const file = words.findIndex((word) => word.startsWith('/'));
  const flags = words.slice(0, file);
  expect(node(...flags, join(root, words[file] ?? ''), '--version').trim()).toBe(pack.version);
  const folder = tempFolder('alone'); // nothing of Purser's, and no package, above it
  writeFileSync(join(folder, 'one.mjs'), readFileSync(made[name]));
  expect(node(join(folder, 'one.mjs'), '--help')).toContain('Usage: purser');
  rmSync(folder, { recursive: true });
});

test('the commands run from where the package puts them', () => {
  const main = join(root, 'usr/lib/purser/dist/main.js');
  expect(node(main, '--version').trim()).toBe(pack.version);
  const folder = tempFolder('init');
  node(main, 'init', join(folder, 'shop'), '--json');
  expect(existsSync(join(folder, 'shop/cluster.yaml'))).toBe(true);
  rmSync(folder, { recursive: true });
});

test('each unit waits until there is something to do', () => {
  for (const name of PROGRAMS) {
    const shell = /'(.+)'$/.exec(settingOf(`purser-${name}.service`, 'ExecCondition'))?.[1] ?? '';
    const place = shell.replaceAll('/var/lib/purser', join(root, 'none'));
    const word = `PURSER_${name.toUpperCase()}_OPTIONS`;
    const ask = (env: object) =>
      spawnSync('sh', ['-c', place], { env: { PATH: process.env['PATH'], ...env } }).status;
    expect(ask({})).toBeGreaterThan(0);
    expect(ask({ [word]: '--cluster shop' })).toBe(0);
  }
});

test('systemd accepts the units, and finds little that the reconciler may do', () => {
  const units = PROGRAMS.map((name) => {
    const file = join(root, `purser-${name}.service`);
    const text = readFileSync(join(root, UNITS, `purser-${name}.service`), 'utf8');
    // Node of this machine, wherever it is.
    writeFileSync(file, text.replaceAll('/usr/bin/node', process.execPath));
    return file;
  });
  const verify = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], {
    encoding: 'utf8',
  });
  const ours = verify.stderr.split('\n').filter((line) => line.includes('purser'));
  expect(ours).toEqual([]);
  const [, reconciler = ''] = units;
  // Tenths: 1.9 of 10 as it stands.
  const judged = ['security', '--offline=true', '--threshold=20', '--no-pager', reconciler];
  expect(spawnSync('systemd-analyze', judged).status).toBe(0);
});

test('scripts are shell, settings are kept on upgrades and hold comments alone', () => {
  for (const name of PROGRAMS) {
    const control = join(root, `purser-${name}`, 'DEBIAN');
    for (const script of ['postinst', 'prerm', 'postrm']) {
      execFileSync('sh', ['-n', join(control, script)]);
    }
    const settings = readFileSync(join(control, 'conffiles'), 'utf8').trim();
    expect(settings).toBe(`/etc/purser/${name}.env`);
    const lines = readFileSync(join(root, settings), 'utf8').split('\n');
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  }
});

test('pull requests are planned in a thread of the same file', async () => {
  const work = initRepository(tempFolder('package-plans'));
  const files = { 'cluster.yaml': 'name: ship\n', 'nodes/n1.yaml': 'node: n1\n' };
  const base = commitFiles(work, files, 'first');
  const head = commitFiles(work, { 'jobs/shop/web.yaml': 'image: reg.example/app:1\n' }, 'second');
  const source = { branch: 'main', directory: '', cluster: 'ship', sshCommand: null };
  const plans = createPullPlans({
    source: { ...source, repository: work, cacheDir: work },
    keep: null,
    auth: null,
    registryCredentials: null,
    insecureRegistries: [],
    entry: pathToFileURL(made.reconciler),
  });
  const plan = await plans.plan({ base, head, live: liveOf([]), fromFork: false });
  expect(plan).toMatchObject({ kind: 'planned', base, head });
  await plans.close();
  rmSync(work, { recursive: true, force: true, maxRetries: 5 });
});

test('the release before is another one, and its files are what their checksums say', () => {
  const before = previousRelease();
  expect(before.version).not.toBe(pack.version);
  for (const name of PROGRAMS) expect(node(before[name], '--version').trim()).toBe(before.version);
  before.remove();
});
