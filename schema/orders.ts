// What goes down to a node and what comes back up: orders and reports, the only language between
// the programs.
// In: nothing. Out: types. Not here: their encoding (schema/wire.ts), what a report means
// (reconciler/live, plan).

import type { GroupSpec, Ms, Resources } from './spec.ts';

/**
 * Everything a runner needs to run one allocation. `spec` is the group as compiled, so that what
 * forms the version
 * and what changes in place travel together; a run order with the same id and another body is an
 * update in place.
 */
export interface AllocationBody {
  readonly format: 1;
  readonly allocation: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly job: string;
  readonly group: string;
  readonly index: number;
  readonly attempt: number;
  readonly node: string;
  /**
   * The job's version and the deployment that put the copy there (relabelled in place when it
   * changes).
   */
  readonly specHash: string;
  readonly deployment: string;
  /** The commit that introduced the version. */
  readonly commit: string;
  /** The version of this copy once settled: the mark of rules 2.4. */
  readonly settled: boolean;
  readonly priority: number;
  /** rules 2.4: a task that is healthy for this long counts as healthy in sections 2, 5 and 6. */
  readonly minHealthyMs: Ms;
  /**
   * What Git says of the node (`node.zone`, `node.pool`), for `${node.*}`, as it was when the copy
   * was placed. Outside the version, and never a reason to touch a copy; absent where nothing uses
   * it.
   */
  readonly nodeAttributes?: readonly (readonly [string, string])[];
  /**
   * The namespace allows log lines in evidence (rules 6.4): the runner adds them to a failure. In
   * place, outside the version; absent: it does not.
   */
  readonly evidence?: 'logs';
  readonly spec: GroupSpec;
}

export type StopReason =
  | 'rollout'
  | 'scale-down'
  | 'job-removed'
  | 'job-stopped'
  | 'drain'
  | 'node-removed'
  | 'duplicate'
  | 'failed-version'
  | 'superseded'
  | 'moved';

export type OrderItem =
  | {
      readonly kind: 'run';
      readonly allocation: string;
      readonly body: AllocationBody;
      /** Allocations on this node that must be gone first (rules 10.1). */
      readonly after: readonly string[];
    }
  | {
      readonly kind: 'stop';
      readonly allocation: string;
      readonly reason: StopReason;
      readonly killTimeoutMs: Ms;
      /**
       * Images of what follows on this node: fetched before the copy is told to stop. Absent: it
       * stops at once.
       */
      readonly images?: readonly StopImage[];
    };

export interface StopImage {
  readonly repository: string;
  readonly digest: string;
}

/**
 * The whole set for one node. Absence of an allocation means stop, with the last body's timeouts.
 */
export interface NodeOrders {
  readonly node: string;
  readonly cluster: string;
  readonly generation: number;
  /** Commit that the orders were computed from. */
  readonly commit: string;
  /** Sorted by allocation. */
  readonly items: readonly OrderItem[];
  /**
   * Folders of named volumes whose home was ended here (rules 14), sorted; absent: none. Removed as
   * soon as nothing on the node uses them.
   */
  readonly removeVolumes?: readonly string[];
  /**
   * Images that are fetched although nothing here needs them yet, sorted by repository, digest: of
   * what is to follow a copy on another node, or one that must be gone first (rules 5.7). Absent:
   * none.
   */
  readonly fetch?: readonly StopImage[];
}

/** What became of an image that was to be fetched; one that is under way is not in the report. */
export interface FetchReport extends StopImage {
  /** null: it is here. */
  readonly failure: {
    readonly blame: FailureRecord['blame'];
    /** One line for people. */
    readonly message: string;
    /** Since the first failure in a row. */
    readonly forMs: Ms;
  } | null;
}

export type Health = 'healthy' | 'unhealthy' | 'unproven';

/** Why a task ended, in facts; the words are made in render. */
export interface ExitRecord {
  readonly code: number | null;
  readonly signal: number | null;
  readonly outOfMemory: boolean;
  /** `unknown`: the runtime lost the status (containerd ≥ 1.7 without a record). */
  readonly status: 'known' | 'unknown';
  /**
   * `check`: killed by us after a failed live check; `ordered`: we stopped it; `self`: it ended
   * itself.
   */
  readonly cause: 'self' | 'check' | 'ordered' | 'killed';
}

/**
 * Why an allocation does not run, as the runner saw it. `version`: the version's fault, counts
 * towards a revert;
 * `platform`: retried and shown, never reverts anything (rules 6.1).
 */
