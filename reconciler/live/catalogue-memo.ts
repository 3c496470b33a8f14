// What the catalogue remembers from one pass to the next.
// In: nothing. Out: an empty memo, which the caller keeps. With an empty one the same catalogue is
// made, as another object. Not here: what is in it (catalogue.ts).

import type { DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation, LiveNode } from '../../schema/live.ts';
import type { Catalogue, CatalogueService, ServiceInstance } from '../../schema/services.ts';
import type { Entry } from './instances.ts';

/** What Git says of a service, whether a copy lives or not. */
export interface Declared {
  readonly namespace: string;
  readonly name: string;
  /** Addresses outside the cluster. */
  readonly external: readonly ServiceInstance[];
}

/** Entries of one node, with all that they were made of. */
export interface KnownEntries {
  readonly allocations: readonly LiveAllocation[];
  readonly sent: LiveNode['sent'];
  readonly jobs: ReadonlySet<string>;
  readonly isLost: boolean;
  readonly isAlone: boolean;
  readonly entries: readonly Entry[];
}

export interface Services {
  readonly catalogue: Catalogue;
  /** Instances that are not listed, since there are more than CATALOGUE_INSTANCES. */
  readonly leftOut: number;
}

export interface CatalogueMemo {
  desired: Pick<DesiredState, 'jobs' | 'namespaces'> | null;
  /** Ids of the jobs that are known; the same set as long as they are the same. */
  jobs: ReadonlySet<string>;
  /** By id. */
  declared: ReadonlyMap<string, Declared>;
  /** By name of the node. */
  readonly nodes: Map<string, KnownEntries>;
  /** By name of the node: its entries that stand in `byService`. */
  readonly noted: Map<string, readonly Entry[]>;
  /** By id of the service, then by name of the node. */
  readonly byService: Map<string, Map<string, readonly Entry[]>>;
  /** By id. */
  readonly built: Map<string, CatalogueService>;
  last: Services | null;
}

export const createCatalogueMemo = (): CatalogueMemo => ({
  desired: null,
  jobs: new Set(),
  declared: new Map(),
  nodes: new Map(),
  noted: new Map(),
  byService: new Map(),
  built: new Map(),
  last: null,
});
