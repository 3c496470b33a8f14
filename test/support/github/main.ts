// `npm start -- --with-forge`: a GitHub of one's own beside a cluster of one's own, to try what a
// pull request, its checks and its buttons do. Started by cli/bootstrap.mjs through tsx.
// In: the words of `purser up`. Out: a local GitHub that holds the example, and `purser up` as a
// child that follows it; both end together. Git's data and keys are in ROOT/forge and are found
// again by the next start; pull requests, checks and comments are forgotten with the process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { DEFAULT_ROOT } from '../../../cli/command.ts';
import { makeFolder } from '../../../cli/make-folder.ts';
import { prepareExample } from '../../../cli/up/images.ts';
import { layoutOf } from '../../../cli/up/layout.ts';
import { git, makeExample } from '../../../cli/up/repository.ts';
import type { GitHub } from './github.ts';
import { startGitHub } from './github.ts';
import { readRefs } from './git.ts';

const HERE = join(import.meta.dirname, '../../..');

const rootOf = (words: readonly string[]): string => {
  const at = words.findIndex((word) => word === '--root' || word.startsWith('--root='));
  const word = words[at] ?? '';
  const given = word === '--root' ? words[at + 1] : word.slice('--root='.length);
  return resolve(at < 0 ? (process.env['PURSER_ROOT'] ?? DEFAULT_ROOT) : (given ?? ''));
};

/** What the last start wrote, else what is made now and written for the next. */
const kept = async (file: string, make: () => Promise<string> | string): Promise<string> => {
  const old = await readFile(file, 'utf8').catch(() => null);
  if (old !== null) return old;
  const text = await make();
  await writeFile(file, text, { mode: 0o600 });
  return text;
};

const freePort = async (): Promise<string> => {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return String(typeof address === 'object' ? address?.port : 0);
};

/** The example's working copy, its `origin` the local GitHub; pushed there the first time. */
const fillRepository = async (hub: GitHub, workTree: string): Promise<void> => {
  const example = await prepareExample();
  const options = { prepare: example.edit, branch: null };
  await makeExample(join(HERE, 'example-repo'), workTree, options);
  const email = await git(workTree, 'config', 'user.email');
  const you = { login: 'you', id: hub.hub.nextId(), kind: 'User', email } as const;
  hub.hub.accounts.set('you', you);
  hub.person('you', 'admin');
  hub.person('reviewer', 'write');
  hub.person('stranger', 'read');
  await git(workTree, 'remote', 'remove', 'origin').catch(() => undefined);
  await git(workTree, 'remote', 'add', 'origin', hub.pushUrl('you'));
  if ((await readRefs(hub.folder)).has('refs/heads/main')) {
    await git(workTree, 'fetch', '--quiet', 'origin');
  } else await git(workTree, 'push', '--quiet', 'origin', 'main');
  await git(workTree, 'branch', '--quiet', '--set-upstream-to=origin/main', 'main');
};

/** Branches that an earlier start knew as pull requests are pull requests again. */
const reopen = async (hub: GitHub): Promise<void> => {
  for (const ref of (await readRefs(hub.folder)).keys()) {
    const head = /^refs\/heads\/(.+)$/.exec(ref)?.[1];
    if (head === undefined || head === 'main') continue;
    await hub.openPull({ head, by: 'you' }).catch(() => undefined); // merged already
  }
};

const forgeFile = (hub: GitHub, webhookPort: string): string =>
  [
    '# Written by `npm start -- --with-forge`.',
    `github: ${hub.url}`,
    `repository: ${hub.owner}/${hub.name}`,
    'app:',
    `  id: ${hub.app.id}`,
    `  installation: ${hub.app.installationId}`,
    '  private_key_file: app.pem',
    'webhook:',
    `  listen: 127.0.0.1:${webhookPort}`,
    '  path: /webhook',
    '  secret_file: webhook-secret',
    '',
  ].join('\n');

const welcome = (hub: GitHub, workTree: string): string => `
A local GitHub is at ${hub.url}
Your working copy is ${workTree}. When all is healthy below, try in another terminal:

  cd ${workTree} && git pull
  git switch --create more-copies
  sed -i 's/^\\( *count:\\).*/\\1 3/' jobs/shop/web.yaml
  git commit --all --message 'web: three copies' && git push origin more-copies

The push opens a pull request: see its check, its comment, and merge it at ${hub.url}
The commit then has a check and a deployment that follow the rollout, with buttons.
`;

const main = async (words: readonly string[]): Promise<number> => {
  const layout = layoutOf(rootOf(words));
  const folder = join(layout.root, 'forge');
  await makeFolder(layout.root, 0o711);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const port = Number(await kept(join(folder, 'port'), freePort));
  const webhookPort = await kept(join(folder, 'webhook-port'), freePort);
  const old = (name: string) => readFile(join(folder, name), 'utf8').catch(() => null);
  const [privateKey, webhookSecret] = [await old('app.pem'), await old('webhook-secret')];
  const keys =
    privateKey === null || webhookSecret === null ? {} : { keys: { privateKey, webhookSecret } };
  const keep = join(folder, 'git');
  const hub = await startGitHub({ port, folder: keep, pullsByPush: true, ...keys });
  await kept(join(folder, 'app.pem'), () => hub.app.privateKey);
  await kept(join(folder, 'webhook-secret'), () => hub.app.webhookSecret);
  await writeFile(join(folder, 'forge.yaml'), forgeFile(hub, webhookPort), { mode: 0o600 });
  await fillRepository(hub, layout.repository);
  await reopen(hub);
  hub.hook(`http://127.0.0.1:${webhookPort}/webhook`);
  process.stdout.write(`${welcome(hub, layout.repository)}\n`);
  const forge = ['--example-images', '--forge', join(folder, 'forge.yaml')];
  const args = ['up', hub.cloneUrl, ...forge, ...words];
  const child = spawn(join(HERE, 'purser'), args, { stdio: 'inherit' });
  // Ctrl-C reaches the child by itself; what is sent to this process alone is passed on.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'close')) as [number | null];
  // Somebody may have asked it wrongly by hand: that is no failure of this program.
  for (const problem of hub.takeProblems()) process.stderr.write(`local GitHub: ${problem}\n`);
  await hub.close();
  return code ?? 1;
};

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
