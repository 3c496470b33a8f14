// What `purser github setup` does: takes or makes a login, keeps its secrets in files of their owner
// only, writes the file that `--forge` reads, and has everything checked.
// In: options. Out: ROOT/github/forge.yaml and findings; the exit code. Secrets are never printed. Not
// here: the browser's way (github-app), the checks (github-check).

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { ForgeConfig, ForgeCredentials, WebhookConfig } from '../reconciler/config.ts';
import { createClock } from '../reconciler/edge/clock.ts';
import { apiOf, siteOf } from '../reconciler/edge/forge/options.ts';
import { allowedSignerLine, openSigningKey } from '../reconciler/edge/git/signing-key.ts';
import { createWire, type Wire } from '../reconciler/edge/forge/wire.ts';
import { shellWord } from '../schema/paths.ts';
import type { Invocation } from './command.ts';
import { text } from './command.ts';
import { CommandError, fileTrouble } from './command-error.ts';
import { forgeFileText, readForgeFile, readForgeSettings, WEBHOOK_PATH } from './forge-file.ts';
import { makeApp, type MadeApp } from './github-app.ts';
import { checkSetup } from './github-check.ts';
import type { CheckAsk, Finding } from './github-finding.ts';
import { installationOf, isOrganization } from './github-install.ts';
import { isThere, makeFolder } from './make-folder.ts';
import { SIGNING_KEY } from './up/layout.ts';

export const setUpGitHub = async (invocation: Invocation): Promise<number> => {
  const { options, common, io } = invocation;
  const folder = join(common.root, 'github');
  const file = join(folder, 'forge.yaml');
  const repository = text(options['repository']);
  if (repository === null && !(await isThere(file))) {
    throw new CommandError('nothing is set up yet: name the repository with --repository');
  }
  const config =
    repository === null
      ? await readForgeFile(file)
      : await setUp(invocation, { folder, file, repository });
  const branch = text(options['branch']) ?? 'main';
  const clock = createClock();
  const wire = wireOf(config, branch);
  const webhookUrl = text(options['webhookUrl']);
  const directory = text(options['directory']) ?? '';
  const findings = await checkSetup({ config, wire, branch, directory, webhookUrl, clock });
  const ok = findings.every(({ state }) => state !== 'missing');
  if (common.json) io.out(JSON.stringify({ ok, file, findings }, null, 2));
  else tell(invocation, findings, { config, branch, directory, file });
  return ok ? 0 : 1;
};

interface SetUpAsk {
  readonly folder: string;
  readonly file: string;
  readonly repository: string;
}

/** Secrets first, the file that names them last: what is half done is begun anew. */
const setUp = async (
  invocation: Invocation,
  { folder, file, repository }: SetUpAsk,
): Promise<ForgeConfig> => {
  const { options } = invocation;
  const [, owner, repo] = /^([A-Za-z0-9-]{1,39})\/([A-Za-z0-9._-]{1,100})$/.exec(repository) ?? [];
  if (owner === undefined || repo === undefined) {
    throw new CommandError(`\`${repository}\` is no repository: write OWNER/NAME`);
  }
  const site = siteFrom(text(options['url']) ?? '');
  await makeFolder(dirname(folder), 0o711); // what runs in containers passes through it
  await makeFolder(folder, 0o700);
  await chmod(folder, 0o700);
  const webhookUrl = text(options['webhookUrl']);
  const place = { folder, file, apiUrl: apiOf(site), site, owner, repo, webhookUrl };
  const before = await setBefore(place);
  const taken = await credentialsOf(invocation, place);
  const { credentials, webhookSecret } = taken;
  const base: ForgeConfig = {
    comments: true,
    webhook: null,
    ...before,
    kind: 'github',
    apiUrl: place.apiUrl,
    owner,
    repo,
    credentials,
  };
  const hookAsk = { folder, webhookSecret, before: before.webhook ?? null };
  const config: ForgeConfig =
    webhookUrl === null
      ? base
      : { ...base, webhook: await webhookOf(invocation, { ...hookAsk, webhookUrl }) };
  if (webhookUrl !== null && config.webhook !== null && credentials.kind === 'app') {
    await pointHook(wireOf(config, 'main'), webhookUrl, config.webhook.secretFile);
  }
  await writeSecret(file, forgeFileText(relativeTo(config, folder)));
  return config;
};

/** Where deliveries arrive, unless said otherwise: a proxy leads to it. */
const WEBHOOK_ADDRESS = '127.0.0.1:8471';

type Settings = Pick<ForgeConfig, 'comments' | 'webhook' | 'environmentUrl'>;

