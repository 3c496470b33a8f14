// What GitHub says of people: what they may do in the repository, and in which teams they are.
// In: the wire, accounts. Out: permissions and memberships. Asked by login, compared by id: a login
// can pass on to somebody else. Not here: what follows from it.

import type { Person, UnreadTeams } from '../../../schema/behind.ts';
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

export interface People {
  /** The account as an owner: by its login and addresses, and for each of the teams it is in. */
  readonly person: (account: Account, emails: readonly string[]) => Promise<Person>;
  /** Of the teams that were asked about: those that GitHub does not show; undefined: none. */
  readonly unread: () => UnreadTeams | undefined;
}

/** @param teams `@org/team` */
export const createPeople = (wire: Wire, teams: readonly string[]): People => {
  const unread = new Map<string, string>();
  const isIn = async (login: string, team: string): Promise<boolean> => {
    if (unread.has(team)) return false;
    try {
      return await isMember(wire, login, team);
    } catch (error) {
      if (!(error instanceof ForgeFailure) || error.status !== 403) throw error;
      if (error.consequence !== 'broken') throw error;
      unread.set(team, error.message);
      return false;
    }
  };
  return {
    person: async ({ login }, emails) => {
      const as = new Set([`@${login.toLowerCase()}`, ...emails.map((one) => one.toLowerCase())]);
      for (const team of teams) if (await isIn(login, team)) as.add(team);
      return { name: login, as: [...as].toSorted() };
    },
    unread: () => {
      const [why] = unread.values();
      return why === undefined ? undefined : { teams: [...unread.keys()].toSorted(), why };
    },
  };
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
