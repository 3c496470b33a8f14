// What must hold of services (rules 16): runners list what is ready, all of it and nothing else, and a
// copy is taken from the lists before it is told to stop.
// In: the truth, and what each node knows. Out: violations. Only nodes are looked at that one
// reconciler has seen for a while, over a network that is well: others may know too little or too
// much. Not here: what a node does with what it knows (unit tests of node-runner/decide).

import { slotName } from '../../schema/ids.ts';
import type { Ms } from '../../schema/spec.ts';
import { seenBy, type Context } from './check-context.ts';
import { SHUTDOWN_DELAY_MS } from './drafts.ts';
import { idOf, type Copy } from './truth.ts';

export interface ServicesCheck {
  /** A look at all nodes; told often. */
  readonly look: () => void;
  /** The main task of a copy is about to get a signal. */
  readonly signalled: (copy: Copy) => void;
}

/** A report, a pass and a frame, each late once: Git may take seconds, and so may containerd. */
const LISTED_WITHIN_MS: Ms = 30_000;

export const createServicesCheck = (context: Context): ServicesCheck => {
  /** Since when something is wrong, by what it is. */
  const wrongSince = new Map<string, Ms>();
  return {
    look: () => {
      const now = context.truth.time.now();
      const wrong = new Set(isSlow(context) ? [] : wrongNow(context));
      for (const what of wrongSince.keys()) if (!wrong.has(what)) wrongSince.delete(what);
      for (const what of wrong) {
        const since = wrongSince.get(what) ?? now;
        wrongSince.set(what, since);
        if (now - since > LISTED_WITHIN_MS) context.fail('services', what);
      }
    },
    signalled: (copy) => signalled(context, copy),
  };
};

/** A pass takes as long as Git does. */
const isSlow = ({ human }: Context): boolean => human.repo.faults.slowMs > 0;

/** What it has been told, by a reconciler that sees the copy's node too; null: not to be judged. */
const toldBy = (context: Context, node: string): string | null =>
  context.links.isCalm(node) ? seenBy(context, node) : null;

interface Known {
  readonly node: string;
  readonly listed: ReadonlyMap<string, string>;
}

/** Nodes that this reconciler tells, and the copies that each of them knows, with their nodes. */
const knownBy = ({ truth, links, ...rest }: Context, reconciler: string): readonly Known[] =>
  [...truth.nodes.keys()].flatMap((node) => {
    const catalogue = links.catalogue(node);
    if (catalogue === null || toldBy({ truth, links, ...rest }, node) !== reconciler) return [];
    const instances = catalogue.services.flatMap((service) => service.instances);
    const listed = instances.flatMap(({ allocation, node: where }) =>
      allocation === null || where === null ? [] : [[allocation, where] as const],
    );
    return [{ node, listed: new Map(listed) }];
  });

const wrongNow = (context: Context): readonly string[] => {
  const { truth } = context;
  const reconcilers = new Set([...truth.nodes.keys()].map((node) => toldBy(context, node)));
  const copies = truth.running();
  return [...reconcilers].flatMap((reconciler) =>
    reconciler === null
      ? []
      : knownBy(context, reconciler).flatMap((known) => [
          ...notReady(context, { known, copies, reconciler }),
          ...notListed(context, { known, copies, reconciler }),
        ]),
  );
};

interface Scene {
  readonly known: Known;
  readonly copies: readonly Copy[];
  readonly reconciler: string;
}

const notReady = (context: Context, { known, copies, reconciler }: Scene): readonly string[] =>
  [...known.listed].flatMap(([allocation, where]) => {
    if (toldBy(context, where) !== reconciler) return [];
    const runs = copies.some((copy) => copy.allocation === allocation);
    if (runs && context.truth.serving.has(allocation)) return [];
    return [`${known.node} lists ${allocation} of ${where}, which is not ready`];
  });

const notListed = (context: Context, { known, copies, reconciler }: Scene): readonly string[] =>
  copies.flatMap((copy) => {
    const { allocation, node, body } = copy;
    const { truth, human } = context;
    const draft = human.intent().jobs.get(idOf(body));
    const isMeant = draft?.broken === false && (body.spec.services ?? []).length > 0;
    const isIn = isMeant && truth.serving.has(allocation) && !truth.orderedToStop(node, allocation);
    if (!isIn || known.listed.has(allocation) || toldBy(context, node.name) !== reconciler)
      return [];
    return [`${known.node} does not list ${allocation} of ${node.name}, which is ready`];
  });

/**
 * 16.3: whoever asks on the copy's own node is told no more of it once the order to stop has come,
 * and elsewhere before `shutdown_delay` is over.
 */
const signalled = (context: Context, copy: Copy): void => {
  const { allocation, node, body } = copy;
  if ((body.spec.services ?? []).length === 0) return;
  const item = node.disk.orders?.items.find((entry) => entry.allocation === allocation);
  // One that waits for an image is listed until then, where no other one is.
  if (item?.kind === 'run' || item?.images !== undefined) return;
  const reconciler = toldBy(context, node.name);
  if (reconciler === null) return;
  const isLong = body.spec.shutdownDelayMs >= SHUTDOWN_DELAY_MS;
  const late = knownBy(context, reconciler).find(
    (known) => known.listed.has(allocation) && (isLong || known.node === node.name),
  );
  if (late === undefined) return;
  context.fail(
    'services',
    `${slotName(body)}: ${allocation} is told to stop, and ${late.node} lists it`,
  );
};
