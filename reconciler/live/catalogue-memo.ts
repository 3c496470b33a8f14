// What the catalogue remembers from one pass to the next.
// In: nothing. Out: an empty memo, which the caller keeps. With an empty one the same catalogue is
// made, as another object. Not here: what is in it (catalogue.ts).

import type { DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation, LiveNode } from '../../schema/live.ts';
import type { Catalogue, CatalogueService } from '../../schema/services.ts';
import type { Entry } from './instances.ts';

/** A service that groups of jobs in Git declare, whether a copy lives or not. */
export interface Declared extends Pick<CatalogueService, 'namespace' | 'name'> {
  /** How many groups do. */
  readonly groups: number;
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
  /** What `jobs` and `declared` were made of. */
  declaring: DesiredState['jobs'];
  /** What `external` was made of. */
  namespaces: DesiredState['namespaces'];
  /** Ids of the jobs that are known; the same set as long as they are the same. */
  jobs: ReadonlySet<string>;
  /** By id of the service. */
  readonly declared: Map<string, Declared>;
  /** Services outside the cluster, by id. */
  external: ReadonlyMap<string, CatalogueService>;
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
  declaring: [],
  namespaces: [],
  jobs: new Set(),
  declared: new Map(),
  external: new Map(),
  nodes: new Map(),
  noted: new Map(),
  byService: new Map(),
  built: new Map(),
  last: null,
});
