import { Kind, parse, type ConstDirectiveNode, type FieldDefinitionNode, type ObjectTypeDefinitionNode } from 'graphql';

/** The subgraph that only streams: whatever it says about an entity comes from an event, so it can be asked for none. */
const EVENTS = 'events';

function argument(directive: ConstDirectiveNode, name: string): string | boolean | undefined {
  const value = directive.arguments?.find((candidate) => candidate.name.value === name)?.value;
  return value !== undefined && 'value' in value ? value.value : undefined;
}

const applications = (node: ObjectTypeDefinitionNode | FieldDefinitionNode, name: string): ConstDirectiveNode[] =>
  (node.directives ?? []).filter((directive) => directive.name.value === name);

/** True if the subgraph answers the field itself. Without join__field a field is in every subgraph that has the type. */
function answers(field: FieldDefinitionNode, graph: string): boolean {
  const joined = applications(field, 'join__field').filter((join) => argument(join, 'graph') !== undefined);
  return joined.length === 0 || joined.some((join) => argument(join, 'graph') === graph && argument(join, 'external') !== true);
}

/**
 * Resolvable keys that must not be there, one sentence each; empty when all is well. Only a subgraph that answers a
 * field of an entity beyond its key may have a resolvable key: a stub that says it can be asked composes without a
 * hint, and the planner then asks it for what it does not have. `events` may have none.
 */
export function checkKeys(supergraphSdl: string): string[] {
  const problems: string[] = [];
  for (const type of parse(supergraphSdl).definitions) {
    if (type.kind !== Kind.OBJECT_TYPE_DEFINITION) continue;
    for (const join of applications(type, 'join__type')) {
      const key = argument(join, 'key');
      const graph = argument(join, 'graph');
      if (typeof key !== 'string' || typeof graph !== 'string' || argument(join, 'resolvable') === false) continue;
      const keyFields = new Set(key.match(/\w+/g));
      const contributes = (type.fields ?? []).some((field) => !keyFields.has(field.name.value) && answers(field, graph));
      const name = graph.toLowerCase();
      if (name === EVENTS) problems.push(`${type.name.value}: the key in "${EVENTS}" must be resolvable: false.`);
      else if (!contributes) problems.push(`${type.name.value}: "${name}" adds no field, so its key must be resolvable: false.`);
    }
  }
  return problems;
}
