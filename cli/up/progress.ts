// Shows a cluster coming up: a line a job, redrawn on a terminal, printed on change elsewhere.
// In: states. Out: text. Ends when every job is healthy, when nothing comes up any more, or when the
// person had enough.

import { pc } from '../colours.ts';
import { failureWords } from '../../schema/copy-words.ts';
import { OF_LEADER, type StateAnswer } from '../../schema/control.ts';
import type { Control } from '../client.ts';
import type { Io } from '../command.ts';
import { blockedWords, many } from '../../reconciler/render/words.ts';
import { cut } from '../table.ts';

export interface JobHealth {
  readonly job: string;
  readonly wanted: number;
  readonly healthy: number;
  /** What it waits for, in words. */
  readonly note: string;
}

/** Copies of the wanted versions that answer, by job. */
export const healthOf = ({ view }: StateAnswer): readonly JobHealth[] => {
  if (view === null) return [];
  const { desired, live, plan } = view;
  const copies = live.nodes.flatMap(({ allocations }) => allocations);
  return desired.jobs
    .filter(({ standing }) => standing.kind !== 'removed')
    .map(({ id, spec }) => {
      const hashes = new Set(spec.groups.map(({ hash }) => hash));
      const mine = copies.filter(
        ({ body, stopping }) => `${body.namespace}/${body.job}` === id && !stopping,
      );
      const healthy = mine.filter(
        ({ body, health, phase }) =>
          hashes.has(body.spec.hash) && health === 'healthy' && phase === 'running',
      );
      const failure = mine.find((copy) => copy.failure !== null && copy.health !== 'healthy');
      const waits = plan.blocked.filter(({ job }) => job === id);
      // Beside copies that come up, what waits for its turn is no news; what holds the whole job is.
      const blocked =
        waits.find(({ kind, slot }) => kind === 'no-node' || slot === null) ??
        (mine.length === 0 ? waits[0] : undefined);
      const states = new Set(mine.flatMap(({ tasks }) => tasks.map(({ state }) => state)));
      return {
        job: id,
        wanted: spec.groups.reduce((sum, { count }) => sum + count, 0),
        healthy: healthy.length,
        note:
          (failure === undefined ? null : failureWords(failure)) ??
          // Without the slot that it begins with: the line names the job.
          (blocked === undefined
            ? [...states].join(', ')
            : blockedWords(blocked).replace(/^\S+ /, '')),
      };
    });
};

export const isHealthy = ({ wanted, healthy }: JobHealth): boolean => healthy >= wanted;

export const allHealthy = (state: StateAnswer): boolean =>
  state.view !== null && healthOf(state).every(isHealthy);

/**
 * So long without a copy more that is healthy, and those that wait for their URLs have waited
 * enough: most programs answer within a few seconds.
 */
const QUIET_MS = 15_000;

/** Follows until all is healthy, or nothing came up for `quietMs`; null: the signal ended it. */
export const follow = async (
  control: Control,
  io: Io,
  quietMs = QUIET_MS,
): Promise<StateAnswer | null> => {
  const ending = new AbortController();
  const signal = AbortSignal.any([io.signal, ending.signal]);
  let timer = setTimeout(() => ending.abort(), quietMs);
  let drawn: readonly string[] = [];
  let most = -1;
  let last: StateAnswer | null = null;
  try {
    for await (const state of control.watch<StateAnswer>('state', signal, OF_LEADER)) {
      const lines = linesOf(state, io).map((line) => cut(line, io.columns));
      if (io.tty) redraw(io, drawn.length, lines);
      else for (const line of lines.filter((text) => !drawn.includes(text))) io.out(line);
      drawn = lines;
      last = state;
      if (allHealthy(state)) return state;
      const healthy = healthOf(state).reduce((sum, job) => sum + job.healthy, 0);
      // Before the repository was read there is nothing to say.
      if (healthy <= most && state.view !== null) continue;
      most = healthy;
      clearTimeout(timer);
      timer = setTimeout(() => ending.abort(), quietMs);
    }
  } finally {
    clearTimeout(timer);
  }
  return io.signal.aborted ? null : last;
};

/** Tells each job once that is healthy and was not; until all are. null: the signal ended it. */
export const followLate = async (
  control: Control,
  { signal }: Io,
  late: { readonly told: Set<string>; readonly tell: (state: StateAnswer, job: string) => void },
): Promise<StateAnswer | null> => {
  for await (const state of control.watch<StateAnswer>('state', signal, OF_LEADER)) {
    if (state.view === null) continue;
    for (const health of healthOf(state)) {
      if (late.told.has(health.job) || !isHealthy(health)) continue;
      late.told.add(health.job);
      late.tell(state, health.job);
    }
    if (allHealthy(state)) return state;
  }
  return null;
};

const linesOf = (state: StateAnswer, { rows }: Io): readonly string[] => {
  const failure = state.failure === null ? [] : [`  ${pc.red('!')} ${state.failure}`];
  const { shown, hidden } = fitting(healthOf(state), rows - OTHER_LINES);
  const jobs = shown.map(({ job, wanted, healthy, note }) => {
    const done = healthy >= wanted;
    const mark = done ? pc.green('✓') : pc.yellow('…');
    const copies = wanted === 0 ? 'no copies wanted' : `${healthy}/${wanted} healthy`;
    return `  ${mark} ${job.padEnd(24)} ${copies}${done || note === '' ? '' : `  ${pc.dim(note)}`}`;
  });
  const rest = hidden === 0 ? [] : [pc.dim(`  … and ${many(hidden, 'more job')}`)];
  return [...failure, ...jobs, ...rest];
};

/** The cursor cannot go up beyond the screen: where it is too short, what is done goes unnamed. */
const fitting = (jobs: readonly JobHealth[], room: number) => {
  if (jobs.length <= room) return { shown: jobs, hidden: 0 };
  const open = jobs.filter(({ wanted, healthy }) => healthy < wanted);
  const shown = open.slice(0, Math.max(0, room - 1));
  return { shown, hidden: jobs.length - shown.length };
};

/** The failure, the count of the rest, and the line of the cursor. */
const OTHER_LINES = 3;

const redraw = (io: Io, before: number, lines: readonly string[]): void => {
  if (lines.length === 0) return;
  const up = before > 0 ? `\u001B[${before}A` : '';
  io.out(`${up}\u001B[J${lines.join('\n')}`);
};
