// GitHub's own description of its REST API, as far as the local GitHub serves it: finds the
// operation of a request, and says what is wrong with requests and answers.
// In: generated/openapi.json (made by extract.ts). Out: problems as text.
// Not here: what GitHub does beyond its description (limits, permissions).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ValidateFunction } from 'ajv';
import { Ajv, type ErrorObject } from 'ajv';
import type { OperationName } from './operations.ts';

export interface OperationDescription {
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly body: object | null;
  readonly bodyRequired: boolean;
  /** Status → schema of the body; null: there is none. */
  readonly responses: Readonly<Record<string, object | null>>;
}

export interface Description {
  readonly source: { readonly package: string; readonly file: string; readonly sha256: string };
  readonly operations: Readonly<Record<string, OperationDescription>>;
  readonly definitions: Readonly<Record<string, object>>;
}

/** What a request asks for, before anyone looks whether it may. */
export interface Found {
  readonly name: OperationName;
  /** Parameters of the path, decoded. */
  readonly path: Readonly<Record<string, string>>;
}

export interface Violation {
  readonly field: string;
  readonly message: string;
}

/** `path`: without the API's prefix and the query. Null: GitHub may have it, this hub has not. */
export const findOperation = (method: string, path: string): Found | null => {
  for (const { name, pattern, keys } of routes()) {
    if (!name.startsWith(`${method} `)) continue;
    const match = pattern.exec(path);
    if (match === null) continue;
    const values = keys.map((key, index): [string, string] => [
      key,
      decodeURIComponent(match[index + 1] ?? ''),
    ]);
    return { name, path: Object.fromEntries(values) };
  }
  return null;
};

/** Problems of a request: parameters, body, and fields that GitHub does not know. */
export const checkRequest = (
  { name, path }: Found,
  query: URLSearchParams,
  body: unknown,
): readonly Violation[] => {
  const { parameters, body: schema, bodyRequired } = operation(name);
  const violations: Violation[] = [];
  for (const key of query.keys()) {
    if (!parameters.some((item) => item.in === 'query' && item.name === key)) {
      violations.push({ field: key, message: 'is no parameter of this operation' });
    }
  }
  parameters.forEach((item, index) => {
    if (item.in !== 'path' && item.in !== 'query') return;
    const text = item.in === 'path' ? (path[item.name] ?? null) : query.get(item.name);
    if (text === null) {
      if (item.required) violations.push({ field: item.name, message: 'is missing' });
      return;
    }
    const check = compiled(`${pointer(name)}/parameters/${index}/schema`, true);
    if (!check(text)) violations.push({ field: item.name, message: problemOf(check) });
  });
  if (schema === null || (body === undefined && !bodyRequired)) return violations;
  const check = compiled(`${pointer(name)}/body`, false);
  if (!check(body ?? {})) violations.push({ field: fieldOf(check), message: problemOf(check) });
  const known = (schema as { readonly properties?: object }).properties;
  if (known !== undefined && typeof body === 'object' && body !== null) {
    for (const key of Object.keys(body)) {
      if (!Object.hasOwn(known, key)) violations.push({ field: key, message: 'is no field' });
    }
  }
  return violations;
};

/** What is wrong with an answer of ours; null: nothing. */
export const checkAnswer = (name: OperationName, status: number, body: unknown): string | null => {
  const { responses } = operation(name);
  if (!Object.hasOwn(responses, String(status))) {
    return `${name} has no answer ${status} (but ${Object.keys(responses).join(', ')})`;
  }
  const schema = responses[String(status)];
  if (schema === null || schema === undefined) return null;
  const check = compiled(`${pointer(name)}/responses/${status}`, false);
  if (check(body) || isForkGone(check.errors)) return null;
  return `${name} ${status}: ${fieldOf(check)} ${problemOf(check)}`;
};

/** Where the description and GitHub differ: a head whose fork was deleted has no repository. */
const isForkGone = (errors: ErrorObject[] | null | undefined): boolean =>
  errors?.every(
    ({ instancePath, keyword }) => keyword === 'type' && /(^|\/)head\/repo$/.test(instancePath),
  ) === true;

let loaded: Description | null = null;
export const description = (): Description => {
  const file = join(import.meta.dirname, 'generated/openapi.json');
  loaded ??= JSON.parse(readFileSync(file, 'utf8')) as Description;
  return loaded;
};

const operation = (name: OperationName): OperationDescription => {
  const found = description().operations[name];
  if (found === undefined) {
    throw new Error(`generated/openapi.json has no ${name}: run test/support/github/extract.ts`);
  }
  return found;
};

interface Route {
  readonly name: OperationName;
  readonly pattern: RegExp;
  readonly keys: readonly string[];
}

/** Parameters that may hold slashes, which are not escaped in requests. */
const WITH_SLASHES = new Set(['ref', 'branch']);

let known: readonly Route[] | null = null;
const routes = (): readonly Route[] => {
  known ??= Object.keys(description().operations)
    .map((name): Route => {
      const path = name.slice(name.indexOf(' ') + 1);
      const keys = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
      const source = path.replace(/\{(\w+)\}/g, (_, key: string) =>
        WITH_SLASHES.has(key) ? '(.+)' : '([^/]+)',
      );
      return { name: name as OperationName, pattern: new RegExp(`^${source}$`), keys };
    })
    // The most exact first: `/issues/comments` before `/issues/{issue_number}`.
    .toSorted((a, b) => score(a) - score(b));
  return known;
};

const score = ({ keys, pattern }: Route): number => keys.length * 1000 - pattern.source.length;

const FORMATS = {
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  uri: /^$|^[a-z][a-z0-9+.-]*:\S+$/i,
  email: /^[^@\s]+@[^@\s]+$/,
};

const ajvOf = (coerceTypes: boolean): Ajv => {
  const ajv = new Ajv({
    strict: false,
    logger: false,
    coerceTypes,
    validateSchema: false,
    inlineRefs: false,
    formats: FORMATS,
  });
  ajv.addSchema(description(), 'github');
  return ajv;
};

let forText: Ajv | null = null;
let forJson: Ajv | null = null;
const functions = new Map<string, ValidateFunction>();

/** Parameters come as text and are coerced; each schema is compiled when it is needed first. */
const compiled = (path: string, isText: boolean): ValidateFunction => {
  const found = functions.get(path);
  if (found !== undefined) return found;
  const ajv = isText ? (forText ??= ajvOf(true)) : (forJson ??= ajvOf(false));
  const made = ajv.compile({ $ref: `github${path}` });
  functions.set(path, made);
  return made;
};

const pointer = (name: string): string =>
  `#/operations/${encodeURIComponent(name.replaceAll('/', '~1'))}`;

/** `anyOf` tells of each alternative: the last error names the place, the first ones the cause. */
const problemOf = ({ errors }: ValidateFunction): string =>
  (errors ?? [])
    .slice(0, 4)
    .map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`)
    .join('; ');

const fieldOf = ({ errors }: ValidateFunction): string =>
  (errors?.[0]?.instancePath ?? '').slice(1).replaceAll('/', '.');
