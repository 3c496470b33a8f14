// What GitHub's REST API answers, as far as Purser reads it.
// In: nothing. Out: types by GitHub's own names. Not here: asking (wire).

export interface ApiUser {
  readonly login: string;
  readonly id: number;
  /** `User`, `Bot`; absent in some answers. */
  readonly type?: string;
}

export interface ApiPull {
  readonly number: number;
  readonly title: string;
  /** null: the account is gone. */
  readonly user: ApiUser | null;
  readonly state: 'open' | 'closed';
  readonly merged_at: string | null;
  readonly closed_at: string | null;
  readonly updated_at: string;
  readonly body: string | null;
  readonly html_url: string;
  readonly head: {
    readonly sha: string;
    readonly ref: string;
    /** null: the fork is gone. */
    readonly repo: { readonly full_name: string } | null;
  };
  readonly base: { readonly ref: string; readonly repo: { readonly full_name: string } };
}

export interface ApiCheck {
  readonly id: number;
  readonly external_id: string | null;
  readonly status: 'queued' | 'in_progress' | 'completed';
  readonly conclusion: string | null;
  readonly started_at: string | null;
  readonly output: {
    readonly title: string | null;
    readonly summary: string | null;
    readonly text: string | null;
    readonly annotations_count: number;
  };
  readonly app: { readonly id: number } | null;
}

export interface ApiAnnotation {
  readonly path: string;
  readonly start_line: number;
  readonly end_line: number;
  readonly annotation_level: 'notice' | 'warning' | 'failure' | null;
  readonly title: string | null;
  readonly message: string | null;
}

export interface ApiStatus {
  readonly state: 'error' | 'failure' | 'pending' | 'success';
  readonly description: string | null;
  readonly context: string;
  readonly created_at: string;
  readonly creator: ApiUser | null;
}

export interface ApiComment {
  readonly id: number;
  readonly node_id: string;
  readonly body?: string;
  readonly user: ApiUser | null;
  readonly created_at: string;
  readonly updated_at: string;
  /** `https://HOST/repos/o/r/issues/7`. */
  readonly issue_url: string;
  readonly html_url: string;
  readonly reactions?: { readonly total_count: number };
}

export interface ApiDeployment {
  readonly id: number;
  readonly sha: string;
  readonly environment: string;
  readonly creator: ApiUser | null;
}

export interface ApiDeploymentStatus {
  readonly state: string;
  readonly description: string;
  readonly environment_url?: string;
}

export interface ApiDelivery {
  readonly id: number;
  readonly guid: string;
  readonly delivered_at: string;
  /** null: it is about no repository. */
  readonly repository_id: number | null;
  readonly event: string;
  readonly action: string | null;
  /** `OK`, `timed out`, `failed to connect to host`, `Invalid HTTP Response: 502`. */
  readonly status: string;
  /** 0: nobody answered. */
  readonly status_code: number;
}
