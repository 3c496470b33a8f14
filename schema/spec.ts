// What a job means once every short form is written out: the compiled job that the planner works
// on.
// In: nothing. Out: types only. Not here: how a file becomes this (reconciler/desired), what a node
// is told (schema/orders.ts).

import type { ServiceSpec } from './services.ts';

/** Milliseconds. Durations and ages; never an instant of the calendar. */
export type Ms = number;

/** CPU in thousandths of a core, memory in bytes. */
export interface Resources {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

/** A count of copies, or a percentage of `count` (rounded down, at least 1; rules 5.1). */
export type Parallel =
  | { readonly kind: 'count'; readonly copies: number }
  | { readonly kind: 'percent'; readonly percent: number };

export interface UpdateSpec {
  readonly maxParallel: Parallel;
  readonly order: 'stop-first' | 'start-first';
  readonly canary: number;
  readonly autoPromote: boolean;
  readonly autoRevert: boolean;
  readonly minHealthyMs: Ms;
  readonly healthyDeadlineMs: Ms;
  readonly progressDeadlineMs: Ms;
  readonly maxFailures: number;
  readonly paused: boolean;
  /**
   * First 12 characters of the spec hash that a person promoted; ignored when stale (rules 5.3).
   */
  readonly promote: string | null;
}

/** Restarts of a task on its node: `attempts` within `intervalMs`, then the allocation is dead. */
export interface RestartSpec {
  readonly attempts: number;
  readonly intervalMs: Ms;
  readonly delayMs: Ms;
  /**
   * `fail`: the allocation is dead when attempts are used up; `delay`: wait for the interval to
   * end, go on.
   */
  readonly mode: 'fail' | 'delay';
}

/** When a dead allocation's slot may be given to a new allocation. */
export interface RescheduleSpec {
  readonly delayMs: Ms;
  readonly delayFunction: 'constant' | 'exponential' | 'fibonacci';
  readonly maxDelayMs: Ms;
  readonly unlimited: boolean;
  /** Ignored when `unlimited`. */
  readonly attempts: number;
}

export type CheckProbe =
  | { readonly kind: 'http'; readonly path: string; readonly port: string }
  | { readonly kind: 'tcp'; readonly port: string }
  | { readonly kind: 'exec'; readonly command: readonly string[] };

export interface CheckSpec {
  readonly probe: CheckProbe;
  readonly intervalMs: Ms;
  readonly timeoutMs: Ms;
  /** Failures in a row before the check counts as failed. */
  readonly retries: number;
}

export interface ChecksSpec {
  readonly startup: CheckSpec | null;
  readonly ready: CheckSpec | null;
  readonly live: CheckSpec | null;
}

/**
 * A port of the group; `host` null means a dynamic host port that the runner picks from
 * 20000..32000.
 */
export interface PortSpec {
  readonly name: string;
  readonly port: number;
  readonly host: number | null;
}

export interface ImageSpec {
  /** As written in the job file. */
  readonly reference: string;
  /** `registry/repository`, without tag and digest. */
  readonly repository: string;
  /** `sha256:…`; null while it is not resolved (rules 3). */
  readonly digest: string | null;
}

export interface FileMount {
  /** Absolute path in the container. */
  readonly path: string;
  /** Path in the repository that the content comes from. */
  readonly source: string;
  /** UTF-8 text. */
  readonly content: string;
}

export type VolumeMount =
  | {
      readonly kind: 'named';
      readonly name: string;
      readonly path: string;
      readonly readOnly: boolean;
      readonly onLoss: 'wait' | 'recreate';
    }
  | {
      readonly kind: 'host';
      readonly source: string;
      readonly path: string;
      readonly readOnly: boolean;
    };

/** Kinds of tasks beside the main ones (rules 15). */
export type Lifecycle = 'prestart' | 'sidecar' | 'poststart' | 'poststop';

export interface TaskSpec {
  readonly name: string;
  /** Absent: a main task. */
  readonly lifecycle?: Lifecycle;
  /** Tasks of the group that it starts after, sorted; absent: none. */
  readonly dependsOn?: readonly string[];
  readonly image: ImageSpec;
  /** null: the image's own. */
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[] | null;
  /** Values keep their source text; `${node.*}` is replaced by the runner. Sorted by name. */
  readonly environment: readonly (readonly [string, string])[];
  readonly user: string | null;
  readonly workingDir: string | null;
  readonly readOnlyRoot: boolean;
  readonly tmpfs: readonly string[];
  readonly files: readonly FileMount[];
  readonly volumes: readonly VolumeMount[];
  readonly cpuMilli: number;
  /** Quota; null: no quota, only a share. */
  readonly cpuMaxMilli: number | null;
  readonly memoryBytes: number;
  /** Limit; null: `memoryBytes` is the limit. */
  readonly memoryMaxBytes: number | null;
  readonly pidsMax: number | null;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly checks: ChecksSpec;
  readonly killSignal: string;
  readonly killTimeoutMs: Ms;
}

/** `node.pool = web`; here only `=` and `!=`. */
export interface ConstraintSpec {
  readonly attribute: string;
  readonly operator: '=' | '!=';
  readonly value: string;
  /** As written, for messages. */
  readonly text: string;
}

export interface SpreadSpec {
  readonly attribute: string;
  readonly weight: number;
}

export interface GroupSpec {
  readonly name: string;
  /** Hash of the fields that form the group's version (rules 2.1), 64 hex characters. */
  readonly hash: string;
  /** Copies wanted, after scale file and clamping; 0 when the job is stopped. */
  readonly count: number;
  /** Set when a machine owns the count (rules 7). */
  readonly scale: { readonly min: number; readonly max: number; readonly fromFile: boolean } | null;
  readonly networkMode: 'bridge' | 'host' | 'none';
  readonly ports: readonly PortSpec[];
  readonly constraints: readonly ConstraintSpec[];
  readonly spread: readonly SpreadSpec[];
  readonly restart: RestartSpec;
  readonly reschedule: RescheduleSpec;
  /** 0 = off (rules 9.3). */
  readonly stopAfterMs: Ms;
  readonly singleton: boolean;
  readonly shutdownDelayMs: Ms;
  /** Names under which its copies are found, sorted by name; absent: none. */
  readonly services?: readonly ServiceSpec[];
  /** Named volumes of all tasks, by name. */
  readonly volumes: readonly { readonly name: string; readonly onLoss: 'wait' | 'recreate' }[];
  readonly tasks: readonly TaskSpec[];
  /** What placement counts: the most that its tasks ask for at once. */
  readonly ask: Resources;
  readonly labels: readonly (readonly [string, string])[];
}

export interface JobSpec {
  /** `<namespace>/<job>`. */
  readonly id: string;
  readonly namespace: string;
  readonly job: string;
  readonly type: 'service';
  readonly priority: number;
  readonly stopped: boolean;
  readonly update: UpdateSpec;
  /** The job's version: hash of its groups' hashes by name, 64 hex characters. */
  readonly specHash: string;
  /** Sorted by name. */
  readonly groups: readonly GroupSpec[];
}
