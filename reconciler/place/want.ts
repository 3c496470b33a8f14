// What placement is asked for: copies that should be somewhere.
// In: nothing. Out: types. Not here: who wants them (plan/group), where they go (place.ts).

import type { GroupSpec } from '../../schema/spec.ts';

/** One copy that should be somewhere. */
export interface Want {
  readonly namespace: string;
  readonly group: GroupSpec;
  /** `<namespace>/<job>/<group>`: what is spread over nodes. */
  readonly groupKey: string;
  /** The only node that will do: the home of its volumes. null: any. */
  readonly only: string | null;
  /** The copy that it replaces: its room counts on its own node, behind its stop. */
  readonly victim: Victim | null;
  /** Allowances of which this want takes one each (plan/budget). */
  readonly draws: readonly string[];
  /**
   * A move or a replacement uses no more than what runs now, so a quota does not stop it (rules
   * 13).
   */
  readonly countsForQuota: boolean;
}

export interface Victim {
  readonly node: string;
  readonly allocation: string;
  readonly hostPorts: readonly number[];
  readonly spec: GroupSpec;
}
