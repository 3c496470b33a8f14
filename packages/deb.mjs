// One Debian package. In: a folder of this place with its control files, more files, and what stands for @WORDS@ in its
// texts. Out: a .deb that has the same bytes whenever it is made of the same files.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

/** When all files of a package were made, as far as anybody can tell. */
const MADE = Date.UTC(2026, 0, 1) / 1000;
const SCRIPTS = new Set(['postinst', 'prerm', 'postrm']);

/**
 * @param {{name: string, words: Record<string, string>, out: string, compress: string,
 *   more: readonly (readonly [from: string, to: string])[],
 *   links?: readonly (readonly [target: string, at: string])[],
 *   texts?: readonly (readonly [text: string, to: string])[]}} ask
 */
export const makeDeb = ({ name, words, out, compress, more, links = [], texts = [] }) => {
  const tree = path.join(out, `.${name}`);
  rmSync(tree, { recursive: true, force: true });
  cpSync(path.join(import.meta.dirname, name), tree, { recursive: true });
  fill(tree, words);
  for (const [from, to] of more) cpSync(from, path.join(tree, to), { recursive: true });
  for (const [text, to] of texts) {
    mkdirSync(path.dirname(path.join(tree, to)), { recursive: true });
    writeFileSync(path.join(tree, to), text);
  }
  for (const [target, at] of links) {
    mkdirSync(path.dirname(path.join(tree, at)), { recursive: true });
    symlinkSync(target, path.join(tree, at));
  }
  setModes(tree, '');
  const file = path.join(out, `${name}_${words.VERSION}_${words.ARCHITECTURE}.deb`);
  // One thread: how many there are shows in the bytes.
  const flags = ['--root-owner-group', `-Z${compress}`, '--threads-max=1'];
  execFileSync('dpkg-deb', [...flags, '--build', tree, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(MADE), LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(tree, { recursive: true });
  return file;
};

const filesBelow = (tree) =>
  readdirSync(tree, { recursive: true }).filter((name) =>
    lstatSync(path.join(tree, name)).isFile(),
  );

const fill = (tree, words) => {
  for (const name of filesBelow(tree)) {
    const file = path.join(tree, name);
    const text = readFileSync(file, 'utf8');
    const filled = text.replace(/@([A-Z_]+)@/g, (whole, word) => words[word] ?? whole);
    if (filled !== text) writeFileSync(file, filled);
  }
};

/** Whatever umask and modes the checkout has. */
const setModes = (tree, below) => {
  chmodSync(path.join(tree, below), 0o755);
  for (const entry of readdirSync(path.join(tree, below), { withFileTypes: true })) {
    const name = path.join(below, entry.name);
    if (entry.isDirectory()) setModes(tree, name);
    else if (entry.isFile()) {
      const runs = SCRIPTS.has(entry.name) || RUNS.has(name);
      chmodSync(path.join(tree, name), runs ? 0o755 : 0o644);
    }
  }
};

const RUNS = new Set(['usr/lib/purser/purser', 'usr/lib/purser/node']);