/** What a person has set there for this repository stays; a new login is what setup is run for. */
const setBefore = async ({ file, ...place }: Place): Promise<Partial<Settings>> => {
  if (!(await isThere(file))) return {};
  const { apiUrl, owner, repo, comments, webhook, environmentUrl } = await readForgeSettings(file);
  const [was, is] = [{ apiUrl, owner, repo }, place].map((one) =>
    `${one.apiUrl} ${one.owner}/${one.repo}`.toLowerCase(),
  );
  if (was !== is) return {};
  return { comments, webhook, ...(environmentUrl === undefined ? {} : { environmentUrl }) };
};

/** With a slash or a path it would be another address for GitHub. */
const siteFrom = (url: string): string => {
  if (!/^https?:\/\/[^/\s]+\/?$/.test(url)) {
    throw new CommandError(`\`${url}\` is no site: write https://github.example, without a path`);
  }
  return url.replace(/\/$/, '');
};

interface Place {
  readonly folder: string;
  readonly file: string;
  readonly apiUrl: string;
  readonly site: string;
  readonly owner: string;
  readonly repo: string;
  readonly webhookUrl: string | null;
}

interface Taken {
  readonly credentials: ForgeCredentials;
  /** '' where it is not known. */
  readonly webhookSecret: string;
}

const credentialsOf = async (invocation: Invocation, place: Place): Promise<Taken> => {
  const { options, io, common } = invocation;
  const { folder } = place;
  const tokenFile = text(options['tokenFile']);
  if (tokenFile !== null) {
    const kept = join(folder, 'token');
    await writeSecret(kept, await contentOf(tokenFile));
    return { credentials: { kind: 'token', tokenFile: kept }, webhookSecret: '' };
  }
  const appId = text(options['appId']);
  const keyFile = text(options['keyFile']);
  if ((appId === null) !== (keyFile === null)) {
    throw new CommandError('an App that is there needs both --app-id and --key-file');
  }
  const say = common.json ? io.err : io.out;
  const kept = join(folder, 'private-key.pem');
  if (appId !== null && keyFile !== null) {
    if (!/^[1-9]\d{0,15}$/.test(appId)) throw new CommandError(`\`${appId}\` is no App's id`);
    await writeSecret(kept, await contentOf(keyFile));
    const secretFile = text(options['webhookSecretFile']);
    const webhookSecret = secretFile === null ? '' : (await contentOf(secretFile)).trim();
    return installed(invocation, place, { id: Number(appId), kept, webhookSecret });
  }
  const made = await newApp(invocation, place, kept);
  say(`The App ${made.slug} is made; its key is in ${kept}.`);
  return installed(invocation, place, { ...made, kept });
};

/** Made in the browser. An App that is forgotten stays on GitHub: no second one by accident. */
const newApp = async (
  { options, common, io }: Invocation,
  place: Place,
  kept: string,
): Promise<MadeApp> => {
  const { folder, file, apiUrl, owner, repo } = place;
  if (await isThere(file)) {
    throw new CommandError(
      `${file} is there: \`purser github setup\` checks it. To make another App, move it away first`,
    );
  }
  const suffix = randomBytes(2).toString('hex');
  return makeApp({
    ...place,
    isOrganization:
      options['organization'] === true || (await isOrganization(apiUrl, owner)) === true,
    name: `purser-${repo.slice(0, 20)}-${suffix}`,
    signal: io.signal,
    say: common.json ? io.err : io.out,
    keep: async ({ pem, webhookSecret }) => {
      await writeSecret(kept, pem);
      await writeSecret(join(folder, 'webhook-secret'), webhookSecret);
    },
  });
};

const installed = async (
  { options, common, io }: Invocation,
  place: Place,
  app: { readonly id: number; readonly kept: string; readonly webhookSecret: string },
): Promise<Taken> => {
  const { id: appId, kept, webhookSecret } = app;
  // Its own installation is what is asked for, with the App's key: any other number does here.
  const login = { kind: 'app', appId, installation: 1, privateKeyFile: kept } as const;
  const { apiUrl, owner, repo, site, webhookUrl, folder } = place;
  const config: ForgeConfig = {
    kind: 'github',
    apiUrl,
    owner,
    repo,
    webhook: null,
    comments: true,
    credentials: login,
  };
  const branch = text(options['branch']) ?? 'main';
  const directory = text(options['directory']) ?? '';
  const words = [
    ['--root', common.root],
    ['--repository', `${owner}/${repo}`],
    ...(site === 'https://github.com' ? [] : [['--url', site]]),
    ...(branch === 'main' ? [] : [['--branch', branch]]),
    ...(directory === '' ? [] : [['--directory', directory]]),
    ['--app-id', String(appId)],
    ['--key-file', kept],
    ...(webhookUrl === null ? [] : [['--webhook-url', webhookUrl]]),
    ...(webhookUrl === null || webhookSecret === ''
      ? []
      : [['--webhook-secret-file', join(folder, 'webhook-secret')]]),
  ];
  const installation = await installationOf({
    config,
    wire: wireOf(config, branch),
    signal: io.signal,
    say: common.json ? io.err : io.out,
    again: ['purser github setup', ...words.flat().map(shellWord)].join(' '),
  });
  return { credentials: { ...login, installation }, webhookSecret };
};

