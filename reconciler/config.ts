// What a reconciler is told when it starts: everything that is not in Git.
// In: nothing. Out: types and limits. Not here: reading command lines (cli).

/** Where the ledger's repository is and how to get in. */
export interface RepositoryConfig {
  /** A path, an http(s) URL, or an ssh URL. */
  readonly url: string;
  readonly branch: string;
  /** The cluster's directory in the repository, '' for its root. */
  readonly directory: string;
  /** File with a token, or null. */
  readonly tokenFile: string | null;
}

export interface ReconcilerConfig {
  readonly cluster: string;
  readonly repository: RepositoryConfig;
  /** A remote's objects, and what was read of them: may be lost at any time. */
  readonly cacheDir: string;
  /** `unix:/path` or `host:port`, for runners. */
  readonly linkAddress: string;
  /** For runners and commands on other machines, by TLS; null: nothing listens beyond this one. */
  readonly listen: ListenConfig | null;
  /** There are more reconcilers of this cluster; absent: this one is alone, and leads. */
  readonly several?: SeveralConfig;
  /** Unix socket for the command line, mode 0600. */
  readonly controlSocket: string;
  /** Unix socket for programs that speak HTTP, mode 0600; absent: none. */
  readonly apiSocket?: string;
  /** docker's config.json with credentials of registries, or null. */
  readonly registryCredentials: string | null;
  /** Registries on loopback that speak plain http. */
  readonly insecureRegistries: readonly string[];
  /** Names the code that runs, down to the byte; null: nothing is kept for the next start. */
  readonly program: string | null;
  /** File with the key that signs Purser's commits and the ledger; null: they stay unsigned. */
  readonly signingKey: { readonly file: string; readonly make: boolean } | null;
  /** A commit that is accepted whoever signed it; null: the first one is judged by its own files. */
  readonly trusted: string | null;
  /** Where the repository is looked at by people and checks are shown; null: nowhere. */
  readonly forge: ForgeConfig | null;
}

export interface ListenConfig {
  /** `host:port`; port 0: a free one. */
  readonly address: string;
  /** The same for programs that speak HTTP; absent: they ask at the Unix socket alone. */
  readonly apiAddress?: string;
  /** The cluster's certificate authority, made where there is none, and who may come in. */
  readonly folder: string;
}

/** How several reconcilers agree on which of them leads. */
export interface SeveralConfig {
  /** Of this reconciler, for people and for the others. */
  readonly name: string;
  /** Where others reach it, `host:port`; null: at the address where it listens. */
  readonly advertise: string | null;
  readonly etcd: EtcdConfig;
  /** A leader that is gone is replaced after this time. */
  readonly leaseMs: number;
}

export interface EtcdConfig {
  /** `host:port` of each member. */
  readonly hosts: readonly string[];
  /** Files, PEM; null: without TLS, on loopback only. */
  readonly tls: {
    readonly ca: string;
    readonly certificate: string | null;
    readonly key: string | null;
  } | null;
  readonly user: { readonly name: string; readonly passwordFile: string } | null;
}

/** A repository on GitHub, or on a GitHub Enterprise Server, and how to get in. */
export interface ForgeConfig {
  readonly kind: 'github';
  /** `https://api.github.com`, or `https://HOST/api/v3`. */
  readonly apiUrl: string;
  readonly owner: string;
  readonly repo: string;
  readonly credentials: ForgeCredentials;
  /** Where deliveries arrive; null: there is no webhook, everything is asked for. */
  readonly webhook: WebhookConfig | null;
  /** One comment on each pull request; false: none, and an older one is folded. */
  readonly comments: boolean;
  /** An http(s) address: where people see what the cluster runs. Absent: deployments name none. */
  readonly environmentUrl?: string;
}

/** Files are read anew whenever they are needed, so that keys and tokens can be exchanged. */
export type ForgeCredentials =
  | {
      readonly kind: 'app';
      readonly appId: number;
      readonly installation: number;
      readonly privateKeyFile: string;
    }
  /** Without an App there are commit statuses and a comment, no checks and no buttons. */
  | { readonly kind: 'token'; readonly tokenFile: string };

export interface WebhookConfig {
  /** `host:port`; behind a proxy that ends TLS where the forge is not on this machine. */
  readonly address: string;
  readonly path: string;
  readonly secretFile: string;
}

/** The author of the machine's commits. */
export const MACHINE_AUTHOR = { name: 'Purser', email: 'purser@localhost' } as const;

/**
 * Of a commit that the machine makes and pushes by itself: the branch that it is for. One that it
 * offers as a pull request has none: whoever brings that to the branch, it is not the machine.
 */
export const PUSHED_TRAILER = 'Purser-Pushed';

/** Rounds in which compile may ask for more (architecture, `asks`). */
export const ASK_ROUNDS = 3;
/** An approval that was not used by then is forgotten: the world has changed (rules 8.2). */
export const APPROVAL_MS = 7 * 24 * 3600 * 1000;
/**
 * A first plan without the nodes would say nothing but that they are not heard from, and be made
 * anew at once: it waits so long for their first reports.
 */
export const FIRST_REPORTS_MS = 500;
/** Without any event the loop looks again this often: watches may lose things. */
export const LOOK_AGAIN_MS = 15_000;
/**
 * A pass of many nodes takes tens of milliseconds, of thousands a second, in which no report is
 * taken in and no handshake answered: for so many times as long the next one, of further reports,
 * is waited with. A commit does not wait.
 */
export const REST_TIMES = 2;
export const REST_MAX_MS = 1000;
/**
 * Reports that say nothing new, one a node every five seconds, need no pass each: of a thousand
 * nodes that would be 200 a second. What is shown of use and silence is older by so much at most,
 * and such passes take one part in twenty at most.
 */
export const QUIET_MS = 1000;
export const QUIET_TIMES = 20;
/** After an edge failure that says `retry`: first and longest wait. */
export const RETRY_FIRST_MS = 500;
export const RETRY_LONGEST_MS = 30_000;
/** The reason of an abort that only wakes: no error with a stack is made for it. */
export const WOKEN = 'woken';
/** Events kept in memory for `purser events` (rules 10.5). */
export const EVENTS_KEPT = 2000;
