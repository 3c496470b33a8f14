// The rules of the house (docs/ARCHITECTURE.md): who imports whom, what is pure, how long things
// are.

import { describe, expect, test } from 'vitest';
import { filesUnder, importsOf, read } from '../support/tree-of-files.ts';

const FOLDERS = ['schema', 'reconciler', 'node-runner', 'cli', 'bench', 'test'];
const SOURCES = FOLDERS.flatMap(filesUnder).filter((path) => path.endsWith('.ts'));
const PRODUCT = SOURCES.filter((path) => !path.startsWith('test/') && !path.startsWith('bench/'));

const PURE = [
  'schema/',
  'reconciler/desired/',
  'reconciler/live/',
  'reconciler/plan/',
  'reconciler/place/',
  'reconciler/forge/',
  'reconciler/render/',
  'node-runner/decide/',
];
/** Adapters: the hash, and the generator's entry, which writes what the schema says. */
const NOT_PURE = new Set(['schema/hash.ts', 'schema/publish.ts']);
/** Packages that give the same answer for the same input and touch nothing. */
const DETERMINISTIC = new Set([
  'ajv',
  'ajv/dist/2020.js',
  'ajv/dist/standalone/index.js',
  'ignore',
  'js-yaml',
  'leven',
  'typebox',
]);

const isPure = (path: string) =>
  PURE.some((folder) => path.startsWith(folder)) && !NOT_PURE.has(path);

/** The text without comments and strings, so that words in them do not count. */
const codeOf = (path: string): string =>
  read(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(?<![:'"`\\])\/\/.*$/gm, '')
    .replace(/`(?:[^`\\]|\\.)*`/g, '``')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');

const roomOf = (path: string): string => {
  const [top, second] = path.split('/');
  const pure = PURE.find((folder) => path.startsWith(folder));
  if (pure !== undefined) return pure.slice(0, -1);
  return second === 'edge' ? `${top}/edge` : `${top}`;
};

/** Room → rooms it may import, besides itself and schema. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  schema: [],
  'reconciler/desired': [],
  'reconciler/live': [],
  'reconciler/place': [],
  'reconciler/plan': ['reconciler/place'],
  'reconciler/render': [],
  // Types only: what the ports hand over is what decide looks at.
  'node-runner/decide': ['node-runner/ports.ts'],
};

/** Ways that lead back to where they began, as text, each once; found depth first. */
const circlesIn = (graph: ReadonlyMap<string, readonly string[]>): readonly string[] => {
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    if (at >= 0) circles.push([...way.slice(at), path].join(' → '));
    if (at >= 0 || done.has(path)) return;
    for (const target of graph.get(path) ?? []) walk(target, [...way, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return circles;
};

describe('imports', () => {
  test('every room imports only what it may', () => {
    const wrong = PRODUCT.flatMap((path) =>
      importsOf(path)
        .filter((target) => target.endsWith('.ts'))
        .filter((target) => !mayImport(path, target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('no file imports itself by way of others, types included', () => {
    const graph = new Map(SOURCES.map((path) => [path, importsOf(path)]));
    expect(circlesIn(graph)).toEqual([]);
    const bent = new Map([...graph, ['schema/ids.ts', ['schema/wire.ts']]]);
    expect(circlesIn(bent)).not.toEqual([]);
  });

  test('the two programs never import each other, nothing imports tests or benchmarks', () => {
    const wrong = PRODUCT.flatMap((path) =>
      importsOf(path).filter(
        (target) =>
          (path.startsWith('reconciler/') && target.startsWith('node-runner/')) ||
          (path.startsWith('node-runner/') && target.startsWith('reconciler/')) ||
          /^(test|bench)\//.test(target),
      ),
    );
    expect(wrong).toEqual([]);
  });
});

describe('another forge is one more file', () => {
  const knowsGitHub = (path: string): boolean =>
    path.startsWith('reconciler/edge/forge/') ||
    path.startsWith('cli/github') ||
    path === 'cli/forge-file.ts';
  const elsewhere = PRODUCT.filter((path) => !knowsGitHub(path));

  test('GitHub’s library is used by its edge and its setup alone', () => {
    const users = PRODUCT.filter((path) =>
      importsOf(path).some((target) => /octokit/.test(target)),
    );
    expect(users).not.toEqual([]);
    expect(users.filter((path) => !knowsGitHub(path))).toEqual([]);
  });

  test('and nobody else writes its addresses', () => {
    const written = elsewhere.flatMap((path) =>
      read(path)
        .split('\n')
        .filter((line) => !/^\s*(\/\/|\*|\/\*)/.test(line) && /github\.com/.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );
    expect(written).toEqual([
      // The form of a file, whoever keeps it.
      "reconciler/edge/git/folders.ts: const LFS_START = 'version https://git-lfs.github.com/spec/';",
    ]);
  });
});

const mayImport = (path: string, target: string): boolean => {
  const from = roomOf(path);
  const to = roomOf(target);
  if (to === 'schema' || from === to) return true;
  const rooms = MAY[from];
  if (rooms !== undefined) return rooms.includes(to) || rooms.includes(target);
  if (from.endsWith('/edge')) {
    const program = from.split('/')[0] ?? '';
    return [`${program}/ports.ts`, `${program}/config.ts`].includes(target);
  }
  // Programs' own top files and the command line put the parts together.
  return from === 'cli' || to.startsWith(`${from}/`);
};

describe('pure files', () => {
  const FORBIDDEN =
    /\b(async|await|Promise|Date|setTimeout|setInterval|setImmediate|process|console|class)\b|Math\.random/;

  test('hold no time, chance, I/O or classes', () => {
    const wrong = PRODUCT.filter(isPure).flatMap((path) => {
      const line = codeOf(path)
        .split('\n')
        .findIndex((text) => FORBIDDEN.test(text.replace(/[.?]\w+|\w+:/g, '')));
      return line < 0 ? [] : [`${path}:${line + 1}`];
    });
    expect(wrong).toEqual([]);
  });

  test('import no module of Node and only deterministic packages', () => {
    const wrong = PRODUCT.filter(isPure).flatMap((path) =>
      importsOf(path)
        .filter((target) => !target.endsWith('.ts') && !DETERMINISTIC.has(target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('size', () => {
  const FILE_LINES = 400;
  const FUNCTION_LINES = 70;
  const LINE_COLUMNS = 100;

  test('a file has at most 400 lines', () => {
    const long = PRODUCT.filter((path) => read(path).split('\n').length > FILE_LINES + 1);
    expect(long).toEqual([]);
  });

  test('a line has at most 100 columns, unless it is one long text', () => {
    const long = PRODUCT.flatMap((path) =>
      read(path)
        .split('\n')
        .flatMap((line, index) =>
          line.length > LINE_COLUMNS && !/['"`/]/.test(line) ? [`${path}:${index + 1}`] : [],
        ),
    );
    expect(long).toEqual([]);
  });

  test('a function has at most 70 lines', () => {
    const long = PRODUCT.flatMap((path) =>
      functionsOf(path)
        .filter(({ lines }) => lines > FUNCTION_LINES)
        .map(({ name, lines }) => `${path} ${name} (${lines})`),
    );
    expect(long).toEqual([]);
  });

  test('a file opens with a comment that says what it is', () => {
    const bare = PRODUCT.filter((path) => !read(path).startsWith('//'));
    expect(bare).toEqual([]);
  });
});

