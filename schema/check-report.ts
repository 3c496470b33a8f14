// What a node runner sends, looked at before it is believed.
// In: what came over the link. Out: the frame, or what is wrong with it, in a sentence. Control
// characters in sentences are taken out, since they are shown on terminals; nothing else is mended.
// Not here: the form itself (report-form.ts), what a report means (reconciler/live).

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Static, TSchema } from 'typebox';
import { checkers } from './generated/report-checkers.ts';
import {
  type copiesForm,
  helloForm,
  type patchesForm,
  reportForm,
  type startForm,
} from './report-form.ts';
import { formatSize } from './units.ts';
import type { AllocationReport, FailureRecord } from './orders.ts';
import { BODY_BYTES, type ReportFrame } from './wire.ts';
import type { Columns } from './wire-columns.ts';

export type CheckedReport =
  | { readonly ok: true; readonly frame: ReportFrame }
  | { readonly ok: false; readonly why: string };

export interface Sender {
  /** Whom the session belongs to: a runner speaks for itself alone. */
  readonly cluster: string;
  readonly node: string;
  /** What it sent, in bytes. */
  readonly bytes: number;
}

export const checkReport = (value: unknown, from: Sender): CheckedReport => {
  const fault = faultIn('report', value);
  if (fault !== null) return { ok: false, why: fault };
  const frame: ReportFrame = value as Static<typeof reportForm>;
  const why = strangerIn([frame.head, ...frame.bodies], from) ?? disagreement(frame, from);
  return why === null ? { ok: true, frame: withPlainSentences(frame) } : { ok: false, why };
};

export type ReportStart = Pick<ReportFrame, 'whole' | 'head'>;
export type ReportCopies = Omit<ReportFrame, keyof ReportStart>;

/** The first half of a report by itself; null: something is wrong, which checkReport tells. */
export const checkStart = (value: unknown, from: Sender): ReportStart | null => {
  if (!checkers.start(value)) return null;
  const { whole, head }: ReportStart = value as Static<typeof startForm>;
  return strangerIn([head], from) === null ? { whole, head: withPlainHead(head) } : null;
};

/** The other half, in the same way. */
export const checkCopies = (value: unknown, from: Sender): ReportCopies | null => {
  if (!checkers.copies(value)) return null;
  const copies: ReportCopies = value as Static<typeof copiesForm>;
  const why = strangerIn(copies.bodies, from) ?? disagreement(copies, from);
  return why === null ? { ...copies, ...withPlainCopies(copies) } : null;
};

/** What changed of copies, by itself, likewise. */
export const checkPatches = (value: unknown): Columns | null =>
  checkers.patches(value) ? withPlainColumns(value as Static<typeof patchesForm>) : null;

/** What is wrong with whom a runner says it is; null: nothing. */
export const checkHello = (hello: unknown): string | null => faultIn('hello', hello);

/** ajv is asked only where the quick checker says no: making it takes longer than all reports do. */
const faultIn = (what: keyof typeof explainers, value: unknown): string | null => {
  if (checkers[what](value)) return null;
  const check = explainers[what]();
  return check(value) ? null : faultOf(check.errors);
};

/** Made when first used. */
const explainerOf = (schema: TSchema): (() => ValidateFunction) => {
  let made: ValidateFunction | null = null;
  // Without the optimizer, which takes longer than it saves: 240 ms to make it instead of 85.
  const ajv = () => new Ajv({ strict: true, code: { optimize: false } });
  // TypeBox hides a few properties in its schemas; ajv sees plain JSON.
  return () => (made ??= ajv().compile(JSON.parse(JSON.stringify(schema))));
};
const explainers = { hello: explainerOf(helloForm), report: explainerOf(reportForm) };

/** The place alone: what stands there may be anything, and this is logged and sent back. */
const faultOf = (errors: ValidateFunction['errors']): string => {
  const [first]: readonly ErrorObject[] = errors ?? [];
  const place = first?.instancePath.slice(1, PLACE_CHARS) ?? '';
  return `${place === '' ? 'the whole' : place}: ${first?.message ?? 'not what was expected'}`;
};

