// What the runner's tick needs from the world, as types: the real ones are in edge/, the simulator
// has its own, and
// one contract suite runs on both. Not here: any implementation, any decision.

import type { NodeOrders, NodeReport } from '../schema/orders.ts';
import type { Ms, Resources } from '../schema/spec.ts';

export type Consequence = 'retry' | 'stale' | 'broken';

/** Thrown by every port call that fails: what follows, whose fault, and a sentence for people. */
export interface RuntimeFailure {
  readonly kind: 'runtime-failure';
  readonly consequence: Consequence;
  /** As in FailureRecord: `version` is the job's own fault. */
  readonly blame: 'version' | 'platform';
  readonly reason:
    | 'not-found'
    | 'already-exists'
    | 'unavailable' // containerd does not answer
    | 'image-not-found'
    | 'registry'
    | 'login'
    | 'digest-mismatch'
    | 'no-platform'
    | 'command-not-found'
    | 'bad-spec'
    | 'disk'
    | 'network'
    | 'other';
  readonly message: string;
}

/** An OCI runtime specification, as JSON; made by decide/oci-spec, passed on untouched. */
export type OciSpec = Readonly<Record<string, unknown>>;

export interface TaskExit {
  readonly code: number | null;
  readonly signal: number | null;
  /** false: containerd lost it (facts: ≥ 1.7 without a sandbox record). */
  readonly known: boolean;
  /** Wall-clock milliseconds since 1970, null when unknown. */
  readonly at: number | null;
}

export interface RuntimeContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  /** `none`: record without task. */
  readonly task: 'none' | 'created' | 'running' | 'paused' | 'stopped';
  readonly pid: number | null;
  readonly exit: TaskExit | null;
}

export interface ImageFacts {
  /** Name in the store: `repository@digest`. */
  readonly name: string;
  /** Digest of what the reference names (index or manifest). */
  readonly digest: string;
  readonly chainId: string;
  readonly sizeBytes: number;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly stopSignal: string | null;
}

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

export interface CreateAsk {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: ImageFacts;
  readonly spec: OciSpec;
  /** stdout and stderr are appended here, by the shim; null: /dev/null. */
  readonly logPath: string | null;
}

export interface ExecAsk {
  readonly container: string;
  readonly args: readonly string[];
  /** Added to the container's own. */
  readonly env: readonly string[];
  readonly tty: { readonly columns: number; readonly rows: number } | null;
}

export interface ExecSession {
  /**
   * stdout and stderr, tagged; a tty has only stdout. Ends when the process has ended and all
   * output was read.
   */
  readonly output: AsyncIterable<{
    readonly stream: 'stdout' | 'stderr';
    readonly data: Uint8Array;
  }>;
  /** Resolves when the bytes are taken (backpressure). */
  readonly write: (data: Uint8Array) => Promise<void>;
  readonly closeInput: () => Promise<void>;
  readonly resize: (columns: number, rows: number) => Promise<void>;
  readonly kill: (signal: number) => Promise<void>;
  readonly exit: Promise<TaskExit>;
}

export type RuntimeEvent =
  | { readonly kind: 'exit'; readonly container: string; readonly exit: TaskExit }
  | { readonly kind: 'oom'; readonly container: string }
  /** The stream was cut or just began: list again. */
  | { readonly kind: 'resync' };

