// The form of what a node runner sends: the JSON Schema of a ReportFrame, from which ajv makes the
// check (schema/check-report.ts). In: nothing. Out: schemas. Fields that are not named here are let
// through, since a newer runner may send more. Not here: what must agree between two fields.

import Type, { type Static, type TProperties, type TSchema } from 'typebox';
import { LIFECYCLES } from './lifecycle.ts';
import { NAME_PATTERN, NODE_NAME_PATTERN, TAG_PATTERN } from './patterns.ts';
import { GROUP_SERVICES, SERVICE_TAGS } from './services.ts';
import { VOLUME_FOLDER_PATTERN } from './ids.ts';
import { HELD_ALLOCATIONS, NODE_FETCHES } from './wire.ts';
import type { Columns } from './wire-columns.ts';

/** Tasks of a group, ports, checks of a task: a body of 256 KiB holds no more. */
const PARTS = 1_000;
/** A sentence for people; runners cut theirs at 500 characters. */
const SENTENCE_CHARS = 4_000;
/** Lines of a log with a failure; runners send ten of 200 characters. */
const LOG_LINES = 50;
const LOG_LINE_CHARS = 1_000;
/** Volumes, those of jobs long gone included. */
const FOLDERS = 100_000;
const PORT_MAX = 65_535;
const CONDITIONS = 100;
/** Tasks of all copies: more than there can be. */
const ENTRIES = HELD_ALLOCATIONS * PARTS;

const oneOf = <T extends string>(...words: T[]) => Type.Unsafe<T>({ type: 'string', enum: words });
/** Of one type: a union with null is looked at twice where it is null, as most of a copy's facts are. */
const orNull = <T extends TSchema>(schema: T) =>
  Type.Unsafe<Static<T> | null>({ ...schema, nullable: true });
const listOf = <T extends TSchema>(schema: T, maxItems: number = PARTS) =>
  Type.Array(schema, { maxItems });

const name = Type.String({ pattern: NAME_PATTERN });
const node = Type.String({ pattern: NODE_NAME_PATTERN });
/** As cluster.yaml may name it. */
const cluster = Type.String({ minLength: 1, maxLength: 253 });
/** See allocationId; at most 76 characters with a task's name of 40 (containerd). */
const allocation = Type.String({ pattern: '^[0-9a-f]{16}-[0-9]{1,9}-[0-9]{1,9}$' });
const hash = Type.String({ pattern: '^[0-9a-f]{16,64}$' });
const commit = Type.String({ pattern: '^([0-9a-f]{40}|[0-9a-f]{64})$' });
/** Stands in commits: nothing that a terminal obeys (runners clean their lines, rules 6.4). */
const logLine = Type.String({
  maxLength: LOG_LINE_CHARS,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$',
});
const sentence = Type.String({ maxLength: SENTENCE_CHARS });
const shortText = Type.String({ maxLength: 1_024 });
const text = Type.String();
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** Milliseconds, ages included: never below 0, and finite since JSON knows nothing else. */
const ms = Type.Number({ minimum: 0 });
const amount = Type.Number({ minimum: 0 });
/** In lists that stand beside. */
const places = listOf(Type.Integer({ minimum: 0, maximum: ENTRIES }), ENTRIES);
const port = Type.Integer({ minimum: 0, maximum: PORT_MAX });
/** Stands on terminals. */
const holder = Type.String({ pattern: '^[\\u0020-\\u007e]{1,100}$' });
/** Stands in files of load balancers and of monitoring. */
const tag = Type.String({ pattern: TAG_PATTERN });
const resources = Type.Object({ cpuMilli: amount, memoryBytes: amount });
/** Words of a command, variables: bounded by the body's size (schema/check-report.ts). */
const WORDS = 100_000;
const words = Type.Array(text, { maxItems: WORDS });
const pairs = Type.Array(Type.Tuple([text, text]), { maxItems: WORDS });

const probe = Type.Union([
  Type.Object({ kind: Type.Literal('http'), path: text, port: text }),
  Type.Object({ kind: Type.Literal('tcp'), port: text }),
  Type.Object({ kind: Type.Literal('exec'), command: words }),
]);
const check = orNull(Type.Object({ probe, intervalMs: ms, timeoutMs: ms, retries: count }));

