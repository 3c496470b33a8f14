// `purser-reconciler.mjs`: the reconciler in one file, which needs nothing but Node and git beside it.
// It takes the words of `purser reconciler`. The thread in which pull requests are planned is this file
// too. In: argv. Out: a reconciler until it is ended. Not here: all other commands.

import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { tellFatal } = await import('./fatal.ts');
  tellFatal();
  const { runProgram } = await import('./program.ts');
  const { reconciler } = await import('./reconciler.ts');
  const words = process.argv.slice(2);
  const argv = words[0] === '--version' ? words : ['reconciler', ...words];
  process.exitCode = await runProgram(argv, async () => [{ title: '', specs: [reconciler] }]);
  process.exit();
} else {
  await import('../reconciler/pull-worker.ts');
}
