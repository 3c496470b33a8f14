// The seed of every property test that names none of its own: the same in each run, so that a run
// says something of the code and nothing of luck. In: PURSER_SEED, for whoever looks for more. Out:
// fast-check's settings.

import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['PURSER_SEED'] ?? 1) });
