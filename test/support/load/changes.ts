// What happens to the jobs and the machines of a load test, drawn from a seed.
// In: the world as it is, a draw. Out: the next round, files of the repository. Pure. Not here: who
// does it (world.ts), who asks meanwhile (clients.ts).

import type { FileSet } from '../git-repo.ts';

/** What the repository says now; `before` is what a revert goes back to. */
export interface Wish {
  readonly version: string;
  readonly before: string | null;
  readonly updates: number;
  readonly drained: string | null;
}

export const FIRST: Wish = { version: 'first', before: null, updates: 0, drained: null };

/** What goes into the repository. */
export type Commit =
  | { readonly kind: 'update' | 'revert' | 'undrain' }
  | { readonly kind: 'drain'; readonly node: string };

/** What happens to a program meanwhile. */
export type Blow =
  | { readonly kind: 'runner'; readonly node: string }
  /** Whichever reconciler leads is killed. */
  | { readonly kind: 'leader' };

export interface Round {
  readonly commit: Commit;
  /** So long after the commit; null: nothing happens. */
  readonly blow: (Blow & { readonly afterMs: number }) | null;
}

export type Kind = Commit['kind'] | Blow['kind'];
export type Tally = Readonly<Record<Kind, number>>;

export const NOTHING: Tally = { update: 0, revert: 0, drain: 0, undrain: 0, runner: 0, leader: 0 };

/** Of four commits one drains a node or ends its drain; of the others every second is a revert. */
const DRAIN_ONE_IN = 4;
/** Of eight rounds six have a blow, the half of these for the leader. */
const BLOW_PART = 0.75;
/** While copies are started and stopped, and a little after. */
const BLOW_WITHIN_MS = 8000;

export const drawRound = (now: Wish, nodes: readonly string[], random: () => number): Round => {
  const node = () => nodes[Math.floor(random() * nodes.length)] ?? '';
  return { commit: drawCommit(now, node, random), blow: drawBlow(node, random) };
};

const drawCommit = (now: Wish, node: () => string, random: () => number): Commit => {
  if (random() < 1 / DRAIN_ONE_IN) {
    return now.drained === null ? { kind: 'drain', node: node() } : { kind: 'undrain' };
  }
  return now.before === null ? { kind: 'update' } : { kind: 'revert' };
};

const drawBlow = (node: () => string, random: () => number): Round['blow'] => {
  if (random() >= BLOW_PART) return null;
  const afterMs = Math.floor(random() * BLOW_WITHIN_MS);
  return random() < 1 / 2 ? { kind: 'runner', node: node(), afterMs } : { kind: 'leader', afterMs };
};

export const after = (now: Wish, commit: Commit): Wish => {
  switch (commit.kind) {
    case 'update': {
      const updates = now.updates + 1;
      return { ...now, version: `update ${updates}`, before: now.version, updates };
    }
    case 'revert':
      return { ...now, version: now.before ?? now.version, before: null };
    case 'drain':
      return { ...now, drained: commit.node };
    case 'undrain':
      return { ...now, drained: null };
  }
};

/** A commit that touches so many jobs is so many changes. */
export const tallied = (tally: Tally, { commit, blow }: Round, jobs: number): Tally => {
  const size = commit.kind === 'update' || commit.kind === 'revert' ? jobs : 1;
  const more = { ...tally, [commit.kind]: tally[commit.kind] + size };
  return blow === null ? more : { ...more, [blow.kind]: more[blow.kind] + 1 };
};

export const sumOf = (tally: Tally): number =>
  Object.values(tally).reduce((sum, count) => sum + count, 0);

export const wordsOf = ({ commit, blow }: Round): string => {
  const what = commit.kind === 'drain' ? `drain ${commit.node}` : commit.kind;
  if (blow === null) return what;
  const of = blow.kind === 'runner' ? `runner ${blow.node} started anew` : 'leader killed';
  return `${what}; ${of} ${blow.afterMs} ms later`;
};

export interface JobsAsk {
  readonly image: string;
  readonly jobs: readonly string[];
  readonly nodes: readonly string[];
}

/** Every second job starts a new copy before it stops an old one. */
export const filesOf = ({ version, drained }: Wish, { image, jobs, nodes }: JobsAsk): FileSet => ({
  ...Object.fromEntries(
    jobs.map((job, at) => {
      const order = at % 2 === 0 ? 'stop-first' : 'start-first';
      return [`jobs/shop/${job}.yaml`, jobText(job, { image, version, order })];
    }),
  ),
  ...Object.fromEntries(
    nodes.map((node) => [
      `nodes/${node}.yaml`,
      `node: ${node}\n${node === drained ? 'drain: true\n' : ''}`,
    ]),
  ),
});

export const COPIES = 2;

const jobText = (
  job: string,
  {
    image,
    version,
    order,
  }: { readonly image: string; readonly version: string; readonly order: string },
): string =>
  [
    `image: ${image}`,
    `count: ${COPIES}`,
    'entrypoint: [/bin/serve]',
    `environment: { VERSION: "${version}" }`,
    'ports: { http: 8080 }',
    `services: [{ name: ${job}, port: http }]`,
    'healthcheck: { http: /, port: http, interval: 1s }',
    'shutdown_delay: 5s',
    `update: { order: ${order}, max_parallel: 1, min_healthy_time: 0s, healthy_deadline: 2m, progress_deadline: 5m }`,
    'resources: { cpu: 10m, memory: 16MiB }',
    '',
  ].join('\n');
