// How a field of a document is declared, and the building blocks that several documents share.
// In: TypeBox schemas. Out: the same with description, default and field class attached. The class
// is a required
// argument, so that no field can be added without saying whether it forms the version (rules 2.1,
// 2.2).
// Not here: the documents themselves (one file each beside this one), parsing of units
// (schema/units.ts).

import Type, { type Static, type TOptional, type TSchema } from 'typebox';
import {
  CPU_PATTERN,
  DURATION_PATTERN,
  NAME_PATTERN,
  PERCENT_PATTERN,
  SIZE_PATTERN,
  TAG_PATTERN,
} from '../patterns.ts';
import { SERVICE_TAGS } from '../services.ts';

/**
 * What a change of the field does: `version` replaces copies (it forms the group's hash, rules
 * 2.1), `in-place`
 * replaces nothing (rules 2.2), `identity` counts nowhere.
 */
export type FieldClass = 'version' | 'in-place' | 'identity';

export interface FieldInfo {
  readonly description: string;
  /**
   * The built-in default as people write it; `null`: no default, the field is absent or required.
   */
  readonly default: string | null;
}

/** An optional field that carries its class. `C` keeps the class in the type. */
export type Field<S extends TSchema, C extends FieldClass> = TOptional<S> & {
  readonly 'x-class': C;
};

/** Declares an optional field: class first, so that it cannot be forgotten. */
export const field = <C extends FieldClass, S extends TSchema>(
  fieldClass: C,
  schema: S,
  info: FieldInfo,
): Field<S, C> => {
  const shown = info.default === null ? {} : { 'x-default': info.default };
  return Type.Optional({
    ...schema,
    description: info.description,
    'x-class': fieldClass,
    ...shown,
  }) as unknown as Field<S, C>;
};

/** The class of every field of a level, by name: `Record` over all of them, none can be missing. */
export type Classes<P> = { readonly [K in keyof P]: FieldClass };

/** Reads the classes out of declared fields. */
export const classesOf = <P extends Record<string, { readonly 'x-class': FieldClass }>>(
  properties: P,
): Classes<P> =>
  Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, schema['x-class']]),
  ) as unknown as Classes<P>;

/** Written documents are never changed after parsing. */
export type Written<T> = T extends (infer Item)[]
  ? readonly Written<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Written<T[K]> }
    : T;

/** The type of a document as written. */
export type WrittenOf<S extends TSchema> = Written<Static<S>>;

/** A duration such as `500ms`, `30s`, `1h30m`. */
export const duration = Type.String({ pattern: DURATION_PATTERN, 'x-unit': 'duration' });

/** An amount of memory such as `128MiB`, `1.5GiB`, `1GB`. */
export const size = Type.String({ pattern: SIZE_PATTERN, 'x-unit': 'size' });

/**
 * CPU in cores: `250m`, `"1"`, `0.5`. A number keeps its source text, so the value is always a
 * string.
 */
export const cpu = Type.Unsafe<string>({
  type: ['string', 'number'],
  pattern: CPU_PATTERN,
  'x-unit': 'cpu',
  'x-text': true,
});

/**
 * A string that may be written without quotes even where YAML sees a number or a boolean: the
 * source text counts.
 */
export const text = (options: Readonly<Record<string, unknown>> = {}) =>
  Type.Unsafe<string>({
    type: ['string', 'number', 'boolean', 'null'],
    'x-text': true,
    ...options,
  });

export const name = text({ pattern: NAME_PATTERN, 'x-unit': 'name' });

/** `3` or `25%`: of the group's count, rounded down, at least 1 (rules 5.1). */
export const parallel = Type.Unsafe<number | string>({
  type: ['integer', 'string'],
  minimum: 1,
  pattern: PERCENT_PATTERN,
  'x-unit': 'parallel',
});

export const strings = Type.Array(text());

/** Of a service: words that programs choose by. No commas or quotes, which stand between them. */
export const tagsField = field(
  'in-place',
  Type.Array(text({ pattern: TAG_PATTERN }), { maxItems: SERVICE_TAGS }),
  { description: 'Words that programs choose by, such as `v2` or `primary`.', default: null },
);

/** A map from names to something. */
export const mapOf = <S extends TSchema>(keyPattern: string, value: S) =>
  Type.Unsafe<{ [key: string]: Static<S> }>({
    type: 'object',
    patternProperties: { [keyPattern]: value },
    additionalProperties: false,
  });

export const labelsMap = mapOf('^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$', text());

/** Every object is closed: an unknown field is a problem (rules 1.4). */
export const closed = { additionalProperties: false } as const;

/** `$schema` may stand in every document, for editors; it counts nowhere. */
export const schemaField = field('identity', Type.String(), {
  description: 'Address of the JSON Schema, for editors. Counts nowhere.',
  default: null,
});
