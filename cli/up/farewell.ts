// What `purser up` says when it is up: the URLs that answer, what is not healthy and why, and what to
// try next.
// In: the reconciler's answer. Out: text, and the line of --json. Not here: the lines of jobs that come
// up (progress.ts).

import { join, relative } from 'node:path';
import { problemLine } from '../../reconciler/render/plan-text.ts';
import { named } from '../../reconciler/render/words.ts';
import { shownRepository } from '../../reconciler/edge/git/remote.ts';
import type { StateAnswer } from '../../schema/control.ts';
import { compareText } from '../../schema/ids.ts';
import { shellWord } from '../../schema/paths.ts';
import { pc } from '../colours.ts';
import type { Invocation } from '../command.ts';
import { DEFAULT_ROOT } from '../command.ts';
import { cut } from '../table.ts';
import type { Layout } from './layout.ts';
import { healthOf, isHealthy } from './progress.ts';
import type { Repository } from './repository.ts';

export const readyJson = (layout: Layout, state: StateAnswer): string =>
  JSON.stringify({
    root: layout.root,
    cluster: state.cluster,
    repository: state.repository,
    branch: state.branch,
    urls: Object.fromEntries(urlsOf(state)),
  });

/** What the last lines are about. */
interface Ending {
  readonly repository: Repository;
  /** The program that a person would call. */
  readonly purser: string;
}

/** URLs that answer, what is not healthy and why, and the three things to try next. */
export const farewell = (
  { io, common }: Invocation,
  state: StateAnswer,
  { repository, purser }: Ending,
): void => {
  io.out('');
  for (const line of urlLines(state, () => true)) io.out(line);
  const open = openLines(state);
  if (open.length > 0) {
    io.out('\nNot healthy so far; what comes up later is said here:');
    for (const line of open.slice(0, OPEN_SHOWN)) io.out(`  ${cut(line, io.columns - 2)}`);
    if (open.length > OPEN_SHOWN) io.out(`  and ${open.length - OPEN_SHOWN} more: purser status`);
  }
  for (const line of unheardLines(state, repository)) io.out(line);
  io.out('\nTry next, in another terminal, from the same folder:');
  if (common.root !== DEFAULT_ROOT) io.out(`     export PURSER_ROOT=${shellWord(common.root)}`);
  const steps = stepsIn(repository, fromHere(purser));
  const width = Math.max(...steps.map(([line]) => line.length));
  for (const [index, [line, what]] of steps.entries()) {
    io.out(`  ${index + 1}. ${line.padEnd(width)}   ${what}`);
  }
  io.out('\nCtrl-C stops Purser and leaves the containers running.');
};

/** Jobs that are not healthy and files that are not valid on a screen; `status` has them all. */
const OPEN_SHOWN = 10;

const openLines = (state: StateAnswer): readonly string[] => [
  ...healthOf(state)
    .filter((job) => !isHealthy(job))
    .map(({ job, wanted, healthy, note }) =>
      `${job.padEnd(JOB_WIDTH)} ${healthy}/${wanted} healthy  ${note}`.trimEnd(),
    ),
  ...(state.view?.plan.problems ?? [])
    .filter(({ severity }) => severity === 'error')
    .map((problem) => problemLine(problem)),
];

/** Copies wait for nodes of a larger cluster that was here before, until these are lost. */
const unheardLines = (
  { view, directory }: StateAnswer,
  { workTree }: Repository,
): readonly string[] => {
  const heard = new Set(view?.live.nodes.map(({ name }) => name));
  const silent = (view?.desired.nodes ?? []).filter(({ name }) => !heard.has(name));
  if (silent.length === 0) return [];
  const names = silent.map(({ name }) => name);
  const files = names.map((name) => shellWord(join(directory, 'nodes', `${name}.yaml`)));
  const git = `git -C ${workTree === null ? 'clone' : fromHere(workTree)}`;
  const those = names.length === 1 ? 'a node that was' : 'nodes that were';
  return [
    `\nGit lists ${those} not heard from: ${named(names)}. Take out what will not come back:`,
    `  ${git} rm ${files.join(' ')} && ${git} commit -m "Remove ${names.join(', ')}"`,
  ];
};

/** The URLs of these jobs, a line each. */
export const urlLines = (state: StateAnswer, of: (job: string) => boolean): readonly string[] =>
  [...urlsOf(state)]
    .filter(([job]) => of(job))
    .map(([job, urls]) => {
      const rest = urls.length - URLS_SHOWN;
      const more = rest > 0 ? `  and ${rest} more: purser status ${job}` : '';
      return `  ${pc.bold(job.padEnd(JOB_WIDTH))} ${urls.slice(0, URLS_SHOWN).join('  ')}${more}`;
    });

const JOB_WIDTH = 14;

type Steps = readonly (readonly [string, string])[];

/** Where there is no work tree, a clone of one's own is what a person edits, and pushes. */
const stepsIn = ({ workTree, url, branch }: Repository, purser: string): Steps => {
  const dir = workTree === null ? 'clone' : fromHere(workTree);
  const watched = `then watch it: ${purser} status --watch`;
  if (workTree === null) {
    const pushed = `git -C ${dir} push origin ${branch}`;
    return [
      [`git clone -b ${branch} ${shownRepository(url)} ${dir}`, 'and edit a file below jobs/'],
      [`${purser} plan ${dir}`, 'what that would do'],
      [`git -C ${dir} commit -a -m "Try it" && ${pushed}`, watched],
    ];
  }
  return [
    [`${purser} plan ${dir}`, 'edit a file below jobs/, and see what that would do'],
    [`git -C ${dir} commit -a -m "Try it"`, watched],
    [`git -C ${dir} revert --no-edit HEAD`, 'the way back is a commit too'],
  ];
};

/** URLs of one job on a line. */
const URLS_SHOWN = 4;

/** A path as a person would type it here: relative where that is shorter. */
const fromHere = (path: string): string => {
  const near = relative(process.cwd(), path);
  const typed = near.startsWith('.') ? near : `./${near}`;
  return near === '' ? '.' : shellWord(typed.length < path.length ? typed : path);
};

const urlsOf = ({ view }: StateAnswer): ReadonlyMap<string, readonly string[]> => {
  const urls = new Map<string, readonly string[]>();
  for (const { allocations, address } of view?.live.nodes ?? []) {
    for (const { body, ports, stopping, phase, health } of allocations) {
      if (stopping || phase !== 'running' || health !== 'healthy') continue;
      const job = `${body.namespace}/${body.job}`;
      const mine = ports.map(({ host }) => `http://${address}:${host}`);
      urls.set(job, [...(urls.get(job) ?? []), ...mine]);
    }
  }
  return new Map([...urls].toSorted(([a], [b]) => compareText(a, b)));
};
