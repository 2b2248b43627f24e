import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isNonNullType,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/** Under this name the type of each object is asked for that may be of several: completing an answer needs it. */
export const TYPENAME_KEY = '__restrictedType';

const TYPENAME: FieldNode = { kind: Kind.FIELD, alias: { kind: Kind.NAME, value: TYPENAME_KEY }, name: { kind: Kind.NAME, value: '__typename' } };

const NOTHING: SelectionSetNode = { kind: Kind.SELECTION_SET, selections: [] };

export interface Restricted {
  /** The operation alone, without what is refused, with the fragments that it uses; null when nothing is left, or nothing would come of it. */
  document: DocumentNode | null;
  /** Refused root fields for whose sake all of the data is null: what is null below them is never null. */
  fatal: readonly FieldNode[];
}

/** Takes out of a validated operation what `isRefused` says of a type's field. */
export function restrict(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  isRefused: (type: GraphQLCompositeType, field: string) => boolean,
): Restricted {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const each of document.definitions) if (each.kind === Kind.FRAGMENT_DEFINITION) fragments.set(each.name.value, each);
  /** Those that are used; null: nothing is left of it. */
  const restricted = new Map<string, FragmentDefinitionNode | null>();
  const root = schema.getRootType(operation.operation) ?? null;

  function typeNamed(name: string | undefined, otherwise: GraphQLCompositeType): GraphQLCompositeType {
    const type = name === undefined ? undefined : schema.getType(name);
    return isCompositeType(type) ? type : otherwise;
  }

  function restrictFragment(name: string, parent: GraphQLCompositeType): FragmentDefinitionNode | null {
    const known = restricted.get(name);
    if (known !== undefined) return known;
    const fragment = fragments.get(name);
    const selections = fragment === undefined ? [] : restrictSet(fragment.selectionSet, typeNamed(fragment.typeCondition.name.value, parent));
    const result = fragment === undefined || selections.length === 0 ? null : { ...fragment, selectionSet: { ...fragment.selectionSet, selections } };
    restricted.set(name, result);
    return result;
  }

  function restrictField(field: FieldNode, parent: GraphQLCompositeType): FieldNode[] {
    const name = field.name.value;
    const definition = 'getFields' in parent ? parent.getFields()[name] : undefined;
    if (definition === undefined) return [field]; // __typename and introspection
    if (isRefused(parent, name)) return [];
    if (field.selectionSet === undefined) return [field];
    const type = getNamedType(definition.type) as GraphQLCompositeType; // it has a selection
    const selections = restrictSet(field.selectionSet, type);
    const typename = isAbstractType(type) || selections.length === 0 ? [TYPENAME] : [];
    return [{ ...field, selectionSet: { ...field.selectionSet, selections: [...typename, ...selections] } }];
  }

  function restrictSelection(selection: SelectionNode, parent: GraphQLCompositeType): SelectionNode[] {
    switch (selection.kind) {
      case Kind.FIELD:
        return restrictField(selection, parent);
      case Kind.FRAGMENT_SPREAD:
        return restrictFragment(selection.name.value, parent) === null ? [] : [selection];
      case Kind.INLINE_FRAGMENT: {
        const selections = restrictSet(selection.selectionSet, typeNamed(selection.typeCondition?.name.value, parent));
        return selections.length === 0 ? [] : [{ ...selection, selectionSet: { ...selection.selectionSet, selections } }];
      }
    }
  }

  const restrictSet = (set: SelectionSetNode, parent: GraphQLCompositeType): SelectionNode[] => set.selections.flatMap((selection) => restrictSelection(selection, parent));

  /** Not those that depend on @skip or @include: they are found out when the rest has been answered. */
  function fatalIn(set: SelectionSetNode): FieldNode[] {
    return set.selections.filter(({ directives = [] }) => directives.length === 0).flatMap((selection) => {
      if (selection.kind === Kind.INLINE_FRAGMENT) return fatalIn(selection.selectionSet);
      if (selection.kind === Kind.FRAGMENT_SPREAD) return fatalIn(fragments.get(selection.name.value)?.selectionSet ?? NOTHING);
      const definition = root?.getFields()[selection.name.value];
      return definition && root && isNonNullType(definition.type) && isRefused(root, selection.name.value) ? [selection] : [];
    });
  }

  const fatal = fatalIn(operation.selectionSet);
  const selections = root === null ? [] : restrictSet(operation.selectionSet, root);
  if (selections.length === 0 || fatal.length > 0) return { document: null, fatal };
  const used = [...restricted.values()].filter((fragment) => fragment !== null);
  return { document: { kind: Kind.DOCUMENT, definitions: [{ ...operation, selectionSet: { ...operation.selectionSet, selections } }, ...used] }, fatal };
}
