import { GraphQLError, Kind, type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';
import { beyondLimit, DEFAULT_LIMITS, type Limits } from './limits.ts';

interface Size {
  fields: number;
  aliases: number;
  depth: number;
  /** Fields that stand beside each other at the top. */
  breadth: number;
}

const NOTHING: Size = { fields: 0, aliases: 0, depth: 0, breadth: 0 };
const REPEATED = 'counting what fragments repeat';

type Definition = OperationDefinitionNode | FragmentDefinitionNode;
type Fragments = ReadonlyMap<string, FragmentDefinitionNode>;

/**
 * Refuses what is small to write and large to validate or plan: fragments that spread each other double with every line, one
 * field under many names or many times, directives without end. To be asked before a document is validated, which costs
 * more than this; the document must come from parseWithin, or it may be too deep to walk. GRAPHQL_VALIDATION_FAILED.
 */
export function refuseOversized(document: DocumentNode, limits: Limits = DEFAULT_LIMITS): void {
  const definitions = document.definitions.filter((each) => each.kind === Kind.OPERATION_DEFINITION || each.kind === Kind.FRAGMENT_DEFINITION);
  const fragments: Fragments = new Map(definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each] as const] : [])));
  if (fragments.size > limits.fragments) throw beyondLimit('fragments', `The document has more than ${limits.fragments} fragments`);
  for (const { size, isOperation } of measure(definitions, fragments, limits)) {
    if (size.fields > limits.fields) throw beyondLimit('fields', `The operation has more than ${limits.fields} fields, ${REPEATED}`);
    if (size.aliases > limits.aliases) throw beyondLimit('aliases', `The operation has more than ${limits.aliases} aliases, ${REPEATED}`);
    if (size.depth > limits.depth) throw beyondLimit('depth', `The operation is more than ${limits.depth} fields deep`);
    if (isOperation && size.breadth > limits.rootFields) throw beyondLimit('rootFields', `The operation has more than ${limits.rootFields} root fields, ${REPEATED}`);
  }
  for (const { selectionSet } of definitions) refuseRepeats([selectionSet], fragments, limits); // no more of them than there are fields
}

const invalid = (message: string): GraphQLError => new GraphQLError(message, { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });

/** How large each operation and each fragment is; every selection is looked at once. */
function measure(definitions: readonly Definition[], fragments: Fragments, limits: Limits): { size: Size; isOperation: boolean }[] {
  const known = new Map<string, Size | null>();

  function countDirectives({ directives = [] }: { directives?: readonly unknown[] | undefined }): void {
    if (directives.length > limits.directives) throw beyondLimit('directives', `There are more than ${limits.directives} directives in one place`);
  }

  function sizeOfFragment(name: string): Size {
    const found = known.get(name);
    if (found !== undefined && found !== null) return found;
    const fragment = fragments.get(name);
    // Both in the validator's words. Without them, every spread comes to a field in the end, and no walk is longer than there are fields.
    if (found === null) throw invalid(`Cannot spread fragment "${name}" within itself.`);
    if (fragment === undefined) throw invalid(`Unknown fragment "${name}".`);
    known.set(name, null);
    const size = sizeOf(fragment.selectionSet);
    known.set(name, size);
    return size;
  }

  function sizeOf(set: SelectionSetNode): Size {
    const total = { ...NOTHING };
    for (const selection of set.selections) {
      countDirectives(selection);
      const isField = selection.kind === Kind.FIELD;
      const inner = selection.kind === Kind.FRAGMENT_SPREAD ? sizeOfFragment(selection.name.value) : selection.selectionSet ? sizeOf(selection.selectionSet) : NOTHING;
      total.fields += inner.fields + Number(isField);
      total.aliases += inner.aliases + Number(isField && selection.alias !== undefined);
      total.depth = Math.max(total.depth, inner.depth + Number(isField));
      total.breadth += isField ? 1 : inner.breadth;
    }
    return total;
  }

  return definitions.map((each) => {
    countDirectives(each);
    if (each.kind === Kind.FRAGMENT_DEFINITION) return { size: sizeOfFragment(each.name.value), isOperation: false };
    const { variableDefinitions = [] } = each;
    if (variableDefinitions.length > limits.variables) throw beyondLimit('variables', `The operation has more than ${limits.variables} variables`);
    variableDefinitions.forEach(countDirectives);
    return { size: sizeOf(each.selectionSet), isOperation: true };
  });
}

/** Selection sets that answer for the same object. */
function refuseRepeats(sets: readonly SelectionSetNode[], fragments: Fragments, limits: Limits): void {
  const below = new Map<string, SelectionSetNode[]>();
  const counts = new Map<string, number>();

  function collect(set: SelectionSetNode): void {
    for (const selection of set.selections) {
      if (selection.kind !== Kind.FIELD) {
        const inner = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
        if (inner !== undefined) collect(inner.selectionSet);
        continue;
      }
      const key = (selection.alias ?? selection.name).value;
      const count = (counts.get(key) ?? 0) + 1;
      if (count > limits.repeats) throw beyondLimit('repeats', `"${key}" is asked for more than ${limits.repeats} times in one place, ${REPEATED}`);
      counts.set(key, count);
      if (selection.selectionSet) below.set(key, [...(below.get(key) ?? []), selection.selectionSet]);
    }
  }

  sets.forEach(collect);
  for (const inner of below.values()) refuseRepeats(inner, fragments, limits);
}
