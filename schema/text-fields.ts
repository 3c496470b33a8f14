// Which places of a document keep the source text of their scalars (`VERSION: 1.10` stays `1.10`).
// In: a JSON Schema with `x-text` marks. Out: a cursor that walks along with the reader
// (schema/yaml.ts).
// Not here: the marks themselves (schema/documents).

import { noTextFields, type TextFields } from './yaml.ts';

/** The parts of a JSON Schema that are walked. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly description?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly 'x-unit'?: string;
  readonly 'x-text'?: boolean;
  readonly 'x-class'?: string;
  readonly 'x-default'?: string;
}

/** The cursor at the root of a schema. Cursors are remembered, so that a file costs no new ones. */
export const textFieldsOf = (schema: JsonSchema): TextFields => cursor(schema);

const cursor = (schema: JsonSchema): TextFields => {
  const known = new Map<string, TextFields>();
  const schemas = [schema, ...(schema.anyOf ?? [])];
  return {
    keeps: schemas.some((one) => one['x-text'] === true),
    at: (key) => {
      const member = memberKey(schemas, key);
      const found = known.get(member);
      if (found !== undefined) return found;
      const below = schemas.map((one) => memberSchema(one, key)).find((one) => one !== undefined);
      const made = below === undefined ? noTextFields : cursor(below);
      known.set(member, made);
      return made;
    },
  };
};

/** Names of maps and list indices share one cursor; only declared fields have one of their own. */
const memberKey = (schemas: readonly JsonSchema[], key: string): string =>
  schemas.some((one) => one.properties !== undefined && Object.hasOwn(one.properties, key))
    ? `field ${key}`
    : schemas.some((one) => one.items !== undefined)
      ? 'item'
      : `pattern ${schemas.flatMap((one) => matching(one, key)).join(' ')}`;

const matching = (schema: JsonSchema, key: string): readonly string[] =>
  Object.keys(schema.patternProperties ?? {}).filter((pattern) => new RegExp(pattern).test(key));

const memberSchema = (schema: JsonSchema, key: string): JsonSchema | undefined => {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, key)) {
    return schema.properties[key];
  }
  const pattern = matching(schema, key)[0];
  return pattern === undefined ? schema.items : schema.patternProperties?.[pattern];
};
