// What the loop needs from the world, as types: two implementations each, the real one in edge/ and
// the simulator's. Not here: any of them. An edge failure says what follows from it
// (EdgeFailure.consequence).

import type { Behind } from '../schema/behind.ts';
import type { FileEdit } from '../schema/desired.ts';
import type {
  Account,
  BehindAsk,
  CheckKind,
  CheckReport,
  DeploymentReport,
  ForgeRequest,
  ForgeState,
  PullAsk,
  PullClose,
  PullRequest,
} from '../schema/forge.ts';
import type { HeldFile, LedgerRecord } from '../schema/ledger.ts';
import type { Heard, LiveState } from '../schema/live.ts';
import type { NodeOrders } from '../schema/orders.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { Catalogue } from '../schema/services.ts';
import type { Asks, DigestAsk, LookupAnswer, SourceTree } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';

/**
 * `retry`: try again later; `stale`: look again, the world moved on; `broken`: a person must act.
 */
export type Consequence = 'retry' | 'stale' | 'broken';

export interface EdgeFailure {
  readonly kind: 'edge-failure';
  readonly consequence: Consequence;
  /** For people: what could not be done, why, what to do. */
  readonly message: string;
  /** The branch stands at this commit, which is not followed; absent: it failed otherwise. */
  readonly refused?: string;
}

/** A commit that the machine wants to make (rules 12.2, 12.3). */
export interface CommitAsk {
  /** HEAD that it was computed from. */
  readonly head: string;
  readonly edits: readonly FileEdit[];
  /** Subject, body and trailers, complete. */
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
}

export interface SourcePort {
  /** The tree at the newest HEAD. Remembers by blob id; throws EdgeFailure. */
  readonly read: () => Promise<SourceTree>;
  /** The same tree with what was asked added. */
  readonly complete: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
  /** Appends records to the ledger and pushes it; resolves when the remote has them. */
  readonly record: (records: readonly LedgerRecord[]) => Promise<void>;
  /**
   * Makes the commit; returns its id. `stale` when somebody pushed first and the edits' bases
   * changed.
   */
  readonly commit: (ask: CommitAsk) => Promise<string>;
  /** Calls back whenever something may have changed. Carries no data. Returns the way to stop. */
  readonly watch: (wake: () => void) => () => Promise<void>;
}

export interface NodesPort {
  readonly heard: () => Heard;
  /** Sends the whole set; returns false when the node is not connected. */
  readonly send: (orders: NodeOrders) => boolean;
  /**
   * The newest catalogue of services, for the nodes that may be told: each gets it when it differs
   * from what it has, and before orders that are sent afterwards.
   */
  readonly publish: (catalogue: Catalogue, mayTell: (node: string) => boolean) => void;
  /**
   * Calls back when something happened on a node. `quiet`, where it is given, is called instead when
   * a node says that nothing did: only its ages and what it uses are newer.
   */
  readonly watch: (wake: () => void, quiet?: () => void) => () => void;
}

export interface RegistryPort {
  /** Asks the registry which digest the tag has now. Never throws: failures are answers. */
  readonly resolve: (ask: DigestAsk) => Promise<LookupAnswer>;
}

export interface ClockPort {
  /** Monotonic milliseconds. */
  readonly now: () => Ms;
  /** Milliseconds since 1970, for the age of what people wrote; absent: nothing of it grows old. */
  readonly epochMs?: () => number;
  readonly sleepUntil: (at: Ms, signal: AbortSignal) => Promise<void>;
  /** Lets what has arrived be taken in, reports and calls, before or between steps of long work. */
  readonly pause?: () => Promise<void>;
}

