import fc from 'fast-check';
import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';

/*
 * Operations over a schema, as somebody might write them who means no good or does not know better: most of them valid, with
 * arguments that are nearly right, some with what is not there.
 */

export interface FuzzedOperation {
  query: string;
  variables: Record<string, unknown>;
}

const NOBODY = '018f0000-0000-7000-8000-000000000000';

/** What no parser of ours should stumble over. */
const ODD_STRINGS = ['', ' ', 'null', '__proto__', 'constructor', "'; DROP TABLE vms.vm; --", '../../../etc/passwd', '\u0000', '\ud800', '%00', '${7*7}', '<script>', '🦀'.repeat(40), 'x'.repeat(5_000), NOBODY, '-1', '1e999', '10GiB', 'http://127.0.0.1:1/x', 'qemu+tcp://127.0.0.1:1/system'];
const ODD_NUMBERS = ['0', '-1', '1', '2147483647', '2147483648', '-2147483649', '9007199254740993', '1e308', '1.5', '1e999'];

const quoted = (text: string): string => JSON.stringify(text);

/** A literal for a type: usually one that fits. */
function literal(type: GraphQLInputType, depth: number): fc.Arbitrary<string> {
  if (isNonNullType(type)) return literal(type.ofType, depth);
  const rare = fc.constantFrom('null', '{}', '[]', '""', '-1', 'true', 'NOT_THERE', '{ __proto__: 1 }');
  return fc.oneof({ weight: 12, arbitrary: fitting(type, depth) }, { weight: 1, arbitrary: rare });
}

function fitting(type: GraphQLInputType, depth: number): fc.Arbitrary<string> {
  if (isNonNullType(type)) return fitting(type.ofType, depth);
  if (isListType(type)) return fc.array(literal(type.ofType, depth + 1), { maxLength: depth > 2 ? 0 : 3 }).map((items) => `[${items.join(', ')}]`);
  if (isEnumType(type)) return fc.constantFrom(...type.getValues().map(({ name }) => name));
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const chosen = fields.map((field) => {
      const needed = isNonNullType(field.type);
      const value = literal(field.type, depth + 1).map((text) => `${field.name}: ${text}`);
      return depth > 3 && !needed ? fc.constant(null) : fc.option(value, { freq: needed ? 30 : 1 });
    });
    return fc.tuple(...chosen).map((texts) => `{ ${texts.filter((text) => text !== null).join(', ')} }`);
  }
  switch (type.name) {
    case 'Int':
    case 'Float':
      return fc.oneof(fc.constantFrom(...ODD_NUMBERS), fc.integer().map(String));
    case 'Boolean':
      return fc.constantFrom('true', 'false');
    default:
      return fc.oneof(fc.constantFrom(...ODD_STRINGS), fc.string({ maxLength: 20 })).map(quoted);
  }
}

const argumentsOf = (args: readonly GraphQLArgument[]): fc.Arbitrary<string> =>
  args.length === 0
    ? fc.constant('')
    : fc
        .tuple(...args.map((arg) => fc.option(literal(arg.type, 0).map((text) => `${arg.name}: ${text}`), { freq: isNonNullType(arg.type) ? 30 : 1 })))
        .map((texts) => texts.filter((text) => text !== null))
        .map((texts) => (texts.length === 0 ? '' : `(${texts.join(', ')})`));

const alias = fc.oneof({ weight: 6, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom('a: ', 'b: ', '__a: ', 'constructor: ', 'toString: ') });
const directive = fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(' @skip(if: false)', ' @include(if: true)', ' @skip(if: $flag)', ' @nope', ' @defer') });

function field(schema: GraphQLSchema, of: GraphQLField<unknown, unknown>, depth: number): fc.Arbitrary<string> {
  const type = getNamedType(of.type);
  const selection = isCompositeType(type) ? selections(schema, type, depth + 1).map((text) => ` ${text}`) : fc.constant('');
  return fc.tuple(alias, argumentsOf(of.args), directive, selection).map(([as, args, directives, inner]) => `${as}${of.name}${args}${directives}${inner}`);
}

function selections(schema: GraphQLSchema, type: GraphQLCompositeType, depth: number): fc.Arbitrary<string> {
  if (isAbstractType(type)) {
    const types = schema.getPossibleTypes(type);
    return fc.constantFrom(...types).chain((one: GraphQLObjectType) => selections(schema, one, depth).map((text) => `{ __typename ... on ${one.name} ${text} }`));
  }
  const all = Object.values(type.getFields());
  const shallow = all.filter((each) => !isCompositeType(getNamedType(each.type)));
  const few = depth >= 4 ? shallow : all;
  if (few.length === 0) return fc.constant('{ __typename }');
  return fc
    .uniqueArray(fc.constantFrom(...few), { minLength: 1, maxLength: 4 })
    .chain((chosen) => fc.tuple(...chosen.map((each) => field(schema, each, depth))))
    .map((texts) => `{ ${texts.join(' ')} }`);
}

/** Queries and mutations. `leaveOut`: root fields that would end the test, such as its own session. */
export function fuzzedOperations(schema: GraphQLSchema, leaveOut: readonly string[]): fc.Arbitrary<FuzzedOperation> {
  const roots = [schema.getQueryType(), schema.getMutationType()].flatMap((type) => (type ? Object.values(type.getFields()).map((each) => ({ each, kind: type === schema.getQueryType() ? 'query' : 'mutation' })) : []));
  return fc
    .constantFrom(...roots.filter(({ each }) => !leaveOut.includes(each.name)))
    .chain(({ each, kind }) => field(schema, each, 0).map((text) => ({ query: `${kind} Fuzz($flag: Boolean = false) { ${text} }`, variables: {} })));
}

/** What is hardly GraphQL any more: a good operation with some of its characters changed. */
export const mangledOperations = (operations: fc.Arbitrary<FuzzedOperation>): fc.Arbitrary<FuzzedOperation> =>
  fc
    .tuple(operations, fc.array(fc.tuple(fc.nat(2_000), fc.constantFrom('{', '}', '(', ')', '"', '...', '@', '$', '\\', '\n', '#', '\u0000', '&', 'fragment F on F { ...F }', '[')), { minLength: 1, maxLength: 4 }))
    .map(([{ query, variables }, changes]) => ({
      query: changes.reduce((text, [at, what]) => `${text.slice(0, at % text.length)}${what}${text.slice((at % text.length) + 1)}`, query),
      variables,
    }));
