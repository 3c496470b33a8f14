// Where things lie below the runner's state folder, and which names may become parts of paths.
// In: the root, names. Out: paths, or an EdgeFailure. Not here: any I/O.

import { join } from 'node:path';

import { EdgeFailure } from '../failure.ts';

export interface Layout {
  readonly root: string;
  readonly orders: string;
  readonly marks: string;
  /** `files/<allocation>/<task>/<hash of the container path>` */
  readonly files: string;
  /** `logs/<allocation>/<task>.<run>.log` */
  readonly logs: string;
  /** `volumes/<namespace>.<job>.<group>.<index>.<name>` */
  readonly volumes: string;
}

export const layoutOf = (root: string): Layout => ({
  root,
  orders: join(root, 'orders.json'),
  marks: join(root, 'marks.json'),
  files: join(root, 'files'),
  logs: join(root, 'logs'),
  volumes: join(root, 'volumes'),
});

/** Longest name of a file that Linux file systems take. */
const NAME_LIMIT = 255;

/** Names come from orders: one that would leave its folder is refused, whoever sent it. */
export const refuseBadName = (name: string): void => {
  const fits = name !== '' && name.length <= NAME_LIMIT;
  if (fits && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)) return;
  const message = `"${name.slice(0, 80)}" cannot be the name of a file on the node`;
  throw new EdgeFailure({ consequence: 'broken', blame: 'version', reason: 'bad-spec', message });
};
