// Placement rules: `attribute operator value` as one string.
// In: the text. Out: its parts, or null where this release cannot read it.
// Not here: which nodes satisfy it (reconciler/place).

import type { ConstraintSpec } from '../../schema/spec.ts';

const RULE = /^\s*(node\.[A-Za-z0-9][A-Za-z0-9._/-]*)\s*(!?=)\s*(\S(?:.*\S)?)\s*$/;

export const constraintOf = (text: string): ConstraintSpec | null => {
  const [, attribute = '', operator, value = ''] = RULE.exec(text) ?? [];
  if (operator !== '=' && operator !== '!=') return null;
  return { attribute, operator, value, text };
};
