// The labels of a container: what lets a runner that has lost everything else recognise its own
// copies. In: facts of one task of one allocation. Out: a flat map of text, and back again. One
// codec for both directions. Not here: the body of the allocation (too large for labels: it lives
// in the accepted orders).

/** Every label of ours starts with this; a container without it is foreign (rules 9.5). */
export const LABEL_PREFIX = 'purser.';

/** containerd refuses a label whose key and value together are longer, in bytes. */
export const LABEL_BYTES = 4096;

export interface ContainerLabels {
  readonly cluster: string;
  readonly node: string;
  readonly allocation: string;
  readonly task: string;
  readonly namespace: string;
  readonly job: string;
  readonly group: string;
  readonly index: number;
  readonly attempt: number;
  readonly specHash: string;
  readonly groupHash: string;
  readonly deployment: string;
  readonly commit: string;
  /** The version of this copy once settled (rules 2.4). */
  readonly settled: boolean;
  /** The copy was once healthy for its `minHealthyMs` (rules 4.2). */
  readonly everHealthy: boolean;
  /** Restarts of this task since it was first started. */
  readonly restarts: number;
}

const TEXTS = [
  'cluster',
  'node',
  'allocation',
  'task',
  'namespace',
  'job',
  'group',
  'specHash',
  'groupHash',
  'deployment',
  'commit',
] as const;
const NUMBERS = ['index', 'attempt', 'restarts'] as const;
const FLAGS = ['settled', 'everHealthy'] as const;

/** `purser.<field>` → text. Equal facts give equal labels. */
export const encodeLabels = (facts: ContainerLabels): Readonly<Record<string, string>> => {
  const labels: Record<string, string> = {};
  for (const field of TEXTS) labels[LABEL_PREFIX + field] = facts[field];
  for (const field of NUMBERS) labels[LABEL_PREFIX + field] = String(facts[field]);
  for (const field of FLAGS) labels[LABEL_PREFIX + field] = facts[field] ? 'yes' : 'no';
  return labels;
};

/**
 * The facts, or null when a label is missing or is not what encodeLabels writes: then the container
 * is foreign.
 */
export const decodeLabels = (labels: Readonly<Record<string, string>>): ContainerLabels | null => {
  const found: Record<string, string | number | boolean> = {};
  for (const field of TEXTS) {
    const text = labels[LABEL_PREFIX + field];
    if (text === undefined) return null;
    found[field] = text;
  }
  for (const field of NUMBERS) {
    const text = labels[LABEL_PREFIX + field];
    if (text === undefined || !/^(0|[1-9]\d{0,14})$/.test(text)) return null;
    found[field] = Number(text);
  }
  for (const field of FLAGS) {
    const text = labels[LABEL_PREFIX + field];
    if (text !== 'yes' && text !== 'no') return null;
    found[field] = text === 'yes';
  }
  return found as unknown as ContainerLabels;
};

/** True when every label of `wanted` is there with the same text; others are not ours to judge. */
export const hasLabels = (
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): boolean => Object.entries(wanted).every(([key, text]) => labels[key] === text);
