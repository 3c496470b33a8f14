// `purser plan [REV | DIR]`: what would happen, and why, before anybody commits it.
// In: a revision, a folder or nothing; the live cluster or a snapshot. Out: text or JSON; exit code
// 0 nothing, 1 changes, 2 errors in files. Changes nothing anywhere. Not here: the plan
// (reconciler/preview).

import { readFile } from 'node:fs/promises';
import { pc } from './colours.ts';
import { planText } from '../reconciler/render/plan-text.ts';
import type { JudgedPlan } from '../reconciler/planned.ts';
import { OF_LEADER, type StateAnswer } from '../schema/control.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import { fromJson, toJson } from '../schema/snapshot.ts';
import type { DigestAsk, LookupAnswer } from '../schema/source.ts';
import type { CommandSpec, Common, Io } from './command.ts';
import { text } from './command.ts';
import { CommandError, fileTrouble } from './command-error.ts';
import { ask } from './state.ts';

export const plan: CommandSpec = {
  usage: 'plan [revision-or-folder]',
  summary: 'show what a change would do: which copies, where, in which order, and why',
  examples: [
    ['purser plan .', 'your uncommitted edits'],
    ['purser plan my-branch', 'the tip of a branch'],
    ['purser plan', 'what is still to do at HEAD'],
    ['purser plan . --snapshot s.json', 'without a cluster: against what `purser snapshot` saved'],
  ],
  exits: '0 nothing would change, 1 changes, 2 errors',
  define: (command) =>
    command.option('--snapshot <file>', 'a saved snapshot instead of the live cluster'),
  run: async ({ args, options, common, io }) => {
    const file = text(options['snapshot']);
    // Everything that plans: not loaded for a word of help.
    const { previewPlan } = await import('../reconciler/planned.ts');
    const { changeTree } = await import('./change-tree.ts');
    const snapshot = file === null ? await ask<Snapshot>(common, 'snapshot') : await load(file);
    const followed = file === null ? await followedRepository(common, io) : null;
    const change = await changeTree(snapshot, args[0] ?? null, followed);
    try {
      const { complete, arrival, what } = change;
      const resolve = file === null ? resolver(common) : () => Promise.resolve(null);
      const source = { complete, resolve };
      const told = await previewPlan({ snapshot, change: change.tree, source, arrival });
      const { plan: planned, ...rest } = told;
      if (common.json) {
        const { summary, ...parts } = planned ?? { summary: {} };
        io.out(toJson({ what, ...summary, ...parts, ...rest }, 2));
      } else {
        const age = file === null ? 'the live cluster' : `${file}, taken ${snapshot.takenAt}`;
        io.out(pc.dim(`${what}, against ${age}`));
        io.out(coloured(textOf(told)).join('\n'));
      }
      return codeOf(told);
    } finally {
      change.close();
    }
  },
};

/** Where it cannot be read now, what is known is the last content that could be. */
const followedRepository = async (common: Common, io: Io): Promise<string> => {
  const { failure, repository } = await ask<StateAnswer>(common, 'state', OF_LEADER);
  if (failure !== null) io.err(pc.red(`! Git cannot be read: ${failure}`));
  return repository;
};

const load = async (file: string): Promise<Snapshot> => {
  const written = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CommandError(`${file} cannot be read: ${fileTrouble(error)}`);
  });
  try {
    const value = fromJson(written) as Snapshot;
    if (value.format === 1) return value;
  } catch {
    // Said below: it is no snapshot.
  }
  throw new CommandError(`${file} is no snapshot: make one with \`purser snapshot s.json\``);
};

/** Asks the reconciler, which asks the registry: nothing is recorded. */
const resolver =
  (common: Common) =>
  async ({ reference }: DigestAsk): Promise<LookupAnswer> =>
    ask<LookupAnswer>(common, 'resolve', { reference });

const NOTHING = 0;
const CHANGES = 1;
const ERRORS = 2;

const textOf = (told: JudgedPlan): readonly string[] =>
  told.plan === null
    ? [`${told.title}.`, ...told.files.map((file) => `  ${file}`)]
    : planText(told.plan.summary, told.plan.rehearsal, { ...told, ...told.plan });

/** What is wanted and cannot be done is a change too: it would be done as soon as it can. */
const codeOf = ({ plan: told }: JudgedPlan): number => {
  if (told === null) return ERRORS;
  const { problems, waves, guarded, blocked, stopped } = told.summary;
  const isRefused = told.refusals.length > 0 || stopped !== null;
  if (isRefused || problems.some(({ severity }) => severity === 'error')) return ERRORS;
  return waves.length + guarded.length + blocked.length === 0 ? NOTHING : CHANGES;
};

const coloured = (lines: readonly string[]): readonly string[] =>
  lines.map((line, index) => {
    if (index === 0 || /^\S/.test(line)) return pc.bold(line);
    return line
      .replace(/^( +)(start )/, (_, space: string, word: string) => space + pc.green(word))
      .replace(/^( +)(stop )/, (_, space: string, word: string) => space + pc.red(word))
      .replace(/^( +)(update )/, (_, space: string, word: string) => space + pc.yellow(word));
  });