/**
 * Top-level functions by the formatter's own layout: from `const name = (` to the closing brace in
 * column 1.
 */
const functionsOf = (path: string): readonly { name: string; lines: number }[] => {
  const lines = read(path).split('\n');
  return lines.flatMap((line, start) => {
    const name =
      /^(?:export )?(?:const (\w+)(?:: \w+)? = (?:async )?(?:<.*)?\(|(?:async )?function\*? (\w+))/.exec(
        line,
      );
    if (name === null || line.endsWith(';')) return [];
    const end = lines.findIndex(
      (text, index) =>
        index > start && /^[}\])]/.test(text) && text !== '): ' && !/^\)(:|\s=>)/.test(text),
    );
    return end < 0 ? [] : [{ name: name[1] ?? name[2] ?? '', lines: end - start + 1 }];
  });
};

/**
 * This file names the words; the other leaves out containerd releases that only ../shared holds,
 * and says so.
 */
const MAY_SKIP = new Set(['test/tidy/house.test.ts', 'test/contract/runtime.test.ts']);

describe('style', () => {
  test('no enum, default export, any, non-null assertion', () => {
    const wrong = PRODUCT.flatMap((path) => {
      const code = codeOf(path);
      return /^\s*(export )?enum\b/m.test(code) || /^export default/m.test(code) ? [path] : [];
    });
    expect(wrong).toEqual([]);
  });

  test('no test is skipped, focused or left to do', () => {
    const tests = SOURCES.filter((path) => path.endsWith('.test.ts'));
    const wrong = tests.filter(
      (path) => !MAY_SKIP.has(path) && /\.(skip|only|todo|fails)\b\s*[(.]/.test(codeOf(path)),
    );
    expect(wrong).toEqual([]);
  });
});
