import {
  getNamedType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLType,
} from 'graphql';
import { connectionNode, fieldsOf } from './shape.ts';

/** JSON Schema 2020-12, as OpenAPI 3.1 uses it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Scalars as they are answered; those that are sent in other forms, too, say so below. */
const SCALARS: Readonly<Record<string, JsonSchema>> = {
  ID: { type: 'string' },
  String: { type: 'string' },
  Int: { type: 'integer', format: 'int32' },
  Float: { type: 'number', format: 'double' },
  Boolean: { type: 'boolean' },
  ByteSize: { type: 'integer', format: 'int64' },
  DateTime: { type: 'string', format: 'date-time' },
};
const SENT: Readonly<Record<string, JsonSchema>> = { ByteSize: { type: ['integer', 'string'] } };

const described = (schema: JsonSchema, description: string | null | undefined): JsonSchema => (description == null ? schema : { ...schema, description });

/** Collects the named types that schemas refer to, for components/schemas. */
export class Components {
  readonly #found = new Map<string, JsonSchema>();

  get schemas(): Record<string, JsonSchema> {
    return Object.fromEntries([...this.#found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** What is answered. */
  output(type: GraphQLOutputType): JsonSchema {
    return this.#wrap(type, (named) => this.#named(named, 'output'));
  }

  /** What is sent. */
  input(type: GraphQLInputType): JsonSchema {
    return this.#wrap(type, (named) => this.#named(named, 'input'));
  }

  /** What is sent where there is no null. */
  present(type: GraphQLInputType): JsonSchema {
    return this.#notNull(type, (named) => this.#named(named, 'input'));
  }

  /** An object of inputs: a body. */
  members(parameters: readonly { name: string; type: GraphQLInputType; required: boolean; description: string | null }[]): JsonSchema {
    const required = parameters.filter((one) => one.required).map(({ name }) => name);
    return {
      type: 'object',
      properties: Object.fromEntries(parameters.map(({ name, type, description }) => [name, described(this.input(type), description)])),
      ...(required.length === 0 ? {} : { required }),
      additionalProperties: false,
    };
  }

  #wrap(type: GraphQLType, ofNamed: (named: GraphQLNamedType) => JsonSchema): JsonSchema {
    if (isNonNullType(type)) return this.#notNull(type.ofType, ofNamed);
    const schema = this.#notNull(type, ofNamed);
    if ('$ref' in schema) return { anyOf: [schema, { type: 'null' }] };
    return 'type' in schema ? { ...schema, type: [schema['type'], 'null'].flat() } : schema;
  }

  #notNull(type: GraphQLType, ofNamed: (named: GraphQLNamedType) => JsonSchema): JsonSchema {
    return isListType(type) ? { type: 'array', items: this.#wrap(type.ofType, ofNamed) } : ofNamed(getNamedType(type));
  }

  #named(type: GraphQLNamedType, way: 'input' | 'output'): JsonSchema {
    const isObject = isCompositeType(type) || isInputObjectType(type);
    if (!isObject && !isEnumType(type)) return (way === 'input' ? SENT[type.name] : undefined) ?? SCALARS[type.name] ?? {};
    if (!this.#found.has(type.name)) {
      this.#found.set(type.name, {}); // types refer to each other in circles
      this.#found.set(type.name, described(this.#define(type), type.description));
    }
    return { $ref: `#/components/schemas/${type.name}` };
  }

  #define(type: GraphQLNamedType): JsonSchema {
    if (isEnumType(type)) return { type: 'string', oneOf: type.getValues().map(({ name, description }) => described({ const: name }, description)) };
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      return this.members(fields.map((field) => ({ name: field.name, type: field.type, description: field.description ?? null, required: isRequiredInputField(field) })));
    }
    if (isUnionType(type)) return { oneOf: type.getTypes().map((one) => this.#named(one, 'output')) };
    return this.#answered(type);
  }

  /** No property is required: the client chooses. */
  #answered(type: GraphQLNamedType): JsonSchema {
    const fields = fieldsOf(type).filter(({ args }) => !args.some(isRequiredArgument));
    const node = connectionNode(type as GraphQLOutputType); // only what is answered comes here
    const properties = Object.fromEntries(
      fields.filter(({ name }) => node === null || name !== 'edges').map((field) => [field.name, described(this.output(field.type), field.description)]),
    );
    if (node === null) return { type: 'object', properties };
    const items = { type: 'array', items: this.#named(node, 'output'), description: 'What is on this page.' };
    return { type: 'object', properties: { items, ...properties }, required: ['items', 'pageInfo'] };
  }
}
