// What is published from the schemas: JSON Schemas for editors, the job reference, the table of
// problem codes, the quick checkers.
// In: nothing. Out: path → content of every published file; the same input gives the same text, so
// a test can tell whether the files are up to date. Not here: writing them (schema/publish.ts).

import { documentCheckers, reportCheckers } from './checker-code.ts';
import { schemas, type DocumentKind } from './documents.ts';
import { compareText } from './ids.ts';
import { problemCodes, type ProblemCode } from './problem-codes.ts';
import type { JsonSchema } from './text-fields.ts';

/** Path from the root of Purser's own repository → content. */
export const publishedFiles = (): ReadonlyMap<string, string> =>
  new Map([
    ...kinds.map((kind) => [`schema/json/${kind}.schema.json`, editorSchema(kind)] as const),
    ['docs/job-reference.md', jobReference()],
    ['docs/problems.md', problemsPage()],
    ['schema/generated/checkers.ts', documentCheckers()],
    ['schema/generated/report-checkers.ts', reportCheckers()],
  ]);

const kinds: readonly DocumentKind[] = ['cluster', 'job', 'namespace', 'node', 'scale'];

const paths: Readonly<Record<DocumentKind, string>> = {
  cluster: 'cluster.yaml',
  job: 'jobs/<namespace>/<job>.yaml',
  namespace: 'namespaces/<namespace>.yaml',
  node: 'nodes/<node>.yaml',
  scale: 'scale/<namespace>/<job>.yaml',
};

/** TypeBox hides a few properties in its schemas; what is published is plain JSON. */
const plainSchema = (kind: DocumentKind): JsonSchema => JSON.parse(JSON.stringify(schemas[kind]));

const editorSchema = (kind: DocumentKind): string => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: paths[kind],
    ...JSON.parse(JSON.stringify(plainSchema(kind), forEditors)),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
};

/** Our own keywords are taken out; the default goes into the description, where editors show it. */
const forEditors = (_key: string, value: unknown): unknown => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  const shown = Object.entries(value).filter(([name]) => !name.startsWith('x-'));
  const fields = Object.fromEntries(shown);
  if (!('description' in value) || !('x-default' in value)) return fields;
  return {
    ...fields,
    description: `${String(value.description)} Default: ${String(value['x-default'])}.`,
  };
};

const problemsPage = (): string => {
  const codes = Object.keys(problemCodes).toSorted(compareText);
  const rows = codes.filter(isCode).map((code) => {
    const { title, severity, advice } = problemCodes[code];
    return `| \`${code}\` | ${severity} | ${title} | ${cell(advice)} |`;
  });
  return `# Problems

A problem is a mistake in a file. It is printed as
\`file:line:column  code  what is wrong  how to fix it\`, and all problems of all files are printed
at once. A file with an error keeps its last valid content; a warning changes nothing.
This page is written by \`npm run generate\` from \`schema/problem-codes.ts\`.

| code | severity | what is wrong | how to fix it |
|---|---|---|---|
${rows.join('\n')}
`;
};

const isCode = (code: string): code is ProblemCode => Object.hasOwn(problemCodes, code);

interface Section {
  readonly title: string;
  readonly text: string;
  readonly kind: DocumentKind;
  /** Names of fields from the root; `*` is any name of a map. */
  readonly at: readonly string[];
  /** Fields to show; absent: all. */
  readonly only?: (name: string) => boolean;
}

const group = ['groups', '*'];
const task = [...group, 'tasks', '*'];

/** True of the fields that a place of the job schema has. */
const isFieldOf = (at: readonly string[]): ((name: string) => boolean) => {
  const names = Object.keys(schemaAt(plainSchema('job'), at)?.properties ?? {});
  return (name) => names.includes(name);
};

const sections = (): readonly Section[] => {
  const inGroup = isFieldOf(group);
  const inTask = isFieldOf(task);
  const job = (title: string, at: readonly string[], text = ''): Section => ({
    title,
    text,
    kind: 'job',
    at,
  });
  const other = (title: string, kind: DocumentKind, at: readonly string[] = []): Section => ({
    title,
    text: '',
    kind,
    at,
  });
  return [
    {
      ...job(
        'Job',
        [],
        'A job without `groups` is one group: the fields of a group stand here then.',
      ),
      only: (name) => !inGroup(name) || name === 'labels',
    },
    job('`update`', ['update']),
    {
      ...job(
        'Group',
        group,
        'A group without `tasks` is one task: the fields of a task stand here then.',
      ),
      only: (name) => !inTask(name),
    },
    job('`network`', [...group, 'network']),
    job('`ports`, long form', [...group, 'ports', '*']),
    job('`restart`', [...group, 'restart']),
    job('`reschedule`', [...group, 'reschedule']),
    job('`affinities`, one of them', [...group, 'affinities', '*']),
    job('`spread`, one of them', [...group, 'spread', '*']),
    job('`services`, one of them', [...group, 'services', '*']),
    job('Task', task),
    job('`resources`', [...task, 'resources']),
    job('`volumes`, long form', [...task, 'volumes', '*']),
    job('`checks`', [...task, 'checks']),
    job(
      '`healthcheck`, and each of `checks`',
      [...task, 'healthcheck'],
      'Exactly one of `http`, `tcp` and `exec`.',
    ),
    other('cluster.yaml', 'cluster'),
    other('`guards`', 'cluster', ['guards']),
    other('`policies`', 'cluster', ['policies']),
    other('`defaults`', 'cluster', ['defaults']),
    other('nodes/&lt;node&gt;.yaml', 'node'),
    other('namespaces/&lt;namespace&gt;.yaml', 'namespace'),
    other('`quota`', 'namespace', ['quota']),
    other('`services` outside the cluster, one of them', 'namespace', ['services', '*']),
  ];
};

