// What the simulated people mean: jobs and nodes as values, and the files that they write for them.
// In: drafts. Out: file texts. The checkers compare the machines with drafts, so that a mistake in
// reading files shows up too. Not here: when a draft changes (human.ts).

import type { Ms } from '../../schema/spec.ts';
import type { Behaviour, Registry } from './fake/registry.ts';
import { helperPrograms, taskLines, type Helpers } from './ordered.ts';

export interface JobDraft {
  readonly id: string;
  readonly path: string;
  readonly behaviour: Behaviour;
  /** Part of the image's tag, so that every deployment has other bytes. */
  readonly version: number;
  /** By digest in the file, or by a tag that the reconciler must look up. */
  readonly pinned: boolean;
  readonly count: number;
  /** The count is the machine's, within these; null: `count` is people's (rules 7). */
  readonly bounds: Bounds | null;
  /** What the scale file says; null: nothing. Follows from `Intent.counts`. */
  readonly said: number | null;
  readonly maxParallel: number;
  readonly order: 'stop-first' | 'start-first';
  readonly canary: number;
  readonly autoPromote: boolean;
  readonly autoRevert: boolean;
  readonly paused: boolean;
  readonly stopped: boolean;
  readonly singleton: boolean;
  readonly stopAfterMs: number;
  readonly memoryMiB: number;
  readonly priority: number;
  /** The file has an unknown field: held (rules 1.3). */
  readonly broken: boolean;
  /** A comment: never a change (rules 2.1). */
  readonly remark: number;
  /** It keeps a named volume (rules 14). */
  readonly volume: 'none' | 'wait' | 'recreate';
  /** The port on the host; null: any. */
  readonly hostPort: number | null;
  readonly shutdownDelayMs: number;
  /** It is found under its own name (rules 16). */
  readonly isService: boolean;
  /** Tasks of all kinds beside the main one (rules 15); null: none. */
  readonly helpers: Helpers | null;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export interface NodeDraft {
  readonly name: string;
  /** `volumes`: copies with named volumes stop too (rules 14). */
  readonly drain: boolean | 'volumes';
}

export const REPOSITORY = 'registry.sim';

export const CLUSTER_NAME = 'sim';

export const CLUSTER_FILE = `name: ${CLUSTER_NAME}
max_deployments: 3
lost_after: 30s
policies: { registries: [${REPOSITORY}] }
defaults:
  update: { min_healthy_time: 4s, healthy_deadline: 40s, progress_deadline: 150s }
  restart: { attempts: 1, interval: 5m, delay: 3s, mode: fail }
  reschedule: { delay: 5s, delay_function: exponential, max_delay: 40s }
`;

const repositoryOf = (draft: JobDraft): string =>
  `${REPOSITORY}/${draft.id.split('/')[1] ?? draft.id}`;

/** Pushes the image that the draft names; returns its reference as written in the file. */
export const pushImage = (registry: Registry, draft: JobDraft): string => {
  const repository = repositoryOf(draft);
  const tag = `v${draft.version}`;
  const { digest } = registry.push(repository, tag, draft.behaviour, helperPrograms(draft));
  return draft.pinned ? `${repository}:${tag}@${digest}` : `${repository}:${tag}`;
};

export const jobFile = (draft: JobDraft, reference: string): string => {
  const check =
    'healthcheck: { http: /healthz, port: http, interval: 5s, timeout: 1s, retries: 2 }';
  const volumes =
    draft.volume === 'none'
      ? []
      : [`volumes: [{ name: data, path: /data, on_loss: ${draft.volume} }]`];
  const isOne = draft.helpers === null;
  const memory = `resources: { cpu: 100m, memory: ${draft.memoryMiB}MiB }`;
  return [
    `# remark ${draft.remark}`,
    ...(isOne ? [`image: ${reference}`] : []),
    `count: ${countText(draft)}`,
    `priority: ${draft.priority}`,
    draft.hostPort === null
      ? 'ports: { http: 8080 }'
      : `ports: { http: { port: 8080, host: ${draft.hostPort} } }`,
    ...(isOne ? [check, memory, 'kill_timeout: 4s'] : []),
    ...(draft.shutdownDelayMs === 0 ? [] : [`shutdown_delay: ${draft.shutdownDelayMs}ms`]),
    ...(draft.isService ? [`services: [{ name: ${serviceOf(draft)}, port: http }]`] : []),
    ...(draft.stopped ? ['stopped: true'] : []),
    ...(draft.singleton ? ['singleton: true', `stop_after: ${draft.stopAfterMs}ms`] : []),
    ...(isOne ? volumes : []),
    ...(draft.broken ? ['imagine: nothing'] : []),
    'update:',
    `  max_parallel: ${draft.maxParallel}`,
    `  order: ${draft.order}`,
    `  canary: ${draft.canary}`,
    `  auto_promote: ${draft.autoPromote}`,
    `  auto_revert: ${draft.autoRevert}`,
    `  paused: ${draft.paused}`,
    ...(isOne ? [] : taskLines(draft, reference, [check, ...volumes])),
    '',
  ].join('\n');
};

/** Of services: enough for a catalogue on a calm network, less than a report and a plan take. */
export const SHUTDOWN_DELAY_MS: Ms = 100;

const serviceOf = ({ id }: JobDraft): string => id.split('/')[1] ?? id;

const countText = ({ count, bounds }: JobDraft): string =>
  bounds === null ? String(count) : `{ min: ${bounds.min}, max: ${bounds.max} }`;

export const scalePath = (id: string): string => `scale/${id}.yaml`;

const groupOf = (id: string): string => id.slice(id.indexOf('/') + 1);

/** What `purser scale` writes. */
export const scaleFile = (id: string, count: number): string => `${groupOf(id)}: ${count}\n`;

/** The count that a scale file says; null: none. */
export const saidIn = (id: string, text: string): number | null => {
  const count = new RegExp(`^${groupOf(id)}: (\\d+)$`, 'm').exec(text)?.[1];
  return count === undefined ? null : Number(count);
};

/** Copies that the rules ask for; between the bounds while no file says the number (rules 7). */
export const countsOf = ({ count, bounds, said }: JobDraft): Bounds => {
  if (bounds === null) return { min: count, max: count };
  if (said === null) return bounds;
  const clamped = Math.min(bounds.max, Math.max(bounds.min, said));
  return { min: clamped, max: clamped };
};

export const nodePath = (name: string): string => `nodes/${name}.yaml`;

export const nodeFile = ({ drain }: NodeDraft): string =>
  `pool: main\ndrain: ${drain === 'volumes' ? '{ volumes: stop }' : drain}\n`;

/** healthy_deadline in the cluster's file. */
const HEALTHY_DEADLINE_MS = 40_000;

/** The version comes up in time and stays up, wherever the platform lets it. */
export const isGood = ({ behaviour }: JobDraft): boolean => {
  const { healthyAfterMs, crash, pull, commandFound } = behaviour;
  const comesUp = healthyAfterMs !== null && healthyAfterMs < HEALTHY_DEADLINE_MS;
  return comesUp && crash === null && pull === 'ok' && commandFound;
};

/** One copy at a time in a slot, whatever `order` says (rules 9.3, 14). */
const oneByOne = ({ singleton, volume }: JobDraft): boolean => singleton || volume !== 'none';

/**
 * Copies that must stay healthy: count minus what the file lets be away at once. A pinned port may
 * force stop-first where nodes are few (rules 5.2).
 */
export const minHealthyOf = (draft: JobDraft | undefined): number => {
  if (draft === undefined || draft.stopped) return 0;
  const stopFirst = draft.order === 'stop-first' || oneByOne(draft) || draft.hostPort !== null;
  const away = stopFirst ? draft.maxParallel : 0;
  return Math.max(0, countsOf(draft).min - away);
};

/** Copies that may exist at once. */
export const maxTotalOf = (draft: JobDraft | undefined): number => {
  if (draft === undefined) return 0;
  const { max } = countsOf(draft);
  if (oneByOne(draft)) return max;
  return max + (draft.order === 'start-first' ? draft.maxParallel : 0) + draft.canary;
};
