import {
  getNamedType,
  getNullableType,
  GraphQLError,
  isCompositeType,
  isInputObjectType,
  isListType,
  type DocumentNode,
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLInputField,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { readCostDirectives, type ListSize } from './directives.ts';
import { selectFields, selectionsOf, type SelectedField, type SelectedFields, type Variables } from './selected-fields.ts';

/**
 * What operations cost, in points: an object 1, a leaf nothing, but 1 for each further alias under which its object gives the
 * same one (else an answer could be made as large as one likes), an input object 1, a mutation 10 more, and whatever @cost and
 * @listSize say instead. No operation costs less than 1.
 */
export interface CostModel {
  /**
   * Of a validated operation, before it runs; no less than it will cost, if lists are as long as @listSize says. BAD_USER_INPUT
   * where a list must be told its length and is not.
   */
  estimate(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables): number;
  /** Of the same operation, by its answer. */
  actual(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables, data: Readonly<Record<string, unknown>> | null | undefined): number;
}

export interface CostOptions {
  /** How long a list is of which nothing is said. */
  listSize?: number;
}

const MUTATION = 10;
const SMALLEST = 1;

interface SizedList {
  size: number;
  rule: ListSize;
}

/** How many of the fields of one object are leaves that it gives under another name already. */
function repeatedLeaves(fields: readonly SelectedField[]): number {
  const leaves = fields.filter(({ definition }) => !isCompositeType(getNamedType(definition.type)));
  return leaves.length - new Set(leaves.map(({ definition }) => definition)).size;
}

/**
 * Demand control as in the GraphOS Router, which follows IBM's specification:
 * https://www.apollographql.com/docs/graphos/routing/security/demand-control, https://ibm.github.io/graphql-specs/cost-spec.html
 */
export function createCostModel(supergraph: DocumentNode, schema: GraphQLSchema, { listSize: otherwise = 10 }: CostOptions = {}): CostModel {
  const { weights, listSizes } = readCostDirectives(supergraph);
  const coordinateOf = ({ parent, definition }: SelectedField) => `${parent.name}.${definition.name}`;

  function weightOf(field: SelectedField): number {
    const type = getNamedType(field.definition.type);
    return weights.get(coordinateOf(field)) ?? weights.get(type.name) ?? (isCompositeType(type) ? 1 : 0);
  }

  function inputCost(value: unknown, coordinate: string, input: GraphQLArgument | GraphQLInputField): number {
    if (value === null || value === undefined) return 0;
    const type = getNamedType(input.type);
    const weight = weights.get(coordinate) ?? weights.get(type.name);
    if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + inputCost(item, coordinate, input), weight ?? 0);
    if (!isInputObjectType(type) || typeof value !== 'object') return weight ?? 0;
    const fields = type.getFields();
    const inner = Object.entries(value).map(([name, each]) => (fields[name] === undefined ? 0 : inputCost(each, `${type.name}.${name}`, fields[name])));
    return inner.reduce((sum, each) => sum + each, weight ?? 1);
  }

  const argumentsCost = (selected: SelectedFields, field: SelectedField): number =>
    field.definition.args.reduce((sum, input) => sum + inputCost(selected.argument(field, input.name), `${coordinateOf(field)}(${input.name}:)`, input), 0);

  /** How long the list is that a field is, or that fields below it are. */
  function sizeOf(selected: SelectedFields, field: SelectedField): SizedList | null {
    const rule = listSizes.get(coordinateOf(field));
    if (rule === undefined) return null;
    const slices = rule.slicingArguments.map((name) => selected.argument(field, name)).filter((value) => typeof value === 'number');
    if (rule.requireOneSlicingArgument && rule.slicingArguments.length > 0 && slices.length !== 1) {
      throw new GraphQLError(`Say how long "${field.definition.name}" may be by one of: ${rule.slicingArguments.join(', ')}.`, {
        nodes: field.nodes,
        extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } },
      });
    }
    return { size: slices.length > 0 ? Math.max(0, ...slices) : (rule.assumedSize ?? otherwise), rule };
  }

  function estimated(selected: SelectedFields, sets: readonly SelectionSetNode[], parent: GraphQLCompositeType, above: SizedList | null): number {
    const fields = [...selected.of(sets, parent).values()].flat();
    let cost = repeatedLeaves(fields);
    for (const field of fields) {
      const { definition } = field;
      const size = sizeOf(selected, field);
      const type = getNamedType(definition.type);
      const below = isCompositeType(type) ? estimated(selected, selectionsOf(field), type, size) : 0;
      cost += lengthOf(field, size, above) * (weightOf(field) + below) + argumentsCost(selected, field);
    }
    return cost;
  }

  function lengthOf({ definition }: SelectedField, own: SizedList | null, above: SizedList | null): number {
    if (!isListType(getNullableType(definition.type))) return 1;
    if (above?.rule.sizedFields.includes(definition.name)) return above.size;
    return own !== null && own.rule.sizedFields.length === 0 ? own.size : otherwise;
  }

  function answered(selected: SelectedFields, sets: readonly SelectionSetNode[], parent: GraphQLCompositeType, data: Readonly<Record<string, unknown>>): number {
    const given = [...selected.of(sets, parent, data['__typename'])].filter(([key]) => data[key] !== undefined);
    let cost = repeatedLeaves(given.flatMap(([, [field]]) => field ?? []));
    for (const [key, fields] of given) {
      const value = data[key];
      // which type's field it was is not in the answer unless it was asked for: the dearest
      cost += Math.max(...fields.map((field) => argumentsCost(selected, field) + answerCost(selected, field, fields.flatMap(selectionsOf), value)));
    }
    return cost;
  }

  function answerCost(selected: SelectedFields, field: SelectedField, sets: readonly SelectionSetNode[], value: unknown): number {
    if (value === null) return 0;
    if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + answerCost(selected, field, sets, item), 0);
    const type = getNamedType(field.definition.type);
    if (!isCompositeType(type)) return weightOf(field);
    return weightOf(field) + answered(selected, sets, type, value as Record<string, unknown>); // an object, by its type
  }

  const total = (operation: OperationDefinitionNode, cost: number): number => Math.max(SMALLEST, cost + (operation.operation === 'mutation' ? MUTATION : 0));

  return {
    estimate(document, operation, variables) {
      const root = schema.getRootType(operation.operation);
      const selected = selectFields(schema, document, operation, variables);
      return total(operation, root == null ? 0 : estimated(selected, [operation.selectionSet], root, null));
    },
    actual(document, operation, variables, data) {
      const root = schema.getRootType(operation.operation);
      const selected = selectFields(schema, document, operation, variables);
      return total(operation, root == null || data == null ? 0 : answered(selected, [operation.selectionSet], root, data));
    },
  };
}
