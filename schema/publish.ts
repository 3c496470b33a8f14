// Writes what is published from the schemas into the repository: `npm run generate`.
// In: nothing. Out: files under schema/json and docs. The only file of this folder that touches the
// disk: it is no part of any program. Not here: what the files say (schema/reference.ts).

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publishedFiles } from './reference.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const [path, content] of publishedFiles()) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}
