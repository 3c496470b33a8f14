// What ajv finds, said for people: one finding for each mistake, with the fix where it can be
// guessed.
// In: ajv's errors (verbose, all of them) and the kind of document. Out: findings. Unions are
// answered by the branch whose type fits, or by one sentence, never by every branch. Not here:
// running ajv (schema/parse.ts), the hints for names of other systems (schema/parse-hints.ts).

import type { ErrorObject } from 'ajv/dist/2020.js';
import type { DocumentKind } from './documents.ts';
import type { Finding } from './findings.ts';
import { adviceForField } from './parse-hints.ts';
import { pathOf, pointerOf } from './places.ts';
import type { JsonSchema } from './text-fields.ts';
import { joinWords, levelName, nearest, showValue } from './wording.ts';

/** Errors of one file → findings, at most one for a place and field. */
export const findingsOf = (
  kind: DocumentKind,
  errors: readonly ErrorObject[],
): readonly Finding[] => {
  const unions = errors.filter((error) => error.keyword === 'anyOf');
  const plain = errors.filter((error) => error.keyword !== 'anyOf' && !isInUnion(error, unions));
  const findings = [
    ...plain.map((error) => explain(kind, error)),
    ...unions
      .filter((union) => !isInUnion(union, unions))
      .flatMap((union) => explainUnion(kind, union, errors)),
  ];
  const byPlace = new Map<string, Finding>();
  for (const finding of findings) {
    // A wrong unit says more than the pattern that it breaks too.
    const place = `${finding.pointer} ${finding.at}`;
    const other = byPlace.get(place);
    if (other === undefined || other.code === 'value-form') byPlace.set(place, finding);
  }
  return [...byPlace.values()];
};

/** ajv types a schema as an open object; ours are JSON Schemas of the few keywords named there. */
const schemaOf = (error: ErrorObject): JsonSchema => (error.parentSchema ?? {}) as JsonSchema;

const isInUnion = (error: ErrorObject, unions: readonly ErrorObject[]): boolean =>
  unions.some((union) => error !== union && branchOf(error, union) !== null);

/** Number of the union's branch that an error comes from; null when it comes from elsewhere. */
const branchOf = (error: ErrorObject, union: ErrorObject): number | null => {
  if (!error.schemaPath.startsWith(`${union.schemaPath}/`)) return null;
  const inside =
    error.instancePath === union.instancePath ||
    error.instancePath.startsWith(`${union.instancePath}/`);
  const rest = error.schemaPath.slice(union.schemaPath.length + 1);
  return inside ? Number.parseInt(rest, 10) : null;
};

const typeOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
};

const typesOf = (schema: JsonSchema): readonly string[] => {
  if (schema.type !== undefined) return [schema.type].flat();
  return (schema.enum ?? [schema.const]).map(typeOf);
};

const explainUnion = (
  kind: DocumentKind,
  union: ErrorObject,
  errors: readonly ErrorObject[],
): readonly Finding[] => {
  const branches = schemaOf(union).anyOf ?? [];
  const fitting = branches.findIndex((branch) => typesOf(branch).includes(typeOf(union.data)));
  const inside = errors.filter(
    (error) => error.keyword !== 'anyOf' && branchOf(error, union) === fitting,
  );
  if (inside.length > 0) return inside.map((error) => explain(kind, error));
  const wanted = joinWords(branches.map(describe), 'or');
  return [typeFinding(union, wanted)];
};

/** A map with more fields than these is described as a map alone. */
const MAX_NAMED_FIELDS = 4;

/** What a schema wants, in words. */
const describe = (schema: JsonSchema): string => {
  const unit = units[schema['x-unit'] ?? ''];
  if (unit !== undefined) return unit.wanted;
  if (schema.enum !== undefined) return joinWords(schema.enum.map(String), 'or');
  if (schema.const !== undefined) return showValue(schema.const);
  if (schema['x-text'] === true) return 'a text';
  const fields = Object.keys(schema.properties ?? {}).length;
  if (fields > 0 && fields <= MAX_NAMED_FIELDS) {
    return `a map with ${joinWords(Object.keys(schema.properties ?? {}), 'and')}`;
  }
  return joinWords(
    [schema.type ?? []].flat().map((type) => typeWords[type] ?? type),
    'or',
  );
};

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: '`true` or `false`',
  object: 'a map',
  array: 'a list',
  null: 'nothing',
};

