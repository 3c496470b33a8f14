// `npm run package [-- --with-node] [-- --out FOLDER]`: what is installed on machines. In: the sources. Out: below
// dist/packages the runner and the reconciler, one file each, three Debian packages, and their checksums.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { HERE } from './bundle.mjs';
import { makeDeb } from './deb.mjs';
import { buildFiles, buildPrograms } from './files.mjs';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: path.join(HERE, 'dist/packages') },
    'with-node': { type: 'boolean', default: false },
    compress: { type: 'string', default: 'xz' },
    // The two programs without packages around them: what tests run.
    'only-programs': { type: 'boolean', default: false },
  },
});
const out = path.resolve(values.out);
const withNode = values['with-node'];
const { version, engines } = JSON.parse(readFileSync(path.join(HERE, 'package.json'), 'utf8'));
const least = engines.node.replace('>=', '');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
if (values['only-programs']) {
  await buildPrograms(out);
  process.exit();
}
const licences = await buildFiles(out);

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };
const words = {
  VERSION: version,
  ARCHITECTURE: withNode ? ARCHITECTURES[process.arch] : 'all',
  NODE: withNode ? '/usr/lib/purser/node' : '/usr/bin/node',
  NODE_DEPENDS: withNode ? '' : `nodejs (>= ${least}), `,
};
const here = (name) => path.join(HERE, name);
const made = (name) => path.join(out, name);
const place = (name) => `usr/lib/purser/${name}`;
const common = { words, out, compress: values.compress };
/** Of another licence and with OpenPGP keys only: a package of its own, beside the reconciler. */
const openpgp = ['package.json', 'LICENSE', 'dist/node/openpgp.mjs'].map((name) => [
  here(`node_modules/openpgp/${name}`),
  place(`node_modules/openpgp/${name}`),
]);

const debs = [
  makeDeb({
    ...common,
    name: 'purser',
    more: [
      [made('dist'), place('dist')],
      [here('example-repo'), place('example-repo')],
      [here('schema/json'), place('schema/json')],
      [here('docs/OPERATIONS.md'), 'usr/share/doc/purser/OPERATIONS.md'],
      [here('CHANGELOG.md'), 'usr/share/doc/purser/CHANGELOG.md'],
      [here('LICENSE'), 'usr/share/doc/purser/copyright'],
      ...(withNode ? [[process.execPath, place('node')]] : []),
    ],
    texts: [
      [licences, 'usr/share/doc/purser/third-party-licences.txt'],
      ['{"type":"module"}\n', place('package.json')],
    ],
    links: [['../lib/purser/purser', 'usr/bin/purser']],
  }),
  makeDeb({
    ...common,
    name: 'purser-runner',
    more: [[made('purser-runner.mjs'), place('purser-runner.mjs')]],
  }),
  makeDeb({
    ...common,
    name: 'purser-reconciler',
    more: [
      [made('purser-reconciler.mjs'), place('purser-reconciler.mjs')],
      ...(existsSync(here('node_modules/openpgp')) ? openpgp : []),
    ],
  }),
].map((file) => path.basename(file));
rmSync(made('dist'), { recursive: true });

const files = ['purser-runner.mjs', 'purser-reconciler.mjs', ...debs].map((name) => ({
  name,
  bytes: statSync(made(name)).size,
  sha256: createHash('sha256')
    .update(readFileSync(made(name)))
    .digest('hex'),
}));
writeFileSync(made('SHA256SUMS'), files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(''));

const size = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
const rows = files.map(
  ({ name, bytes, sha256 }) => `  ${name.padEnd(36)} ${size(bytes).padStart(9)}  ${sha256}`,
);
const relative = path.relative(process.cwd(), out);
const inFolder = relative.startsWith('..') ? out : `./${relative}`;
const install = (name) =>
  debs.filter((deb) => deb.startsWith(`${name}_`) || deb.startsWith('purser_'));
const line = (name) =>
  `  sudo apt install ${install(name)
    .map((deb) => `./${deb}`)
    .join(' ')}`;
process.stdout.write(
  [
    `Purser ${version}, in ${inFolder}:`,
    '',
    ...rows,
    '',
    `On the reconciler's machine${withNode ? '' : `, with Node.js ${least} or later as package nodejs`}:`,
    line('purser-reconciler'),
    'On each node:',
    line('purser-runner'),
    'Then as docs/OPERATIONS.md says, "Installing". `sha256sum -c SHA256SUMS` checks a copy of the folder.',
    '',
  ].join('\n'),
);
