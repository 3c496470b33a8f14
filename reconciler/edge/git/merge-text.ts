// Two changes of one file put together line by line, as Git does it.
// In: the text that both started from, and the two. Out: the text with both changes; null where
// they touch the same lines. Not here: folders and modes (merge).

/**
 * Lines that one side may have taken out and put in: two people's edits of one file are far fewer,
 * and the work grows with the square. Beyond it the file counts as a conflict.
 */
const EDITS = 2000;

export const mergeText = (base: string, ours: string, theirs: string): string | null => {
  const lines = linesOf(base);
  const [a, b] = [hunksOf(lines, linesOf(ours)), hunksOf(lines, linesOf(theirs))];
  if (a === null || b === null) return null;
  const merged: string[] = [];
  let [at, nextA, nextB] = [0, 0, 0];
  for (;;) {
    const start = Math.min(a[nextA]?.start ?? Infinity, b[nextB]?.start ?? Infinity);
    if (start === Infinity) break;
    const cluster: Cluster = { start, end: start, ours: [], theirs: [] };
    // Changes that overlap or touch belong together: no unchanged line tells them apart.
    for (let grown = true; grown;) {
      const [mine, other] = [a[nextA], b[nextB]];
      if (mine !== undefined && mine.start <= cluster.end) {
        cluster.ours.push(mine);
        nextA += 1;
        cluster.end = Math.max(cluster.end, mine.end);
      } else if (other !== undefined && other.start <= cluster.end) {
        cluster.theirs.push(other);
        nextB += 1;
        cluster.end = Math.max(cluster.end, other.end);
      } else grown = false;
    }
    const now = resolve(lines, cluster);
    if (now === null) return null;
    for (const line of lines.slice(at, start)) merged.push(line);
    for (const line of now) merged.push(line);
    at = cluster.end;
  }
  return [...merged, ...lines.slice(at)].join('');
};

/** Lines `start` up to `end` of the base are replaced. */
interface Hunk {
  readonly start: number;
  readonly end: number;
  readonly lines: readonly string[];
}

interface Cluster {
  readonly start: number;
  end: number;
  readonly ours: Hunk[];
  readonly theirs: Hunk[];
}

/** Who alone changed something has it their way; two who did the same agree. */
const resolve = (base: readonly string[], cluster: Cluster): readonly string[] | null => {
  const a = applied(base, cluster, cluster.ours);
  const b = applied(base, cluster, cluster.theirs);
  if (cluster.theirs.length === 0) return a;
  if (cluster.ours.length === 0) return b;
  return a.join('') === b.join('') ? a : null;
};

const applied = (
  base: readonly string[],
  { start, end }: Cluster,
  hunks: readonly Hunk[],
): readonly string[] => {
  const lines: string[] = [];
  let at = start;
  for (const hunk of hunks) {
    lines.push(...base.slice(at, hunk.start), ...hunk.lines);
    at = hunk.end;
  }
  return [...lines, ...base.slice(at, end)];
};

const linesOf = (text: string): readonly string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** What turns `from` into `to`, in order; null: more than EDITS. */
const hunksOf = (from: readonly string[], to: readonly string[]): readonly Hunk[] | null => {
  let head = 0;
  while (head < from.length && head < to.length && from[head] === to[head]) head += 1;
  let tail = 0;
  const shorter = Math.min(from.length, to.length) - head;
  while (tail < shorter && from[from.length - 1 - tail] === to[to.length - 1 - tail]) tail += 1;
  const a = from.slice(head, from.length - tail);
  const b = to.slice(head, to.length - tail);
  const kept = commonLines(a, b);
  if (kept === null) return null;
  const hunks: Hunk[] = [];
  let [x, y] = [0, 0];
  for (const [keptX, keptY] of [...kept, [a.length, b.length] as const]) {
    if (keptX > x || keptY > y) {
      hunks.push({ start: head + x, end: head + keptX, lines: b.slice(y, keptY) });
    }
    [x, y] = [keptX + 1, keptY + 1];
  }
  return hunks;
};

type Pair = readonly [from: number, to: number];

/**
 * Pairs of equal lines of a longest common subsequence, ascending: E. W. Myers, "An O(ND)
 * Difference Algorithm and Its Variations" (1986). null: more than EDITS edits.
 */
const commonLines = (a: readonly string[], b: readonly string[]): readonly Pair[] | null => {
  const most = Math.min(a.length + b.length, EDITS);
  const reach = new Map<number, number>([[1, 0]]);
  const trace: ReadonlyMap<number, number>[] = [];
  for (let edits = 0; edits <= most; edits += 1) {
    trace.push(new Map(reach));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = stepFrom(reach, edits, diagonal).x;
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x += 1;
      reach.set(diagonal, x);
      if (x >= a.length && x - diagonal >= b.length) return walkBack(trace, [a.length, b.length]);
    }
  }
  return null;
};

/** Where a path on this diagonal starts, after one line taken out or put in. */
const stepFrom = (reach: ReadonlyMap<number, number>, edits: number, diagonal: number) => {
  const [below, above] = [reach.get(diagonal + 1) ?? 0, reach.get(diagonal - 1) ?? 0];
  const isDown = diagonal === -edits || (diagonal !== edits && above < below);
  return isDown ? { x: below, from: diagonal + 1 } : { x: above + 1, from: diagonal - 1 };
};

const walkBack = (trace: readonly ReadonlyMap<number, number>[], end: Pair): readonly Pair[] => {
  const pairs: Pair[] = [];
  let [x, y] = end;
  for (let edits = trace.length - 1; edits > 0; edits -= 1) {
    const reach = trace[edits] ?? new Map<number, number>();
    const step = stepFrom(reach, edits, x - y);
    while (x > step.x) {
      x -= 1;
      y -= 1;
      pairs.push([x, y]);
    }
    x = reach.get(step.from) ?? 0;
    y = x - step.from;
  }
  while (x > 0 && y > 0) {
    x -= 1;
    y -= 1;
    pairs.push([x, y]);
  }
  return pairs.toReversed();
};
