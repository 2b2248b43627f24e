import fc from 'fast-check';
import type { Loose } from '../kit/client.ts';
import type { KnownIds } from './known-ids.ts';
import { odd, OFTEN_NEEDED, sensible, type Manner, type Position } from './strings.ts';

export interface FuzzedRequest {
  /** The operation of the description: a root field. */
  field: string;
  method: string;
  /** With its query. */
  path: string;
  /** JSON, or nearly. */
  body: string | null;
}

/** What requests are made from. */
export interface RequestIngredients {
  /** An OpenAPI document. */
  description: Loose;
  manner: Manner;
  ids: KnownIds;
}

/** A value that a schema describes: usually. */
function value(schema: Loose, at: Position, depth: number, using: RequestIngredients): fc.Arbitrary<unknown> {
  const { description, manner, ids } = using;
  if (typeof schema['$ref'] === 'string') return value(description['components']['schemas'][schema['$ref'].split('/').at(-1) ?? ''], at, depth, using);
  const [described] = (schema['anyOf'] ?? schema['oneOf'] ?? [schema]) as Loose[];
  const fitting = described === undefined || described === schema ? byType(schema, at, depth, using) : value(described, at, depth, using);
  if (manner === 'tame') return fitting;
  const rare = fc.oneof(odd, fc.constantFrom(null, {}, [], -1, 1e300, true), sensible(at, ids));
  return fc.oneof({ weight: 8, arbitrary: fitting }, { weight: 1, arbitrary: rare });
}

function byType(schema: Loose, at: Position, depth: number, using: RequestIngredients): fc.Arbitrary<unknown> {
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  switch ([schema['type']].flat()[0]) {
    case 'object': {
      const required = new Set<string>(schema['required'] ?? []);
      const members = Object.entries((schema['properties'] ?? {}) as Loose).map(([name, inner]) => {
        const member = value(inner, { ...at, name }, depth + 1, using).map((one) => [name, one] as const);
        if (required.has(name)) return using.manner === 'tame' ? member : fc.option(member, { freq: 20 });
        return depth > 3 ? fc.constant(null) : fc.option(member, { freq: OFTEN_NEEDED.has(name) ? 8 : 1 });
      });
      return fc.tuple(...members).map((entries) => Object.fromEntries(entries.filter((entry) => entry !== null)));
    }
    case 'array':
      return fc.array(value(schema['items'] ?? {}, at, depth + 1, using), { maxLength: 3 });
    case 'integer':
    case 'number':
      return using.manner === 'tame' ? fc.integer({ min: 1, max: 50 }) : fc.oneof(fc.integer(), fc.double(), fc.constantFrom(2 ** 31, 2 ** 53, -1, 0));
    case 'boolean':
      return fc.boolean();
    default:
      return using.manner === 'tame' ? sensible(at, using.ids) : fc.oneof(odd, sensible(at, using.ids));
  }
}

const inQuery = (one: unknown): string => (Array.isArray(one) ? one.map(inQuery).join(',') : typeof one === 'object' ? JSON.stringify(one) : String(one)).toWellFormed();

function request(path: string, method: string, operation: Loose, using: RequestIngredients): fc.Arbitrary<FuzzedRequest> {
  const field = String(operation['operationId']);
  const { manner, ids } = using;
  const query = ((operation['parameters'] ?? []) as Loose[])
    .filter((parameter) => parameter['in'] === 'query' && !(manner === 'tame' && ['after', 'before', 'fields'].includes(parameter['name'])))
    .map((parameter) => fc.option(value(parameter['schema'], { name: parameter['name'], field }, 0, using).map((one): [string, string] => [parameter['name'], inQuery(one)]), { freq: parameter['required'] === true ? 30 : 1 }));
  const schema = operation['requestBody']?.content?.['application/json']?.schema as Loose | undefined;
  const mangled = fc.oneof({ weight: 12, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom('', '{', 'null', '[]', '{"__proto__":{"a":1}}', `${'['.repeat(5_000)}`, '"x"') });
  return fc
    .record({
      id: manner === 'tame' ? sensible({ name: 'id', field }, ids) : fc.oneof(odd, sensible({ name: 'id', field }, ids)),
      query: fc.tuple(...query),
      body: schema === undefined ? fc.constant(null) : value(schema, { name: '', field }, 0, using).map((body) => JSON.stringify(body)),
      instead: manner === 'tame' ? fc.constant(null) : mangled,
    })
    .map(({ id, query: pairs, body, instead }) => {
      const search = String(new URLSearchParams(pairs.filter((pair) => pair !== null)));
      const known = id.startsWith('known:') ? id : encodeURIComponent(id.toWellFormed()); // is filled in later
      return { field, method: method.toUpperCase(), path: `${path.replace('{id}', known)}${search === '' ? '' : `?${search.replaceAll('%3A', ':')}`}`, body: schema === undefined ? null : (instead ?? body) };
    });
}

/** Requests to every address of a description, all but some operations. */
export function fuzzedRequests(using: RequestIngredients, leaveOut: readonly string[]): fc.Arbitrary<FuzzedRequest> {
  const paths = Object.entries(using.description['paths'] as Record<string, Record<string, Loose>>);
  const requests = paths.flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => (leaveOut.includes(operation['operationId']) ? [] : [request(path, method, operation, using)])),
  );
  return fc.oneof(...requests);
}
