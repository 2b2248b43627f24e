import { GraphQLError, Kind, type DocumentNode, type SelectionSetNode } from 'graphql';

/** More than any sensible operation has (the introspection of GraphiQL: 400); a parser's time is bounded by it. */
export const MAX_TOKENS = 10_000;
/** Fields of one operation, each as often as fragments repeat it. GraphiQL's introspection has 130, a plan of 2,000 takes a third of a second. */
const FIELDS_LIMIT = 2_000;
/** Fields inside one another; GraphiQL's introspection has 15. */
const DEPTH_LIMIT = 30;

interface Size {
  fields: number;
  depth: number;
}

/**
 * Refuses what is small to write and large to plan: fragments that spread each other double with every line. To be
 * asked before a document is validated, which costs more than this. GRAPHQL_VALIDATION_FAILED.
 */
export function refuseOversized(document: DocumentNode): void {
  for (const { fields, depth } of measure(document)) {
    if (fields > FIELDS_LIMIT) throw refusal(`The operation has more than ${FIELDS_LIMIT} fields, counting what fragments repeat: ask for less at once.`);
    if (depth > DEPTH_LIMIT) throw refusal(`The operation is more than ${DEPTH_LIMIT} fields deep: ask for less at once.`);
  }
}

const refusal = (message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code: 'GRAPHQL_VALIDATION_FAILED', http: { status: 400 } } });

/** How large each operation and each fragment is; every selection is looked at once. */
function measure(document: DocumentNode): Size[] {
  const definitions = document.definitions.filter((each) => each.kind === Kind.OPERATION_DEFINITION || each.kind === Kind.FRAGMENT_DEFINITION);
  const sets = new Map(definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each.selectionSet] as const] : [])));
  const known = new Map<string, Size>();

  function sizeOfFragment(name: string): Size {
    const found = known.get(name);
    if (found !== undefined) return found;
    known.set(name, { fields: 0, depth: 0 }); // what spreads itself, or what is not there, is the validator's to refuse
    const set = sets.get(name);
    const size = set === undefined ? { fields: 0, depth: 0 } : sizeOf(set);
    known.set(name, size);
    return size;
  }

  function sizeOf(set: SelectionSetNode): Size {
    let fields = 0;
    let depth = 0;
    for (const selection of set.selections) {
      const isField = selection.kind === Kind.FIELD ? 1 : 0;
      const inner = selection.kind === Kind.FRAGMENT_SPREAD ? sizeOfFragment(selection.name.value) : selection.selectionSet && sizeOf(selection.selectionSet);
      fields += isField + (inner?.fields ?? 0);
      depth = Math.max(depth, isField + (inner?.depth ?? 0));
    }
    return { fields, depth };
  }

  return definitions.map((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? sizeOfFragment(each.name.value) : sizeOf(each.selectionSet)));
}