export interface PullProgress {
  readonly image: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Everything that is asked of containerd; every call is safe to repeat. All throw RuntimeFailure.
 */
export interface RuntimePort {
  readonly version: () => Promise<string>;
  /** Containers of our containerd namespace, with their tasks. */
  readonly list: () => Promise<readonly RuntimeContainer[]>;
  readonly images: () => Promise<readonly ImageFacts[]>;
  /** Pulls unless present and complete; a digest reference. */
  readonly pull: (
    image: { readonly repository: string; readonly digest: string },
    options: {
      readonly onProgress?: (progress: PullProgress) => void;
      readonly signal?: AbortSignal;
    },
  ) => Promise<ImageFacts>;
  readonly removeImage: (name: string) => Promise<void>;
  /**
   * `user` as in Compose: name, uid, name:group, uid:gid; looked up in the image's own passwd and
   * group.
   */
  readonly resolveUser: (image: ImageFacts, user: string) => Promise<ResolvedUser>;
  /** Record, snapshot and task, created but not started. */
  readonly create: (ask: CreateAsk) => Promise<{ readonly pid: number }>;
  readonly start: (id: string) => Promise<void>;
  /** Resolves when sent; a container that has ended is no error. */
  readonly kill: (id: string, signal: number, options: { readonly all: boolean }) => Promise<void>;
  /** Ends what still runs (SIGKILL), then task, record and snapshot; absent is fine. */
  readonly remove: (id: string) => Promise<void>;
  /** Removes only the task, so that the same container can be created anew with `restart`. */
  readonly restart: (id: string, spec: OciSpec | null) => Promise<{ readonly pid: number }>;
  readonly relabel: (id: string, labels: Readonly<Record<string, string>>) => Promise<void>;
  readonly exec: (ask: ExecAsk) => Promise<ExecSession>;
  /** Never ends by itself; reconnects and says `resync` first and after every gap. */
  readonly events: (signal: AbortSignal) => AsyncIterable<RuntimeEvent>;
}

/** One network namespace an allocation. */
export interface NetworkAsk {
  readonly allocation: string;
  readonly mode: 'bridge' | 'none';
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly host: number;
  }[];
}

export interface NetworkFacts {
  readonly allocation: string;
  /** Path of the namespace, for the OCI spec. */
  readonly path: string;
  readonly address: string | null;
  /** Does it reach the runner's DNS? Absent: it does. */
  readonly reachesDns?: boolean;
  /** Name servers and domains that whoever made it names, as a resolv.conf; absent: none. */
  readonly resolvConf?: string;
}

export interface NetworkPort {
  readonly setUp: (ask: NetworkAsk) => Promise<NetworkFacts>;
  /** Absent is fine. */
  readonly tearDown: (allocation: string) => Promise<void>;
  /** What exists now, from the kernel: for adoption and for cleaning up what nobody owns. */
  readonly list: () => Promise<readonly NetworkFacts[]>;
  /** Host ports that something else listens on. */
  readonly portsTaken: () => Promise<readonly number[]>;
  /** Who holds them, in a few words each, where that can be known. Costs a look at all processes. */
  readonly portHolders: () => Promise<ReadonlyMap<number, string>>;
}

export interface ProbeAsk {
  readonly kind: 'http' | 'tcp';
  /** Where the port answers, and the path for http. */
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: Ms;
  /** Network namespace to connect from; null: the runner's own. */
  readonly netns: string | null;
}

export type ProbeAnswer = { readonly ok: true } | { readonly ok: false; readonly message: string };

export interface ProbePort {
  readonly probe: (ask: ProbeAsk) => Promise<ProbeAnswer>;
}

/**
 * What the runner must remember across its own restart, that containerd does not: small, written
 * atomically.
 */
export interface StorePort {
  readonly readOrders: () => Promise<NodeOrders | null>;
  readonly writeOrders: (orders: NodeOrders) => Promise<void>;
  /**
   * Marks of allocations, by id (first start, ever healthy, restarts, deaths), as decide makes
   * them.
   */
  readonly readMarks: () => Promise<unknown>;
  readonly writeMarks: (marks: unknown) => Promise<void>;
  /**
   * When a reconciler was last heard (rules 9.3). It changes with every acknowledged report, and
   * outlives the runner, not the machine.
   */
  readonly readContact: () => Promise<Contact | null>;
  readonly writeContact: (contact: Contact) => Promise<void>;
  /**
   * Writes the files that tasks mount, makes the folders of named volumes and logs; returns their
   * host paths.
   */
  readonly prepare: (ask: PrepareAsk) => Promise<PreparedPaths>;
  /** Removes files and logs of an allocation, never a named volume. */
  readonly discard: (allocation: string, what: 'files' | 'files-and-logs') => Promise<void>;
  /**
   * The end of what a task has written in its newest run, or in the one before; '' where there is
   * nothing. Bytes that are no text are replaced.
   */
  readonly endOfLog: (ask: EndOfLogAsk) => Promise<string>;
  readonly removeVolume: (volume: string) => Promise<void>;
  readonly volumes: () => Promise<readonly string[]>;
}

