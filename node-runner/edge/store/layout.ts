// Where things lie below the runner's state folder.
// In: the root. Out: paths. Not here: any I/O.

import { join } from 'node:path';

export interface Layout {
  readonly root: string;
  readonly orders: string;
  readonly marks: string;
  readonly contact: string;
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
  contact: join(root, 'contact.json'),
  files: join(root, 'files'),
  logs: join(root, 'logs'),
  volumes: join(root, 'volumes'),
});
