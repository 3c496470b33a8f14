// Which of several reconcilers leads, in lines for `purser status`. In: what one of them says of it.
// Out: lines. Not here: what the leader does.

import { pc } from './colours.ts';
import type { LeaderAnswer } from '../schema/control.ts';
import { formatAge } from '../schema/units.ts';

/** From here on a standby that the leader does not hear is shown as silent. */
const SILENT_MS = 15_000;

export const leaderLines = (answer: LeaderAnswer): readonly string[] => {
  const { me, leads, term, leader, problem } = answer;
  const trouble =
    problem === null
      ? []
      : [
          pc.red(
            `! The lease cannot be looked at for ${formatAge(problem.forMs)}: ${problem.message}`,
          ),
        ];
  if (leads) return [`${me.name} leads (lease ${term})${standbyWords(answer)}`, ...trouble];
  if (leader !== null) {
    return [`${me.name} is a standby: ${leader.name} leads, at ${leader.address}`, ...trouble];
  }
  const since = answer.leaderlessMs === null ? '' : ` for ${formatAge(answer.leaderlessMs)}`;
  return [
    pc.red(`! Nobody is known to lead${since}, as ${me.name} sees it`),
    'Containers run on, and runners restart what ends; nothing is rolled out, moved or reverted until somebody leads.',
    ...trouble,
  ];
};

const standbyWords = ({ standbys }: LeaderAnswer): string => {
  if (standbys.length === 0) return pc.yellow('; no standby is heard from');
  const words = standbys.map(({ name, address, silentForMs }) =>
    silentForMs < SILENT_MS
      ? `${name} at ${address}`
      : pc.yellow(`${name} at ${address}, silent for ${formatAge(silentForMs)}`),
  );
  return `; standbys: ${words.join(', ')}`;
};
