// What GitHub says of people: what they may do in the repository, and in which teams they are.
// In: the wire, accounts. Out: permissions and memberships. Asked by login, compared by id: a login
// can pass on to somebody else. Not here: what follows from it.

import type { Person } from '../../../schema/behind.ts';
import type { Account, Permission } from '../../../schema/forge.ts';
import type { ApiUser } from './answers.ts';
import { ForgeFailure } from './failure.ts';
import type { Wire } from './wire.ts';

interface ApiPermission {
  readonly permission: string;
  readonly user: ApiUser | null;
}

export const permissionOf = async (wire: Wire, { login, id }: Account): Promise<Permission> => {
  const found = await orNull(
    wire.poll({
      route: 'GET /repos/{owner}/{repo}/collaborators/{username}/permission',
      params: { username: login },
      pick: (data) => data as ApiPermission,
      once: true,
    }),
  );
  // A program with write access is nobody who can approve: whoever has its key, or can make it talk.
  if (found === null || found.user?.id !== id || isBot(found.user)) return 'none';
  return PERMISSIONS.find((one) => one === found.permission) ?? 'none';
};

const isBot = ({ type, login }: ApiUser): boolean => type === 'Bot' || login.endsWith('[bot]');

const PERMISSIONS: readonly Permission[] = ['admin', 'write', 'read', 'none'];

export const mayWrite = (permission: Permission): boolean =>
  permission === 'admin' || permission === 'write';

/** The account as an owner: by its login, and for each of these teams (`@org/team`) it is in. */
export const personOf = async (
  wire: Wire,
  { login }: Account,
  { teams, emails }: { readonly teams: readonly string[]; readonly emails: readonly string[] },
): Promise<Person> => {
  const as = new Set([`@${login.toLowerCase()}`, ...emails.map((one) => one.toLowerCase())]);
  for (const team of teams) if (await isMember(wire, login, team)) as.add(team);
  return { name: login, as: [...as].toSorted() };
};

/** Needs the permission «Members: Read-only» of the organization. */
const isMember = async (wire: Wire, username: string, name: string): Promise<boolean> => {
  const [org = '', team_slug = ''] = name.replace('@', '').split('/');
  const state = await orNull(
    wire.poll({
      route: 'GET /orgs/{org}/teams/{team_slug}/memberships/{username}',
      params: { org, team_slug, username },
      pick: (data) => (data as { readonly state: string }).state,
    }),
  );
  return state === 'active';
};

const orNull = async <T>(asked: Promise<T>): Promise<T | null> => {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ForgeFailure && error.status === 404) return null;
    throw error;
  }
};
