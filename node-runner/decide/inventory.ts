// What is on this node: everything that decide looks at besides the orders.
// In: nothing. Out: types. Facts come from the ports; marks are what the runner remembers about
// allocations. Not here: how marks change (advance.ts, outcome.ts), what follows from them
// (decide.ts).

import type { AllocationBody, ExitRecord, FailureRecord, StopReason } from '../../schema/orders.ts';
import type { Ms, Resources } from '../../schema/spec.ts';
import type {
  ImageFacts,
  NetworkFacts,
  PreparedPaths,
  ResolvedUser,
  RuntimeContainer,
} from '../ports.ts';
import type { Architecture } from './seccomp.ts';

/** What a node is, from its configuration; does not change while the runner lives. */
export interface NodeFacts {
  readonly node: string;
  readonly cluster: string;
  readonly address: string;
  readonly architecture: Architecture;
  readonly capacity: Resources;
  /** `node.arch`, `node.os`…, sorted by name. */
  readonly attributes: readonly (readonly [string, string])[];
  /** cgroup under which every allocation has its own, such as `/purser/<node>`. */
  readonly cgroupParent: string;
  /** The machine's /etc/resolv.conf, without servers that only the machine reaches. */
  readonly resolvConf: string;
  /** Where the runner answers DNS for allocations in bridge mode; absent: it does not. */
  readonly dnsAddress?: string;
  /** No pull while less is free; above it nothing is cleaned up. */
  readonly diskReserveBytes: number;
}

/** A check of one task: what its probes said so far. Not kept across the runner's restart. */
export interface CheckMark {
  readonly dueAt: Ms;
  /** null before the first result. */
  readonly ok: boolean | null;
  readonly failuresInRow: number;
  /** Text of the last failure, null when the last result was good or none came. */
  readonly message: string | null;
}

export type CheckRole = 'startup' | 'ready' | 'live';

/** A kill in progress: signal, wait, SIGKILL. */
export interface KillMark {
  readonly cause: 'ordered' | 'check';
  /** Not before this (shutdown_delay). */
  readonly signalAt: Ms;
  readonly timeoutMs: Ms;
  readonly signalledAt: Ms | null;
  readonly forcedAt: Ms | null;
}

export interface TaskMark {
  readonly name: string;
  /**
   * `none`: not started since the last create; `open`: runs, or ran when last seen; `ended`: its
   * end is accounted for.
   */
  readonly run: 'none' | 'open' | 'ended';
  readonly runSince: Ms | null;
  readonly everStarted: boolean;
  /** Restarts in all, and the instants of those inside the interval, oldest first. */
  readonly restarts: number;
  readonly restartTimes: readonly Ms[];
  /** Backoff: not started again before this. */
  readonly startAt: Ms;
  /** How the last run ended. */
  readonly exit: ExitRecord | null;
  readonly kill: KillMark | null;
  readonly checks: Readonly<Partial<Record<CheckRole, CheckMark>>>;
  /** It was to run to its end, and did; a poststop task also when it failed. Absent: not yet. */
  readonly completed?: true;
  /** Of a poststop task: when all others had ended, so that its time began to run. */
  readonly turnAt?: Ms;
  /** Of a poststop task: how it failed, and when. */
  readonly trouble?: { readonly message: string; readonly at: Ms };
}

export interface StopMark {
  readonly reason: StopReason | 'absent' | 'stop-after';
  readonly since: Ms;
  /** In place of the tasks' own; null: theirs. */
  readonly killTimeoutMs: Ms | null;
  readonly networkGone: boolean;
  readonly filesGone: boolean;
}

export interface PortChoice {
  readonly name: string;
  /** Inside the container. */
  readonly port: number;
  readonly host: number;
}

export type FailureMark = Omit<FailureRecord, 'ageMs'> & { readonly at: Ms };

/** What the runner remembers about one allocation, from acceptance until nothing of it is left. */
export interface AllocationMark {
  readonly allocation: string;
  readonly body: AllocationBody;
  readonly acceptedAt: Ms;
  readonly firstStartedAt: Ms | null;
  /** Start of the present streak of health. */
  readonly healthySince: Ms | null;
  readonly firstHealthyAt: Ms | null;
  /** Restart attempts used up: kept, not restarted, until superseded. */
  readonly deadAt: Ms | null;
  readonly failure: FailureMark | null;
  /** null before the host ports were chosen. */
  readonly ports: readonly PortChoice[] | null;
  readonly stop: StopMark | null;
  /**
   * Of a singleton: no reconciler was heard for so long that its replacement may run elsewhere,
   * and no orders since then say that this copy is the one. Absent: it is.
   */
  readonly lapsed?: true;
  /** In the order of the body. */
  readonly tasks: readonly TaskMark[];
}

export interface ContainerFacts extends RuntimeContainer {
  /** An out-of-memory event came since the task was created. */
  readonly outOfMemory: boolean;
}

/** What limits how much is done at once; each has its own number of places (config.ts). */
export type Lane =
  | 'pull'
  | 'network'
  | 'files'
  | 'create'
  | 'start'
  | 'kill'
  | 'remove'
  | 'label'
  | 'probe';

/** Failures of one action in a row: when it may be tried again. */
export interface RetryMark {
  readonly failures: number;
  readonly notBefore: Ms;
  /** The last one, and since when it has been the fault of the same. */
  readonly failure: Pick<FailureRecord, 'blame' | 'message'> & { readonly since: Ms };
}

export interface Inventory {
  readonly node: NodeFacts;
  /** By id; all of the containerd namespace, foreign ones included. */
  readonly containers: ReadonlyMap<string, ContainerFacts>;
  /** By `repository@digest`. */
  readonly images: ReadonlyMap<string, ImageFacts>;
  /** By userKey. */
  readonly users: ReadonlyMap<string, ResolvedUser>;
  /** By allocation. */
  readonly networks: ReadonlyMap<string, NetworkFacts>;
  readonly prepared: ReadonlyMap<string, PreparedPaths>;
  readonly marks: ReadonlyMap<string, AllocationMark>;
  /** By actionKey: begun and not ended. */
  readonly inFlight: ReadonlySet<string>;
  readonly retries: ReadonlyMap<string, RetryMark>;
  /** Free places. */
  readonly room: Readonly<Record<Lane, number>>;
  /** Host ports that something which is not ours listens on. */
  readonly portsTaken: ReadonlySet<number>;
  /** Who, in words, where it is known. */
  readonly portHolders: ReadonlyMap<number, string>;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null;
  /**
   * When the newest report that a reconciler acknowledged was sent; null: none in this boot (rules
   * 9.3, 9.4).
   */
  readonly contactAt: Ms | null;
  /**
   * Longest time without contact since orders were last heard; Infinity before the first in this
   * life.
   */
  readonly unheardMs: Ms;
  /** When an image was last needed, by name. */
  readonly imagesUsed: ReadonlyMap<string, Ms>;
  /** Folders of named volumes; null: not yet listed. */
  readonly volumes: ReadonlySet<string> | null;
}

/** Name of an image in the store. */
export const imageName = (image: {
  readonly repository: string;
  readonly digest: string | null;
}): string => `${image.repository}@${image.digest ?? ''}`;

/** A user is looked up in an image's own passwd. */
export const userKey = (image: string, user: string): string => `${image}\n${user}`;
