import { composeServices } from '@apollo/composition';
import { operationFromDocument } from '@apollo/federation-internals';
import { prettyFormatQueryPlan } from '@apollo/query-planner';
import { parse, printSchema } from 'graphql';
import { describe, expect, it } from 'vitest';
import { InvalidSupergraph, loadSupergraph } from './supergraph.ts';

const link = (imports: string) => `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [${imports}])`;

const compose = (subgraphs: Record<string, string>): string => {
  const { supergraphSdl, errors } = composeServices(Object.entries(subgraphs).map(([name, sdl]) => ({ name, url: `http://${name}.example/graphql`, typeDefs: parse(sdl) })));
  if (supergraphSdl === undefined) throw new Error(errors?.join('\n'));
  return supergraphSdl;
};

const FEDERATION_1 = `
  schema @core(feature: "https://specs.apollo.dev/core/v0.2") @core(feature: "https://specs.apollo.dev/join/v0.1", for: EXECUTION) { query: Query }
  directive @core(as: String, feature: String!, for: core__Purpose) repeatable on SCHEMA
  directive @join__field(graph: join__Graph, provides: join__FieldSet, requires: join__FieldSet) on FIELD_DEFINITION
  directive @join__graph(name: String!, url: String!) on ENUM_VALUE
  directive @join__owner(graph: join__Graph!) on INTERFACE | OBJECT
  directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on INTERFACE | OBJECT
  enum core__Purpose { EXECUTION SECURITY }
  scalar join__FieldSet
  enum join__Graph { A @join__graph(name: "a" url: "http://a.example") }
  type Query { a: Int @join__field(graph: A) }`;

const UNKNOWN_FEATURE = (purpose: string) =>
  compose({ a: 'type Query { a: Int }' }).replace('for: EXECUTION)', `for: EXECUTION) @link(url: "https://example.test/odd/v1.0", for: ${purpose})`);

describe('a supergraph', () => {
  it('knows its subgraphs, and tells its versions apart', () => {
    const one = loadSupergraph(compose({ a: 'type Query { a: Int }', b: 'type Query { b: Int }' }));
    const other = loadSupergraph(compose({ a: 'type Query { a: Int }' }));
    expect(one.subgraphs).toEqual([
      { name: 'a', url: 'http://a.example/graphql' },
      { name: 'b', url: 'http://b.example/graphql' },
    ]);
    expect(one.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(other.hash).not.toBe(one.hash);
    expect(loadSupergraph(one.sdl).hash).toBe(one.hash);
  });

  it('may ask for authorization, which clients see nothing of', () => {
    const sdl = compose({ a: `${link('"@authenticated", "@requiresScopes", "@policy"')} type Query { a: Int @authenticated b: Int @requiresScopes(scopes: [["x"]]) c: Int @policy(policies: [["y"]]) }` });
    expect(Object.keys(loadSupergraph(sdl).apiSchema.getQueryType()?.getFields() ?? {})).toEqual(['a', 'b', 'c']);
    expect(loadSupergraph(sdl).apiSchema.getDirectives().map(({ name }) => name)).not.toContain('authenticated');
  });

  it('shows clients nothing of what is only planned with', () => {
    const one = `${link('"@key"')} type Query { a: A } type A @key(fields: "id") { id: ID! size(unit: String): Int }`;
    const other = `${link('"@key", "@external", "@requires"')} type A @key(fields: "id") { id: ID! size(unit: String): Int @external label: String @requires(fields: "size(unit: \\"mm\\")") }`;
    const { apiSchema, planning } = loadSupergraph(compose({ one, other }));
    expect(printSchema(apiSchema)).not.toContain('__requires_');
    expect(printSchema(planning.schema)).toContain('size__requires_0: Int');
  });

  it('is planned without the keys by which a subgraph can not be entered, where there is another', () => {
    const one = `${link('"@key", "@external", "@requires"')}
      type Query { a: A } type A @key(fields: "other", resolvable: false) @key(fields: "id") { id: ID! other: ID! name: String @external label: String @requires(fields: "name") }`;
    const two = `${link('"@key"')} type A @key(fields: "id") @key(fields: "other") { id: ID! other: ID! name: String }`;
    const { planning } = loadSupergraph(compose({ one, two }));
    const plan = prettyFormatQueryPlan(planning.planner.buildQueryPlan(operationFromDocument(planning.api, parse('{ a { label } }'))));
    expect(plan.replace(/\s+/g, ' ')).toContain('Fetch(service: "one") { { ... on A { __typename name id } } => { ... on A { label } } }');
  });

  it.each([
    ['nothing', '', 'It is no valid federation 2 supergraph: Syntax Error: Unexpected <EOF> (line 1, column 1).'],
    ['half of one', 'type Query {\n  a: Int', 'It is no valid federation 2 supergraph: Syntax Error: Expected Name, found <EOF> (line 2, column 9).'],
    ['a plain schema', 'type Query { a: Int }', 'It is no federation 2 supergraph: it has no @link to https://specs.apollo.dev/join.'],
    ['a subgraph', `${link('"@key"')} type Query { a: Int }`, 'It is no federation 2 supergraph: it has no @link to https://specs.apollo.dev/join.'],
    ['one of federation 1', FEDERATION_1, 'It is a supergraph of federation 1: compose its subgraphs with federation 2.'],
    ['one of a later join', compose({ a: 'type Query { a: Int }' }).replace(/join\/v0\.\d/, 'join/v0.9'), expect.stringContaining('uses unsupported join spec version v0.9')],
    ['one that needs more of its executor', UNKNOWN_FEATURE('EXECUTION'), expect.stringContaining('https://example.test/odd/v1.0 is for: EXECUTION but is unsupported')],
    ['one that needs more protection', UNKNOWN_FEATURE('SECURITY'), expect.stringContaining('https://example.test/odd/v1.0 is for: SECURITY but is unsupported')],
    ['one with a type that is not there', compose({ a: 'type Query { a: Int }' }).replace('a: Int', 'a: Missing'), expect.stringContaining('Missing')],
  ])('is refused in one sentence when it is %s', (_what, sdl, message) => {
    let refusal: unknown;
    try {
      loadSupergraph(sdl);
    } catch (thrown) {
      refusal = thrown;
    }
    expect(refusal).toBeInstanceOf(InvalidSupergraph);
    expect((refusal as InvalidSupergraph).message).toEqual(message);
    expect((refusal as InvalidSupergraph).message).not.toContain('\n');
  });
});