/** A place is made of names of fields and of numbers, unless somebody plays tricks. */
const PLACE_CHARS = 200;

type Speaker = Pick<Sender, 'node' | 'cluster'>;

const strangerIn = (speakers: readonly Speaker[], from: Sender): string | null => {
  const strange = speakers.find(
    ({ node, cluster }) => node !== from.node || cluster !== from.cluster,
  );
  return strange === undefined
    ? null
    : `it speaks for ${strange.node} of another cluster or node than its session`;
};

const disagreement = ({ bodies, changed }: ReportCopies, from: Sender): string | null => {
  // Characters are at most bytes, so what is over the limit here is over it on the disk too.
  const large =
    from.bytes > BODY_BYTES && bodies.find((body) => JSON.stringify(body).length > BODY_BYTES);
  if (large !== false && large !== undefined) {
    return `the body of ${large.allocation} is larger than ${formatSize(BODY_BYTES)}`;
  }
  return isSaidTwice(changed) ? 'an allocation stands in it twice' : null;
};

const isSaidTwice = (copies: readonly { readonly allocation: string }[]): boolean =>
  new Set(copies.map(({ allocation }) => allocation)).size < copies.length;

const withPlainSentences = (frame: ReportFrame): ReportFrame => ({
  ...frame,
  head: withPlainHead(frame.head),
  ...withPlainCopies(frame),
});

const withPlainCopies = ({ changed, patches }: ReportCopies) => ({
  changed: changed.map(withPlainFacts),
  ...(patches && { patches: withPlainColumns(patches) }),
});

type Head = ReportFrame['head'];

const withPlainHead = (head: Head): Head => {
  const { conditions, fetched = [] } = head;
  const isPlainAll =
    conditions.every(({ message }) => isPlain(message)) &&
    fetched.every(({ failure }) => isPlain(failure?.message));
  if (isPlainAll) return head;
  return {
    ...head,
    conditions: conditions.map(({ kind, message }) => ({ kind, message: plain(message) })),
    ...(head.fetched && {
      fetched: fetched.map((one) => ({
        ...one,
        failure: one.failure && { ...one.failure, message: plain(one.failure.message) },
      })),
    }),
  };
};

const withPlainFacts = <T extends Pick<AllocationReport, 'failure' | 'tasks'>>(one: T): T => {
  const { failure, tasks } = one;
  const isPlainAll =
    isPlain(failure?.message) && tasks.every(({ lastCheck }) => isPlain(lastCheck));
  if (isPlainAll) return one;
  return {
    ...one,
    failure: withPlainMessage(failure),
    tasks: tasks.map((task) =>
      isPlain(task.lastCheck) ? task : { ...task, lastCheck: plain(task.lastCheck ?? '') },
    ),
  };
};

const withPlainColumns = (columns: Columns): Columns => {
  const { facts, tasks } = columns;
  const [{ failure }, { lastCheck }] = [facts, tasks];
  const isPlainAll =
    (failure?.is.every((one) => isPlain(one?.message)) ?? true) &&
    (lastCheck?.is.every(isPlain) ?? true);
  if (isPlainAll) return columns;
  return {
    ...columns,
    facts: {
      ...facts,
      ...(failure && { failure: { ...failure, is: failure.is.map(withPlainMessage) } }),
    },
    tasks: {
      ...tasks,
      ...(lastCheck && {
        lastCheck: { ...lastCheck, is: lastCheck.is.map((one) => one && plain(one)) },
      }),
    },
  };
};

const withPlainMessage = (failure: FailureRecord | null): FailureRecord | null =>
  failure && { ...failure, message: plain(failure.message) };

const CONTROL = /\p{Cc}/u;

/** Nearly all are: what they stand in is not copied then. */
const isPlain = (sentence: string | null | undefined): boolean => !CONTROL.test(sentence ?? '');

/** What a check printed may hold anything; a terminal would obey some of it. */
const plain = (sentence: string): string => sentence.replaceAll(/\p{Cc}+/gu, ' ');
