// Run by hand: takes GitHub's OpenAPI description out of the package @octokit/openapi (385 MB, so
// it is no dependency) and writes the part that the local GitHub needs, as JSON Schema.
// In: the unpacked package. Out: generated/openapi.json, with the package's version and the hash
// of the file that it was made from. Not here: who validates with it (description.ts).
//
//   npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz
//   npx tsx test/support/github/extract.ts package

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Description, OperationDescription } from './description.ts';
import { OPERATIONS } from './operations.ts';
import { textOf } from './state.ts';

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
interface JsonObject {
  readonly [key: string]: Json;
}

const FILE = 'generated/api.github.com.json';

/** Words for people and what only OpenAPI knows: no answer is right or wrong by them. */
const DROPPED = new Set([
  'description',
  'example',
  'examples',
  'externalDocs',
  'discriminator',
  'deprecated',
  'title',
  'default',
  'readOnly',
  'writeOnly',
  'xml',
]);

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** One schema of OpenAPI 3.0 as JSON Schema; `names` collects the schemas that it refers to. */
const convert = (schema: Json, names: Set<string>): Json => {
  if (Array.isArray(schema)) return schema.map((item: Json) => convert(item, names));
  if (!isObject(schema)) return schema;
  if (typeof schema['$ref'] === 'string') {
    const name = schema['$ref'].replace('#/components/schemas/', '');
    names.add(name);
    return { $ref: `#/definitions/${name}` };
  }
  const out: Record<string, Json> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (DROPPED.has(key) || key.startsWith('x-') || key === 'nullable') continue;
    if (key === 'properties' && isObject(value)) {
      out[key] = Object.fromEntries(
        Object.entries(value).map(([name, item]) => [name, convert(item, names)]),
      );
    } else if (key === 'enum' || key === 'required') out[key] = value;
    // Alternatives overlap in GitHub's description: "exactly one" would refuse its own examples.
    else out[key === 'oneOf' ? 'anyOf' : key] = convert(value, names);
  }
  if (schema['nullable'] !== true) return out;
  if (typeof out['type'] === 'string' && out['anyOf'] === undefined && out['allOf'] === undefined) {
    const values = out['enum'];
    return {
      ...out,
      type: [out['type'], 'null'],
      ...(Array.isArray(values) ? { enum: [...values, null] } : {}),
    };
  }
  return { anyOf: [out, { type: 'null' }] };
};

const at = (value: Json | undefined, ...keys: readonly string[]): Json | undefined =>
  keys.reduce<Json | undefined>((now, key) => (isObject(now) ? now[key] : undefined), value);

const main = (folder: string): void => {
  const bytes = readFileSync(join(folder, FILE));
  const api = JSON.parse(bytes.toString('utf8')) as JsonObject;
  const pack = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as JsonObject;
  const names = new Set<string>();
  const resolved = (value: Json | undefined): Json | undefined => {
    const ref = at(value, '$ref');
    return typeof ref === 'string' ? at(api, ...ref.slice(2).split('/')) : value;
  };
  const bodyOf = (value: Json | undefined): Json => {
    const schema = at(value, 'content', 'application/json', 'schema');
    return schema === undefined ? null : convert(schema, names);
  };
  const operations = OPERATIONS.map((name): [string, OperationDescription] => {
    const [method = '', path = ''] = name.split(' ');
    const operation = at(api, 'paths', path, method.toLowerCase());
    if (!isObject(operation)) throw new Error(`the description has no ${name}`);
    const parameters = (operation['parameters'] ?? []) as readonly Json[];
    const answers = Object.entries(operation['responses'] as JsonObject);
    return [
      name,
      {
        parameters: parameters.map((item) => {
          const parameter = resolved(item) as JsonObject;
          return {
            name: textOf(parameter['name']),
            in: textOf(parameter['in']),
            required: parameter['required'] === true,
            schema: convert(parameter['schema'] ?? {}, names) as object,
          };
        }),
        body: bodyOf(resolved(operation['requestBody'])) as object | null,
        bodyRequired: at(resolved(operation['requestBody']), 'required') === true,
        responses: Object.fromEntries(
          answers.map(([status, answer]) => [status, bodyOf(resolved(answer)) as object | null]),
        ),
      },
    ];
  });
  const definitions: Record<string, object> = {};
  // Grows while it is walked: a schema's schemas come after it.
  for (const name of names) {
    definitions[name] = convert(at(api, 'components', 'schemas', name) ?? {}, names) as object;
  }
  const description: Description = {
    source: {
      package: `${textOf(pack['name'])}@${textOf(pack['version'])}`,
      file: FILE,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
    operations: Object.fromEntries(operations),
    definitions,
  };
  const target = join(import.meta.dirname, 'generated/openapi.json');
  writeFileSync(target, `${JSON.stringify(description)}\n`);
  console.log(`${target}: ${operations.length} operations, ${names.size} schemas`);
};

main(process.argv[2] ?? 'package');
