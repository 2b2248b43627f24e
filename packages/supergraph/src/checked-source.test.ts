import { buildSchema, type FormattedExecutionResult } from 'graphql';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkSources } from './checked-source.ts';

const schema = buildSchema(`
  scalar Json
  enum State { ON OFF }
  interface Device { id: ID! }
  type Disk implements Device { id: ID! size: Int }
  type Nic implements Device { id: ID! mac: String }
  union Owner = User | Team
  type User { id: ID! email: String }
  type Team { id: ID! title: String }
  type Vm { id: ID! name: String! state: State cores: Int load: Float on: Boolean tags: [String!] devices: [Device!] owner: Owner host: Host extra: Json }
  type Host { id: ID! name: String }
  type Query { vm: Vm vms: [Vm!]! count: Int! }
  type Mutation { make: Vm }
`);

const lines: Record<string, unknown>[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
beforeEach(() => {
  lines.length = 0;
});

/** What the executor gets where a subgraph has answered that; as JSON, which knows no prototypes. */
async function check(query: string, answer: unknown, variables: Record<string, unknown> = {}): Promise<FormattedExecutionResult> {
  const parsed = JSON.parse(typeof answer === 'string' ? answer : JSON.stringify(answer)) as FormattedExecutionResult;
  const [source] = Object.values(checkSources<object>({ lying: { name: 'lying', process: async () => parsed } }, schema, logger));
  const result = await source?.process({ query, variables, context: {} });
  return JSON.parse(JSON.stringify(result)) as FormattedExecutionResult;
}
const fault = (...path: (string | number)[]) => ({ message: 'The subgraph gave an answer that is not of its schema.', path, extensions: { code: 'INTERNAL' } });

describe('a value', () => {
  it.each<[string, unknown]>([
    ['cores', 4],
    ['cores', -(2 ** 31)],
    ['load', 0.5],
    ['load', 1],
    ['on', false],
    ['state', 'ON'],
    ['tags', []],
    ['tags', ['a']],
    ['tags', null],
    ['extra', { any: [{ thing: 1 }] }],
    ['id', 'a'],
    ['id', 7],
  ])('that is of its type stays: %s = %j', async (field, value) => {
    expect(await check(`{ vm { ${field} } }`, { data: { vm: { [field]: value } } })).toEqual({ data: { vm: { [field]: value } } });
  });

  it.each<[string, unknown, (string | number)[]]>([
    ['cores', '4', []],
    ['cores', 4.5, []],
    ['cores', 2 ** 31, []],
    ['cores', [4], []],
    ['load', '0.5', []],
    ['on', 'true', []],
    ['on', 1, []],
    ['state', 'BROKEN', []],
    ['state', 'constructor', []],
    ['name', 5, []],
    ['name', null, []],
    ['id', { a: 1 }, []],
    ['tags', 'a', []],
    ['tags', { 0: 'a' }, []],
    ['tags', ['a', null], [1]],
    ['tags', ['a', 5], [1]],
    ['host { name }', 'text', []],
    ['host { name }', [{ name: 'x' }], []],
    ['host { name }', 5, []],
    ['host { name }', { __typename: 'Vm', name: 'x' }, []],
    ['host { name }', { name: 5 }, ['name']],
    ['owner { __typename ... on User { email } }', { __typename: 'Ghost' }, []],
    ['owner { __typename ... on User { email } }', { __typename: 'Vm' }, []],
    ['owner { __typename ... on User { email } }', { __typename: 5 }, []],
    ['owner { __typename ... on User { email } }', { email: 'a@b.example' }, ['__typename']],
    ['owner { __typename ... on User { email } }', { __typename: 'User', email: 5 }, ['email']],
    ['devices { __typename id }', [{ __typename: 'Disk', id: '1' }, { __typename: 'User', id: '2' }], [1]],
    ['devices { __typename id }', [[{ __typename: 'Disk', id: '1' }]], [0]],
  ])('that is not becomes null with one error at its place: %s = %j', async (selection, value, at) => {
    const field = /^\w+/.exec(selection)?.[0] ?? '';
    const { data, errors } = await check(`{ count vm { ${selection} } }`, { data: { count: 3, vm: { [field]: value } } });
    const path = ['vm', field, ...at];
    expect(errors).toEqual([fault(...path)]);
    expect(path.reduce<unknown>((within, step) => (within as Record<string | number, unknown>)[step], data)).toBeNull();
    expect(data?.['count']).toBe(3);
    expect(lines).toMatchObject([{ level: 50, subgraph: 'lying', count: 1, faults: [{ path }] }]);
  });

  it('of a custom scalar is not so deep that it can\'t be written down', async () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    expect(await check('{ vm { extra } }', `{"data":{"vm":{"extra":${deep}}}}`)).toEqual({ data: { vm: { extra: null } }, errors: [fault('vm', 'extra')] });
  });

  it('that is missing is null, and an error where that can\'t be', async () => {
    expect(await check('{ vm { name cores } }', { data: { vm: {} } })).toEqual({ data: { vm: { name: null, cores: null } }, errors: [fault('vm', 'name')] });
  });

  it('that the subgraph has an error for gets no second one', async () => {
    const errors = [{ message: 'No.', path: ['vm', 'name'], extensions: { code: 'FORBIDDEN' } }];
    expect(await check('{ vm { name } }', { data: { vm: { name: null } }, errors })).toEqual({ data: { vm: { name: null } }, errors });
  });

  it('that is wrong ten thousand times has a hundred errors', async () => {
    const { data, errors } = await check('{ vms { cores } }', { data: { vms: Array.from({ length: 10_000 }, () => ({ cores: 'x' })) } });
    expect(errors).toHaveLength(100);
    expect(data).toEqual({ vms: Array.from({ length: 10_000 }, () => ({ cores: null })) });
  });
});

