// What this machine is called where nobody says it. In: its host name. Out: a name as nodes and
// reconcilers have it. Not here: whether that name is free.

import { hostname } from 'node:os';

/** Of the machine where the name is not given: `web-1.example.org` is `web-1`. */
export const ownName = (): string =>
  (hostname().split('.')[0] ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
