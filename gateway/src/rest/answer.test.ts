import { buildSchema, type FormattedExecutionResult } from 'graphql';
import { describe, expect, it } from 'vitest';
import { shapeOf, toAnswer } from './answer.ts';
import { createRestApi } from './api.ts';

const api = createRestApi(
  buildSchema(/* GraphQL */ `
    type Query { vm(id: ID!): Vm vms(first: Int, after: String, last: Int, before: String): VmConnection! hosts(after: String): VmConnection! near: [Vm!]! operation(id: ID!): Operation }
    type Mutation { startVm(id: ID!): VmPayload! cancelOperation(id: ID!): Operation! createNote(text: String): Note! }
    type Vm { id: ID! name: String metrics: Metrics }
    type Metrics { cpu: Float }
    type Note { text: String }
    type Operation { id: ID! }
    type VmPayload { vm: Vm! operation: Operation! }
    type VmConnection { edges: [VmEdge!]! pageInfo: PageInfo! }
    type VmEdge { node: Vm! }
    type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
  `),
  () => false,
);

function answer(field: string, result: FormattedExecutionResult, { search = '', fields = null as string | null } = {}) {
  const route = api.byField(field)!; // every field above has an address
  const url = new URL(`http://gateway/api/v1${route.path}${search}`);
  const question = { api, route, shape: shapeOf(api, route, fields), url, prefix: '/api/v1', isChosen: fields !== null };
  return toAnswer(question, result, (error) => ({ message: error.message, extensions: { ...error.toRecord(), requestId: 'r' } }));
}

const error = (code: string, path: (string | number)[]) => ({ message: `It is ${code}.`, path, extensions: { code, retryable: false, requestId: 'r' } });

describe('an answer that lacks a part', () => {
  const vm = { id: '1', name: 'web', metrics: null };

  it('says which and why', () => {
    const { status, body } = answer('vm', { data: { vm }, errors: [error('UNAVAILABLE', ['vm', 'metrics'])] });
    expect([status, body]).toEqual([200, { ...vm, '@problems': [{ detail: 'It is UNAVAILABLE.', code: 'UNAVAILABLE', retryable: false, requestId: 'r', path: 'metrics' }] }]);
  });

  it('says it of what the viewer may not see only where that was chosen', () => {
    const errors = [error('FORBIDDEN', ['vm', 'metrics'])];
    expect(answer('vm', { data: { vm }, errors }).body).toEqual(vm);
    expect(answer('vm', { data: { vm }, errors }, { fields: 'metrics' }).body).toHaveProperty('@problems');
  });

  it('names a place in a list as it is answered', () => {
    const page = { edges: [{ node: vm }], pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null } };
    const { body } = answer('vms', { data: { vms: page }, errors: [error('UNAVAILABLE', ['vms', 'edges', 0, 'node', 'metrics'])] });
    expect(body).toMatchObject({ items: [vm], '@problems': [{ path: 'items.0.metrics' }] });
  });
});

it('a list without pages has items, too', () => {
  const errors = [error('UNAVAILABLE', ['near', 0, 'metrics'])];
  const { body } = answer('near', { data: { near: [{ id: '1', name: 'web', metrics: null }] }, errors });
  expect(body).toMatchObject({ items: [{ id: '1', name: 'web', metrics: null }], '@problems': [{ path: 'items.0.metrics' }] });
});

it.each([
  ['BAD_USER_INPUT', 400],
  ['GRAPHQL_VALIDATION_FAILED', 400],
  ['UNAUTHENTICATED', 401],
  ['FORBIDDEN', 403],
  ['QUOTA_EXCEEDED', 403],
  ['NOT_FOUND', 404],
  ['ALREADY_EXISTS', 409],
  ['CONFLICT', 409],
  ['INVALID_STATE', 409],
  ['NO_CAPACITY', 409],
  ['CURSOR_EXPIRED', 410],
  ['RATE_LIMITED', 429],
  ['INTERNAL', 500],
  ['UNAVAILABLE', 503],
])('%s is %i', (code, status) => expect(answer('vm', { data: { vm: null }, errors: [error(code, ['vm'])] }).status).toBe(status));

it.each([
  ['startVm', { vm: { id: '1' }, operation: { id: 'a/b' } }, 202, '/api/v1/operations/a%2Fb'],
  ['cancelOperation', { id: '2' }, 202, '/api/v1/operations/2'],
  ['createNote', { text: 'x' }, 201, undefined],
])('%s says where to look next', (field, value, status, location) => {
  const answered = answer(field, { data: { [field]: value } });
  expect([answered.status, answered.headers['location']]).toEqual([status, location]);
});

describe('links between pages', () => {
  const page = (pageInfo: object) => ({ edges: [], pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: 's', endCursor: 'e', ...pageInfo } });
  const link = (field: string, pageInfo: object, search: string) => answer(field, { data: { [field]: page(pageInfo) } }, { search }).headers['link'];

  it.each([
    ['vms', { hasNextPage: true }, '?first=2&search=a%26b', '</api/v1/vms?search=a%26b&first=2&after=e>; rel="next"'],
    ['vms', { hasNextPage: true }, '?last=2&before=x', '</api/v1/vms?first=2&after=e>; rel="next"'],
    ['vms', { hasPreviousPage: true }, '?first=2&after=x', '</api/v1/vms?last=2&before=s>; rel="prev"'],
    ['vms', { hasNextPage: true, hasPreviousPage: true }, '', '</api/v1/vms?after=e>; rel="next", </api/v1/vms?before=s>; rel="prev"'],
    ['hosts', { hasPreviousPage: true }, '', undefined], // is read forwards only
    ['vms', {}, '', undefined],
  ])('of %s, %j%s', (field, pageInfo, search, expected) => expect(link(field, pageInfo, search)).toBe(expected));
});
