// Catalogues of services, looked at before they are believed: what stands in them comes to DNS, and
// into files of load balancers and of monitoring.
// In: what came over the link, or was kept on the disk. Out: the value, or what is wrong with it, in
// a sentence. Fields that are not named here are let through, since a newer reconciler may send more.
// Not here: parts and differences (node-runner/edge/link-catalogue.ts), the files themselves.

import { fieldOf } from './field-of.ts';
import { addressKind, isUnspecifiedAddress } from './ip-address.ts';
import { NAME_PATTERN, NODE_NAME_PATTERN, TAG_PATTERN } from './patterns.ts';
import {
  type Catalogue,
  type CatalogueFrame,
  instanceKey,
  SERVICE_TAGS,
  serviceId,
  type ServiceInstance,
} from './services.ts';

type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly why: string };

/** A difference, or a whole catalogue, as it travels. */
export const checkCatalogueFrame = (value: unknown): Checked<CatalogueFrame> => {
  const why = faultOfFrame(value);
  return why === null ? { ok: true, value: value as CatalogueFrame } : { ok: false, why };
};

export const checkCatalogue = (value: unknown): Checked<Catalogue> => {
  const why = faultOfServices(fieldOf(value, 'services')) ?? faultOfUnheard(value);
  return why === null ? { ok: true, value: value as Catalogue } : { ok: false, why };
};

const faultOfFrame = (value: unknown): string | null => {
  if (typeof fieldOf(value, 'whole') !== 'boolean') return 'it does not say whether it is whole';
  const changed = fieldOf(value, 'changed');
  const why = faultOfServices(changed) ?? faultOfUnheard(value);
  if (why !== null) return why;
  if (!areTexts(fieldOf(value, 'gone'))) return 'what is gone is no list of names';
  return (changed as readonly unknown[]).every((one) => areTexts(fieldOf(one, 'dropped')))
    ? null
    : 'what a service dropped is no list of keys';
};

const faultOfUnheard = (value: unknown): string | null => {
  const unheard = fieldOf(value, 'unheard');
  return unheard === undefined || areTexts(unheard) ? null : 'nodes not heard from are no list';
};

const faultOfServices = (services: unknown): string | null => {
  if (!Array.isArray(services)) return 'its services are no list';
  const seen = new Set<string>();
  for (const service of services as readonly unknown[]) {
    const namespace = fieldOf(service, 'namespace');
    const name = fieldOf(service, 'name');
    if (!isName(namespace) || !isName(name)) {
      return `${shown(namespace)} and ${shown(name)} are no names of a namespace and a service`;
    }
    const id = serviceId({ namespace, name });
    if (seen.has(id)) return `${id} stands in it twice`;
    seen.add(id);
    const why = faultOfInstances(fieldOf(service, 'instances'));
    if (why !== null) return `${id}: ${why}`;
  }
  return null;
};

const faultOfInstances = (instances: unknown): string | null => {
  if (!Array.isArray(instances)) return 'its instances are no list';
  const seen = new Set<string>();
  for (const instance of instances as readonly unknown[]) {
    const why = faultOfOwner(instance) ?? faultOfPlace(instance) ?? faultOfTags(instance);
    if (why !== null) return why;
    const key = instanceKey(instance as ServiceInstance);
    if (seen.has(key)) return `${key} stands in it twice`;
    seen.add(key);
  }
  return null;
};

/** All four names, or none of what is outside. */
const faultOfOwner = (instance: unknown): string | null => {
  const allocation = fieldOf(instance, 'allocation');
  const node = fieldOf(instance, 'node');
  const others = [fieldOf(instance, 'job'), fieldOf(instance, 'group')];
  if (allocation === null) {
    return [node, ...others].every((one) => one === null)
      ? null
      : 'an address outside has a node, a job or a group';
  }
  if (!isName(allocation)) return `${shown(allocation)} is no copy`;
  if (!isText(node, NODE_NAME)) return `${shown(node)} is no name of a node`;
  const odd = others.find((one) => !isName(one));
  return odd === undefined && others.every(isName) ? null : `${shown(odd)} is no job or group`;
};

/** A copy is at an address of its node; only what is outside may have a host name. */
const faultOfPlace = (instance: unknown): string | null => {
  const address = fieldOf(instance, 'address');
  const port = fieldOf(instance, 'port');
  const kind = typeof address === 'string' ? addressKind(address) : null;
  const isCopy = fieldOf(instance, 'allocation') !== null;
  if (typeof address !== 'string' || kind === null || (kind === 'name' && isCopy)) {
    return `${shown(address)} is no address`;
  }
  if (isUnspecifiedAddress(address)) return `${address} is nobody's address`;
  const isPort = Number.isInteger(port) && Number(port) > 0 && Number(port) <= PORT_MAX;
  return isPort ? null : `${shown(port)} is no port`;
};

const faultOfTags = (instance: unknown): string | null => {
  const tags = fieldOf(instance, 'tags');
  if (!Array.isArray(tags)) return 'its tags are no list';
  if (tags.length > SERVICE_TAGS) return `${tags.length} tags, more than ${SERVICE_TAGS}`;
  const odd = (tags as readonly unknown[]).findIndex((tag) => !isText(tag, TAG));
  return odd === -1 ? null : `${shown(tags[odd])} is no tag`;
};

const PORT_MAX = 65_535;
const NAME = new RegExp(NAME_PATTERN);
const NODE_NAME = new RegExp(NODE_NAME_PATTERN);
const TAG = new RegExp(TAG_PATTERN);

const isText = (value: unknown, form: RegExp): value is string =>
  typeof value === 'string' && form.test(value);

const isName = (value: unknown): value is string => isText(value, NAME);

const areTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

const SHOWN_CHARACTERS = 80;

/** Stands in a log and on terminals: in quotation marks, cut, and nothing that a terminal obeys. */
const shown = (value: unknown): string =>
  JSON.stringify(
    typeof value === 'string' ? value.slice(0, SHOWN_CHARACTERS) : typeof value,
  ).replaceAll(/[^\x20-\x7e]/g, '?');
