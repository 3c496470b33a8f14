// What is wrong with a value that does not fit its schema: ajv's errors, all of them, each with the
// schema that it breaks. In: kind and value. Out: errors, none where the value fits. Compiling a
// schema for this takes longer than checking a thousand files, so it is done for the first value
// that the quick checkers refuse (schema/generated/checkers.ts). Not here: words for people
// (schema/parse-messages.ts).

import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { OWN_KEYWORDS } from './patterns.ts';
import { schemas, type DocumentKind } from './documents.ts';
import { parseCpu, parseDuration, parseSize } from './units.ts';

export const schemaErrors = (kind: DocumentKind, value: unknown): readonly ErrorObject[] => {
  const validate = validatorOf(kind);
  return validate(value) ? [] : (validate.errors ?? []);
};

const ownUnits: Readonly<Record<string, (text: string) => number | null>> = {
  duration: parseDuration,
  size: parseSize,
  cpu: parseCpu,
};

const validators = new Map<DocumentKind, ValidateFunction>();

const validatorOf = (kind: DocumentKind): ValidateFunction => {
  const known = validators.get(kind);
  if (known !== undefined) return known;
  // Without the optimizer, which takes longer than it saves for a few thousand files.
  const code = { optimize: false };
  const ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    verbose: true,
    allowUnionTypes: true,
    code,
  });
  for (const keyword of OWN_KEYWORDS) {
    if (keyword !== 'x-unit') ajv.addKeyword({ keyword, valid: true });
  }
  ajv.addKeyword({
    keyword: 'x-unit',
    type: 'string',
    errors: false,
    validate: (unit: string, written: string) => ownUnits[unit]?.(written) !== null,
  });
  // TypeBox hides a few properties in its schemas; ajv sees plain JSON.
  const validate = ajv.compile(JSON.parse(JSON.stringify(schemas[kind])));
  validators.set(kind, validate);
  return validate;
};
