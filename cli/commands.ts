// All commands, as `purser --help` shows them, each loaded when it is asked for: a command line
// that names one waits for that one alone. In: a name. Out: commands. Not here: what they do.

import type { CommandSpec } from './command.ts';

type Loaders = Readonly<Record<string, () => Promise<CommandSpec>>>;

/** Titles, and commands in the order in which people need them. */
const GROUPS: readonly (readonly [title: string, Loaders])[] = [
  [
    'A cluster on this machine:',
    {
      up: async () => (await import('./up.ts')).up,
      down: async () => (await import('./down.ts')).down,
    },
  ],
  [
    'Before a commit:',
    {
      init: async () => (await import('./init.ts')).init,
      validate: async () => (await import('./validate.ts')).validate,
      plan: async () => (await import('./plan.ts')).plan,
      snapshot: async () => (await import('./snapshot.ts')).snapshot,
    },
  ],
  [
    'What is, and why:',
    {
      status: async () => (await import('./status.ts')).status,
      services: async () => (await import('./services.ts')).services,
      explain: async () => (await import('./explain.ts')).explain,
      logs: async () => (await import('./logs.ts')).logs,
      exec: async () => (await import('./exec.ts')).exec,
      events: async () => (await import('./events.ts')).events,
      history: async () => (await import('./history.ts')).history,
    },
  ],
  [
    'Changes, each a commit or a record in the ledger:',
    {
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
    },
  ],
  [
    'The parts by hand:',
    {
      reconciler: async () => (await import('./reconciler.ts')).reconciler,
      node: async () => (await import('./node.ts')).node,
      backup: async () => (await import('./backup.ts')).backup,
      restore: async () => (await import('./backup.ts')).restore,
      github: async () => (await import('./github.ts')).github,
    },
  ],
];

export interface CommandGroup {
  readonly title: string;
  readonly specs: readonly CommandSpec[];
}

/** What a command line needs that begins so: the one it names, none for the version, else all. */
export const commandsFor = async (first: string): Promise<readonly CommandGroup[]> => {
  if (first === '--version') return [];
  for (const [title, loaders] of GROUPS) {
    const load = Object.hasOwn(loaders, first) ? loaders[first] : undefined;
    if (load !== undefined) return [{ title, specs: [await load()] }];
  }
  return allGroups();
};

export const allCommands = async (): Promise<readonly CommandSpec[]> =>
  (await allGroups()).flatMap(({ specs }) => specs);

const allGroups = (): Promise<readonly CommandGroup[]> =>
  Promise.all(
    GROUPS.map(async ([title, loaders]) => ({
      title,
      specs: await Promise.all(Object.values(loaders).map((load) => load())),
    })),
  );
