// Files of the repository that tasks use: mounted files and env files (rules 2.1: their content is
// the version's).
// In: a task as written, and the files of a commit. Out: contents and merged variables, or what is
// wrong with them.
// Not here: reading Git (the loop did), what a file means to the container (the runner).

import type { TaskFile } from '../../schema/documents/task.ts';
import { compareText } from '../../schema/ids.ts';
import type { Files, SourceFile } from '../../schema/source.ts';
import type { FileMount } from '../../schema/spec.ts';
import { formatSize } from '../../schema/units.ts';
import { parseEnvFile } from './env-file.ts';

/** What is wrong, and with which value of the task; draft.ts gives it a line. */
export interface SourceFault {
  readonly code: 'source-missing' | 'source-refused' | 'source-outside' | 'env-line';
  /** Below the task. */
  readonly at: readonly string[];
  readonly message: string;
}

export interface TaskSources {
  readonly environment: readonly (readonly [string, string])[];
  readonly files: readonly FileMount[];
  /** Paths in the repository, whether they are there or not. */
  readonly paths: readonly string[];
  readonly faults: readonly SourceFault[];
}

/** Only what lies below may be mounted: the rest of the repository is not the job's. */
const SOURCE_FOLDER = 'configs/';

export const taskSources = (task: TaskFile, files: Files): TaskSources => {
  const faults: SourceFault[] = [];
  const paths: string[] = [];
  const textOf = (path: string, at: readonly string[]): string | null => {
    paths.push(path);
    const found = sourceText(path, files.get(path));
    if (found.kind === 'text') return found.text;
    faults.push({ code: found.code, at, message: found.message });
    return null;
  };
  const variables = new Map<string, string>();
  for (const [path, at] of envFiles(task)) {
    const text = textOf(path, at);
    if (text === null) continue;
    const { variables: read, badLines } = parseEnvFile(text);
    for (const [name, value] of read) variables.set(name, value);
    for (const line of badLines) {
      const message = `Line ${line} of ${path} is neither \`NAME=value\` nor a comment.`;
      faults.push({ code: 'env-line', at, message });
    }
  }
  for (const [name, value] of Object.entries(task.environment ?? {})) variables.set(name, value);
  const mounts: FileMount[] = [];
  for (const [path, source] of Object.entries(task.files ?? {})) {
    const content = textOf(source, ['files', path]);
    if (content !== null) mounts.push({ path, source, content });
  }
  return {
    environment: [...variables].toSorted(([a], [b]) => compareText(a, b)),
    files: mounts.toSorted((a, b) => compareText(a.path, b.path)),
    paths,
    faults,
  };
};

/** The paths of `env_file`, one or a list, each with its place below the task. Later files win. */
const envFiles = ({
  env_file: written = [],
}: TaskFile): readonly (readonly [string, readonly string[]])[] =>
  typeof written === 'string'
    ? [[written, ['env_file']]]
    : written.map((path, index) => [path, ['env_file', String(index)]] as const);

/** Paths that a job file uses, read off without looking at any of them. */
export const sourcePaths = (task: TaskFile): readonly string[] => [
  ...envFiles(task).map(([path]) => path),
  ...Object.values(task.files ?? {}),
];

type SourceText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'fault'; readonly code: SourceFault['code']; readonly message: string };

const sourceText = (path: string, file: SourceFile | undefined): SourceText => {
  const fault = (code: SourceFault['code'], message: string): SourceText => ({
    kind: 'fault',
    code,
    message,
  });
  if (!path.startsWith(SOURCE_FOLDER) || path.split('/').includes('..')) {
    return fault('source-outside', `\`${path}\` does not lie in \`${SOURCE_FOLDER}\`.`);
  }
  if (file === undefined) return fault('source-missing', `There is no file \`${path}\`.`);
  if (file.kind === 'text') return { kind: 'text', text: file.text };
  return fault('source-refused', `\`${path}\` cannot be used: ${refusal(file)}.`);
};

const refusal = (file: Extract<SourceFile, { kind: 'refused' }>): string => {
  switch (file.why) {
    case 'symlink':
      return 'it is a symbolic link';
    case 'submodule':
      return 'it is a submodule';
    case 'lfs-pointer':
      return 'it is a pointer to Git LFS, whose content is not in Git';
    case 'too-large':
      return file.size === null ? 'it is too large' : `it has ${formatSize(file.size)}, too many`;
    case 'not-utf8':
      return 'it is not UTF-8 text';
    case 'owners':
      return 'its newest content waits for an owner';
    default:
      return file.why satisfies never;
  }
};
