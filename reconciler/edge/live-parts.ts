// Live state on its way to a thread of its own: only what changed since it was sent last, in parts
// small enough that whoever sends them can do other things in between. In: live states, one after
// the other. Out: parts; and live states again, in which what did not change is the same object.
// Not here: the thread (pull-plans).

import type { Fact, Facts } from '../../schema/ageing.ts';
import { apartFromCopies, ageingNode, factsOf } from '../../schema/ageing.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';

/** Copies of one node that are news; `gone` are there no more. */
export interface CopiesPart {
  readonly node: string;
  readonly changed: readonly SentCopy[];
  readonly gone: readonly string[];
}

interface SentCopy {
  readonly allocation: LiveAllocation;
  readonly since: Ms;
}

/** All nodes, without their copies. */
export interface HeadPart {
  readonly upForMs: Ms;
  readonly nodes: readonly NodeHead[];
}

interface NodeHead extends Omit<LiveNode, 'allocations'> {
  readonly heardAt: Ms;
}

/** Copies in one part: to copy them for another thread takes some milliseconds. */
const COPIES_AT_ONCE = 50;

export interface LiveSender {
  /** What changed since the state that was handed in last. */
  readonly parts: (live: LiveState) => Generator<CopiesPart>;
  readonly head: (live: LiveState) => HeadPart;
}

export const createLiveSender = (): LiveSender => {
  /** By node: the list as it was looked at last, and its copies by id. */
  const sent = new Map<
    string,
    { readonly list: unknown; readonly copies: Map<string, SentCopy> }
  >();
  const partsOf = function* partsOf(node: LiveNode): Generator<CopiesPart> {
    const { list, copies: now } = copiesOf(node);
    const before = sent.get(node.name);
    if (before?.list === list) return;
    const old = before?.copies ?? new Map<string, SentCopy>();
    const known = new Map([...now].map((copy) => [copy.allocation.allocation, copy]));
    sent.set(node.name, { list, copies: known });
    const gone = [...old.keys()].filter((id) => !known.has(id));
    const changed = now.filter((copy) => !isSame(copy, old.get(copy.allocation.allocation)));
    if (gone.length > 0) yield { node: node.name, changed: [], gone };
    for (let at = 0; at < changed.length; at += COPIES_AT_ONCE) {
      yield { node: node.name, changed: changed.slice(at, at + COPIES_AT_ONCE), gone: [] };
    }
  };
  return {
    parts: function* parts(live) {
      const names = new Set(live.nodes.map(({ name }) => name));
      for (const [name, { copies }] of sent) {
        if (names.has(name)) continue;
        sent.delete(name);
        yield { node: name, changed: [], gone: [...copies.keys()] };
      }
      for (const node of live.nodes) yield* partsOf(node);
    },
    head: ({ upForMs, nodes }) => ({ upForMs, nodes: nodes.map(headOf) }),
  };
};

const isSame = (a: SentCopy, b: SentCopy | undefined): boolean =>
  a.allocation === b?.allocation && a.since === b.since;

const copiesOf = (node: LiveNode) => {
  const facts = factsOf(node);
  const list = facts?.allocations ?? node.allocations;
  const copies =
    facts?.facts.map(({ allocation, since }): SentCopy => ({ allocation, since })) ??
    node.allocations.map((allocation): SentCopy => ({ allocation, since: node.silentForMs }));
  return { list, copies };
};

/** Which orders were sent is no news. */
const headOf = (node: LiveNode): NodeHead => ({
  ...apartFromCopies(node),
  sent: node.sent === null ? null : withoutItems(node.sent),
  heardAt: factsOf(node)?.heardAt ?? 0,
});

/** Which orders were sent, but not what stands in them. */
export const withoutItems = (orders: NodeOrders): NodeOrders => ({ ...orders, items: [] });

export interface LiveReceiver {
  readonly take: (part: CopiesPart) => void;
  /** The state whose parts were taken. */
  readonly live: (head: HeadPart) => LiveState;
}

export const createLiveReceiver = (): LiveReceiver => {
  const facts = new Map<string, Map<string, Fact>>();
  const lists = new Map<string, Pick<Facts, 'facts' | 'allocations'>>();
  return {
    take: ({ node, changed, gone }) => {
      const mine = facts.get(node) ?? new Map<string, Fact>();
      facts.set(node, mine);
      lists.delete(node);
      for (const id of gone) mine.delete(id);
      for (const { allocation, since } of changed) {
        mine.set(allocation.allocation, { allocation, since, usage: allocation.usage });
      }
    },
    live: ({ upForMs, nodes }) => ({
      upForMs,
      nodes: nodes.map((head) => {
        const known = lists.get(head.name) ?? listOf(facts.get(head.name));
        lists.set(head.name, known);
        return ageingNode({ ...known, heardAt: head.heardAt, connected: head.connected }, head);
      }),
    }),
  };
};

const listOf = (known: ReadonlyMap<string, Fact> | undefined) => {
  const facts = [...(known?.values() ?? [])].toSorted((a, b) =>
    compareText(a.allocation.allocation, b.allocation.allocation),
  );
  return { facts, allocations: facts.map(({ allocation }) => allocation) };
};
