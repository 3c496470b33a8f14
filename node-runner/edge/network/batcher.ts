// Joins asks that arrive while one is under way: eight allocations that start together need two
// runs of nft, not eight.
// In: a function that does many at once. Out: a function that does one. Not here: what is done.

/**
 * As many asks as one run takes: keeps the text that nft parses, and the blast of one bad ask,
 * small.
 */
const JOIN_LIMIT = 64;

interface Waiting {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * `work` is given the texts in the order asked. When a joined run fails, each of its texts is run
 * alone, so that only the one at fault fails; the work must therefore be all or nothing, as an
 * nft transaction is.
 */
export const createBatcher = (
  work: (texts: readonly string[]) => Promise<void>,
): ((text: string) => Promise<void>) => {
  const queue: Waiting[] = [];
  let running = false;
  const run = async (batch: readonly Waiting[]): Promise<void> => {
    try {
      await work(batch.map((one) => one.text));
      for (const one of batch) one.resolve();
    } catch (error) {
      if (batch.length === 1) batch[0]?.reject(error);
      else for (const one of batch) await run([one]);
    }
  };
  const drain = async (): Promise<void> => {
    running = true;
    while (queue.length > 0) await run(queue.splice(0, JOIN_LIMIT));
    running = false;
  };
  return (text) =>
    new Promise((resolve, reject) => {
      queue.push({ text, resolve, reject });
      if (!running) void drain();
    });
};
