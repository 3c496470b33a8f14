// The end by an error that nobody awaited: a defect, so where it came from is shown.
// In: what was thrown. Out: its words and the places in the code, on stderr, and exit code 2. What
// else an error carries (a URL with its login, the words of a command) is not shown, and a line that
// looks as if it held a secret is none. Not here: errors of commands, which are a sentence (program.ts).

import { forTerminal } from '../schema/plain.ts';
import { looksSecret } from '../schema/secret-text.ts';

const EXIT_CODE = 2;
/** A place in the code: paths may look like anything. */
const PLACE = /^\s+at /;

export const fatalWords = (thrown: unknown): string => {
  const text = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : String(thrown);
  const lines = forTerminal(text)
    .split('\n')
    .map((line) =>
      !PLACE.test(line) && looksSecret(line) ? '*** (this line may hold a secret)' : line,
    );
  return `purser: ended by an error that nobody expected\n${lines.join('\n')}\n`;
};

/** From now on, in this process. */
export const tellFatal = (): void => {
  process.on('uncaughtException', (thrown) => {
    process.stderr.write(fatalWords(thrown));
    process.exit(EXIT_CODE);
  });
};
