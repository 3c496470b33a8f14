// The five kinds of documents that people write, as JSON Schemas (2020-12) and the types derived
// from them.
// In: nothing. Out: the table of kinds. A document's type is what the file says once it has been
// checked (schema/parse.ts): short forms and units are still as written. Not here: their meaning
// (schema/spec.ts, desired.ts).

import type { TSchema } from 'typebox';
import {
  clusterSchema,
  namespaceSchema,
  nodeSchema,
  scaleSchema,
  type ClusterFile,
  type NamespaceFile,
  type NodeFile,
  type ScaleFile,
} from './documents/cluster.ts';
import { jobSchema, type JobFile } from './documents/job.ts';

export type DocumentKind = 'cluster' | 'node' | 'namespace' | 'job' | 'scale';

/** The written form of each kind. */
export interface Documents {
  readonly cluster: ClusterFile;
  readonly node: NodeFile;
  readonly namespace: NamespaceFile;
  readonly job: JobFile;
  readonly scale: ScaleFile;
}

export const schemas: Readonly<Record<DocumentKind, TSchema>> = {
  cluster: clusterSchema,
  node: nodeSchema,
  namespace: namespaceSchema,
  job: jobSchema,
  scale: scaleSchema,
};