const onLoss = oneOf('wait', 'recreate');
const mount = Type.Union([
  Type.Object({
    kind: Type.Literal('named'),
    name,
    path: text,
    readOnly: Type.Boolean(),
    onLoss,
  }),
  Type.Object({ kind: Type.Literal('host'), source: text, path: text, readOnly: Type.Boolean() }),
]);

const task = Type.Object({
  name,
  lifecycle: Type.Optional(oneOf(...LIFECYCLES)),
  dependsOn: Type.Optional(listOf(name)),
  image: Type.Object({ reference: text, repository: text, digest: orNull(text) }),
  entrypoint: orNull(words),
  command: orNull(words),
  environment: pairs,
  user: orNull(text),
  workingDir: orNull(text),
  readOnlyRoot: Type.Boolean(),
  tmpfs: words,
  files: listOf(Type.Object({ path: text, source: text, content: text })),
  volumes: listOf(mount),
  cpuMilli: amount,
  cpuMaxMilli: orNull(amount),
  memoryBytes: amount,
  memoryMaxBytes: orNull(amount),
  pidsMax: orNull(amount),
  capAdd: words,
  capDrop: words,
  checks: Type.Object({ startup: check, ready: check, live: check }),
  killSignal: text,
  killTimeoutMs: ms,
});

const group = Type.Object({
  name,
  hash,
  count,
  scale: orNull(Type.Object({ min: count, max: count, fromFile: Type.Boolean() })),
  networkMode: oneOf('bridge', 'host', 'none'),
  ports: listOf(Type.Object({ name, port, host: orNull(port) })),
  constraints: listOf(
    Type.Object({ attribute: text, operator: oneOf('=', '!='), value: text, text }),
  ),
  spread: listOf(Type.Object({ attribute: text, weight: Type.Number() })),
  restart: Type.Object({
    attempts: count,
    intervalMs: ms,
    delayMs: ms,
    mode: oneOf('fail', 'delay'),
  }),
  reschedule: Type.Object({
    delayMs: ms,
    delayFunction: oneOf('constant', 'exponential', 'fibonacci'),
    maxDelayMs: ms,
    unlimited: Type.Boolean(),
    attempts: count,
  }),
  stopAfterMs: ms,
  singleton: Type.Boolean(),
  shutdownDelayMs: ms,
  services: Type.Optional(
    listOf(Type.Object({ name, port: name, tags: listOf(tag, SERVICE_TAGS) }), GROUP_SERVICES),
  ),
  volumes: listOf(Type.Object({ name, onLoss })),
  tasks: Type.Array(task, { minItems: 1, maxItems: PARTS }),
  ask: resources,
  labels: pairs,
});

const body = Type.Object({
  format: Type.Literal(1),
  allocation,
  cluster,
  namespace: name,
  job: name,
  group: name,
  index: count,
  attempt: count,
  node,
  specHash: hash,
  deployment: hash,
  commit,
  settled: Type.Boolean(),
  priority: Type.Integer({ minimum: 0, maximum: 100 }),
  minHealthyMs: ms,
  nodeAttributes: Type.Optional(pairs),
  evidence: Type.Optional(Type.Literal('logs')),
  spec: group,
});

