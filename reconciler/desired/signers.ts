// What is wrong with signers/, where signatures are asked for.
// In: what cluster.yaml asks, files. Out: problems. Not here: judging commits (schema/acceptance.ts).

import type { ClusterSpec } from '../../schema/desired.ts';
import type { Problem } from '../../schema/problems.ts';
import { ALLOWED_SIGNERS, signersIn } from '../../schema/signers.ts';
import type { Files } from '../../schema/source.ts';
import { problemOf } from './problem.ts';

const known = new WeakMap<Files, readonly Problem[]>();

export const signerProblems = (
  { verify }: Pick<ClusterSpec, 'verify'>,
  files: Files,
): readonly Problem[] => {
  if (verify === undefined) return [];
  const before = known.get(files);
  if (before !== undefined) return before;
  const { ssh, openpgp, problems } = signersIn(files);
  const message = `cluster.yaml says \`verify: ${verify}\`, and no commit after this one would count.`;
  const missing = problemOf(ALLOWED_SIGNERS, { code: 'signers-missing', message });
  const found = ssh.length + openpgp.length > 0 ? problems : [missing, ...problems];
  known.set(files, found);
  return found;
};
