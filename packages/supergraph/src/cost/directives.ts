import { Kind, type ConstDirectiveNode, type DocumentNode } from 'graphql';
import { argumentsOf, linkedDirective } from '../linked-directives.ts';

const COST_SPEC = 'https://specs.apollo.dev/cost';

/** How long a list is expected to be: https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#listsize */
export interface ListSize {
  assumedSize: number | null;
  /** Arguments of the field that say it. */
  slicingArguments: readonly string[];
  /** Fields of what the field returns that are the list; none: the field itself is. */
  sizedFields: readonly string[];
  requireOneSlicingArgument: boolean;
}

/** What the directives of a supergraph say, by schema coordinate: `Vm`, `Query.vms`, `Query.vms(first:)`, `VmFilter.search`. */
export interface CostDirectives {
  weights: ReadonlyMap<string, number>;
  listSizes: ReadonlyMap<string, ListSize>;
}

/** Reads @cost and @listSize of a supergraph; nothing where it does not link to the specification. */
export function readCostDirectives(supergraph: DocumentNode): CostDirectives {
  const cost = linkedDirective(supergraph, COST_SPEC, 'cost');
  const listSize = linkedDirective(supergraph, COST_SPEC, 'listSize');
  const weights = new Map<string, number>();
  const listSizes = new Map<string, ListSize>();

  function read(coordinate: string, { directives = [] }: { directives?: readonly ConstDirectiveNode[] | undefined }): void {
    for (const directive of directives) {
      const given = argumentsOf(directive);
      if (directive.name.value === cost) weights.set(coordinate, Number(given['weight']));
      if (directive.name.value === listSize) listSizes.set(coordinate, toListSize(given as Partial<ListSize>)); // validated when it was composed
    }
  }

  for (const definition of supergraph.definitions) {
    if (!('name' in definition) || definition.name === undefined || definition.kind === Kind.DIRECTIVE_DEFINITION) continue;
    const type = definition.name.value;
    read(type, definition as { directives?: readonly ConstDirectiveNode[] }); // of a definition in a schema they are constant
    for (const field of 'fields' in definition ? (definition.fields ?? []) : []) {
      read(`${type}.${field.name.value}`, field);
      for (const argument of 'arguments' in field ? (field.arguments ?? []) : []) read(`${type}.${field.name.value}(${argument.name.value}:)`, argument);
    }
  }
  return { weights, listSizes };
}

const toListSize = ({ assumedSize, slicingArguments, sizedFields, requireOneSlicingArgument }: Partial<ListSize>): ListSize => ({
  assumedSize: assumedSize ?? null,
  slicingArguments: slicingArguments ?? [],
  sizedFields: sizedFields ?? [],
  requireOneSlicingArgument: requireOneSlicingArgument ?? true,
});
