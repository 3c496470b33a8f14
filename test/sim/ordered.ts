// Groups whose tasks have an order (rules 15): beside the program that the draft means, one task of
// each kind. In: a draft, chance. Out: the lines of its tasks, and what their programs do. They are
// drawn apart, in seeds of their own: what the others do stays as it was. Not here: what must hold
// of them (check-lifecycle.ts).

import type { Ms } from '../../schema/spec.ts';
import { GOOD, type Behaviour, type SimContent } from './fake/registry.ts';
import type { Random } from './time.ts';

/** Each thirteenth seed: none of those that are kept for what they once showed. */
export const isOrdered = (seed: number): boolean => seed % 13 === 8;

/** What the programs beside the main one do. */
export interface Helpers {
  readonly initMs: Ms;
  readonly warmMs: Ms;
  /** null: the sidecar ignores its signal. */
  readonly proxyStopsAfterMs: Ms | null;
  readonly clean: 'ends' | 'fails' | 'hangs';
}

/** The program that the draft's behaviour is of. */
export const MAIN_TASK = 'app';

const SHARE = 0.7;

/** null: the job stays as it is. */
export const drawHelpers = (random: Random): Helpers | null =>
  random.chance(SHARE)
    ? {
        initMs: random.between(100, 4_000),
        warmMs: random.between(100, 2_000),
        proxyStopsAfterMs: random.chance(0.2) ? null : random.between(50, 2_000),
        clean: random.pick(['ends', 'ends', 'fails', 'hangs']),
      }
    : null;

/** Asked for at once: 100m and the draft's memory, as without helpers. */
const PROXY_MIB = 16;
const WARM_MIB = 4;

/** Tasks of a draft with helpers; `own` is what the main task says beside these. */
export const taskLines = (
  { memoryMiB }: { readonly memoryMiB: number },
  reference: string,
  own: readonly string[],
): readonly string[] => {
  const mainMiB = memoryMiB - PROXY_MIB - WARM_MIB;
  const task = (name: string, cpu: string, mib: number, ...lines: readonly string[]) => [
    `  ${name}:`,
    `    image: ${reference}`,
    `    resources: { cpu: ${cpu}, memory: ${mib}MiB }`,
    ...lines.map((line) => `    ${line}`),
  ];
  return [
    `# memory: ${memoryMiB}MiB`,
    'tasks:',
    ...task(MAIN_TASK, '40m', mainMiB, 'kill_timeout: 4s', ...own),
    ...task('clean', '100m', 16, 'lifecycle: poststop', 'entrypoint: [/clean]', 'kill_timeout: 3s'),
    ...task(
      'init',
      '50m',
      mainMiB,
      'lifecycle: prestart',
      'entrypoint: [/init]',
      'kill_timeout: 4s',
    ),
    ...task(
      'proxy',
      '50m',
      PROXY_MIB,
      'lifecycle: sidecar',
      'entrypoint: [/proxy]',
      'kill_timeout: 3s',
    ),
    ...task(
      'warm',
      '10m',
      WARM_MIB,
      'lifecycle: poststart',
      'entrypoint: [/warm]',
      'kill_timeout: 4s',
    ),
  ];
};

/**
 * The programs in the image beside its own. In some bad versions it is the prestart or the poststart
 * task that fails.
 */
export const helperPrograms = ({
  helpers,
  behaviour,
}: {
  readonly helpers: Helpers | null;
  readonly behaviour: Behaviour;
}): SimContent => {
  if (helpers === null) return { programs: {}, users: {} };
  const { crash } = behaviour;
  const ends = (afterMs: Ms, code: number): Behaviour => ({
    ...GOOD,
    isMute: true,
    crash: { afterMs, code, outOfMemory: false },
  });
  const failing = crash === null ? null : (['init', 'warm', 'app'] as const)[crash.afterMs % 3];
  const { initMs, warmMs, proxyStopsAfterMs, clean } = helpers;
  const proxy = { ...GOOD, isMute: true, healthyAfterMs: 0, stopsAfterMs: proxyStopsAfterMs };
  const last: Readonly<Record<Helpers['clean'], Behaviour>> = {
    ends: ends(500, 0),
    fails: ends(500, 5),
    hangs: { ...GOOD, isMute: true, stopsAfterMs: null },
  };
  const programs = {
    '/init': ends(initMs, failing === 'init' ? 3 : 0),
    '/warm': ends(warmMs, failing === 'warm' ? 4 : 0),
    '/proxy': proxy,
    '/clean': last[clean],
  };
  const told = Object.entries(programs).map(([command, one]) => [
    command,
    { behaviour: one, says: '' },
  ]);
  return { programs: Object.fromEntries(told), users: {} };
};