interface HookAsk {
  readonly folder: string;
  readonly webhookUrl: string;
  readonly webhookSecret: string;
  /** As it was set up before; null: it was not. */
  readonly before: WebhookConfig | null;
}

const webhookOf = async ({ options }: Invocation, ask: HookAsk): Promise<WebhookConfig> => {
  if (!/^https?:\/\/\S+$/.test(ask.webhookUrl)) {
    throw new CommandError(`\`${ask.webhookUrl}\` is no address: write https://HOST/webhook`);
  }
  const secretFile = join(ask.folder, 'webhook-secret');
  // A person has given it to a webhook that was made by hand: it is not made anew.
  const isKept = ask.webhookSecret === '' && (await isThere(secretFile));
  const secret = ask.webhookSecret === '' ? randomBytes(32).toString('hex') : ask.webhookSecret;
  if (!isKept) await writeSecret(secretFile, secret);
  const { pathname } = new URL(ask.webhookUrl);
  return {
    address: text(options['webhookListen']) ?? ask.before?.address ?? WEBHOOK_ADDRESS,
    path: pathname === '/' ? WEBHOOK_PATH : pathname,
    secretFile,
  };
};

/** The App sends its deliveries there, signed with our secret. */
const pointHook = async (wire: Wire, url: string, secretFile: string): Promise<void> => {
  const secret = (await readFile(secretFile, 'utf8')).trim();
  // As a body of its own: octokit takes a parameter `url` for the address of the request.
  const data = { url, secret, content_type: 'json', insecure_ssl: '0' };
  await wire.send('PATCH /app/hook/config', { data });
};

const wireOf = (config: ForgeConfig, branch: string): Wire => {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  return createWire({ config, cluster: '', branch, clock: createClock(), log });
};

const relativeTo = (config: ForgeConfig, folder: string): ForgeConfig => {
  const { credentials, webhook } = config;
  const named = (file: string): string => (dirname(file) === folder ? basename(file) : file);
  return {
    ...config,
    credentials:
      credentials.kind === 'app'
        ? { ...credentials, privateKeyFile: named(credentials.privateKeyFile) }
        : { ...credentials, tokenFile: named(credentials.tokenFile) },
    webhook: webhook && { ...webhook, secretFile: named(webhook.secretFile) },
  };
};

const contentOf = (file: string): Promise<string> =>
  readFile(resolve(file), 'utf8').catch((error: unknown) => {
    throw new CommandError(`${file} cannot be read: ${fileTrouble(error)}`);
  });

/** Its owner's only, from its first byte on. */
const writeSecret = async (file: string, content: string): Promise<void> => {
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
  const ended = content.endsWith('\n') ? content : `${content}\n`;
  await writeFileAtomic(file, ended, { mode: 0o600 }).catch((error: unknown) => {
    throw new CommandError(`${file} cannot be written: ${fileTrouble(error)}`);
  });
};

/** Findings that Purser runs without: it offers pull requests, and what teams own waits. */
const SPARED: ReadonlySet<string> = new Set(['branch', 'permission members']);

const SIGNS = { ok: '✓', missing: '✗', unknown: '?' } as const;

const tell = (
  { io, common }: Invocation,
  findings: readonly Finding[],
  ready: Pick<CheckAsk, 'config' | 'branch' | 'directory'> & { readonly file: string },
): void => {
  for (const { state, words, fix } of findings) {
    io.out(`${SIGNS[state]} ${words}`);
    if (fix !== undefined) io.out(`    ${fix}`);
  }
  const isMissing = findings.some(({ state }) => state === 'missing');
  if (isMissing) io.out('\nWhen that is mended: `purser github setup` checks again.');
  if (findings.some(({ state, name }) => state === 'missing' && !SPARED.has(name))) return;
  const { config, branch, directory, file } = ready;
  const url = `${siteOf(config.apiUrl)}/${config.owner}/${config.repo}.git`;
  const words = [
    url,
    '--root',
    common.root,
    '--forge',
    file,
    ...(branch === 'main' ? [] : ['--branch', branch]),
    ...(directory === '' ? [] : ['--directory', directory]),
  ];
  io.out(isMissing ? '\nIt runs as it is, too:' : '\nStart Purser with it:');
  io.out(`  purser up ${words.map(shellWord).join(' ')}`);
  const key = join(common.root, SIGNING_KEY);
  io.out('\nPurser signs its commits. Where cluster.yaml asks for `signatures`, list its key in');
  io.out('signers/allowed_signers, in a commit before it is needed:');
  io.out(
    existsSync(key)
      ? `  ${allowedSignerLine(openSigningKey(key, false))}`
      : '  the line `signer` of purser status --json, once it has started',
  );
};
