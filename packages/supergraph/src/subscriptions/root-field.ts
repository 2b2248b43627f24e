import { GraphQLError, Kind, visit, type DocumentNode, type FieldNode, type FragmentDefinitionNode, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';

/**
 * The field that a validated subscription subscribes to, which may stand in a fragment. It can't depend on @skip or
 * @include (https://spec.graphql.org/draft/#sec-Single-Root-Field): GRAPHQL_VALIDATION_FAILED.
 */
export function unconditionalRootField(document: DocumentNode, operation: OperationDefinitionNode): FieldNode {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const found: FieldNode[] = [];
  const search = (set: SelectionSetNode): void => {
    for (const selection of set.selections) {
      const conditional = selection.directives?.find(({ name }) => name.value === 'skip' || name.value === 'include');
      if (conditional) {
        throw new GraphQLError('What a subscription subscribes to can\'t depend on @skip or @include.', {
          nodes: conditional,
          extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
        });
      }
      if (selection.kind === Kind.FIELD) found.push(selection);
      else if (selection.kind === Kind.INLINE_FRAGMENT) search(selection.selectionSet);
      else search(fragments.get(selection.name.value)?.selectionSet ?? { kind: Kind.SELECTION_SET, selections: [] });
    }
  };
  search(operation.selectionSet);
  const field = found[0];
  if (field === undefined) throw new GraphQLError('A subscription subscribes to one field.', { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
  return field;
}

/** The variable given as `after`, if that is the only place where it is used. */
export function cursorVariable(document: DocumentNode, rootField: FieldNode): string | null {
  const value = rootField.arguments?.find((argument) => argument.name.value === 'after')?.value;
  if (value?.kind !== Kind.VARIABLE) return null;
  const name = value.name.value;
  let uses = 0;
  visit(document, {
    Variable(node, _key, parent) {
      const isDefinition = parent !== undefined && 'kind' in parent && parent.kind === Kind.VARIABLE_DEFINITION;
      if (!isDefinition && node.name.value === name) uses += 1;
    },
  });
  return uses === 1 ? name : null;
}
