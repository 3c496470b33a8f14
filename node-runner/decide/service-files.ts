// The catalogue as files that load balancers and monitoring read: HAProxy, Traefik, Prometheus.
// In: the services with their ready copies. Out: text, the same for the same services. What a file
// cannot hold is left out: names come from elsewhere, and none may end a line or a quotation. Pure.
// Not here: writing (edge/service-files.ts), when (discovery.ts).

import type { Catalogue, CatalogueService, ServiceInstance } from '../../schema/services.ts';
import { familyOf, labelOf } from './dns.ts';

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
  const sound = services.filter(isSound).map((service) => ({
    ...service,
    instances: service.instances.filter(isSoundInstance),
  }));
  switch (kind) {
    case 'haproxy':
      return haproxy(sound);
    case 'traefik':
      return traefik(sound);
    case 'prometheus':
      return prometheus(sound);
  }
};

const HEAD =
  '# Written by Purser whenever a service changes: what is written here by hand is lost.\n';

/** Names of the field's own alphabet: nothing that a line or a quotation could end with. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
/** An IPv4 or IPv6 address, or a host name. */
const ADDRESS = /^[A-Za-z0-9:][A-Za-z0-9.:_-]*$/;

const isSound = ({ namespace, name }: CatalogueService): boolean =>
  NAME.test(namespace) && NAME.test(name);

const isSoundInstance = (instance: ServiceInstance): boolean =>
  ADDRESS.test(instance.address) &&
  NAME.test(labelOf(instance)) &&
  Number.isInteger(instance.port) &&
  instance.port > 0 &&
  instance.port < 65_536;

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
        return `    server ${labelOf(instance)} ${hostPort(instance)} check${later}\n`;
      });
      return `\nbackend ${namespace}_${name}\n    balance roundrobin\n${lines.join('')}`;
    })
    .join('');

/**
 * Each service under both `http` and `tcp`, as `shop-web`: a router takes the one of its own kind.
 * Traefik refuses a list that is empty, so a service without a ready copy is not there.
 */
const traefik = (services: readonly CatalogueService[]): string => {
  const some = services.filter(({ instances }) => instances.length > 0);
  if (some.length === 0) return HEAD;
  const section = (kind: 'http' | 'tcp', server: (instance: ServiceInstance) => string) => {
    const texts = some.map(({ namespace, name, instances }) => {
      const servers = instances.map((instance) => `          - ${server(instance)}\n`).join('');
      const id = JSON.stringify(`${namespace}-${name}`);
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
