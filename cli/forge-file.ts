// The file that `purser github setup` writes and `--forge FILE` reads: where the forge is and which
// files hold its secrets. It holds none itself.
// In: a path. Out: a configuration, or an error that names file and line. Not here: what is at the
// forge (github.ts).

import { access, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import { Ajv, type ErrorObject } from 'ajv';
import { positionsOf } from '../schema/places.ts';
import { nearest } from '../schema/wording.ts';
import { readYaml, valueOf } from '../schema/yaml.ts';
import type { ForgeConfig } from '../reconciler/config.ts';
import { apiOf, siteOf } from '../reconciler/edge/forge/options.ts';
import { CommandError, fileTrouble } from './command-error.ts';

const closed = { additionalProperties: false } as const;
const Id = Type.Integer({ minimum: 1 });
const File = Type.String({ minLength: 1 });

const ForgeFile = Type.Object(
  {
    github: Type.String({ pattern: '^https?://[^/\\s]+$' }),
    repository: Type.String({ pattern: '^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$' }),
    app: Type.Optional(Type.Object({ id: Id, installation: Id, private_key_file: File }, closed)),
    token_file: Type.Optional(File),
    webhook: Type.Optional(
      Type.Object(
        {
          listen: Type.String({ pattern: '^(\\[[^\\]]+\\]|[^:\\s]+):\\d{1,5}$' }),
          path: Type.Optional(Type.String({ pattern: '^/[^\\s?#]*$' })),
          secret_file: File,
        },
        closed,
      ),
    ),
    comments: Type.Optional(Type.Boolean()),
    environment_url: Type.Optional(Type.String({ pattern: '^https?://[^/\\s@]+(/\\S*)?$' })),
  },
  closed,
);

type ForgeFile = Static<typeof ForgeFile>;

export const WEBHOOK_PATH = '/webhook';

/** Reads it; paths in it are relative to its folder. Throws CommandError. */
export const readForgeFile = async (path: string): Promise<ForgeConfig> => {
  const config = await readForgeSettings(path);
  const { credentials } = config;
  const secret = credentials.kind === 'app' ? credentials.privateKeyFile : credentials.tokenFile;
  await access(secret).catch(() => {
    throw new CommandError(
      `${path} names ${secret}, which is not there: run \`purser github setup\``,
    );
  });
  return config;
};

/** The same, whether or not the secrets that it names are there. */
export const readForgeSettings = async (path: string): Promise<ForgeConfig> => {
  const file = resolve(path);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CommandError(
      `${file} cannot be read: ${fileTrouble(error)}; \`purser github setup\` writes it`,
    );
  });
  return configOf(parseForgeFile(path, text), dirname(file));
};

/** Everything that is wrong in it at once, each with its line. */
export const parseForgeFile = (path: string, text: string): ForgeFile => {
  const read = readYaml(text);
  if (read.kind === 'failed') {
    const line = text.slice(0, read.fault.offset).split('\n').length;
    throw new CommandError(`${path}:${line}: ${read.fault.message}`);
  }
  const value: unknown = valueOf(read.root);
  const positions = positionsOf(text, read.root);
  const check = new Ajv({ allErrors: true }).compile(JSON.parse(JSON.stringify(ForgeFile)));
  const problems = check(value)
    ? [...missingLogin(value as ForgeFile), ...noAddress(value as ForgeFile)]
    : (check.errors ?? []).map((error) => ({ pointer: pointerOf(error), words: wordsOf(error) }));
  if (problems.length === 0) return value as ForgeFile;
  const lines = problems.map(
    ({ pointer, words }) => `${path}:${positions(pointer).key.line}: ${words}`,
  );
  throw new CommandError([...new Set(lines)].join('\n'));
};

interface FileProblem {
  readonly pointer: string;
  readonly words: string;
}

const missingLogin = ({ app, token_file }: ForgeFile): readonly FileProblem[] => {
  if ((app === undefined) !== (token_file === undefined)) return [];
  const words = 'name either `app` (id, installation, private_key_file) or `token_file`';
  return [{ pointer: '', words: `it has ${app === undefined ? 'neither' : 'both'}: ${words}` }];
};

