// Documents read in small steps before they are needed, so that a program with a thousand of them
// to read can do other things in between. In: files and the memo. Out: a step at a time; nothing
// but the memo learns from it, which changes how long compile takes and nothing else.
// Not here: what is done between the steps (the loop).

import { kindOf } from '../../schema/paths.ts';
import type { Files } from '../../schema/source.ts';
import type { CompileMemo } from './memo.ts';
import { createReader } from './read.ts';

/** A few milliseconds of work, also in a process that was just started. */
const READ_AT_ONCE = 20;

/** Steps end when all is read; at once where a tree was looked at before, as little is new then. */
export const readAhead = function* readAhead(files: Files, memo: CompileMemo): Generator<void> {
  if (memo.last !== null) return;
  const read = createReader(memo.reads);
  let count = 0;
  for (const [path, file] of files) {
    const kind = kindOf(path);
    if (kind === null) continue;
    read(kind, path, file);
    count += 1;
    if (count % READ_AT_ONCE === 0) yield;
  }
};
