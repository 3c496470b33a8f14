// Catalogues of services as they come over one session: parts, then differences, into whole ones.
// In: frames of one session, in order. Out: the catalogue after each. Not here: the session itself
// (link.ts), who answers by a catalogue.

import { checkCatalogueFrame } from '../../schema/check-catalogue.ts';
import type { CataloguePart } from '../../schema/generated/purser/link/v1/link.ts';
import {
  applyCatalogue,
  CATALOGUE_BYTES,
  type Catalogue,
  completed,
} from '../../schema/services.ts';

export type CatalogueRead =
  | { readonly kind: 'part' }
  | { readonly kind: 'whole'; readonly catalogue: Catalogue }
  | { readonly kind: 'wrong'; readonly why: string };

export interface CatalogueReader {
  readonly take: (part: CataloguePart) => CatalogueRead;
}

/** One a session: its first catalogue is whole. `known`: what was known before it, and is now. */
export const createCatalogueReader = (known: { catalogue: Catalogue }): CatalogueReader => {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let have: { readonly revision: bigint; readonly catalogue: Catalogue } | null = null;
  return {
    take: ({ revision, from, chunk, last }) => {
      parts.push(chunk);
      bytes += chunk.length;
      if (bytes > CATALOGUE_BYTES) return wrong(`it is larger than ${CATALOGUE_BYTES} bytes`);
      if (!last) return { kind: 'part' };
      const text = Buffer.concat(parts).toString('utf8');
      parts = [];
      bytes = 0;
      if (from !== 0n && from !== have?.revision) {
        return wrong(`it goes on from revision ${from}, which never came`);
      }
      const checked = checkCatalogueFrame(parsed(text));
      if (!checked.ok) return wrong(checked.why);
      const catalogue = applyCatalogue(have?.catalogue ?? null, checked.value);
      if (catalogue === null) return wrong('it goes on from a catalogue that never came');
      have = { revision, catalogue };
      known.catalogue = completed(known.catalogue, catalogue);
      return { kind: 'whole', catalogue: known.catalogue };
    },
  };
};

const wrong = (why: string): CatalogueRead => ({ kind: 'wrong', why });

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
