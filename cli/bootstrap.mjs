// What `npm start` and `npm test` do first, on a machine that has only Node and npm: Debian packages, npm packages,
// the build. Plain JavaScript with Node's own modules, because nothing else is there yet. Says what it will do before
// it does it; where it may not, it prints the exact commands and changes nothing.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const HERE = join(import.meta.dirname, '..');
const LEAST_NODE = [20, 19];

/** Debian package → a file or command that shows it is there. */
const RUN_PACKAGES = {
  containerd: 'containerd',
  runc: 'runc',
  iproute2: 'ip',
  nftables: 'nft',
  git: 'git',
  'ca-certificates': '/etc/ssl/certs',
  'busybox-static': 'busybox',
};
const TEST_PACKAGES = {
  'docker-registry': 'docker-registry',
  openssl: 'openssl',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  procps: 'ps',
  // Its services are not started: units are checked by its tools.
  systemd: 'systemd-analyze',
  'util-linux': 'nsenter',
  bsdutils: 'script',
  skopeo: 'skopeo',
  'openssh-client': 'ssh',
  'openssh-server': 'sshd',
  gnupg: 'gpg',
  'etcd-server': 'etcd',
  haproxy: 'haproxy',
  'bind9-dnsutils': 'dig',
  faketime: 'faketime',
};
/** Tests start servers of their own; this machine is not to serve anything because of them. */
const UNITS = {
  'docker-registry': 'docker-registry.service',
  'openssh-server': 'ssh.service ssh.socket',
  'etcd-server': 'etcd.service',
  haproxy: 'haproxy.service',
};

const own = new Set(['--only-setup', '--with-tests', '--with-forge']);
const flags = new Set(process.argv.slice(2).filter((word) => own.has(word)));
const rest = process.argv.slice(2).filter((word) => !own.has(word));

const say = (text) => process.stdout.write(`${text}\n`);

const fail = (text) => {
  process.stderr.write(`${text}\n`);
  process.exit(1);
};

const isThere = (probe) => {
  const paths = probe.startsWith('/')
    ? [probe]
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].map((dir) =>
        join(dir, probe),
      );
  return paths.some((path) => {
    try {
      accessSync(path, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  });
};

const run = (command, args, options = {}) => {
  const { status, error } = spawnSync(command, args, { cwd: HERE, stdio: 'inherit', ...options });
  if (error) fail(`\`${command}\` could not be started: ${error.message}`);
  return status ?? 1;
};

const checkNode = () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantMajor, wantMinor] = LEAST_NODE;
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return;
  fail(`Purser needs Node.js ${LEAST_NODE.join('.')} or later; this is ${process.versions.node}.`);
};

const isDebian = () => {
  try {
    return /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
};

const installPackages = () => {
  const wanted = { ...RUN_PACKAGES, ...(flags.has('--with-tests') ? TEST_PACKAGES : {}) };
  const missing = Object.keys(wanted).filter((name) => !isThere(wanted[name]));
  const root = process.getuid?.() === 0;
  if (missing.length === 0 && root) return;
  const units = missing.flatMap((name) => UNITS[name] ?? []).join(' ');
  const mask = `systemctl mask ${units}`;
  const masks = units !== '' && existsSync('/run/systemd/system');
  const install = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.platform !== 'linux' || (missing.length > 0 && !isDebian())) {
    fail(
      `Purser runs on Linux; this set-up knows Debian's packages only. Install these by hand,\n` +
        `then run this command again as root: ${missing.join(', ')}\n` +
        `On Debian 12 that is:\n  apt-get update\n  ${install}\nNothing was changed.`,
    );
  }
  if (!root) {
    // A fresh Debian has no sudo.
    const [how, before] = isThere('sudo')
      ? ['Run', 'sudo ']
      : ['As root (`su -`), in this folder', ''];
    const steps = missing.length > 0 ? ['apt-get update', install] : [];
    const go = `npm ${flags.has('--with-tests') ? 'test' : 'start'}`;
    const lines = [...(masks ? [mask] : []), ...steps, go].map((line) => `  ${before}${line}`);
    fail(`Containers need root. Nothing was changed. ${how}:\n${lines.join('\n')}`);
  }
  say(`Installing Debian packages: ${missing.join(', ')}`);
  say(`  ${masks ? `${mask} && ` : ''}apt-get update && ${install}`);
  if (masks) {
    const [command, ...words] = mask.split(' ');
    if (run(command, words) !== 0) fail(`\`${mask}\` failed (see above).`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  if (tried('apt-get', ['update', '-qq', ...PATIENT], quiet) !== 0) {
    fail('`apt-get update` failed (see above).');
  }
  const words = install.split(' ').slice(1);
  if (tried('apt-get', [words[0], '-qq', ...PATIENT, ...words.slice(1)], quiet) !== 0) {
    fail(`\`${install}\` failed (see above).`);
  }
};

/** A mirror that is away for a moment; another program that installs packages just now. */
const PATIENT = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=120'];
const TRIES = 2;
const PAUSE_MS = 5000;

/** As `run`, and again where it fails: mirrors and registries have their moments. */
const tried = (command, args, options) => {
  for (let left = TRIES - 1; ; left -= 1) {
    const status = run(command, args, options);
    if (status === 0 || left === 0) return status;
    say(`\`${command} ${args[0]}\` failed; it is tried again in ${PAUSE_MS / 1000} s.`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
};

const installModules = () => {
  const lock = createHash('sha256')
    .update(readFileSync(join(HERE, 'package-lock.json')))
    .digest('hex');
  const stamp = join(HERE, 'node_modules', '.purser-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  // A link leads to somebody else's packages: npm would empty the folder behind it.
  const modules = lstatSync(join(HERE, 'node_modules'), { throwIfNoEntry: false });
  if (modules?.isSymbolicLink()) return;
  say('Installing npm packages: npm ci');
  if (tried('npm', ['ci', '--no-progress', '--loglevel=error']) !== 0)
    fail('`npm ci` failed (see above).');
  writeFileSync(stamp, lock);
};

checkNode();
installPackages();
installModules();
if (!flags.has('--only-setup')) {
  // The program itself takes it from here; signals reach it directly, as it is in the same group.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  if (flags.has('--with-forge')) {
    const forge = join(HERE, 'test/support/github/main.ts');
    process.exit(run(process.execPath, ['--import', 'tsx', forge, ...rest]));
  }
  process.exit(run(join(HERE, 'purser'), ['up', ...rest]));
}
