// `purser node token | tokens | revoke`: what lets machines and people in.
// In: the reconciler. Out: a token, shown once. Not here: joining (node-join.ts).

import type { GivenToken, TokenAnswer, TokenAsk } from '../schema/control.ts';
import { parseDuration } from '../schema/units.ts';
import { type Role, ROLES } from '../schema/identity.ts';
import type { Invocation } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { DEFAULT_PORT, hostAndPort } from './host-port.ts';
import { ask } from './state.ts';
import { table } from './table.ts';

/** Long enough to walk to the machine; of a person's token, long enough for a quarter's work. */
const JOIN_LASTS = '1h';
const ROLE_LASTS = '90d';

export const giveToken = async ({ options, common, io }: Invocation): Promise<number> => {
  const role = roleOf(text(options['role']));
  const node = text(options['node']);
  if (role !== null && node !== null)
    throw new CommandError('--role and --node do not go together');
  const kind = role ?? 'join';
  const written = text(options['lasts']) ?? (role === null ? JOIN_LASTS : ROLE_LASTS);
  const lastsMs = lifeOf(written);
  const uses = countOf(text(options['machines']) ?? '1');
  if (uses !== 1 && (role !== null || node !== null)) {
    throw new CommandError('--machines is for a token of any new machine');
  }
  const argument: TokenAsk = { kind, node, uses, lastsMs };
  const { token, address } = await ask<TokenAnswer>(common, 'token', argument);
  const where = shownAddress(address);
  if (common.json) io.out(JSON.stringify({ token, address, kind, node, uses, lastsMs }));
  else {
    const lines =
      role === null ? joinLines(token, where, { written, uses }) : roleLines(token, where, written);
    for (const line of lines) io.out(line);
  }
  return 0;
};

/** Throws CommandError. */
const roleOf = (written: string | null): Role | null => {
  if (written === null) return null;
  const role = ROLES.find((one) => one === written);
  if (role !== undefined) return role;
  throw new CommandError(`--role is one of ${ROLES.join(', ')}; ${written} is none`);
};

const joinLines = (
  token: string,
  where: Where,
  { written, uses }: { readonly written: string; readonly uses: number },
): readonly string[] => [
  `On the new machine, within ${written}${uses === 1 ? '' : `, on up to ${uses} machines`}:`,
  '',
  `  sudo purser node join ${where.word} ${token}`,
  '',
  ...where.remark,
  'The token is shown this once. End it before with `purser node revoke ID`; `purser node tokens` lists them.',
];

const roleLines = (token: string, where: Where, written: string): readonly string[] => [
  `For ${written}, on any machine that reaches this reconciler:`,
  '',
  `  export PURSER_TOKEN=${token}`,
  `  purser status --reconciler ${where.word}`,
  '',
  ...where.remark,
  'The token is shown this once. End it before with `purser node revoke ID`; `purser node tokens` lists them.',
];

interface Where {
  readonly word: string;
  readonly remark: readonly string[];
}

/** A reconciler that listens everywhere does not know how others reach it. */
const shownAddress = (address: string): Where => {
  const { host, port } = hostAndPort(address);
  const word = port === DEFAULT_PORT ? 'ADDRESS' : `ADDRESS:${port}`;
  return host === '0.0.0.0' || host === '::'
    ? { word, remark: ['ADDRESS is where the other machine reaches this one.'] }
    : { word: address, remark: [] };
};

/** Throws CommandError. */
const lifeOf = (written: string): number => {
  const lastsMs = parseDuration(written);
  if (lastsMs === null || lastsMs <= 0) {
    throw new CommandError(`--lasts ${written} is no time: write 30m, 1h, 7d`);
  }
  return lastsMs;
};

const countOf = (written: string): number => {
  const count = Number(written);
  if (!Number.isInteger(count) || count < 1) {
    throw new CommandError(`--machines ${written} is no count: write 1 or more`);
  }
  return count;
};

export const listTokens = async ({ common, io }: Invocation): Promise<number> => {
  const tokens = await ask<readonly GivenToken[]>(common, 'tokens');
  if (common.json) io.out(JSON.stringify(tokens, null, 2));
  else if (tokens.length === 0) io.out('No token counts now.');
  else {
    const rows = tokens.map(({ id, kind, node, left, uses, endsAtMs }) => [
      id,
      kind === 'join' ? `join as ${node ?? 'a new node'}` : kind,
      kind === 'join' ? `${left} of ${uses}` : '-',
      new Date(endsAtMs).toISOString().slice(0, 16).replace('T', ' '),
    ]);
    io.out(table([['ID', 'FOR', 'LEFT', 'UNTIL (UTC)'], ...rows], { columns: io.columns }));
  }
  return 0;
};

export const endToken = async ({ args, common, io }: Invocation): Promise<number> => {
  const id = args[1];
  if (id === undefined) throw new CommandError('name the token: `purser node tokens` lists them');
  if (!(await ask<boolean>(common, 'endToken', { id }))) {
    throw new CommandError(`there is no token ${id}: \`purser node tokens\` lists them`, 1);
  }
  io.out(common.json ? JSON.stringify({ ended: id }) : `Token ${id} counts no more.`);
  return 0;
};
