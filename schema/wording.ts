// Small words of messages: lists, values as shown to people, names of levels, near spellings.
// In: values. Out: text. Not here: whole messages (schema/parse-messages.ts, schema/check-job.ts).

import leven from 'leven';
import type { DocumentKind } from './documents.ts';

/** A longer text is cut in a message: the line that it stands in is shown anyway. */
const MAX_SHOWN = 60;

/** `a, b or c`. */
export const joinWords = (words: readonly string[], last: 'and' | 'or'): string =>
  words.length < 2
    ? (words[0] ?? '')
    : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;

/** A value in a message: texts in quotes, collections by their kind. */
export const showValue = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value !== 'string') return JSON.stringify(value);
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
};

/**
 * The one candidate that is spelled nearly the same; null when none is near. Ties go to the first.
 */
export const nearest = (written: string, candidates: readonly string[]): string | null => {
  const most = Math.max(1, Math.floor(written.length / 3));
  let best: { readonly candidate: string; readonly distance: number } | null = null;
  for (const candidate of candidates) {
    const distance = leven(written.toLowerCase(), candidate, { maxDistance: most + 1 });
    if (distance <= most && (best === null || distance < best.distance))
      best = { candidate, distance };
  }
  return best?.candidate ?? null;
};

const documentNames: Readonly<Record<DocumentKind, string>> = {
  cluster: 'cluster.yaml',
  node: 'a node file',
  namespace: 'a namespace file',
  job: 'a job',
  scale: 'a scale file',
};

/** What a place in a document is called: `a job`, "group `web`", "task `server`", "`update`". */
export const levelName = (kind: DocumentKind, path: readonly string[]): string => {
  const [last, above] = [path.at(-1), path.at(-2)];
  if (last === undefined) return documentNames[kind];
  if (kind === 'job' && above === 'groups' && path.length === 2) return `group \`${last}\``;
  if (kind === 'job' && above === 'tasks') return `task \`${last}\``;
  return /^[0-9]+$/.test(last) ? `an item of \`${above ?? ''}\`` : `\`${last}\``;
};
