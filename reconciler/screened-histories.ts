// Histories with what no owner has let through left out, as in the files of their tree.
// In: how histories are read. Out: the same for trees with held files. Not here: which files are
// held (screen), what is left out (desired/held-files).

import type { SourcePort } from './ports.ts';
import { historyWithHeld } from './desired/held-files.ts';

type Complete = SourcePort['complete'];

export const completeScreened =
  (complete: Complete): Complete =>
  async (tree, asked) => {
    const whole = await complete(tree, asked);
    const { held } = tree;
    if (held === undefined || whole.histories === tree.histories) return whole;
    const histories = new Map(
      [...whole.histories].map(([path, history]) => [
        path,
        tree.histories.get(path) === history ? history : historyWithHeld(history, held),
      ]),
    );
    return { ...whole, histories };
  };
