// One file → one document, with all that is wrong in it at once.
// In: kind, path and the file as read from Git. Out: the written form, or null where the file
// cannot be used, and problems with file, line, column, code, message and advice; warnings leave
// the value usable.
// Not here: problems that need another file (reconciler/desired), the meaning of a job
// (schema/spec.ts).

import { checkCluster, checkNamed } from './check-documents.ts';
import { checkExternal } from './check-services.ts';
import { checkJob } from './check-job.ts';
import { schemas, type DocumentKind, type Documents } from './documents.ts';
import { toProblems, type Finding } from './findings.ts';
import { checkers } from './generated/checkers.ts';
import { findingsOf } from './parse-messages.ts';
import { identityOf } from './paths.ts';
import { noPositions, placer, positionsOf, type Positions } from './places.ts';
import { problemCodes } from './problem-codes.ts';
import type { Problem } from './problems.ts';
import { schemaErrors } from './schema-errors.ts';
import type { SourceFile } from './source.ts';
import { textFieldsOf, type JsonSchema } from './text-fields.ts';
import { lostNumbers, readYaml, valueOf, type TextFields } from './yaml.ts';
import type { YamlFault } from './yaml-events.ts';

export interface Parsed<K extends DocumentKind> {
  /** null where a problem of severity `error` was found: the file counts as invalid (rules 1.3). */
  readonly value: Documents[K] | null;
  /** Sorted by place. */
  readonly problems: readonly Problem[];
  /** Where values stand; total, also when the file could not be read. */
  readonly positions: Positions;
}

/** Parses and checks one file. Never throws for what a person may have written. */
export const parseDocument = <K extends DocumentKind>(
  kind: K,
  path: string,
  file: SourceFile,
): Parsed<K> => {
  if (file.kind === 'refused') return failed([refusal(path, file)]);
  const read = readYaml(file.text);
  if (read.kind === 'failed') return failed(faultProblems(path, file.text, [read.fault]));
  const fields = fieldsOf(kind);
  const positions = positionsOf(file.text, read.root);
  const value: unknown = valueOf(read.root, fields);
  // A no of the quick checker is a question: ajv, which explains, has the last word.
  const errors = checkers[kind](value) ? [] : schemaErrors(kind, value);
  const valid = errors.length === 0;
  const findings = valid
    ? checkMeaning(kind, path, value as Documents[K])
    : [...findingsOf(kind, errors), ...unsupportedType(kind, value)];
  const faults = [...read.faults, ...lostNumbers(read.root, fields)];
  const problems = [
    ...faultProblems(path, file.text, faults),
    ...toProblems(path, positions, findings),
  ].toSorted((a, b) => a.line - b.line || a.column - b.column);
  const usable = valid && problems.every((problem) => problem.severity === 'warning');
  return { value: usable ? finish(kind, value as Documents[K]) : null, problems, positions };
};

/** Where values stand in a text; total, also where it cannot be read. */
export const positionsIn = (text: string): Positions => {
  const read = readYaml(text);
  return read.kind === 'failed' ? noPositions : positionsOf(text, read.root);
};

const textFields = new Map<DocumentKind, TextFields>();

/** Made when first used, from plain JSON: TypeBox hides a few properties in its schemas. */
const fieldsOf = (kind: DocumentKind): TextFields => {
  const known = textFields.get(kind);
  if (known !== undefined) return known;
  const schema: JsonSchema = JSON.parse(JSON.stringify(schemas[kind]));
  const fields = textFieldsOf(schema);
  textFields.set(kind, fields);
  return fields;
};

const failed = <K extends DocumentKind>(problems: readonly Problem[]): Parsed<K> => ({
  value: null,
  problems,
  positions: noPositions,
});

/** `$schema` is for editors; in a scale file it would stand among the groups. */
const finish = <K extends DocumentKind>(kind: K, value: Documents[K]): Documents[K] => {
  if (kind !== 'scale') return value;
  const groups = Object.entries(value).filter(([name]) => name !== '$schema');
  return Object.fromEntries(groups) as Documents[K];
};

const faultProblems = (
  file: string,
  text: string,
  faults: readonly YamlFault[],
): readonly Problem[] => {
  const place = placer(text);
  return faults.map((fault) => {
    const { severity, advice } = problemCodes[fault.code];
    return {
      file,
      ...place(fault.offset),
      code: fault.code,
      severity,
      message: fault.message,
      advice,
    };
  });
};

const refusal = (path: string, file: Extract<SourceFile, { kind: 'refused' }>): Problem => {
  if (file.why === 'owners') return waiting(path, file.message ?? '');
  const { severity, advice } = problemCodes['file-refused'];
  const [why, fix] = refusals[file.why];
  const size = file.size === null ? '' : ` (${file.size} bytes)`;
  return {
    file: path,
    line: 1,
    column: 1,
    code: 'file-refused',
    severity,
    message: `${path} is ${why}${size}.`,
    advice: fix ?? advice,
  };
};

/** Its content is in the repository, and counts for nothing yet (rules 8.2). */
const waiting = (file: string, message: string): Problem => {
  const { severity, advice } = problemCodes['owners-wait'];
  return { file, line: 1, column: 1, code: 'owners-wait', severity, message, advice };
};

const refusals: Readonly<
  Record<
    Exclude<Extract<SourceFile, { kind: 'refused' }>['why'], 'owners'>,
    readonly [string, string | null]
  >
> = {
  symlink: ['a symbolic link', 'Commit the file itself: links are not followed.'],
  submodule: ['a submodule', 'Commit the file itself: submodules are not read.'],
  'lfs-pointer': [
    'a pointer of Git LFS, not the file',
    'Take the path out of .gitattributes and commit the file itself.',
  ],
  'too-large': ['too large', 'Make the file smaller: documents are read up to 1 MiB.'],
  'not-utf8': ['not valid UTF-8', 'Save the file as UTF-8.'],
};

/** Said even where the rest of the file does not fit the schema, because it explains the rest. */
const unsupportedType = (kind: DocumentKind, value: unknown): readonly Finding[] => {
  const type =
    kind === 'job' && value instanceof Object && 'type' in value ? value.type : 'service';
  return type === 'batch' || type === 'cron' || type === 'system' ? [typeFinding(type)] : [];
};

const typeFinding = (type: string): Finding => ({
  pointer: '/type',
  at: 'value',
  code: 'type-unsupported',
  message: `Jobs of type \`${type}\` do not run in this release.`,
});

const checkMeaning = <K extends DocumentKind>(
  kind: K,
  path: string,
  value: Documents[K],
): readonly Finding[] => {
  const identity = identityOf(path);
  switch (kind) {
    case 'job': {
      const job = value as Documents['job'];
      return [...unsupportedType(kind, job), ...checkJob(job, identity)];
    }
    case 'cluster':
      return checkCluster(value as Documents['cluster']);
    case 'node':
      return checkNamed('node', (value as Documents['node']).node, identity?.name);
    case 'namespace': {
      const namespace = value as Documents['namespace'];
      return [
        ...checkNamed('namespace', namespace.namespace, identity?.name),
        ...checkExternal(namespace),
      ];
    }
    case 'scale':
      return [];
    default:
      return kind satisfies never;
  }
};