export interface LogPort {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

/**
 * A forge, one repository of it. All methods throw EdgeFailure: `retry` while it cannot be reached
 * or asks to wait, `broken` when a person must act (a permission is missing).
 */
export interface ForgePort {
  /**
   * What changed on it; cheap when nothing did (conditional requests). `ahead` is told the open pull
   * requests as soon as they are known, before the rest is, where they had to be asked for.
   */
  readonly look: (ahead?: (open: readonly PullRequest[]) => void) => Promise<ForgeState>;
  /** The check as it stands there now, whoever started it; null: there is none of ours. */
  readonly check: (kind: CheckKind, commit: string) => Promise<CheckReport | null>;
  /**
   * From when on the forge's limits leave room to tell a plan; not after the clock's now: at once.
   */
  readonly roomAt: (of: PlanTelling) => Ms;
  /**
   * Makes it, or brings it up to date: never a second one of the same kind and commit. `of`: of a
   * plan, whether somebody waits for it; absent: nobody does.
   */
  readonly writeCheck: (report: CheckReport, of?: PlanTelling) => Promise<void>;
  /**
   * The one comment of ours on a pull request: made, edited in place, or folded (`minimized`). None
   * is made where comments are off.
   */
  readonly writeComment: (ask: {
    readonly pull: number;
    readonly body: string;
    readonly folded: boolean;
  }) => Promise<void>;
  /** Says to the person what became of the request; it is not handed out again. */
  readonly answer: (request: ForgeRequest, words: string, done: boolean) => Promise<void>;
  readonly writeDeployment: (report: DeploymentReport) => Promise<void>;
  /** Opens it, or edits the open one of the same branch; its number. */
  readonly openPull: (ask: PullAsk) => Promise<number>;
  /** Names of the repository's own branches that begin with it, at most a few hundred. */
  readonly branches: (prefix: string) => Promise<readonly string[]>;
  /** Closes it, once with these words, and removes its branch; what is done already is left. */
  readonly closePull: (ask: PullClose) => Promise<void>;
  /** Accounts of the people behind a pull request's commits, for rules 8.2. */
  readonly authors: (pull: number) => Promise<readonly Account[]>;
  /** Who wrote a change and who approves it; `teams`: owners of which members are asked for. */
  readonly behind: (ask: BehindAsk, teams: readonly string[]) => Promise<Behind>;
  /** The e-mail address by which the forge knows the account's commits. */
  readonly addressOf: (account: Account) => string;
  /** Accounts behind addresses of authors on the branch, in their order; null: nobody there has it. */
  readonly accounts: (emails: readonly string[]) => Promise<readonly (Account | null)[]>;
  /** False: there is only a token. A line stands for each check, and the comment says the rest. */
  readonly hasChecks: boolean;
  /** Calls back whenever something may have changed there. Carries no data. */
  readonly watch: (wake: () => void) => () => void;
  /**
   * How often the repository there was found to be another one of the same name, that knows nothing
   * of what was told. Absent: never.
   */
  readonly renewals?: () => number;
  /** Milliseconds since 1970 by its clock. Absent: it has ours. */
  readonly epochMs?: () => number;
}

/** `push`: somebody waits for it; `plan`: it is told again, or of a stranger. */
export type PlanTelling = 'push' | 'plan';

/** Works out what pull requests would do, apart from the loop, with limits on time and memory. */
export interface PullPlansPort {
  /** Never throws: what cannot be worked out is `failed`. `fromFork`: registries without login. */
  readonly plan: (ask: {
    readonly base: string;
    readonly head: string;
    readonly live: LiveState;
    readonly fromFork: boolean;
    /** Files of the base that no owner has let through; absent: none. */
    readonly held?: readonly HeldFile[];
  }) => Promise<PullPlan>;
  readonly close: () => Promise<void>;
}

/** A reconciler of the cluster, as runners and the others know it. */
export interface Member {
  readonly name: string;
  /** Where it listens for other machines, `host:port`. */
  readonly address: string;
}

export interface Holder extends Member {
  /** Higher than that of whoever held the lease before: the revision at which it was taken. */
  readonly term: number;
  /** It is ours. */
  readonly mine: boolean;
}

/**
 * One lease for one cluster, kept by something that outlives any reconciler and answers for a
 * majority. It ends `leaseMs` after the last time that it was kept. All methods throw EdgeFailure
 * (`retry`) while nobody answers; then nothing is known, and the lease may have been taken or kept.
 */
export interface LeasePort {
  /** Who holds it now; null: nobody. */
  readonly holder: () => Promise<Holder | null>;
  /** Takes it where nobody has it; who holds it then. */
  readonly acquire: (me: Member) => Promise<Holder>;
  /** Keeps ours from ending; false: it has ended, or we never had it. */
  readonly keep: () => Promise<boolean>;
  /** Ends ours, so that another need not wait. */
  readonly release: () => Promise<void>;
  readonly close: () => void;
}

export type Standing =
  | { readonly kind: 'leads'; readonly term: number }
  | { readonly kind: 'follows'; readonly leader: Member | null };

/** Which of several reconcilers gives orders and writes: one that holds the lease for certain. */
export interface LeadPort {
  /** The term that we lead by at this moment; null: we do not, or cannot be sure of it. */
  readonly term: () => number | null;
  /** Who else leads, as far as is known. */
  readonly leader: () => Member | null;
  /** Where reconcilers of this cluster listen, as far as they are known; this one first. */
  readonly places: () => readonly string[];
  /**
   * Where a runner stands that has followed this term: waits while nobody is known to lead. `signal`:
   * it went away.
   */
  readonly standing: (followed: number, signal: AbortSignal) => Promise<Standing>;
  /** Calls back when we begin or cease to lead. Returns the way to stop. */
  readonly watch: (wake: () => void) => () => void;
}

export interface ReconcilerPorts {
  /** Absent: there is one reconciler, which leads. */
  readonly lead?: LeadPort;
  readonly source: SourcePort;
  readonly nodes: NodesPort;
  readonly registry: RegistryPort;
  readonly clock: ClockPort;
  readonly log: LogPort;
}
