import { composeServices } from '@apollo/composition';
import { Kind, parse, visit, type DocumentNode, type ObjectTypeDefinitionNode } from 'graphql';

const isEntity = (type: ObjectTypeDefinitionNode): boolean => type.directives?.some((directive) => directive.name.value === 'key') ?? false;

const entitiesOf = (document: DocumentNode): ObjectTypeDefinitionNode[] =>
  document.definitions.filter((definition) => definition.kind === Kind.OBJECT_TYPE_DEFINITION).filter(isEntity);

/**
 * Of an entity that several subgraphs declare, keeps the descriptions of the one that says most about it: its owner.
 * Composition would keep the text that most subgraphs repeat, which is what the stubs say.
 */
function keepOwnersWords(documents: Readonly<Record<string, DocumentNode>>): Record<string, DocumentNode> {
  const owners = new Map<string, ObjectTypeDefinitionNode>();
  for (const type of Object.values(documents).flatMap(entitiesOf)) {
    const known = owners.get(type.name.value);
    if (known === undefined || (type.fields ?? []).length > (known.fields ?? []).length) owners.set(type.name.value, type);
  }
  const withoutDescription = <Node extends { description?: unknown }>(node: Node): Node => {
    const { description: _, ...rest } = node;
    return rest as Node; // a description is optional in every node that can have one
  };
  const rewrite = (document: DocumentNode): DocumentNode =>
    visit(document, {
      ObjectTypeDefinition(type) {
        const owner = owners.get(type.name.value);
        if (owner === undefined || owner === type) return undefined;
        const owned = new Set(owner.fields?.map((field) => field.name.value));
        const fields = (type.fields ?? []).map((field) => (owned.has(field.name.value) ? withoutDescription(field) : field));
        return { ...withoutDescription(type), fields };
      },
    });
  return Object.fromEntries(Object.entries(documents).map(([name, document]) => [name, rewrite(document)]));
}

/**
 * The supergraph of these subgraphs (name -> SDL with federation directives). Throws one error that lists every
 * composition error and every hint: a hint is a field or a value that silently gets lost.
 */
export function composeSupergraph(subgraphSdls: Readonly<Record<string, string>>): string {
  const names = Object.keys(subgraphSdls).toSorted(); // the order of arguments must not show in the committed file
  const documents = keepOwnersWords(Object.fromEntries(names.map((name) => [name, parse(subgraphSdls[name] ?? '')])));
  const services = Object.entries(documents).map(([name, typeDefs]) => ({ name, url: `novacron:${name}`, typeDefs }));
  const { supergraphSdl, errors, hints } = composeServices(services);
  const faults = [
    ...(errors ?? []).map((error) => `${String(error.extensions['code'] ?? 'ERROR')}: ${error.message}`),
    ...(hints ?? []).map((hint) => `${hint.definition.code}: ${hint.message}`),
  ];
  if (faults.length > 0 || supergraphSdl === undefined) {
    throw new Error(`The subgraphs don't compose:\n${faults.map((fault) => `- ${fault}`).join('\n')}`);
  }
  return `${supergraphSdl.trimEnd()}\n`;
}
