import { getNamedType, getNullableType, isEnumType, isListType } from 'graphql';
import type { RestApi } from './api.ts';
import { Components, type JsonSchema } from './json-schema.ts';
import { IDEMPOTENCY_KEY } from './request.ts';
import type { Parameter, Route } from './routes.ts';

/** A description of the whole API in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html). */
export interface OpenApiDocument {
  openapi: '3.1.1';
  info: { title: string; version: string; description: string };
  servers: { url: string }[];
  security: object[];
  tags: { name: string }[];
  paths: Record<string, Record<string, object>>;
  components: Record<string, Record<string, object>>;
}

const problem = (description: string) => ({ description, content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } });

const PROBLEM: JsonSchema = {
  type: 'object',
  description: 'What went wrong (RFC 9457).',
  properties: {
    title: { type: 'string', description: 'The status in words.' },
    status: { type: 'integer', description: 'The status of the answer.' },
    detail: { type: 'string', description: 'What went wrong, in words for people.' },
    code: { type: 'string', description: 'What went wrong, in a word for programs: NOT_FOUND, INVALID_STATE, ...' },
    field: { type: 'string', description: 'The input at fault, as it was named.' },
    retryable: { type: 'boolean', description: 'Whether the same request may succeed later.' },
    requestId: { type: 'string', description: 'What to name to an administrator, who finds it in the log.' },
  },
  required: ['title', 'status', 'detail', 'code', 'retryable', 'requestId'],
};

const FIELDS = {
  name: 'fields',
  in: 'query',
  description: 'What to answer, as paths separated by commas: `name,host.name,tenant`. Left out: what it has itself, and the ids of what it refers to.',
  schema: { type: 'string' },
};

export interface DescriptionOptions {
  version: string;
  /** What stands before every route: /api/v1. */
  prefix: string;
  /** Addresses that no root field makes. */
  extra: Record<string, Record<string, object>>;
}

/** Describes every route of a graph, with the words of its schema. */
export function describeApi(api: RestApi, options: DescriptionOptions): OpenApiDocument {
  const components = new Components();
  const paths: OpenApiDocument['paths'] = {};
  for (const route of api.routes) {
    const address = `${options.prefix}${route.path}`;
    paths[address] = { ...paths[address], [route.method.toLowerCase()]: describeRoute(api, route, components) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'NovaCron',
      version: options.version,
      description:
        'The graph at /graphql, as REST. Whatever takes time answers 202 with a Location: the operation, which says how far it is. Lists come in pages, with Link headers to those before and after. Of an answer that lacks parts, `@problems` says which and why.',
    },
    servers: [{ url: '/' }],
    security: [{ accessToken: [] }],
    tags: [...new Set(api.routes.map(tagOf))].toSorted().map((name) => ({ name })),
    paths: { ...paths, ...options.extra },
    components: {
      schemas: { ...components.schemas, Problem: PROBLEM },
      responses: {
        Refused: problem('The request is wrong: 400 for its form, 401 without a good token, 403 for what you may not do, 404, 409 where what is there is against it, 429 for too many.'),
        Failed: problem('NovaCron is at fault, or a part of it is not there (503: try again).'),
      },
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', description: 'The accessToken of a login.' } },
    },
  };
}

/** "vms" */
const tagOf = ({ path }: Route): string => path.split('/')[1] ?? '';

function describeRoute(api: RestApi, route: Route, components: Components): object {
  const [summary = ''] = (route.description ?? route.field).split(/(?<=\.)\s/);
  return {
    operationId: route.field,
    summary: summary.replace(/\.$/, ''),
    ...(route.description === null ? {} : { description: route.description }),
    tags: [tagOf(route)],
    ...(api.isPublic(route) ? { security: [] } : {}),
    parameters: describeParameters(route, components),
    ...(route.body.length === 0 ? {} : { requestBody: { required: route.body.some(({ required }) => required), content: { 'application/json': { schema: components.members(route.body) } } } }),
    responses: { ...describeAnswer(api, route, components), '4XX': { $ref: '#/components/responses/Refused' }, '5XX': { $ref: '#/components/responses/Failed' } },
  };
}

function describeParameters(route: Route, components: Components): object[] {
  return [
    ...(route.id === null ? [] : [{ name: 'id', in: 'path', required: true, description: route.id.description ?? 'Its id.', schema: { type: 'string' } }]),
    ...route.query.map((parameter) => ({
      name: parameter.name,
      in: 'query',
      ...(parameter.required ? { required: true } : {}),
      description: parameter.description ?? parameter.name,
      schema: schemaOf(parameter, components),
    })),
    ...(route.body.some(({ name }) => name === IDEMPOTENCY_KEY.field)
      ? [{ name: IDEMPOTENCY_KEY.header, in: 'header', description: `As \`${IDEMPOTENCY_KEY.field}\` in the body.`, schema: { type: 'string' } }]
      : []),
    FIELDS,
  ];
}

/** In a query, nothing is null: it is there or not. */
function schemaOf({ type, isOrder }: Parameter, components: Components): JsonSchema {
  const named = getNamedType(type);
  if (isOrder && isEnumType(named)) return { type: 'string', enum: named.getValues().flatMap(({ name }) => [name, `-${name}`]) };
  return components.present(getNullableType(type));
}

function describeAnswer(api: RestApi, route: Route, components: Components): Record<string, object> {
  const { status, location } = api.outcome(route);
  if (status === 204) return { 204: { description: 'Done.' } };
  const schema = components.output(route.type);
  const isPage = route.query.some(({ name }) => name === 'after');
  const headers = {
    ...(location === null ? {} : { Location: { description: `Where to read ${status === 202 ? 'how far it is' : 'it'}.`, schema: { type: 'string' } } }),
    ...(isPage ? { Link: { description: 'The pages before and after this one (RFC 8288).', schema: { type: 'string' } } } : {}),
  };
  return {
    [status]: {
      description: { 200: 'As asked for.', 201: 'Made.', 202: 'Accepted: durable, and under way.' }[status],
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      content: { 'application/json': { schema: isListType(getNullableType(route.type)) ? { type: 'object', properties: { items: schema } } : schema } },
    },
  };
}
