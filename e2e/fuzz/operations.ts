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

/** How much of it is meant to go wrong. */
export type Manner = 'tame' | 'wild';

const quoted = (text: string): string => JSON.stringify(text);

/** A literal for a type: usually one that fits. */
function literal(type: GraphQLInputType, depth: number, manner: Manner): fc.Arbitrary<string> {
  if (isNonNullType(type)) return literal(type.ofType, depth, manner);
  if (manner === 'tame') return fitting(type, depth, manner);
  const rare = fc.constantFrom('null', '{}', '[]', '""', '-1', 'true', 'NOT_THERE', '{ __proto__: 1 }');
  return fc.oneof({ weight: 12, arbitrary: fitting(type, depth, manner) }, { weight: 1, arbitrary: rare });
}

function fitting(type: GraphQLInputType, depth: number, manner: Manner): fc.Arbitrary<string> {
  if (isNonNullType(type)) return fitting(type.ofType, depth, manner);
  if (isListType(type)) return fc.array(literal(type.ofType, depth + 1, manner), { maxLength: depth > 2 ? 0 : 3 }).map((items) => `[${items.join(', ')}]`);
  if (isEnumType(type)) return fc.constantFrom(...type.getValues().map(({ name }) => name));
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const chosen = fields.map(({ name, type: inner }) => {
      const needed = isNonNullType(inner);
      const value = literal(inner, depth + 1, manner).map((text) => `${name}: ${text}`);
      return depth > 3 && !needed ? fc.constant(null) : needed && manner === 'tame' ? value : fc.option(value, { freq: needed ? 30 : 1 });
    });
    return fc.tuple(...chosen).map((texts) => `{ ${texts.filter((text) => text !== null).join(', ')} }`);
  }
  switch (type.name) {
    case 'Int':
    case 'Float':
      if (manner === 'tame') return fc.integer({ min: 1, max: 50 }).map(String);
      return fc.oneof(fc.constantFrom(...ODD_NUMBERS), fc.integer().map(String));
    case 'Boolean':
      return fc.constantFrom('true', 'false');
    case 'ByteSize':
      if (manner === 'tame') return fc.constantFrom('"1GiB"', '"64MiB"', '4096');
      break;
    case 'DateTime':
      if (manner === 'tame') return fc.constantFrom('"2026-01-01T00:00:00Z"');
      break;
    default:
      if (manner === 'tame') return fc.constantFrom(NOBODY, 'web', '').map(quoted);
  }
  return fc.oneof(fc.constantFrom(...ODD_STRINGS), fc.string({ maxLength: 20 })).map(quoted);
}

const argumentsOf = (args: readonly GraphQLArgument[], manner: Manner): fc.Arbitrary<string> =>
  args.length === 0
    ? fc.constant('')
    : fc
        .tuple(
          ...args.map((arg) => {
            const given = literal(arg.type, 0, manner).map((text) => `${arg.name}: ${text}`);
            const needed = isNonNullType(arg.type);
            return needed && manner === 'tame' ? given : fc.option(given, { freq: needed ? 30 : 1 });
          }),
        )
        .map((texts) => texts.filter((text) => text !== null))
        .map((texts) => (texts.length === 0 ? '' : `(${texts.join(', ')})`));

const ALIASES: Readonly<Record<Manner, fc.Arbitrary<string>>> = {
  tame: fc.constant(''),
  wild: fc.oneof({ weight: 6, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom('a: ', 'b: ', '__a: ', 'constructor: ', 'toString: ') }),
};
const GOOD_DIRECTIVES = [' @skip(if: false)', ' @include(if: true)', ' @skip(if: $flag)', ' @include(if: $flag)'];
const DIRECTIVES: Readonly<Record<Manner, fc.Arbitrary<string>>> = {
  tame: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...GOOD_DIRECTIVES) }),
  wild: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...GOOD_DIRECTIVES, ' @nope', ' @defer') }),
};

function field(schema: GraphQLSchema, of: GraphQLField<unknown, unknown>, depth: number, manner: Manner): fc.Arbitrary<string> {
  const type = getNamedType(of.type);
  const selection = isCompositeType(type) ? selections(schema, type, depth + 1, manner).map((text) => ` ${text}`) : fc.constant('');
  return fc.tuple(ALIASES[manner], argumentsOf(of.args, manner), DIRECTIVES[manner], selection).map(([as, args, directives, inner]) => `${as}${of.name}${args}${directives}${inner}`);
}

function selections(schema: GraphQLSchema, type: GraphQLCompositeType, depth: number, manner: Manner): fc.Arbitrary<string> {
  if (isAbstractType(type)) {
    const types = schema.getPossibleTypes(type);
    return fc.constantFrom(...types).chain((one: GraphQLObjectType) => selections(schema, one, depth, manner).map((text) => `{ __typename ... on ${one.name} ${text} }`));
  }
  const all = Object.values(type.getFields());
  const shallow = all.filter((each) => !isCompositeType(getNamedType(each.type)));
  const few = depth >= 4 ? shallow : all;
  if (few.length === 0) return fc.constant('{ __typename }');
  return fc
    .uniqueArray(fc.constantFrom(...few), { minLength: 1, maxLength: 4 })
    .chain((chosen) => fc.tuple(...chosen.map((each) => field(schema, each, depth, manner))))
    .map((texts) => `{ ${texts.join(' ')} }`);
}

/** Queries and mutations, all but some root fields: those that would end the test, such as its own session. */
export function fuzzedOperations(schema: GraphQLSchema, { leaveOut, manner }: { leaveOut: readonly string[]; manner: Manner }): fc.Arbitrary<FuzzedOperation> {
  const roots = (['query', 'mutation'] as const).flatMap((kind) => {
    const type = kind === 'query' ? schema.getQueryType() : schema.getMutationType();
    return Object.values(type?.getFields() ?? {}).map((each) => ({ each, kind }));
  });
  return fc
    .constantFrom(...roots.filter(({ each }) => !leaveOut.includes(each.name)))
    .chain(({ each, kind }) => field(schema, each, 0, manner).map((text) => ({ query: `${kind} Fuzz($flag: Boolean = false) { ${text} __typename @skip(if: $flag) }`, variables: {} })));
}

/** What is hardly GraphQL any more: a good operation with some of its characters changed. */
export const mangledOperations = (operations: fc.Arbitrary<FuzzedOperation>): fc.Arbitrary<FuzzedOperation> =>
  fc
    .tuple(operations, fc.array(fc.tuple(fc.nat(2_000), fc.constantFrom('{', '}', '(', ')', '"', '...', '@', '$', '\\', '\n', '#', '\u0000', '&', 'fragment F on F { ...F }', '[')), { minLength: 1, maxLength: 4 }))
    .map(([{ query, variables }, changes]) => ({
      query: changes.reduce((text, [at, what]) => `${text.slice(0, at % text.length)}${what}${text.slice((at % text.length) + 1)}`, query),
      variables,
    }));
