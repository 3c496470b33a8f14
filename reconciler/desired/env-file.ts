// Files of `NAME=value` lines that tasks name in `env_file`.
// In: the text of one file. Out: the variables in the order of the file, and the lines that are
// none.
// Not here: which file wins over which (spec.ts), `${node.*}` (the runner fills it in).

export interface EnvFile {
  readonly variables: readonly (readonly [string, string])[];
  /** 1-based numbers of lines that are neither a variable, a comment nor empty. */
  readonly badLines: readonly number[];
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/**
 * As Compose reads it: `#` begins a comment line, one pair of quotes round a value is taken off.
 */
export const parseEnvFile = (text: string): EnvFile => {
  const variables: (readonly [string, string])[] = [];
  const badLines: number[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim().replace(/^export\s+/, '');
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const name = line.slice(0, Math.max(equals, 0)).trim();
    if (equals < 0 || !NAME.test(name)) badLines.push(index + 1);
    else variables.push([name, unquoted(line.slice(equals + 1).trim())]);
  }
  return { variables, badLines };
};

const unquoted = (value: string): string => {
  const first = value[0];
  const quoted = value.length >= 2 && (first === '"' || first === "'") && value.endsWith(first);
  return quoted ? value.slice(1, -1) : value;
};
