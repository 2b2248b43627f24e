import {
  getDirectiveValues,
  getOperationAST,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  isAbstractType,
  isInterfaceType,
  isObjectType,
  Kind,
  parse,
  valueFromASTUntyped,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** The field by which a federated subgraph is asked for entities: https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec */
export const ENTITIES = '_entities';

/** A document for one subgraph, parsed. */
export interface ParsedQuestion {
  operation: OperationDefinitionNode;
  fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** Of its variables, which @skip and @include may stand on. */
  defaults: Readonly<Record<string, unknown>>;
}

/** What one subgraph was asked. */
export interface Question extends ParsedQuestion {
  variables: Readonly<Record<string, unknown>>;
  /** Of the entities that it was asked for, in their order; null when it was asked for fields of the root. */
  representations: readonly unknown[] | null;
}

export function parseQuestion(query: string, operationName?: string): ParsedQuestion {
  const document = parse(query, { noLocation: true });
  const operation = getOperationAST(document, operationName) ?? getOperationAST(document);
  if (operation == null) throw new Error(`no operation to ask: ${query}`);
  const fragments = document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each] as const] : []));
  const defaults = operation.variableDefinitions?.flatMap(({ variable, defaultValue }) => (defaultValue ? [[variable.name.value, valueFromASTUntyped(defaultValue)] as const] : []));
  return { operation, fragments: new Map(fragments), defaults: Object.fromEntries(defaults ?? []) };
}

export function askWith(parsed: ParsedQuestion, variables: Readonly<Record<string, unknown>>): Question {
  const { representations } = variables;
  return { ...parsed, variables: { ...parsed.defaults, ...variables }, representations: Array.isArray(representations) ? representations : null };
}

export function rootTypeOf(schema: GraphQLSchema, { operation }: Question): GraphQLObjectType {
  const root = operation.operation === 'mutation' ? schema.getMutationType() : schema.getQueryType();
  if (root == null) throw new Error(`the supergraph has no ${operation.operation}`);
  return root;
}

/** Response key -> the fields that are merged into it, for one type. */
export function selectedFields(
  schema: GraphQLSchema,
  question: Question,
  type: GraphQLCompositeType,
  sets: readonly SelectionSetNode[],
  into = new Map<string, FieldNode[]>(),
): Map<string, FieldNode[]> {
  for (const selection of sets.flatMap(({ selections }) => selections)) {
    if (getDirectiveValues(GraphQLSkipDirective, selection, question.variables)?.['if'] === true) continue;
    if (getDirectiveValues(GraphQLIncludeDirective, selection, question.variables)?.['if'] === false) continue;
    if (selection.kind === Kind.FIELD) {
      const key = (selection.alias ?? selection.name).value;
      const known = into.get(key);
      if (known === undefined) into.set(key, [selection]);
      else known.push(selection);
      continue;
    }
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : question.fragments.get(selection.name.value);
    if (fragment !== undefined && applies(schema, fragment.typeCondition?.name.value, type)) selectedFields(schema, question, type, [fragment.selectionSet], into);
  }
  return into;
}

function applies(schema: GraphQLSchema, condition: string | undefined, type: GraphQLCompositeType): boolean {
  if (condition === undefined || condition === type.name) return true;
  const wanted = schema.getType(condition);
  return isAbstractType(wanted) && (isObjectType(type) || isInterfaceType(type)) && schema.isSubType(wanted, type);
}
