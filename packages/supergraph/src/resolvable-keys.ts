import { Kind, visit, type ConstDirectiveNode, type DocumentNode } from 'graphql';

const argumentOf = ({ arguments: args }: ConstDirectiveNode, wanted: string) => args?.find(({ name }) => name.value === wanted)?.value;
const graphOf = (directive: ConstDirectiveNode): string => {
  const graph = argumentOf(directive, 'graph');
  return graph?.kind === Kind.ENUM ? graph.value : '';
};
const isKey = (directive: ConstDirectiveNode): boolean => directive.name.value === 'join__type' && argumentOf(directive, 'key') !== undefined;
const isResolvable = (directive: ConstDirectiveNode): boolean => {
  const value = argumentOf(directive, 'resolvable');
  return value?.kind !== Kind.BOOLEAN || value.value;
};

/**
 * Apollo's planner, when it comes back to a subgraph with what a @requires needs, takes the first key there, also one that is
 * resolvable: false. Those lead nowhere; a type that has another in the same subgraph is planned without them. (Ways out of a subgraph
 * are keys of where they lead to.)
 */
export function dropUnresolvableKeys(document: DocumentNode): DocumentNode {
  const withoutIdle = (directives: readonly ConstDirectiveNode[] = []) => {
    const entrances = new Set(directives.filter((each) => isKey(each) && isResolvable(each)).map(graphOf));
    const kept = directives.filter((each) => !isKey(each) || isResolvable(each) || !entrances.has(graphOf(each)));
    return kept.length === directives.length ? null : kept;
  };
  return visit(document, {
    ObjectTypeDefinition(type) {
      const directives = withoutIdle(type.directives);
      return directives === null ? false : { ...type, directives };
    },
    InterfaceTypeDefinition(type) {
      const directives = withoutIdle(type.directives);
      return directives === null ? false : { ...type, directives };
    },
  });
}
