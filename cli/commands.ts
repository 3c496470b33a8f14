// All commands, in the order of `purser --help`, each loaded when it is asked for: a command line that
// names one waits for that one alone. In: a name. Out: commands. Not here: what they do.

import type { CommandSpec } from './command.ts';

const LOADERS: Readonly<Record<string, () => Promise<CommandSpec>>> = {
  up: async () => (await import('./up.ts')).up,
  down: async () => (await import('./down.ts')).down,
  init: async () => (await import('./init.ts')).init,
  validate: async () => (await import('./validate.ts')).validate,
  plan: async () => (await import('./plan.ts')).plan,
  status: async () => (await import('./status.ts')).status,
  explain: async () => (await import('./explain.ts')).explain,
  logs: async () => (await import('./logs.ts')).logs,
  exec: async () => (await import('./exec.ts')).exec,
  events: async () => (await import('./events.ts')).events,
  history: async () => (await import('./history.ts')).history,
  snapshot: async () => (await import('./snapshot.ts')).snapshot,
  deploy: async () => (await import('./deploy.ts')).deploy,
  rollback: async () => (await import('./rollback.ts')).rollback,
  scale: async () => (await import('./job-edits.ts')).scale,
  stop: async () => (await import('./job-edits.ts')).stop,
  start: async () => (await import('./job-edits.ts')).start,
  restart: async () => (await import('./job-edits.ts')).restart,
  pause: async () => (await import('./job-edits.ts')).pause,
  resume: async () => (await import('./job-edits.ts')).resume,
  promote: async () => (await import('./job-edits.ts')).promote,
  approve: async () => (await import('./approve.ts')).approve,
  drain: async () => (await import('./drain.ts')).drain,
  undrain: async () => (await import('./drain.ts')).undrain,
  volume: async () => (await import('./volume.ts')).volume,
  reconciler: async () => (await import('./reconciler.ts')).reconciler,
  node: async () => (await import('./node.ts')).node,
};

/** What a command line needs that begins so: the one it names, none for the version, else all. */
export const commandsFor = async (first: string): Promise<readonly CommandSpec[]> => {
  if (first === '--version') return [];
  const load = Object.hasOwn(LOADERS, first) ? LOADERS[first] : undefined;
  return load === undefined ? allCommands() : [await load()];
};

export const allCommands = (): Promise<readonly CommandSpec[]> =>
  Promise.all(Object.values(LOADERS).map((load) => load()));
