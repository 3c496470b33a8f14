// Where everything of a cluster on this machine lies below its root.
// In: the root. Out: paths. `purser down` removes all of it but the repository and the volumes.

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface NodeLayout {
  readonly name: string;
  readonly root: string;
  /** Network namespace that the runner lives in; null: the machine's own. */
  readonly netns: string | null;
  readonly log: string;
}

/** Below the root. */
export const SIGNING_KEY = 'signing-key';
/** The cluster's certificate authority, and who has joined: worth a backup, as the key is. */
export const AUTHORITY_FOLDER = 'authority';
/** Beside the control socket: HTTP for programs. */
export const API_SOCKET = 'api.sock';

export interface Layout {
  readonly root: string;
  readonly repository: string;
  readonly cache: string;
  readonly linkSocket: string;
  readonly controlSocket: string;
  readonly pidFile: string;
  readonly settings: string;
  readonly signingKey: string;
  readonly authority: string;
  readonly reconcilerLog: string;
  readonly nodesDir: string;
}

export const layoutOf = (root: string): Layout => ({
  root,
  repository: join(root, 'repository'),
  cache: join(root, 'cache'),
  linkSocket: join(root, 'link.sock'),
  controlSocket: join(root, 'control.sock'),
  pidFile: join(root, 'up.pid'),
  settings: join(root, 'up.json'),
  signingKey: join(root, SIGNING_KEY),
  authority: join(root, AUTHORITY_FOLDER),
  reconcilerLog: join(root, 'logs', 'reconciler.log'),
  nodesDir: join(root, 'nodes'),
});

/** What `up` was asked, for `down` and for the next `up`. */
export interface UpSettings {
  readonly repository: string;
  readonly branch: string;
  readonly directory: string;
  readonly cluster: string;
  readonly nodes: readonly NodeLayout[];
  /** Absent where an earlier release wrote it. */
  readonly tokenFile?: string | null;
}

/** What the last `up` of this root was asked; null: there was none. */
export const readSettings = async (layout: Layout): Promise<UpSettings | null> => {
  const text = await readFile(layout.settings, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as UpSettings);
};

/** What Purser made itself right below its root, beside the nodes and the example's repository. */
export const ownPaths = (layout: Layout): readonly string[] => [
  layout.cache,
  layout.linkSocket,
  layout.controlSocket,
  layout.pidFile,
  layout.settings,
  dirname(layout.reconcilerLog),
];

export const nodeLayout = (layout: Layout, name: string, netns: string | null): NodeLayout => {
  const root = join(layout.nodesDir, name);
  return {
    name,
    root,
    netns,
    log: join(layout.root, 'logs', `node-${name}.log`),
  };
};
