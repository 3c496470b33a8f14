// What Purser needs to do on GitHub, by GitHub's names, and what was missing for a request.
// In: nothing, or a refused request. Out: permissions, and words as GitHub's settings page has them.
// Not here: what a refusal means (failure), what an App was granted (installation).

export type Level = 'read' | 'write';

/** What Purser asks for. */
export const PERMISSIONS: Readonly<Record<string, Level>> = {
  checks: 'write',
  contents: 'write',
  deployments: 'write',
  issues: 'write',
  // Without it GitHub takes no manifest with the event `merge_group`.
  merge_queues: 'read',
  metadata: 'read',
  pull_requests: 'write',
  statuses: 'write',
};

/** Of an organization: who is in the teams that `owners` in cluster.yaml may name. */
export const TEAM_PERMISSIONS: typeof PERMISSIONS = { members: 'read' };

/** A request that was, or would be, made. */
export interface Asked {
  /** `POST`. */
  readonly method: string;
  /** `/repos/o/r/check-runs`, or with names in braces. */
  readonly path: string;
}

/** `checks`; null: no permission of ours is known to be for it. */
export const permissionFor = ({ path }: Asked): string | null =>
  BY_PATH.find(([pattern]) => pattern.test(path))?.[1] ?? null;

export const levelFor = ({ method }: Asked): Level => (method === 'GET' ? 'read' : 'write');

const BY_PATH: readonly (readonly [RegExp, string])[] = [
  [/\/check-(runs|suites)/, 'checks'],
  [/\/deployments/, 'deployments'],
  [/\/status(es)?(\/|$)/, 'statuses'],
  [/\/issues\//, 'pull_requests'],
  [/\/pulls/, 'pull_requests'],
  [/^\/orgs\/[^/]+\/teams/, 'members'],
  [/\/(git|contents|commits|branches)(\/|$)/, 'contents'],
  [/^\/graphql/, 'pull_requests'],
];

/**
 * `«Checks: Read and write»`: what GitHub's header says, else what the path tells; '' where neither
 * does. Of several sets that GitHub would take, parted by `;`, each would do.
 */
export const missingPermissions = (asked: Asked, header: unknown): string => {
  const told = typeof header === 'string' ? header.split(';') : [];
  const sets = told.map(setWords).filter((words) => words !== '');
  if (sets.length > 0) return sets.join(' or ');
  const found = permissionFor(asked);
  return found === null ? '' : neededWords(found, levelFor(asked));
};

const setWords = (set: string): string =>
  allWords(
    set
      .split(',')
      .map((part) => part.trim().split('='))
      .flatMap(([name, level]) =>
        name === undefined || name === '' ? [] : [neededWords(name, level ?? 'read')],
      ),
  );

/** What is missing of all that Purser asks for; '' for nothing. */
export const ungranted = (granted: Readonly<Record<string, string>>): string =>
  allWords(
    Object.entries(PERMISSIONS)
      .filter(([name, level]) => !covers(granted[name], level))
      .map(([name, level]) => permissionWords(name, level)),
  );

export const covers = (has: string | undefined, needs: string): boolean =>
  has === 'write' || has === 'admin' || (has === 'read' && needs === 'read');

/** `a, b and c`. */
const allWords = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/** Of what is written too it is told at once, also where a read was refused: so one asks once. */
const neededWords = (name: string, level: string): string =>
  permissionWords(name, name in PERMISSION_NAMES && !ONLY_READ.has(name) ? 'write' : level);

const PERMISSION_NAMES: Readonly<Record<string, string>> = {
  checks: 'Checks',
  statuses: 'Commit statuses',
  deployments: 'Deployments',
  pull_requests: 'Pull requests',
  issues: 'Issues',
  contents: 'Contents',
  metadata: 'Metadata',
  members: 'Members',
  merge_queues: 'Merge queues',
};

/** Of these Purser reads. */
const ONLY_READ: ReadonlySet<string> = new Set(['members', 'merge_queues', 'metadata']);

export const permissionWords = (name: string, level: string): string =>
  `«${PERMISSION_NAMES[name] ?? name}: ${level === 'write' ? 'Read and write' : 'Read-only'}»`;