export interface FailureRecord {
  readonly blame: 'version' | 'platform';
  readonly kind:
    | 'exit'
    | 'out-of-memory'
    | 'check-failed'
    | 'command-not-found'
    | 'bad-spec'
    | 'image-not-found'
    | 'registry'
    | 'disk'
    | 'runtime'
    | 'network'
    | 'port-taken';
  readonly task: string | null;
  /** One line for people; no secrets, no log lines. */
  readonly message: string;
  /** How long ago it happened. */
  readonly ageMs: Ms;
  /** Last lines of the task's log, cleaned; only where the body says `evidence: logs`. */
  readonly log?: readonly string[];
}

/** `completed`: it was to run to its end, and did. */
export type TaskState =
  | 'pending'
  | 'pulling'
  | 'running'
  | 'backoff'
  | 'stopping'
  | 'completed'
  | 'dead';

export interface TaskReport {
  readonly name: string;
  readonly state: TaskState;
  readonly restarts: number;
  readonly health: Health;
  /**
   * Text of the last failed check, null when the last one passed or none ran; of a poststop task
   * how it failed.
   */
  readonly lastCheck: string | null;
  /**
   * Last lines of its log, cleaned, while a check of it fails and the copy was never healthy; only
   * where the body says `evidence: logs`.
   */
  readonly log?: readonly string[];
  readonly exit: ExitRecord | null;
  readonly pid: number | null;
}

export type AllocationPhase = 'pending' | 'running' | 'stopping' | 'dead';

export interface AllocationReport {
  readonly allocation: string;
  readonly body: AllocationBody;
  readonly phase: AllocationPhase;
  readonly health: Health;
  /**
   * `unproven`, and healthy when it was known last: no check of it has failed since, and no task has
   * ended, such as after the runner was started again. Absent: it is not so.
   */
  readonly wasHealthy?: true;
  /**
   * Was healthy at least once for `minHealthyMs`; the runner remembers it across its own restart.
   */
  readonly everHealthy: boolean;
  readonly tasks: readonly TaskReport[];
  /** The newest failure, null when there was none. */
  readonly failure: FailureRecord | null;
  /**
   * A stop was ordered and is not begun: the images that it names, one of which is not here yet.
   * Absent: no stop waits.
   */
  readonly stopWaits?: readonly StopImage[];
  /** Host ports in use: static and dynamic. */
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly host: number;
  }[];
  /** Address under which the ports answer. */
  readonly address: string | null;
  readonly usage: Resources | null;
  /** Ages, not instants: clocks need not agree. null where the thing has not happened. */
  readonly acceptedForMs: Ms;
  /** Of a copy that was never healthy: no longer than the runner has watched it without a gap. */
  readonly firstStartedForMs: Ms | null;
  readonly runningForMs: Ms | null;
  readonly healthyForMs: Ms | null;
  /** Since it was first healthy for `minHealthyMs`. */
  readonly firstHealthyForMs: Ms | null;
  readonly deadForMs: Ms | null;
}

export interface NodeReport {
  readonly node: string;
  readonly cluster: string;
  /**
   * Highest generation accepted, and the commit and set hash it carried; 0 and '' before the first.
   */
  readonly acceptedGeneration: number;
  readonly acceptedCommit: string;
  readonly acceptedHash: string;
  /** Ids in the accepted set, sorted: what is in it but not below is accepted and not begun. */
  readonly accepted: readonly string[];
  /** Total for allocations, after what the node keeps for itself. */
  readonly capacity: Resources;
  /**
   * `node.arch`, `node.os`, `node.kernel`…, sorted by name. Labels from Git are added by the
   * reconciler.
   */
  readonly attributes: readonly (readonly [string, string])[];
  /** Address at which published ports answer. */
  readonly address: string;
  /** Sorted by allocation; stopping and dead ones included until they are superseded. */
  readonly allocations: readonly AllocationReport[];
  /** Containers without our labels (rules 9.5). */
  readonly foreign: number;
  /** Conditions that a person should see: disk above threshold, containerd not answering. */
  readonly conditions: readonly { readonly kind: string; readonly message: string }[];
  /** Host ports that something else on the node holds. */
  readonly portsTaken: readonly number[];
  /** Who holds some of them, in words, sorted by port; absent: not known. */
  readonly portHolders?: readonly (readonly [port: number, holder: string])[];
  /** Folders of named volumes that are there, sorted; absent: not known. */
  readonly volumes?: readonly string[];
  /** Of the images that the orders name in `fetch`; absent: they name none. */
  readonly fetched?: readonly FetchReport[];
}
