// What a benchmark is and what it says: ours, a floor or peer measured in the same run, their
// ratio, and the goal beside it. In: samples. Out: rows, and their text. Not here: what is measured
// (figures/), how things are started (cluster.ts, ctr.ts).

/** One line of the table. */
export interface Row {
  readonly what: string;
  /** What Purser took or reached. */
  readonly ours: string;
  /** The floor or the peer, measured in the same run; '' where the goal is absolute. */
  readonly floor: string;
  /** What is compared with the goal: a ratio or a number with its unit. */
  readonly result: string;
  readonly goal: string;
  readonly met: boolean;
}

export interface Figure {
  readonly name: string;
  /** One line for `npm run bench` without a name. */
  readonly what: string;
  /** `scale`: 1 as documented; less for a quick look. */
  readonly run: (options: FigureOptions) => Promise<readonly Row[]>;
}

export interface FigureOptions {
  /** Rounds, requests or copies, where the figure takes a number; null: its own. */
  readonly count: number | null;
  readonly seed: number;
  /** Resolves when it may measure; a figure that prepares for minutes waits for it once. */
  readonly ready: () => Promise<void>;
  readonly say: (line: string) => void;
}

/** The value below which this part of the samples lies. */
export const quantile = (samples: readonly number[], part: number): number => {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
};

/** The middle one, or the mean of the two in the middle. */
export const median = (samples: readonly number[]): number => {
  const sorted = samples.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const low = sorted[Math.ceil(half) - 1] ?? Number.NaN;
  return (low + (sorted[Math.floor(half)] ?? low)) / 2;
};

export const ms = (value: number): string =>
  `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;

/** `median 81 ms (best 77, p90 95)` */
export const spread = (samples: readonly number[]): string => {
  const rest = `best ${ms(Math.min(...samples))}, p90 ${ms(quantile(samples, 0.9))}`;
  return `${ms(median(samples))} (${rest})`;
};

/** A Markdown table. */
export const tableOf = (rows: readonly Row[]): string =>
  [
    '| figure | Purser | floor or peer | result | goal | met |',
    '|---|---|---|---|---|---|',
    ...rows.map(
      ({ what, ours, floor, result, goal, met }) =>
        `| ${[what, ours, floor, result, goal, met ? 'yes' : '**no**'].join(' | ')} |`,
    ),
  ].join('\n');
