// What the copies of one node say about services: each ready, or why it is not.
// In: a node under the orders that are being sent, and what is thought of it. Out: an entry for each
// service of each copy. A runner is believed only what may stand in an answer: an address is one.
// Not here: which of them are listed (catalogue.ts).

import { unaged } from '../../schema/ageing.ts';
import { addressKind, isLoopbackAddress, isUnspecifiedAddress } from '../../schema/ip-address.ts';
import type { LiveAllocation, LiveNode } from '../../schema/live.ts';
import {
  type CatalogueService,
  serviceId,
  type ServiceInstance,
  type WaitingInstance,
} from '../../schema/services.ts';

export interface Entry extends Pick<CatalogueService, 'namespace' | 'name'> {
  /** Of the service. */
  readonly id: string;
  /**
   * `last`: it was ready when it was heard of last and may serve still; it is listed where no other
   * one is.
   */
  readonly standing: 'ready' | 'last' | 'waiting';
  /** null: nobody knows its address. */
  readonly instance: ServiceInstance | null;
  /** `why` is empty of one that is ready. */
  readonly waiting: WaitingInstance;
}

export interface About {
  /** Ids of the jobs that Git knows, or knew in the last synced commit. */
  readonly jobs: ReadonlySet<string>;
  readonly isLost: boolean;
  /** There is no other node, so that a loopback address will do. */
  readonly isAlone: boolean;
}

export const entriesOf = (node: LiveNode, about: About): readonly Entry[] =>
  unaged(node).flatMap((copy): readonly Entry[] => {
    const { namespace, job, group, spec } = copy.body;
    const { services = [] } = spec;
    if (services.length === 0) return [];
    // What nobody wrote into Git is about to be stopped, and takes no name.
    if (copy.phase === 'dead' || !about.jobs.has(`${namespace}/${job}`)) return [];
    return services.map(({ name, port, tags }): Entry => {
      const { allocation } = copy;
      const host = copy.ports.find((one) => one.name === port)?.host ?? null;
      const address = copy.address !== null && isIp(copy.address) ? copy.address : null;
      const instance =
        address === null || host === null || host === 0
          ? null
          : { allocation, node: node.name, job, group, address, port: host, tags };
      const { standing, why } = standingOf(copy, node, { ...about, port, address, host });
      const waiting = { allocation, node: node.name, job, group, tags, why };
      return { id: serviceId({ namespace, name }), namespace, name, standing, instance, waiting };
    });
  });

const isIp = (address: string): boolean => {
  const kind = addressKind(address);
  return (kind === 'ipv4' || kind === 'ipv6') && !isUnspecifiedAddress(address);
};

type Standing = Pick<Entry, 'standing'> & Pick<WaitingInstance, 'why'>;

interface Place extends About {
  readonly port: string;
  readonly address: string | null;
  readonly host: number | null;
}

/** The first reason that holds. */
const standingOf = (copy: LiveAllocation, node: LiveNode, place: Place): Standing => {
  const waits = (why: string): Standing => ({ standing: 'waiting', why });
  if (copy.phase === 'stopping') return waits('is being stopped');
  if (copy.phase === 'pending') return waits('has not started yet');
  const unreached = unreachedWords(node, place);
  if (unreached !== null) return waits(unreached);
  if (!isServing(copy)) return waits(notReadyWords(copy));
  const last = (why: string): Standing => ({ standing: 'last', why });
  if (copy.stopping) {
    // Its stop waits for images, maybe for minutes (rules 5.7); any other begins at once.
    return stopNamesImages(copy, node)
      ? last('is stopped as soon as the next image is here')
      : waits('is being stopped');
  }
  if (place.isLost) return last(`${node.name} is lost`);
  return { standing: 'ready', why: '' };
};

/** Healthy, or not asked anew since its runner was started again. */
const isServing = ({ health, wasHealthy }: LiveAllocation): boolean =>
  health === 'healthy' || (health === 'unproven' && wasHealthy === true);

const unreachedWords = (node: LiveNode, { port, address, host, isAlone }: Place) => {
  if (host === null || host === 0) return `its version has no port ${port}`;
  if (address === null) return `${node.name} tells no address at which its ports answer`;
  if (isAlone || !isLoopbackAddress(address)) return null;
  return (
    `${node.name} says that its address is ${address}, where no other node reaches it: ` +
    'start its runner with --address'
  );
};

const notReadyWords = ({ health, tasks, failure }: LiveAllocation): string => {
  const said = tasks.find(({ lastCheck }) => lastCheck !== null)?.lastCheck ?? failure?.message;
  const words = health === 'unhealthy' ? 'not healthy' : 'not ready yet';
  return said === undefined ? words : `${words}: ${said}`;
};

const stopNamesImages = (
  { allocation, stopWaits }: LiveAllocation,
  { sent }: LiveNode,
): boolean => {
  if (stopWaits !== undefined) return true;
  const item = sent?.items.find((one) => one.allocation === allocation);
  return item?.kind === 'stop' && item.images !== undefined;
};