interface Unit {
  readonly wanted: string;
  readonly code: 'value-unit' | 'name-invalid' | 'value-form';
  /** The likely fix for what was written, or examples. */
  readonly fix: (written: string) => string;
}

/** Numbers that somebody may have meant: longer ones are not said again. */
const isNumber = (written: string): boolean => /^[0-9]{1,15}(\.[0-9]{1,15})?$/.test(written);

const nameAdvice =
  'Use at most 40 characters from a to z, 0 to 9 and `-`; start and end with a letter or digit.';

const units: Readonly<Record<string, Unit>> = {
  duration: {
    wanted: 'a duration',
    code: 'value-unit',
    fix: (written) =>
      isNumber(written)
        ? `Write the unit: \`${written}s\` for seconds, \`${written}ms\`, \`${written}m\`.`
        : 'Write a duration such as `500ms`, `30s`, `10m`, `1h30m`.',
  },
  size: {
    wanted: 'an amount of memory',
    code: 'value-unit',
    fix: (written) => {
      const amount = /^[0-9]{1,15}(\.[0-9]{1,15})?(?![0-9.])/.exec(written)?.[0];
      const letter = /^[0-9.]+\s*([kmgt])?/i.exec(written)?.[1]?.toUpperCase() ?? 'M';
      return amount === undefined
        ? 'Write an amount such as `128MiB`, `512Mi`, `1.5GiB`, `1GB`.'
        : `Write the unit in full: \`${amount}${letter}iB\`.`;
    },
  },
  cpu: {
    wanted: 'an amount of CPU',
    code: 'value-unit',
    fix: () => 'Write thousandths of a core such as `250m`, or cores such as `0.5` or `"1"`.',
  },
  parallel: {
    wanted: 'a number of copies or a percentage',
    code: 'value-form',
    fix: () => 'Write a number from 1 such as `2`, or a percentage from `1%` to `100%`.',
  },
  volume: {
    wanted: '`name:/path` or `/host/path:/path`',
    code: 'value-form',
    fix: () => 'Write `data:/var/lib/web` for a named volume, `/srv/shared:/shared:ro` for a path.',
  },
  'host-path': {
    wanted: 'a path of the host',
    code: 'value-form',
    fix: () => 'Write an absolute path such as `/srv/shared`, or `/srv/shared:ro`.',
  },
  name: { wanted: 'a name', code: 'name-invalid', fix: () => nameAdvice },
  'node-name': {
    wanted: 'a name of a node',
    code: 'name-invalid',
    fix: () => 'Use at most 63 characters from a to z, 0 to 9, `-` and `.`.',
  },
};

const fieldName = (error: ErrorObject): string => {
  const path = pathOf(error.instancePath);
  const last = path.at(-1);
  if (last === undefined) return 'The file';
  return /^[0-9]+$/.test(last) ? `An item of \`${path.at(-2) ?? ''}\`` : `\`${last}\``;
};

const explain = (kind: DocumentKind, error: ErrorObject): Finding => {
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(kind, error);
    case 'required':
      return missingField(kind, error);
    case 'type':
      return typeFinding(error, describe(schemaOf(error)));
    case 'x-unit':
    case 'pattern':
      return formFinding(error);
    case 'enum':
    case 'const':
      return choiceFinding(error);
    default:
      return rangeFinding(error);
  }
};

const unknownField = (kind: DocumentKind, error: ErrorObject): Finding => {
  const name = String(error.params['additionalProperty']);
  const path = pathOf(error.instancePath);
  const place = { pointer: pointerOf([...path, name]), at: 'key' as const };
  const schema = schemaOf(error);
  if (schema.patternProperties !== undefined) {
    const field = path.at(-1) ?? '';
    const where = field === '' ? '' : ` in \`${field}\``;
    const message = `${showValue(name)} cannot be a name${where}.`;
    const advice = nameAdviceFor(field);
    return { ...place, code: 'name-invalid', message, ...advice };
  }
  const advice = adviceForField(name, path, Object.keys(schema.properties ?? {}));
  const message = `\`${name}\` is no field of ${levelName(kind, path)}.`;
  return { ...place, code: 'field-unknown', message, ...(advice === null ? {} : { advice }) };
};

const nameAdviceFor = (field: string): { readonly advice?: string } => {
  if (field === 'environment') return { advice: 'Use letters, digits and `_`.' };
  if (field === 'files') return { advice: 'Write the absolute path in the container.' };
  if (field === 'labels') return { advice: 'Use letters, digits, `.`, `_`, `-` and `/`.' };
  return {};
};

