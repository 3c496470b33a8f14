// The texts of buttons, within the forge's limits: a label of 20 characters, a description of 40.
// In: nothing. Out: a table. Not here: which button is there when, what a click does
// (reconciler/forge).

import { coversOf, type Covered } from '../../schema/covered.ts';
import type { Button, ButtonId } from '../../schema/forge.ts';

export const BUTTONS: { readonly [Id in ButtonId]: Button & { readonly id: Id } } = {
  approve: { id: 'approve', label: 'Approve', description: 'Allow what waits for approval' },
  rollback: {
    id: 'rollback',
    label: 'Roll back',
    description: 'A commit that takes this one back',
  },
  promote: { id: 'promote', label: 'Promote', description: 'A commit that promotes the canary' },
  retry: { id: 'retry', label: 'Retry', description: 'A commit that starts failed jobs anew' },
  reland: { id: 'reland', label: 'Re-land', description: 'A commit that takes this revert back' },
};

/** It carries what the text above it shows. */
export const approveButton = (covered: Covered): Button => ({
  ...BUTTONS.approve,
  covers: coversOf(covered),
});
