// Catalogues for tests of discovery: small, every field can be replaced.
// In: what matters to the test. Out: complete values. Not here: any behaviour.

import type { Catalogue, CatalogueService, ServiceInstance } from '../../schema/services.ts';

export const instance = (fields: Partial<ServiceInstance> = {}): ServiceInstance => ({
  allocation: 'a1-0-1',
  node: 'n1',
  job: 'web',
  group: 'web',
  address: '192.0.2.1',
  port: 20_001,
  tags: [],
  ...fields,
});

/** An address outside the cluster. */
export const outside = (address: string, port = 5432): ServiceInstance =>
  instance({ allocation: null, node: null, job: null, group: null, address, port });

export const service = (id: string, instances: readonly ServiceInstance[]): CatalogueService => {
  const [namespace = '', name = ''] = id.split('/');
  return { namespace, name, instances };
};

export const catalogue = (...services: readonly CatalogueService[]): Catalogue => ({ services });