export interface Contact {
  /** On the boot-time clock of this boot. */
  readonly at: Ms;
  readonly bootId: string;
}

export interface PrepareAsk {
  readonly allocation: string;
  readonly tasks: readonly {
    readonly name: string;
    readonly files: readonly { readonly path: string; readonly content: string }[];
  }[];
  /** Folder names of named volumes: `<namespace>.<job>.<group>.<index>.<name>`. */
  readonly volumes: readonly string[];
}

export interface EndOfLogAsk {
  readonly allocation: string;
  readonly task: string;
  readonly run: 'newest' | 'before';
  /** At most so much. */
  readonly bytes: number;
}

export interface PreparedPaths {
  /** `<task>\n<container path>` → host path. */
  readonly files: Readonly<Record<string, string>>;
  readonly volumes: Readonly<Record<string, string>>;
  /** Task name → log file. */
  readonly logs: Readonly<Record<string, string>>;
}

/** The stream to the reconciler, as tick sees it. */
export interface LinkPort {
  /** Orders that arrived whole and were not yet taken; null when there are none. */
  readonly take: () => NodeOrders | null;
  /**
   * A session began after orders of an earlier one were taken: its first report must be made now,
   * and tell what became of them (rules 10.1). An older one is not sent.
   */
  readonly wantsReport: () => boolean;
  /** `at`: the runner's clock when the report was made. */
  readonly report: (report: NodeReport, at: Ms) => void;
  /**
   * When the newest acknowledged report was sent, on the runner's clock; null before the first
   * (rules 9.3).
   */
  readonly acknowledged: () => Ms | null;
  /**
   * Ends a stream that was opened before that instant, so that a new one brings orders anew (rules
   * 9.4).
   */
  readonly renew: (openedBefore: Ms) => void;
  /** Calls back when orders arrived or the stream opened. */
  readonly watch: (wake: () => void) => () => void;
}

export interface UsagePort {
  /** CPU use since the last call and memory in use, by cgroup path; absent groups are left out. */
  readonly read: (cgroups: readonly string[]) => Promise<ReadonlyMap<string, Resources>>;
  readonly diskFree: () => Promise<{ readonly freeBytes: number; readonly totalBytes: number }>;
}

export interface RunnerClock {
  /** Boot-time clock in milliseconds, suspend counted, and the boot's id (rules 9.4). */
  readonly now: () => Ms;
  readonly bootId: string;
  readonly sleepUntil: (at: Ms, signal: AbortSignal) => Promise<void>;
}

export interface RunnerLog {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

/** What a DNS client asks; the name in lower case, without its last dot. */
export interface DnsQuestion {
  readonly name: string;
  /** `A`, `AAAA`, `SRV`…; `UNKNOWN_65` where the type has no name here. */
  readonly type: string;
}

export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly address: string }
  | {
      readonly type: 'SRV';
      readonly name: string;
      readonly target: string;
      readonly port: number;
    }
  | { readonly type: 'SOA'; readonly name: string };

export type DnsAnswer =
  /** A name outside our domain: asked of the machine's own name servers. */
  | { readonly kind: 'forward' }
  /** Another name for a host outside the cluster, which the same name servers know. */
  | { readonly kind: 'alias'; readonly target: string }
  | {
      readonly kind: 'records';
      /** False: there is no such name, of whatever type. */
      readonly exists: boolean;
      readonly answers: readonly DnsRecord[];
      readonly authorities: readonly DnsRecord[];
      /** Left out where there is no room. */
      readonly additionals: readonly DnsRecord[];
    };

/** Where copies ask for names, and who may. */
export interface CopiesDns {
  readonly address: string;
  readonly holds: (source: string) => boolean;
  /** Whom to ask for the world's names for that one; none: the machine's own name servers. */
  readonly nameServersOf: (source: string) => readonly string[];
}

export interface RunnerPorts {
  readonly runtime: RuntimePort;
  readonly network: NetworkPort;
  readonly probes: ProbePort;
  readonly store: StorePort;
  readonly link: LinkPort;
  readonly usage: UsagePort;
  readonly clock: RunnerClock;
  readonly log: RunnerLog;
}