const missingField = (kind: DocumentKind, error: ErrorObject): Finding => {
  const name = String(error.params['missingProperty']);
  return {
    pointer: error.instancePath,
    at: 'key',
    code: 'field-missing',
    message: `\`${name}\` is missing in ${levelName(kind, pathOf(error.instancePath))}.`,
    advice: `Add \`${name}: …\`.`,
  };
};

const typeFinding = (error: ErrorObject, wanted: string): Finding => {
  const schema = schemaOf(error);
  const unit = units[schema['x-unit'] ?? ''];
  const place = { pointer: error.instancePath, at: 'value' as const };
  const message = `${fieldName(error)} must be ${wanted}, not ${showValue(error.data)}.`;
  if (unit !== undefined) {
    const written = typeof error.data === 'number' ? String(error.data) : '';
    return { ...place, code: unit.code, message, advice: unit.fix(written) };
  }
  const advice = typeAdvice(wanted, error.data) ?? schema.description;
  return { ...place, code: 'value-type', message, ...(advice === undefined ? {} : { advice }) };
};

/** The fix where the wrong type is a matter of spelling. */
const typeAdvice = (wanted: string, data: unknown): string | undefined => {
  if (data === null) return 'Write a value, or take the key out.';
  if (wanted === 'a list' && typeof data === 'string') {
    const words = data.trim().split(/\s+/).map(quoteWord).join(', ');
    return `Write a list: \`[${words}]\`.`;
  }
  if (wanted === 'a whole number' && typeof data === 'string' && isNumber(data)) {
    return `Write it without quotes: \`${data}\`.`;
  }
  if (wanted === '`true` or `false`' && typeof data === 'string') {
    if (/^(yes|on|true)$/i.test(data)) return 'Write `true`.';
    if (/^(no|off|false)$/i.test(data)) return 'Write `false`.';
  }
  if (wanted === 'a text' && (typeof data === 'number' || typeof data === 'boolean')) {
    return `Put quotes around it: \`"${String(data)}"\`.`;
  }
  return undefined;
};

const quoteWord = (word: string): string =>
  /^[A-Za-z_./-][\w./-]*$/.test(word) ? word : `"${word}"`;

const formFinding = (error: ErrorObject): Finding => {
  const schema = schemaOf(error);
  const place = { pointer: error.instancePath, at: 'value' as const };
  const unit = units[schema['x-unit'] ?? ''];
  if (unit !== undefined) {
    const message = `${fieldName(error)} must be ${unit.wanted}; ${showValue(error.data)} is none.`;
    return { ...place, code: unit.code, message, advice: unit.fix(String(error.data)) };
  }
  if (schema.pattern === '^/') {
    const message = `${fieldName(error)} must be an absolute path, not ${showValue(error.data)}.`;
    return { ...place, code: 'value-form', message, advice: 'Start the path with `/`.' };
  }
  const message = `${fieldName(error)} cannot be ${showValue(error.data)}.`;
  const advice = schema.description;
  return { ...place, code: 'value-form', message, ...(advice === undefined ? {} : { advice }) };
};

const choiceFinding = (error: ErrorObject): Finding => {
  const schema = schemaOf(error);
  const choices = (schema.enum ?? [schema.const]).map(String);
  const near = typeof error.data === 'string' ? nearest(error.data, choices) : null;
  const wanted = joinWords(
    choices.map((choice) => `\`${choice}\``),
    'or',
  );
  return {
    pointer: error.instancePath,
    at: 'value',
    code: 'value-range',
    message: `${fieldName(error)} must be ${wanted}, not ${showValue(error.data)}.`,
    advice: near === null ? `Write ${wanted}.` : `Did you mean \`${near}\`?`,
  };
};

const rangeFinding = (error: ErrorObject): Finding => {
  const limit = String(error.params['limit'] ?? '');
  const sentences: Readonly<Record<string, string>> = {
    minimum: `must be at least ${limit}`,
    maximum: `must be at most ${limit}`,
    minItems: 'must not be an empty list',
    maxItems: `must have at most ${limit} items`,
    minLength: 'must not be empty',
    maxLength: `must have at most ${limit} characters`,
  };
  const rule = sentences[error.keyword] ?? `is not allowed (${error.message ?? error.keyword})`;
  return {
    pointer: error.instancePath,
    at: 'value',
    code: 'value-range',
    message: `${fieldName(error)} ${rule}; it is ${showValue(error.data)}.`,
  };
};
