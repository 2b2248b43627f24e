import { Kind, type DocumentNode, type SelectionSetNode } from 'graphql';
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

/**
 * Refuses what is small to write and large to plan: fragments that spread each other double with every line, one field
 * under many names, directives without end. To be asked before a document is validated, which costs more than this; the
 * document must come from parseWithin, or it may be too deep to walk. GRAPHQL_VALIDATION_FAILED.
 */
export function refuseOversized(document: DocumentNode, limits: Limits = DEFAULT_LIMITS): void {
  for (const { size, isOperation } of measure(document, limits.directives)) {
    if (size.fields > limits.fields) throw beyondLimit('fields', `The operation has more than ${limits.fields} fields, ${REPEATED}`);
    if (size.aliases > limits.aliases) throw beyondLimit('aliases', `The operation has more than ${limits.aliases} aliases, ${REPEATED}`);
    if (size.depth > limits.depth) throw beyondLimit('depth', `The operation is more than ${limits.depth} fields deep`);
    if (isOperation && size.breadth > limits.rootFields) throw beyondLimit('rootFields', `The operation has more than ${limits.rootFields} root fields, ${REPEATED}`);
  }
}

/** How large each operation and each fragment is; every selection is looked at once. */
function measure(document: DocumentNode, directivesLimit: number): { size: Size; isOperation: boolean }[] {
  const definitions = document.definitions.filter((each) => each.kind === Kind.OPERATION_DEFINITION || each.kind === Kind.FRAGMENT_DEFINITION);
  const fragments = new Map(definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each] as const] : [])));
  const known = new Map<string, Size>();

  function countDirectives({ directives = [] }: { directives?: readonly unknown[] | undefined }): void {
    if (directives.length > directivesLimit) throw beyondLimit('directives', `There are more than ${directivesLimit} directives in one place`);
  }

  function sizeOfFragment(name: string): Size {
    const found = known.get(name);
    if (found !== undefined) return found;
    known.set(name, NOTHING); // what spreads itself, or what is not there, is the validator's to refuse
    const fragment = fragments.get(name);
    const size = fragment === undefined ? NOTHING : sizeOf(fragment.selectionSet);
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
    const isOperation = each.kind === Kind.OPERATION_DEFINITION;
    if (isOperation) each.variableDefinitions?.forEach(countDirectives);
    return { size: isOperation ? sizeOf(each.selectionSet) : sizeOfFragment(each.name.value), isOperation };
  });
}
