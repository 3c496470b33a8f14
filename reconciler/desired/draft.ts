// One job file of one commit, read and completed: long form, defaults, contents of its files, image
// references.
// In: the path, the files of that commit, the cluster's defaults in that commit. Out: the content
// that a JobSpec is made of, or only its problems. Not here: digests (versions.ts), whether policy
// allows it (policy.ts).

import type { DefaultsFile } from '../../schema/documents/cluster.ts';
import { compareText } from '../../schema/ids.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files } from '../../schema/source.ts';
import { pointerOf } from '../../schema/places.ts';
import { parseImage, parseVolume, type ImageReference } from '../../schema/references.ts';
import { formatSize } from '../../schema/units.ts';
import { writtenGroups, type WrittenGroup, type WrittenTask } from '../../schema/written-job.ts';
import { longForm, withDefaults, type LongJob } from './long-form.ts';
import { problemAt } from './problem.ts';
import type { ReadDocument, Reader } from './read.ts';
import { sourcePaths, taskSources, type TaskSources } from './sources.ts';
import type { JobContent, TaskContent } from './spec.ts';

/** An image as a task names it. */
export interface ImageUse {
  readonly group: string;
  readonly task: string;
  readonly reference: string;
  readonly image: ImageReference;
  readonly line: number;
  readonly column: number;
}

export interface Draft {
  readonly path: string;
  /** The file as read, for edits and messages. */
  readonly document: ReadDocument<'job'>;
  /** null: the file is no document. */
  readonly long: LongJob | null;
  /** null: invalid by itself or by the files that it uses. */
  readonly content: JobContent | null;
  readonly images: readonly ImageUse[];
  /** Paths in the repository that it uses; known even where they are missing. */
  readonly sources: readonly string[];
  readonly problems: readonly Problem[];
}

export interface DraftInput {
  readonly path: string;
  readonly files: Files;
  readonly defaults: DefaultsFile;
}

/**
 * Bytes of an allocation's body (rules 10.3) that are kept free for everything but contents of
 * files.
 */
const BODY_RESERVE_BYTES = 32 * 1024;
const MAX_CONTENT_BYTES = 256 * 1024 - BODY_RESERVE_BYTES;

/**
 * `jobs/<namespace>/<job>.yaml` → its names. Only paths that the schema knows as jobs come here.
 */
export const jobNames = (path: string): { readonly namespace: string; readonly job: string } => {
  const [, namespace = '', file = ''] = path.split('/');
  return { namespace, job: file.slice(0, -'.yaml'.length) };
};

/** null: there is no such file in that commit. */
export const draftJob = (input: DraftInput, read: Reader): Draft | null => {
  const { path, files, defaults } = input;
  const file = files.get(path);
  if (file === undefined) return null;
  const document = read('job', path, file);
  const known = drafts.get(document);
  if (known?.defaults === defaults) return known.draft;
  const draft = draftOf(document, input);
  if (draft.sources.length === 0) drafts.set(document, { defaults, draft });
  return draft;
};

/** Of documents that use no other files, under the defaults that they were read with last. */
const drafts = new WeakMap<
  ReadDocument<'job'>,
  Pick<DraftInput, 'defaults'> & { readonly draft: Draft }
>();

const draftOf = (document: ReadDocument<'job'>, { path, files, defaults }: DraftInput): Draft => {
  if (document.value === null) {
    const { problems } = document;
    return { path, document, long: null, content: null, images: [], sources: [], problems };
  }
  const { namespace, job } = jobNames(path);
  const long = withDefaults(longForm(document.value, job), defaults);
  const groups = long.groups.map((group) => draftGroup(group, files, document));
  const problems = [...document.problems, ...groups.flatMap((group) => group.problems)];
  const valid = problems.every((problem) => problem.severity !== 'error');
  return {
    path,
    document,
    long,
    content: valid ? { namespace, job, written: long.written, groups } : null,
    images: groups.flatMap((group) => group.images),
    sources: [...new Set(groups.flatMap((group) => group.sources))].toSorted(compareText),
    problems,
  };
};

/** Paths that a job file uses, whether it is valid or not, without looking at them. */
export const usedPaths = (document: ReadDocument<'job'>, job: string): readonly string[] =>
  document.value === null
    ? []
    : writtenGroups(document.value, job).flatMap((group) =>
        group.tasks.flatMap(({ task }) => sourcePaths(task)),
      );

const draftGroup = (group: WrittenGroup, files: Files, document: ReadDocument<'job'>) => {
  const drafts = group.tasks.map((task) =>
    draftTask(task, taskSources(task.task, files), document),
  );
  const bytes = drafts.reduce((sum, draft) => sum + draft.bytes, 0);
  const tooLarge = problemAt(document, group.pointer, {
    code: 'body-too-large',
    message:
      `The files and variables of group \`${group.name}\` have ${formatSize(bytes)}, ` +
      `${formatSize(bytes - MAX_CONTENT_BYTES)} more than the ${formatSize(MAX_CONTENT_BYTES)} ` +
      'that can be sent to a node.',
  });
  return {
    name: group.name,
    written: group.group,
    tasks: drafts.map(({ content }) => content),
    images: drafts.map(({ image }) => ({ ...image, group: group.name })),
    sources: drafts.flatMap((draft) => draft.sources),
    problems: [
      ...drafts.flatMap((draft) => draft.problems),
      ...(bytes > MAX_CONTENT_BYTES ? [tooLarge] : []),
    ],
  };
};

interface TaskDraft {
  readonly content: TaskContent;
  readonly image: Omit<ImageUse, 'group'>;
  readonly sources: readonly string[];
  readonly problems: readonly Problem[];
  /** UTF-8 bytes of files and variables, roughly: what a body grows by. */
  readonly bytes: number;
}

/** The checks of the file have let it through, so its image and its volumes can be read. */
const draftTask = (
  { name, task: written, pointer }: WrittenTask,
  sources: TaskSources,
  document: ReadDocument<'job'>,
): TaskDraft => {
  const reference = written.image ?? '';
  const image = parseImage(reference);
  if (image === null) throw new Error(`"${reference}" passed the checks but is no image`);
  const { environment, files } = sources;
  const volumes = (written.volumes ?? [])
    .flatMap((volume) => parseVolume(volume) ?? [])
    .toSorted((a, b) => compareText(a.path, b.path));
  return {
    content: { name, written, image, environment, files, volumes },
    image: { task: name, reference, image, ...document.positions(`${pointer}/image`).value },
    sources: sources.paths,
    problems: sources.faults.map(({ code, at, message }) =>
      problemAt(document, pointer + pointerOf(at), { code, message }),
    ),
    bytes: contentBytes(sources),
  };
};

/** JSON escapes cost more; the reserve covers them for ordinary texts. */
const contentBytes = ({ files, environment }: TaskSources): number =>
  files.reduce((sum, file) => sum + utf8Bytes(file.content), 0) +
  environment.reduce((sum, [name, value]) => sum + utf8Bytes(name) + utf8Bytes(value), 0);

/**
 * Bytes of a text in UTF-8: one below U+0080, two below U+0800, three up to U+FFFF, four (two
 * units) above.
 */
const utf8Bytes = (text: string): number => {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff)) bytes += 2;
    else if (unit >= 0x80) bytes += 1;
  }
  return bytes;
};