const jobReference = (): string => `# The job reference, and the other documents

Every field, what it may be, its default, its class and what it does. Classes: a change of a \`version\` field makes a new
version, so that copies are replaced; a change of an \`in-place\` field replaces nothing; \`identity\` counts nowhere.
Durations are written \`500ms\`, \`30s\`, \`1h30m\`; memory \`128MiB\` (\`Mi\` and \`Gi\` too), \`1GB\`; CPU \`250m\`,
\`"1"\`, \`0.5\`. Texts such as the values of \`environment\` keep their source text: \`VERSION: 1.10\` stays \`1.10\`.

Numbers such as \`rules 5.1\` are sections of [RULES.md](RULES.md).

Editors that know JSON Schema help while you write, when the first line of a file names its schema:
\`# yaml-language-server: $schema=../../.purser/schema/job.schema.json\`. The path is relative to the file, so this one is for
\`jobs/<namespace>/<job>.yaml\`. \`purser init\` puts the schemas into the repository, in \`.purser/schema/\`, and so does \`purser up\` for the
example. For a repository of yours copy the folder \`schema/json\` there; after an upgrade copy it again.

This page is written by \`npm run generate\` from \`schema/documents/\`.

${sections().map(sectionText).join('\n')}
## scale/&lt;namespace&gt;/&lt;job&gt;.yaml

A map from groups to counts, written by Purser and by \`purser scale\`, such as \`web: 7\`.
`;

const sectionText = (section: Section): string => {
  const schema = schemaAt(plainSchema(section.kind), section.at);
  const rows = Object.entries(schema?.properties ?? {})
    .filter(([name]) => section.only?.(name) ?? true)
    .map(([name, field]) => {
      const shown = schema?.required?.includes(name) === true ? 'required' : field['x-default'];
      const cells = [`\`${name}\``, typeText(field), shown ?? '', field['x-class'] ?? ''];
      return `| ${[...cells, field.description ?? ''].map(cell).join(' | ')} |`;
    });
  const text = section.text === '' ? '' : `${section.text}\n\n`;
  const head = '| field | type | default | class | what it does |\n|---|---|---|---|---|';
  return `## ${section.title}\n\n${text}${head}\n${rows.join('\n')}\n`;
};

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The schema at a place, unions searched for the branch that has one. */
const schemaAt = (schema: JsonSchema, at: readonly string[]): JsonSchema | undefined => {
  const [name, ...rest] = at;
  const branches = schema.anyOf ?? [];
  if (name === undefined)
    return branches.find((branch) => branch.properties !== undefined) ?? schema;
  const below =
    name === '*'
      ? (Object.values(schema.patternProperties ?? {})[0] ?? schema.items)
      : schema.properties?.[name];
  return below === undefined ? undefined : schemaAt(below, rest);
};

const unitWords: Readonly<Record<string, string>> = {
  duration: 'duration',
  size: 'memory',
  cpu: 'CPU',
  name: 'name',
  'node-name': 'name',
  address: 'address, or host name',
  parallel: 'number or percentage',
  volume: '`name:/path` or `/host:/path`, with `:ro` for read-only',
  'host-path': 'path, with `:ro` for read-only',
};

const typeText = (schema: JsonSchema): string => {
  const unit = unitWords[schema['x-unit'] ?? ''];
  if (unit !== undefined) return unit;
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(', or ');
  if (schema.enum !== undefined) return schema.enum.map((choice) => `\`${choice}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema['x-text'] === true || schema.type === 'string') return 'text';
  if (schema.items !== undefined) return `list of: ${typeText(schema.items)}`;
  const members = Object.values(schema.patternProperties ?? {})[0];
  if (members !== undefined) return `map of names to: ${typeText(members)}`;
  if (schema.properties !== undefined) return mapText(schema.properties);
  return rangeText(schema);
};

/** A map of a few fields is shown by their names, a larger one has a section of its own. */
const mapText = (properties: Readonly<Record<string, JsonSchema>>): string => {
  const names = Object.keys(properties);
  return names.length <= 4 ? `map \`{${names.join(', ')}}\`` : 'map, see its section';
};

const rangeText = ({ type, minimum, maximum }: JsonSchema): string => {
  if (type === 'boolean') return '`true` or `false`';
  if (minimum === undefined || maximum === undefined) return 'whole number';
  return `whole number from ${minimum} to ${maximum}`;
};
