import {
  isAbstractType,
  isEnumType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLFormattedError,
  type GraphQLLeafType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';
import { ENTITIES, rootTypeOf, selectedFields, type Question } from './question.ts';

export type Path = readonly (string | number)[];

/** A value that is not what the schema says; the text names types and never the value. */
export interface Fault {
  path: Path;
  what: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Faults that are told of one answer; further values become null without one. */
const FAULTS_LIMIT = 100;
/** Levels of objects and lists inside a value of a custom scalar: what is deeper can't be written down again. */
const SCALAR_DEPTH = 100;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const isInt = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;

/** What the standard scalars look like in JSON: https://spec.graphql.org/October2021/#sec-Scalars.Built-in-Scalars */
const STANDARD: Readonly<Record<string, (value: unknown) => boolean>> = {
  Int: isInt,
  Float: (value) => typeof value === 'number',
  String: (value) => typeof value === 'string',
  Boolean: (value) => typeof value === 'boolean',
  ID: (value) => typeof value === 'string' || Number.isInteger(value),
};

/**
 * Compares the data that a subgraph answered with the question and the types of the supergraph, which are never stricter than
 * the subgraph's own. The executor trusts what it is given: a string where a list should be ends the whole operation.
 */
export class AnswerCheck {
  readonly #schema: GraphQLSchema;
  readonly #question: Question;
  /** Where the subgraph itself says that something is missing. */
  readonly #excused: readonly Path[];
  readonly faults: Fault[] = [];

  constructor(schema: GraphQLSchema, question: Question, errors: readonly GraphQLFormattedError[]) {
    this.#schema = schema;
    this.#question = question;
    this.#excused = errors.flatMap(({ path }) => (path === undefined ? [] : [path]));
  }

  /** The data that was asked for and nothing else, with null for each fault. */
  data(value: Json): Record<string, unknown> {
    const root = rootTypeOf(this.#schema, this.#question);
    const data = Object.create(null) as Record<string, unknown>;
    for (const [key, nodes] of selectedFields(this.#schema, this.#question, root, [this.#question.operation.selectionSet])) {
      const path = [key];
      if (nodes[0]?.name.value === ENTITIES) data[key] = this.#entities(own(value, key), nodes, path);
      else data[key] = this.#field(root, nodes, own(value, key), path);
    }
    return data;
  }

  /** One for each representation, in their order: federation knows them apart by nothing else. */
  #entities(value: unknown, nodes: readonly FieldNode[], path: Path): unknown[] {
    const representations = this.#question.representations ?? [];
    const answered = Array.isArray(value) && value.length === representations.length ? (value as unknown[]) : null;
    return representations.map((representation, index) => {
      const place = [...path, index];
      const entity = answered?.[index];
      if (answered === null) return this.#fault(place, 'other entities than were asked for');
      if (entity === null) return null;
      const known = isObject(representation) ? representation : {};
      const type = this.#schema.getType(String(known['__typename']));
      if (!isObjectType(type) && !isInterfaceType(type)) return entity; // the planner asks for no others
      const checked = this.#object(type, nodes, entity, place);
      return isObject(checked) && isAnother(checked, known) ? this.#fault(place, 'another entity than was asked for') : checked;
    });
  }

  #field(parent: GraphQLCompositeType, nodes: readonly FieldNode[], value: unknown, path: Path): unknown {
    const name = nodes[0]?.name.value ?? '';
    if (name === '__typename') return typeof value === 'string' ? value : this.#fault(path, 'no __typename');
    const definition = 'getFields' in parent ? parent.getFields()[name] : undefined;
    return definition === undefined ? value : this.#value(definition.type, nodes, value ?? null, path);
  }

  #value(type: GraphQLOutputType, nodes: readonly FieldNode[], value: unknown, path: Path): unknown {
    if (isNonNullType(type)) return value === null ? this.#fault(path, 'null') : this.#value(type.ofType, nodes, value, path);
    if (value === null) return null;
    if (isListType(type)) {
      if (!Array.isArray(value)) return this.#fault(path, 'no list');
      return value.map((each: unknown, index) => this.#value(type.ofType, nodes, each, [...path, index]));
    }
    if (isLeafType(type)) return isOf(type, value) ? value : this.#fault(path, `no ${type.name}`);
    return this.#object(type, nodes, value, path);
  }

  #object(declared: GraphQLCompositeType, nodes: readonly FieldNode[], value: unknown, path: Path): unknown {
    if (!isObject(value)) return this.#fault(path, 'no object');
    const type = this.#runtimeType(declared, own(value, '__typename'));
    if (type === null) return this.#fault(path, `no ${declared.name}`);
    const object = Object.create(null) as Record<string, unknown>;
    const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
    for (const [key, fields] of selectedFields(this.#schema, this.#question, type, sets)) object[key] = this.#field(type, fields, own(value, key), [...path, key]);
    return object;
  }

  /** Null for a type that can't be here. An @interfaceObject is known by the name of its interface. */
  #runtimeType(declared: GraphQLCompositeType, name: unknown): GraphQLCompositeType | null {
    if (name === undefined || name === declared.name) return declared;
    const type = typeof name === 'string' ? this.#schema.getType(name) : undefined;
    if (!isObjectType(type) && !isInterfaceType(type)) return null;
    if (isAbstractType(declared) && this.#schema.isSubType(declared, type)) return type;
    return isInterfaceType(type) && !isAbstractType(declared) && this.#schema.isSubType(type, declared) ? declared : null;
  }

  #fault(path: Path, what: string): null {
    const isExcused = this.#excused.some((known) => path.every((step, index) => known[index] === step));
    if (!isExcused && this.faults.length < FAULTS_LIMIT) this.faults.push({ path, what });
    return null;
  }
}

/** Never what a prototype brings: a client may call a field `constructor`. */
const own = (value: Json, key: string): unknown => (Object.hasOwn(value, key) ? value[key] : undefined);

function isOf(type: GraphQLLeafType, value: unknown): boolean {
  if (isEnumType(type)) return typeof value === 'string' && type.getValue(value) !== undefined;
  return STANDARD[type.name]?.(value) ?? !isDeeper(value, SCALAR_DEPTH);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}

/** True when the answer itself says that it is of something else: a key by which it was asked for has another value. */
const isAnother = (entity: Json, representation: Json): boolean =>
  Object.entries(representation).some(([key, wanted]) => {
    const found = own(entity, key);
    return key !== '__typename' && typeof wanted === 'string' && typeof found === 'string' && found !== wanted;
  });