const health = oneOf('healthy', 'unhealthy', 'unproven');
const exit = Type.Object({
  code: orNull(Type.Integer()),
  signal: orNull(Type.Integer()),
  outOfMemory: Type.Boolean(),
  status: oneOf('known', 'unknown'),
  cause: oneOf('self', 'check', 'ordered', 'killed'),
});
const failure = Type.Object({
  blame: oneOf('version', 'platform'),
  kind: oneOf(
    'exit',
    'out-of-memory',
    'check-failed',
    'command-not-found',
    'bad-spec',
    'image-not-found',
    'registry',
    'disk',
    'runtime',
    'network',
    'port-taken',
  ),
  task: orNull(name),
  message: sentence,
  ageMs: ms,
  log: Type.Optional(listOf(logLine, LOG_LINES)),
});
const taskFacts = Type.Object({
  state: oneOf('pending', 'pulling', 'running', 'backoff', 'stopping', 'completed', 'dead'),
  restarts: count,
  health,
  lastCheck: orNull(sentence),
  log: Type.Optional(listOf(logLine, LOG_LINES)),
  exit: orNull(exit),
  pid: orNull(count),
});
const facts = Type.Object({
  phase: oneOf('pending', 'running', 'stopping', 'dead'),
  health,
  wasHealthy: Type.Optional(Type.Literal(true)),
  everHealthy: Type.Boolean(),
  failure: orNull(failure),
  stopWaits: Type.Optional(listOf(Type.Object({ repository: text, digest: text }))),
  ports: listOf(Type.Object({ name, port, host: port })),
  address: orNull(shortText),
  acceptedForMs: ms,
  firstStartedForMs: orNull(ms),
  runningForMs: orNull(ms),
  healthyForMs: orNull(ms),
  firstHealthyForMs: orNull(ms),
  deadForMs: orNull(ms),
});
const changed = Type.Object({
  ...facts.properties,
  allocation,
  bodyHash: hash,
  tasks: listOf(Type.Object({ name, ...taskFacts.properties })),
  usage: orNull(resources),
});
/** One value for each of `at`, which are places in a list of copies (wire-columns.ts). */
const columnOf = (is: TSchema, more: Readonly<Record<string, TSchema>> = {}) =>
  Type.Object({ at: Type.Optional(places), ...more, is: listOf(is, ENTRIES) });
const columnsOf = (properties: TProperties, more?: Readonly<Record<string, TSchema>>) =>
  Type.Partial(
    Type.Object(
      Object.fromEntries(
        Object.entries(properties).map(([field, is]) => [field, columnOf(is, more)]),
      ),
    ),
  );
const patches = Type.Object({
  copies: Type.Optional(listOf(allocation, HELD_ALLOCATIONS)),
  facts: Type.Unsafe<Columns['facts']>(columnsOf(facts.properties)),
  tasks: Type.Unsafe<Columns['tasks']>(
    columnsOf(taskFacts.properties, { task: Type.Optional(places) }),
  ),
});

const head = Type.Object({
  node,
  cluster,
  acceptedGeneration: count,
  acceptedCommit: Type.Union([Type.Literal(''), commit]),
  acceptedHash: Type.Union([Type.Literal(''), hash]),
  accepted: listOf(allocation, HELD_ALLOCATIONS),
  capacity: resources,
  attributes: listOf(Type.Tuple([Type.String({ pattern: '^[\\w./-]{1,256}$' }), shortText])),
  address: shortText,
  foreign: count,
  conditions: listOf(
    Type.Object({ kind: Type.String({ pattern: '^[a-z-]{1,40}$' }), message: sentence }),
    CONDITIONS,
  ),
  portsTaken: listOf(port, PORT_MAX + 1),
  portHolders: Type.Optional(listOf(Type.Tuple([port, holder]))),
  volumes: Type.Optional(listOf(Type.String({ pattern: VOLUME_FOLDER_PATTERN }), FOLDERS)),
  fetched: Type.Optional(
    listOf(
      Type.Object({
        repository: text,
        digest: text,
        failure: orNull(
          Type.Object({ blame: oneOf('version', 'platform'), message: sentence, forMs: ms }),
        ),
      }),
      NODE_FETCHES,
    ),
  ),
});

const start = { whole: Type.Boolean(), head };
const copies = {
  bodies: listOf(body, HELD_ALLOCATIONS),
  bodyHashes: Type.Optional(listOf(hash, HELD_ALLOCATIONS)),
  changed: listOf(changed, HELD_ALLOCATIONS),
  removed: listOf(allocation, HELD_ALLOCATIONS),
  patches: Type.Optional(patches),
  usage: listOf(Type.Tuple([allocation, amount, amount]), HELD_ALLOCATIONS),
};

export const reportForm = Type.Object({ ...start, ...copies });
/** Its two halves, of which the first is nearly always that of the report before. */
export const startForm = Type.Object(start);
export const copiesForm = Type.Object(copies);
/** Of a report in which copies changed, and in little, what tells it. */
export const patchesForm = patches;

/** What a runner says first. The protocol's number is compared before anything else. */
export const helloForm = Type.Object({ cluster, node });
