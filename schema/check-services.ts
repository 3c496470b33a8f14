// Mistakes of meaning in services: those of a group, and those outside that a namespace names.
// In: documents that fit their schema. Out: findings. Not here: which copies are found
// (reconciler/live/catalogue.ts), lines (schema/findings.ts).

import type { ExternalFile, NamespaceFile } from './documents/cluster.ts';
import type { ServiceFile } from './documents/group.ts';
import type { Finding } from './findings.ts';
import { addressKind, isUnspecifiedAddress } from './ip-address.ts';
import type { WrittenGroup } from './written-job.ts';

/** A service's name where it writes none: that of its group, and so of a job without groups. */
export const serviceName = ({ name }: ServiceFile, group: string): string => name ?? group;

export const checkServices = (written: WrittenGroup): readonly Finding[] => {
  const { group, name, pointer } = written;
  const services = group.services ?? [];
  const place = `${pointer}/services`;
  if (services.length > 0 && group.network?.mode === 'none') {
    return [
      {
        pointer: place,
        at: 'key',
        code: 'limits-disagree',
        message: 'Nobody reaches a group without a network (`mode: none`), so it has no services.',
        advice: 'Write `mode: bridge` or `mode: host`, or take `services` out.',
      },
    ];
  }
  const ports = Object.keys(group.ports ?? {});
  return [
    ...services.flatMap((service, at) => checkPort(service, ports, `${place}/${at}`)),
    ...twice(
      services.map((service) => serviceName(service, name)),
      place,
    ),
  ];
};

/** The port may be left out where the group has one. */
const checkPort = (
  { port }: ServiceFile,
  ports: readonly string[],
  pointer: string,
): readonly Finding[] => {
  if (port === undefined) {
    if (ports.length === 1) return [];
    const has = ports.length === 0 ? 'no port' : `${ports.length} ports`;
    return [
      {
        pointer,
        at: 'value',
        code: 'port-unknown',
        message: `A service names no \`port\`, and the group has ${has}.`,
        advice:
          ports.length === 0
            ? 'Add the port under `ports`: every port there can be reached from all nodes.'
            : `Write \`port: ${ports[0]}\`, or another one of them.`,
      },
    ];
  }
  if (ports.includes(port)) return [];
  return [
    {
      pointer: `${pointer}/port`,
      at: 'value',
      code: 'port-unknown',
      message: `A service names the port \`${port}\`, which is not in \`ports\`.`,
    },
  ];
};

const twice = (names: readonly string[], pointer: string): readonly Finding[] =>
  names.flatMap((name, at): readonly Finding[] =>
    names.indexOf(name) === at
      ? []
      : [
          {
            pointer: `${pointer}/${at}`,
            at: 'value',
            code: 'service-twice',
            message: `Two services here are named \`${name}\`.`,
          },
        ],
  );

export const checkExternal = ({ services = [] }: NamespaceFile): readonly Finding[] => [
  ...services.flatMap((service, at) => checkAddresses(service, `/services/${at}`)),
  ...twice(
    services.map(({ name }) => name),
    '/services',
  ),
];

const checkAddresses = (
  { address, addresses }: ExternalFile,
  pointer: string,
): readonly Finding[] => {
  if ((address === undefined) === (addresses === undefined)) {
    const message =
      address === undefined
        ? 'A service outside the cluster names no address.'
        : 'A service names both `address` and `addresses`.';
    const advice = 'Write `address: 192.0.2.7`, or `addresses: [192.0.2.7, 192.0.2.8]`.';
    return [{ pointer, at: 'value', code: 'address-form', message, advice }];
  }
  const places: readonly (readonly [string, string])[] = [
    ...(address === undefined ? [] : [[address, `${pointer}/address`] as const]),
    ...(addresses ?? []).map((one, at) => [one, `${pointer}/addresses/${at}`] as const),
  ];
  return places.flatMap(([written, place]): readonly Finding[] => {
    const kind = isUnspecifiedAddress(written) ? null : addressKind(written);
    if (kind === 'ipv4' || kind === 'ipv6' || (kind === 'name' && address !== undefined)) return [];
    const shown = JSON.stringify(written);
    return [
      {
        pointer: place,
        at: 'value',
        code: 'address-form',
        message:
          kind === 'name'
            ? `${shown} is a host name: it stands alone, as \`address\`.`
            : `${shown} is no address.`,
      },
    ];
  });
};
