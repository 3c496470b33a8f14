// The catalogue as files that load balancers and monitoring read: HAProxy, Traefik, Prometheus.
// In: the services with their ready copies, checked (schema/check-catalogue.ts): no name may end a
// line or a quotation. Out: text, the same for the same services. Pure.
// Not here: writing (edge/service-files.ts), when (discovery.ts).

import type { Catalogue, CatalogueService, ServiceInstance } from '../../schema/services.ts';
import { familyOf } from './dns.ts';

export type FileKind = 'haproxy' | 'traefik' | 'prometheus';

/** The catalogue without the copies of this node that are not ready any more. */
export const presentIn = (
  { services }: Catalogue,
  isOut: (instance: ServiceInstance) => boolean,
): Catalogue => ({
  services: services.map((service) =>
    service.instances.some(isOut)
      ? { ...service, instances: service.instances.filter((instance) => !isOut(instance)) }
      : service,
  ),
});

export const renderFile = (kind: FileKind, { services }: Catalogue): string => {
  switch (kind) {
    case 'haproxy':
      return haproxy(services);
    case 'traefik':
      return traefik(services);
    case 'prometheus':
      return prometheus(services);
  }
};

const HEAD =
  '# Written by Purser whenever a service changes: what is written here by hand is lost.\n';

const hostPort = ({ address, port }: ServiceInstance): string =>
  familyOf(address) === 'AAAA' ? `[${address}]:${port}` : `${address}:${port}`;

/**
 * `backend shop_web` with a line a copy: names have no underscore of their own. A service without a
 * ready copy keeps its backend, which then answers 503, so that the configuration stays sound. A
 * host name that nobody knows now is no reason not to start.
 */
const haproxy = (services: readonly CatalogueService[]): string =>
  HEAD +
  services
    .map(({ namespace, name, instances }) => {
      const lines = instances.map((instance) => {
        const later = familyOf(instance.address) === null ? ' init-addr libc,none' : '';
        // Each name once: HAProxy refuses the whole file otherwise.
        const name = instance.allocation ?? hostPort(instance).replaceAll(/[[\]]/g, '');
        return `    server ${name} ${hostPort(instance)} check${later}\n`;
      });
      return `\nbackend ${namespace}_${name}\n    balance roundrobin\n${lines.join('')}`;
    })
    .join('');

/**
 * Each service under both `http` and `tcp`, as `shop_web`: a router takes the one of its own kind.
 * Names have hyphens of their own: `web` of `a-b` and `b-web` of `a` would be one name with a hyphen,
 * and Traefik takes no file with a name twice.
 * Traefik refuses a list that is empty, so a service without a ready copy is not there.
 */
const traefik = (services: readonly CatalogueService[]): string => {
  const some = services.filter(({ instances }) => instances.length > 0);
  if (some.length === 0) return HEAD;
  const section = (kind: 'http' | 'tcp', server: (instance: ServiceInstance) => string) => {
    const texts = some.map(({ namespace, name, instances }) => {
      const servers = instances.map((instance) => `          - ${server(instance)}\n`).join('');
      const id = JSON.stringify(`${namespace}_${name}`);
      return `    ${id}:\n      loadBalancer:\n        servers:\n${servers}`;
    });
    return `${kind}:\n  services:\n${texts.join('')}`;
  };
  return (
    HEAD +
    section('http', (instance) => `url: ${JSON.stringify(`http://${hostPort(instance)}`)}`) +
    section('tcp', (instance) => `address: ${JSON.stringify(hostPort(instance))}`)
  );
};

/** A group of one target a copy, for labels of its own; tags between commas, as Consul's are. */
const prometheus = (services: readonly CatalogueService[]): string => {
  const groups = services.flatMap(({ namespace, name, instances }) =>
    instances.map((instance) => ({
      targets: [hostPort(instance)],
      labels: {
        purser_namespace: namespace,
        purser_service: name,
        ...(instance.job === null ? {} : { purser_job: instance.job }),
        ...(instance.node === null ? {} : { purser_node: instance.node }),
        ...(instance.allocation === null ? {} : { purser_allocation: instance.allocation }),
        ...(instance.tags.length === 0 ? {} : { purser_tags: `,${instance.tags.join(',')},` }),
      },
    })),
  );
  return `${JSON.stringify(groups, null, 2)}\n`;
};
