// Advice for unknown fields: near spellings, fields of another level, and the words of other
// systems.
// In: the name as written, where it stands, the names that may stand there. Out: advice, or null
// for the table's.
// Not here: the message itself (schema/parse-messages.ts).

import { groupOnlyFields } from './documents/group.ts';
import { jobOnlyFields } from './documents/job.ts';
import { taskFields } from './documents/task.ts';
import { nearest } from './wording.ts';

/** What people write who come from Compose, Kubernetes, Nomad; each with what it is called here. */
const foreignWords: Readonly<Record<string, string>> = {
  args: 'Write `entrypoint` and `command`: they mean what they mean in Compose. `args` is `command`.',
  env: 'Write `environment`.',
  envFrom: 'Write `env_file`.',
  replicas: 'Write `count`.',
  instances: 'Write `count`.',
  scale: 'Write `count`.',
  scaling: 'Write `count: {min: 2, max: 20}`.',
  stop_signal: 'Write `kill_signal`.',
  stop_grace_period: 'Write `kill_timeout`.',
  terminationGracePeriodSeconds: 'Write `kill_timeout`.',
  livenessProbe: 'Write `checks: {live: …}`.',
  readinessProbe: 'Write `checks: {ready: …}`.',
  startupProbe: 'Write `checks: {startup: …}`.',
  check: 'Write `checks`, or `healthcheck` for the short form.',
  httpGet: 'Write `http: /path` and `port: name`.',
  tcpSocket: 'Write `tcp: name` with the name of a port.',
  test: 'Write `exec: [command, …]`.',
  path: 'Write `http: /path` for an HTTP check.',
  start_period: 'Write a `startup` check: until it passes the others do not run.',
  failureThreshold: 'Write `retries`.',
  periodSeconds: 'Write `interval`.',
  timeoutSeconds: 'Write `timeout`.',
  max_surge: 'Write `order: start-first` and `max_parallel`.',
  maxSurge: 'Write `order: start-first` and `max_parallel`.',
  maxUnavailable: 'Write `max_parallel`.',
  parallelism: 'Write `max_parallel`.',
  stagger: 'Write `min_healthy_time`.',
  deploy: 'Write `count`, `update`, `resources` and `restart` in its place.',
  limits: 'Write `cpu_max` and `memory_max`.',
  requests: 'Write `cpu` and `memory`.',
  cpus: 'Write `resources: {cpu: …}`.',
  mem_limit: 'Write `resources: {memory_max: …}`.',
  constraint: 'Write `constraints`, a list of texts such as `node.pool = web`.',
  affinity: 'Write `affinities`.',
  node_pool: 'Write `constraints: ["node.pool = …"]`.',
  nodeSelector: 'Write `constraints: ["node.… = …"]`.',
  meta: 'Write `labels`.',
  annotations: 'Write `labels`.',
  metadata: 'The path is the identity; labels stand under `labels`.',
  spec: 'Write the fields of `spec` at the level above.',
  kind: 'Leave it out: the folder says the kind.',
  apiVersion: 'Leave it out: the folder says the kind.',
  name: 'Leave it out: the path says the name.',
  container_name: 'Leave it out: Purser names containers.',
  privileged: 'Write `cap_add` with the capabilities that are needed.',
  configs: 'Write `files: {/path/in/container: configs/file}`.',
  template: 'Write `files: {/path/in/container: configs/file}`.',
  depends_on: 'Leave it out: a job waits for nothing, its checks and restarts do.',
  services: 'Services stand in a group; those outside the cluster in namespaces/<name>.yaml.',
  'x-default': 'Leave it out.',
  '<<': 'Write the fields out: YAML 1.2 has no merge key.',
};

/** Advice for an unknown field; `path` is the map that it stands in. */
export const adviceForField = (
  name: string,
  path: readonly string[],
  candidates: readonly string[],
): string | null => {
  const levels = path.length % 2 === 0 && (path.length === 0 || path[0] === 'groups');
  if (levels && Object.hasOwn(jobOnlyFields, name)) {
    return `\`${name}\` is a field of the job: move it to the top level.`;
  }
  if (levels && Object.hasOwn(groupOnlyFields, name)) {
    return `\`${name}\` is a field of the group: move it up.`;
  }
  if (Object.hasOwn(foreignWords, name)) return foreignWords[name] ?? null;
  const near = nearest(name, candidates);
  if (near !== null) return `Did you mean \`${near}\`?`;
  if (Object.hasOwn(taskFields, name)) return `\`${name}\` is a field of the task: move it there.`;
  const known = candidates.filter((candidate) => candidate !== '$schema');
  return known.length <= MAX_LISTED ? `Fields here: ${known.join(', ')}.` : null;
};

/** A longer list is no advice; the job reference has it. */
const MAX_LISTED = 12;