const noAddress = ({ environment_url: url }: ForgeFile): readonly FileProblem[] =>
  url === undefined || URL.canParse(url)
    ? []
    : [{ pointer: '/environment_url', words: `\`environment_url\` ${SHAPES['environment_url']}` }];

const pointerOf = ({ instancePath, keyword, params }: ErrorObject): string => {
  const { additionalProperty } = params as { readonly additionalProperty?: string };
  return keyword === 'additionalProperties'
    ? `${instancePath}/${additionalProperty}`
    : instancePath;
};

const FIELDS = [
  'github',
  'repository',
  'app',
  'id',
  'installation',
  'private_key_file',
  'token_file',
  'webhook',
  'listen',
  'path',
  'secret_file',
  'comments',
  'environment_url',
];

const wordsOf = (error: ErrorObject): string => {
  const at = error.instancePath.slice(1).replaceAll('/', '.') || 'the file';
  const { additionalProperty: extra, missingProperty: missing } = error.params as Partial<
    Record<string, string>
  >;
  if (extra !== undefined) {
    const meant = nearest(extra, FIELDS);
    return `unknown field \`${extra}\`${meant === null ? '' : `: did you mean \`${meant}\`?`}`;
  }
  if (missing !== undefined) return `${at} lacks \`${missing}\``;
  return `\`${at}\` ${error.keyword === 'pattern' ? (SHAPES[at] ?? error.message) : error.message}`;
};

const SHAPES: Readonly<Record<string, string>> = {
  github: 'is the address of the site: https://github.com, or https://HOST of an Enterprise Server',
  repository: 'is written OWNER/NAME',
  'webhook.listen': 'is an address: 127.0.0.1:PORT',
  'webhook.path': 'is a path: /webhook',
  environment_url: 'is the address where people see what the cluster runs: https://shop.example',
};

const configOf = (file: ForgeFile, folder: string): ForgeConfig => {
  const [owner = '', repo = ''] = file.repository.split('/');
  const { app, webhook, token_file: token } = file;
  return {
    kind: 'github',
    apiUrl: apiOf(file.github),
    owner,
    repo,
    credentials:
      app === undefined
        ? { kind: 'token', tokenFile: resolve(folder, token ?? '') }
        : {
            kind: 'app',
            appId: app.id,
            installation: app.installation,
            privateKeyFile: resolve(folder, app.private_key_file),
          },
    webhook:
      webhook === undefined
        ? null
        : {
            address: webhook.listen,
            path: webhook.path ?? WEBHOOK_PATH,
            secretFile: resolve(folder, webhook.secret_file),
          },
    comments: file.comments ?? true,
    ...(file.environment_url === undefined ? {} : { environmentUrl: file.environment_url }),
  };
};

/** The file's text for a configuration whose secrets lie beside it. */
export const forgeFileText = (config: ForgeConfig): string => {
  const { credentials, webhook } = config;
  const lines = [
    '# Where Purser shows plans and checks. Written by `purser github setup`; secrets lie in the',
    '# files named here, relative to this one.',
    `github: ${siteOf(config.apiUrl)}`,
    `repository: ${config.owner}/${config.repo}`,
    ...(credentials.kind === 'app'
      ? [
          'app:',
          `  id: ${credentials.appId}`,
          `  installation: ${credentials.installation}`,
          `  private_key_file: ${JSON.stringify(credentials.privateKeyFile)}`,
        ]
      : [`token_file: ${JSON.stringify(credentials.tokenFile)}`]),
    ...(webhook === null
      ? []
      : [
          'webhook:',
          `  listen: ${JSON.stringify(webhook.address)}`,
          `  path: ${JSON.stringify(webhook.path)}`,
          `  secret_file: ${JSON.stringify(webhook.secretFile)}`,
        ]),
    `comments: ${config.comments}`,
    ...(config.environmentUrl === undefined
      ? []
      : [`environment_url: ${JSON.stringify(config.environmentUrl)}`]),
  ];
  return `${lines.join('\n')}\n`;
};
