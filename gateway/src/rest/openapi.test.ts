import { readFileSync } from 'node:fs';
import { loadSupergraph } from '@novacron/supergraph';
import { Validator } from '@seriousme/openapi-schema-validator';
import { getOperationAST, parse } from 'graphql';
import { expect, it } from 'vitest';
import { createRestApi } from './api.ts';
import { KNOWN_PATHS } from './known-paths.ts';
import { describeApi } from './openapi.ts';
import { defaultShape } from './shape.ts';

const { apiSchema, authorization, costs: model } = loadSupergraph(readFileSync(new URL('../../supergraph.graphql', import.meta.url), 'utf8'));
const api = createRestApi(apiSchema, authorization.isOpen);
const document = describeApi(api, { version: '0.1.0', prefix: '/api/v1', extra: KNOWN_PATHS });
const at = (path: string, method: string): any => document.paths[path]?.[method]; // oxlint-disable-line typescript/no-explicit-any -- looked into as JSON
const text = JSON.stringify(document);

it('is valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  expect(await validator.validate(JSON.parse(text))).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
});

it('has every route, under the name of its field', () => {
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((one) => (one as { operationId: string }).operationId));
  const others = Object.values(KNOWN_PATHS).flatMap((methods) => Object.values(methods).map((one) => (one as { operationId: string }).operationId));
  expect(ids.toSorted()).toEqual([...api.routes.map(({ field }) => field), ...others].toSorted());
});

it('refers to nothing that is not there', () => {
  const referred = new Set([...text.matchAll(/"#\/components\/(\w+)\/(\w+)"/g)].map(([, kind = '', name = '']) => `${kind}/${name}`));
  const there = new Set(Object.entries(document.components).flatMap(([kind, members]) => Object.keys(members).map((name) => `${kind}/${name}`)));
  expect([...referred].filter((name) => !there.has(name))).toEqual([]);
});

it('describes a list with its filter and its order', () => {
  const { parameters, responses } = at('/api/v1/vms', 'get');
  const named = Object.fromEntries(parameters.map((one: { name: string }) => [one.name, one]));
  expect(named.states).toMatchObject({ in: 'query', schema: { type: 'array', items: { $ref: '#/components/schemas/VmState' } } });
  expect(named.first.schema).toEqual({ type: 'integer', format: 'int32' });
  expect(named.orderBy.schema.enum).toEqual(expect.arrayContaining(['NAME', '-NAME']));
  expect(responses[200].headers).toHaveProperty('Link');
  expect(document.components['schemas']?.['VmConnection']).toMatchObject({ properties: { items: { type: 'array', items: { $ref: '#/components/schemas/Vm' } } } });
});

it('describes a body without what stands in the path', () => {
  const { requestBody, responses } = at('/api/v1/vms/{id}', 'patch');
  expect(Object.keys(requestBody.content['application/json'].schema.properties)).toEqual(['name', 'tags', 'ifGeneration']);
  expect(responses[202].headers).toHaveProperty('Location');
});

it('tells sizes that are sent from sizes that are answered', () => {
  const created = at('/api/v1/vms', 'post').requestBody.content['application/json'].schema;
  expect(created.properties.memory.type).toEqual(['integer', 'string', 'null']);
  expect(document.components['schemas']?.['Vm']).toMatchObject({ properties: { memory: { type: 'integer' }, host: { anyOf: [{ $ref: '#/components/schemas/Host' }, { type: 'null' }] } } });
});

it('offers pages of 500 that are not refused for what they cost', () => {
  const lists = api.routes.filter(({ query }) => query.some(({ name }) => name === 'first'));
  const costs = lists.map((route) => {
    const asked = parse(api.document(route, defaultShape(route.type)));
    const operation = getOperationAST(asked)!; // its only definition
    return [route.field, model.estimate(asked, operation, { first: 500 })] as const;
  });
  expect(costs.length).toBeGreaterThan(8);
  expect(costs.filter(([, cost]) => cost > 5_000)).toEqual([]);
});

it('needs no token where the graph needs none', () => {
  expect(api.routes.filter((route) => api.isPublic(route)).map(({ field }) => field)).toEqual(['login', 'refreshSession', 'register', 'verifyEmail', 'requestPasswordReset', 'resetPassword', 'acceptInvitation', 'confirmEmailChange']);
  expect([at('/api/v1/login', 'post').security, at('/api/v1/vms', 'get').security]).toEqual([[], undefined]);
});
