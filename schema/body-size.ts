// How large bodies are when they travel.
// In: groups as compiled, which are most of a body. Out: bytes. Remembered by group, since copies
// come and go and their groups stay the same values. Not here: the limits (schema/wire.ts), who
// keeps to them (reconciler/place, node-runner/accept).

import type { GroupSpec } from './spec.ts';

/** What a body holds beside its group: names, hashes, attributes of its node. */
const AROUND_BYTES = 1024;

const known = new WeakMap<GroupSpec, number>();

/** Bytes of a body with this group as JSON, rather a few hundred too many than too few. */
export const bodyBytes = (group: GroupSpec): number => {
  const remembered = known.get(group);
  if (remembered !== undefined) return remembered;
  const bytes = utf8Bytes(JSON.stringify(group)) + AROUND_BYTES;
  known.set(group, bytes);
  return bytes;
};

/**
 * Length in UTF-8, without making a copy. A lone surrogate counts 3, as its replacement character
 * does.
 */
export const utf8Bytes = (text: string): number => {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x80) continue;
    bytes += code < 0x800 ? 1 : 2;
    // A pair of surrogates has four bytes and two characters.
    if (code >= 0xd800 && code < 0xdc00 && isSecond(text.charCodeAt(at + 1))) {
      at += 1;
    }
  }
  return bytes;
};

const isSecond = (code: number): boolean => code >= 0xdc00 && code < 0xe000;
