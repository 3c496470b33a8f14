// The forge as far as it is asked who is behind a commit: who wrote it, and who had approved it when
// it came (rules 8.2).
// In: what people meant. Out: answers that take their time, and failures while it is away. Not here:
// what follows from an answer (reconciler/screen).

import type { ForgePort } from '../../../reconciler/ports.ts';
import type { Person } from '../../../schema/behind.ts';
import type { Human } from '../human.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';

export interface SimForge {
  /** It answers nobody. */
  down: boolean;
  readonly behind: (process: Process) => ForgePort['behind'];
}

export const createForge = (time: SimTime, human: Human): SimForge => {
  const random = time.random.fork('forge');
  const forge: SimForge = {
    down: false,
    behind: (process) => (ask) =>
      process.call('who is behind', random.between(50, 4_000), () => {
        const away = { kind: 'edge-failure', consequence: 'retry', message: 'It is away.' };
        if (forge.down || ask.kind !== 'commit') throw away;
        const { makers } = human.meanings.find(({ oid }) => oid === ask.commit) ?? {};
        if (makers === undefined) throw away;
        const { author, approvals } = makers;
        return { authors: [personOf(author)], approvals: approvals.map(personOf) };
      }),
  };
  return forge;
};

const personOf = (name: string): Person => ({ name, as: [`@${name}`] });