describe('an answer', () => {
  it('loses what was not asked for', async () => {
    const answer = '{"data":{"vm":{"name":"web","secret":"s","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}},"other":1,"__proto__":{"polluted":1}}}';
    expect(await check('{ vm { name } }', answer)).toEqual({ data: { vm: { name: 'web' } } });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('has nothing from a prototype, whatever a client calls its fields', async () => {
    const query = '{ vm { constructor: name __proto__: cores toString: load } }';
    const { data, errors } = await check(query, { data: { vm: {} } });
    expect(JSON.stringify(data)).toBe('{"vm":{"constructor":null,"__proto__":null,"toString":null}}');
    expect(errors).toEqual([fault('vm', 'constructor')]);
  });

  it('is compared with what is asked: fragments, aliases and conditions', async () => {
    const query = `query ($no: Boolean!, $yes: Boolean = true) { a: vm { ...F devices { __typename id ... on Disk { size } ... on Nic { mac } ... on Device { label: id } } } count @include(if: $no) gone: count @skip(if: true) away: count @skip(if: $yes) }
      fragment F on Vm { host { id } host { name @skip(if: $no) } }`;
    const data = { a: { host: { id: '1', name: 'h' }, devices: [{ __typename: 'Disk', id: '1', size: 5, label: '1' }, { __typename: 'Nic', id: '2', mac: 'm', label: '2' }] } };
    expect(await check(query, { data }, { no: false })).toEqual({ data });
  });

  it('of a mutation is one, too', async () => {
    expect(await check('mutation { make { name } }', { data: { make: { name: [] } } })).toEqual({ data: { make: { name: null } }, errors: [fault('make', 'name')] });
  });
});

describe('entities', () => {
  const query = 'query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on Vm { name } ... on Device { id } } }';
  const representations = [{ __typename: 'Vm', id: '1' }, { __typename: 'Vm', id: '2' }];
  const entities = (value: unknown, asked: unknown[] = representations) => check(query, { data: { _entities: value } }, { representations: asked });
  const none = { data: { _entities: [null, null] }, errors: [fault('_entities', 0), fault('_entities', 1)] };

  it('are those that were asked for', async () => {
    const data = { _entities: [{ name: 'a' }, null] };
    expect(await entities(data._entities)).toEqual({ data });
  });

  it.each<[string, unknown]>([
    ['too few', [{ name: 'a' }]],
    ['too many', [{ name: 'a' }, { name: 'b' }, { name: 'c' }]],
    ['none', []],
    ['missing', undefined],
    ['null', null],
    ['an object', { 0: { name: 'a' } }],
    ['a text', 'ab'],
  ])('that are %s are none', async (_what, value) => {
    expect(await entities(value)).toEqual(none);
  });

  it.each<[string, unknown]>([
    ['a text', 'b'],
    ['a list', [{ name: 'b' }]],
    ['of another type', { __typename: 'Host', name: 'b' }],
    ['of no type', { __typename: 'Ghost', name: 'b' }],
  ])('one of which is %s cost that one', async (_what, value) => {
    expect(await entities([{ name: 'a' }, value])).toEqual({ data: { _entities: [{ name: 'a' }, null] }, errors: [fault('_entities', 1)] });
  });

  it('in another order are found out where they say who they are', async () => {
    const disks = [{ __typename: 'Disk', id: '1' }, { __typename: 'Disk', id: '2' }];
    expect(await entities([{ id: '2' }, { id: '1' }], disks)).toEqual(none);
    expect(await entities([{ id: '1' }, { id: '2' }], disks)).toEqual({ data: { _entities: [{ id: '1' }, { id: '2' }] } });
  });

  it('of an interface object may have its name', async () => {
    expect(await entities([{ __typename: 'Device', id: '1' }], [{ __typename: 'Device', id: '1' }])).toEqual({ data: { _entities: [{ id: '1' }] } });
    expect(await entities([{ __typename: 'Disk', id: '1' }], [{ __typename: 'Device', id: '1' }])).toEqual({ data: { _entities: [{ id: '1' }] } });
  });

  it('that are null as a whole have each the error that says why', async () => {
    const down = { message: 'Down.', extensions: { code: 'UNAVAILABLE' } };
    const answer = { data: { _entities: null }, errors: [{ ...down, path: ['_entities'] }] };
    expect(await check(query, answer, { representations })).toEqual({ data: null, errors: [{ ...down, path: ['_entities', 0] }, { ...down, path: ['_entities', 1] }] });
  });

  it.each<[unknown[], boolean]>([
    [['_entities', 1, 'name'], true],
    [['_entities', 2], false],
    [['_entities', -1], false],
    [['_entities', 0.5], false],
    [['_entities', '0'], false],
    [['vm'], false],
    [[], false],
  ])('have errors only at one that was asked for: %j', async (path, leads) => {
    const { errors } = await check(query, { data: { _entities: [null, null] }, errors: [{ message: 'x', path }] }, { representations });
    expect(errors).toEqual([leads ? { message: 'x', path } : { message: 'x' }]);
  });

  it('have errors by the names that the client gave', async () => {
    const { errors } = await check(query, { data: { _entities: [null, null] }, errors: [{ message: 'x', path: ['_entities', 0, 'name__alias_12'] }] }, { representations });
    expect(errors?.[0]?.path).toEqual(['_entities', 0, 'name']);
  });
});

describe('an error', () => {
  const down = { message: 'Down.', extensions: { code: 'UNAVAILABLE' } };
  const paths = async (query: string, variables = {}, answer: object = { errors: [down] }) => (await check(query, answer, variables)).errors?.map(({ path }) => path);
  const vms = { representations: [{ __typename: 'Vm', id: '1' }, { __typename: 'Vm', id: '2' }] };
  const of = (selection: string) => `query ($representations: [_Any!]!, $no: Boolean) { _entities(representations: $representations) { ... on Vm { ${selection} } } }`;

  it('without a place is said of every field of the root that is asked for', async () => {
    expect(await paths('{ vm { id } a: count b: count @skip(if: true) ... on Query { vms { id } } }')).toEqual([['vm'], ['a'], ['vms']]);
    expect(await paths('{ vm { id } }', {}, { data: { vm: null }, errors: [down] })).toEqual([undefined]);
  });

  it('of entities is said of what is asked of them, since the entities themselves are known', async () => {
    const both = [0, 1].flatMap((index) => [['_entities', index, 'cores'], ['_entities', index, 'where']]);
    expect(await paths(of('__typename cores where: host { name } tags @include(if: $no)'), { ...vms, no: false })).toEqual(both);
    expect(await paths(of('cores'), vms, { data: { _entities: [null, { cores: 4 }] }, errors: [{ ...down, path: ['_entities', 0] }] })).toEqual([['_entities', 0, 'cores']]);
  });

  it('of entities is said of them where they can\'t be without it', async () => {
    expect(await paths(of('cores name'), vms)).toEqual([['_entities', 0], ['_entities', 1]]);
  });

  it('of entities of several types is said of what is asked of each', async () => {
    const query = 'query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on Disk { size } ... on Nic { mac } } }';
    const representations = [{ __typename: 'Nic', id: '1' }, { __typename: 'Disk', id: '2' }, { __typename: 'Ghost', id: '3' }];
    expect(await paths(query, { representations })).toEqual([['_entities', 0, 'mac'], ['_entities', 1, 'size'], ['_entities', 2]]);
  });
});

it('a subgraph that conforms is not looked at', async () => {
  const answer = { data: { anything: 1 } };
  const sources = checkSources({ local: { name: 'local', conforms: true as const, process: async () => answer } }, schema, logger);
  expect(await sources['local']?.process({ query: '{ count }', context: {} })).toBe(answer);
});
