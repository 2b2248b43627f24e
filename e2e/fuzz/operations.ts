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
  type OperationTypeNode,
} from 'graphql';
import type { KnownIds } from './known-ids.ts';
import { odd, OFTEN_NEEDED, sensible, type Manner, type Position } from './strings.ts';

/*
 * Operations over a schema, as somebody might write them who means no good or does not know better: most of them valid, with
 * arguments that are nearly right, some with what is not there.
 */

export interface FuzzedOperation {
  /** The root field that it asks for. */
  field: string;
  query: string;
  variables: Record<string, unknown>;
}

const ODD_NUMBERS = ['0', '-1', '1', '2147483647', '2147483648', '-2147483649', '9007199254740993', '1e308', '1.5', '1e999'];

/** What operations are made from. */
export interface Ingredients {
  schema: GraphQLSchema;
  manner: Manner;
  ids: KnownIds;
}

const quoted = (text: string): string => JSON.stringify(text);

/** A literal for a type: usually one that fits. */
function literal(type: GraphQLInputType, at: Position, depth: number, using: Ingredients): fc.Arbitrary<string> {
  if (isNonNullType(type)) return literal(type.ofType, at, depth, using);
  if (using.manner === 'tame') return fitting(type, at, depth, using);
  const rare = fc.constantFrom('null', '{}', '[]', '""', '-1', 'true', 'NOT_THERE', '{ __proto__: 1 }');
  return fc.oneof({ weight: 12, arbitrary: fitting(type, at, depth, using) }, { weight: 1, arbitrary: rare });
}

function fitting(type: GraphQLInputType, at: Position, depth: number, using: Ingredients): fc.Arbitrary<string> {
  const { manner, ids } = using;
  if (isNonNullType(type)) return fitting(type.ofType, at, depth, using);
  if (isListType(type)) return fc.array(literal(type.ofType, at, depth + 1, using), { maxLength: depth > 2 ? 0 : 3 }).map((items) => `[${items.join(', ')}]`);
  if (isEnumType(type)) return fc.constantFrom(...type.getValues().map(({ name }) => name));
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const chosen = fields.map(({ name, type: inner }) => {
      const needed = isNonNullType(inner);
      const value = literal(inner, { ...at, name }, depth + 1, using).map((text) => `${name}: ${text}`);
      return depth > 3 && !needed ? fc.constant(null) : needed && manner === 'tame' ? value : fc.option(value, { freq: needed ? 30 : OFTEN_NEEDED.has(name) ? 8 : 1 });
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
      if (manner === 'tame') return fc.constantFrom('"64MiB"', '4194304');
      break;
    case 'DateTime':
      if (manner === 'tame') return fc.constantFrom('"2026-01-01T00:00:00Z"');
      break;
    case 'JSON':
      return fc.constantFrom('{}', '{ rack: "a" }', ...(manner === 'tame' ? [] : ['[[[]]]', '{ a: { b: [1, null] } }', '{ __proto__: { a: 1 } }']));
    default:
      if (manner === 'tame') return sensible(at, ids).map(quoted);
      return fc.oneof(odd, sensible(at, ids)).map(quoted);
  }
  return odd.map(quoted);
}

const argumentsOf = (args: readonly GraphQLArgument[], root: string, using: Ingredients): fc.Arbitrary<string> =>
  args.length === 0
    ? fc.constant('')
    : fc
        .tuple(
          ...args.map((arg) => {
            const given = literal(arg.type, { name: arg.name, field: root }, 0, using).map((text) => `${arg.name}: ${text}`);
            const needed = isNonNullType(arg.type);
            if (needed && using.manner === 'tame') return given;
            // Most pages are the first: a cursor that is none finds nothing.
            return using.manner === 'tame' && (arg.name === 'after' || arg.name === 'before') ? fc.constant(null) : fc.option(given, { freq: needed ? 30 : 1 });
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

function field(of: GraphQLField<unknown, unknown>, depth: number, using: Ingredients): fc.Arbitrary<string> {
  const type = getNamedType(of.type);
  const selection = isCompositeType(type) ? selections(type, depth + 1, using).map((text) => ` ${text}`) : fc.constant('');
  return fc.tuple(ALIASES[using.manner], argumentsOf(of.args, of.name, using), DIRECTIVES[using.manner], selection).map(([as, args, directives, inner]) => `${as}${of.name}${args}${directives}${inner}`);
}

function selections(type: GraphQLCompositeType, depth: number, using: Ingredients): fc.Arbitrary<string> {
  if (isAbstractType(type)) {
    const types = using.schema.getPossibleTypes(type);
    return fc.constantFrom(...types).chain((one: GraphQLObjectType) => selections(one, depth, using).map((text) => `{ __typename ... on ${one.name} ${text} }`));
  }
  const all = Object.values(type.getFields());
  const shallow = all.filter((each) => !isCompositeType(getNamedType(each.type)));
  const few = depth >= 4 ? shallow : all;
  if (few.length === 0) return fc.constant('{ __typename }');
  return fc
    .uniqueArray(fc.constantFrom(...few), { minLength: 1, maxLength: 4 })
    .chain((chosen) => fc.tuple(...chosen.map((each) => field(each, depth, using))))
    .map((texts) => `{ ${texts.join(' ')} }`);
}

/** Operations of these kinds, all but some root fields: those that would end the test, such as its own session. */
export function fuzzedOperations(using: Ingredients, kinds: readonly OperationTypeNode[], leaveOut: readonly string[]): fc.Arbitrary<FuzzedOperation> {
  const roots = kinds.flatMap((kind) => Object.values(using.schema.getRootType(kind)?.getFields() ?? {}).map((each) => ({ each, kind })));
  return fc
    .constantFrom(...roots.filter(({ each }) => !leaveOut.includes(each.name)))
    .chain(({ each, kind }) => field(each, 0, using).map((text) => ({ field: each.name, query: kind === 'subscription' ? `subscription Fuzz { ${text} }` : `${kind} Fuzz($flag: Boolean = false) { ${text} __typename @skip(if: $flag) }`, variables: {} })));
}

/** What is hardly GraphQL any more: a good operation with some of its characters changed. */
export const mangledOperations = (operations: fc.Arbitrary<FuzzedOperation>): fc.Arbitrary<FuzzedOperation> =>
  fc
    .tuple(operations, fc.array(fc.tuple(fc.nat(2_000), fc.constantFrom('{', '}', '(', ')', '"', '...', '@', '$', '\\', '\n', '#', '\u0000', '&', 'fragment F on F { ...F }', '[')), { minLength: 1, maxLength: 4 }))
    .map(([{ field: of, query, variables }, changes]) => ({
      field: of,
      query: changes.reduce((text, [at, what]) => `${text.slice(0, at % text.length)}${what}${text.slice((at % text.length) + 1)}`, query),
      variables,
    }));
