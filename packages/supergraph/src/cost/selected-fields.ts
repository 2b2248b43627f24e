import {
  isCompositeType,
  isObjectType,
  Kind,
  TypeNameMetaFieldDef,
  valueFromASTUntyped,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

export type Variables = Readonly<Record<string, unknown>>;

/** A field of an operation: one, however often it is asked for of the same type under the same name. */
export interface SelectedField {
  parent: GraphQLCompositeType;
  definition: GraphQLField<unknown, unknown>;
  nodes: [FieldNode, ...FieldNode[]];
}

export const selectionsOf = ({ nodes }: SelectedField): SelectionSetNode[] => nodes.flatMap(({ selectionSet }) => selectionSet ?? []);

/** What one operation asks for with its variables. */
export interface SelectedFields {
  /** What a field is given for an argument, as JSON; undefined where it is given nothing. */
  argument(field: SelectedField, name: string): unknown;
  /**
   * The fields of selection sets by their name in the answer, those of fragments included, without what is skipped. Of
   * an answer, `typename` leaves out what is selected of other types; under one name, several types may have each its field.
   */
  of(sets: readonly SelectionSetNode[], parent: GraphQLCompositeType, typename?: unknown): Map<string, SelectedField[]>;
}

export function selectFields(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, given: Variables): SelectedFields {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const each of document.definitions) if (each.kind === Kind.FRAGMENT_DEFINITION) fragments.set(each.name.value, each);
  const variables = Object.create(null) as Record<string, unknown>; // a client may call one `__proto__`
  for (const { variable, defaultValue } of operation.variableDefinitions ?? []) if (defaultValue) variables[variable.name.value] = valueFromASTUntyped(defaultValue);
  Object.assign(variables, given);

  function collect(set: SelectionSetNode, parent: GraphQLCompositeType, typename: unknown, fields: Map<string, SelectedField[]>): void {
    for (const selection of set.selections) {
      if (isSkipped(selection.directives ?? [], variables)) continue;
      if (selection.kind === Kind.FIELD) {
        const { value: name } = selection.name;
        const definition = name === TypeNameMetaFieldDef.name ? TypeNameMetaFieldDef : 'getFields' in parent ? parent.getFields()[name] : undefined;
        if (definition === undefined) continue; // introspection
        const key = (selection.alias ?? selection.name).value;
        const known = fields.get(key) ?? [];
        const same = known.find((field) => field.parent === parent && field.definition === definition);
        if (same === undefined) fields.set(key, [...known, { parent, definition, nodes: [selection] }]);
        else same.nodes.push(selection);
        continue;
      }
      const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
      const condition = fragment?.typeCondition && schema.getType(fragment.typeCondition.name.value);
      const type = isCompositeType(condition) ? condition : parent;
      const isOfAnother = typeof typename === 'string' && isObjectType(type) && type.name !== typename;
      if (fragment !== undefined && !isOfAnother) collect(fragment.selectionSet, type, typename, fields);
    }
  }

  return {
    argument({ nodes: [node], definition }, name) {
      const value = node.arguments?.find((argument) => argument.name.value === name)?.value;
      const known = value && valueFromASTUntyped(value, variables);
      return known === undefined ? definition.args.find((argument) => argument.name === name)?.defaultValue : known;
    },
    of(sets, parent, typename) {
      const fields = new Map<string, SelectedField[]>();
      for (const set of sets) collect(set, parent, typename, fields);
      return fields;
    },
  };
}

function isSkipped(directives: NonNullable<FieldNode['directives']>, variables: Variables): boolean {
  return directives.some(({ name, arguments: given }) => {
    const condition = given?.find((argument) => argument.name.value === 'if')?.value;
    const value = condition && valueFromASTUntyped(condition, variables);
    return (name.value === 'skip' && value === true) || (name.value === 'include' && value === false);
  });
}
