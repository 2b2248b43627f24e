import { readFileSync } from 'node:fs';
import { loadSupergraph } from '@novacron/supergraph';
import { isEnumType, isInputObjectType, isIntrospectionType, isObjectType, isSpecifiedScalarType, Kind, parse, type GraphQLSchema } from 'graphql';

export const SUPERGRAPH_SDL = readFileSync(new URL('../../gateway/supergraph.graphql', import.meta.url), 'utf8');

/** The public graph: what the gateway serves. */
export const apiSchema = (): GraphQLSchema => loadSupergraph(SUPERGRAPH_SDL).apiSchema;

/** `Query.vm`, `Mutation.createVm`, ... */
export const rootFields = (schema: GraphQLSchema): string[] =>
  [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
    type && isObjectType(type) ? Object.keys(type.getFields()).map((field) => `${type.name}.${field}`) : [],
  );

/** `Host.uri`, ...: the fields of objects that need a permission of their own, as their descriptions say. */
export function guardedFields(schema: GraphQLSchema): string[] {
  const roots = new Set<unknown>([schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]);
  const types = Object.values(schema.getTypeMap()).filter((type) => !roots.has(type));
  return types.filter(isObjectType).flatMap((type) =>
    Object.values(type.getFields())
      .filter(({ description }) => /\bNeeds \w+:\w+/.test(description ?? ''))
      .map(({ name }) => `${type.name}.${name}`),
  );
}

/** `<subgraph>.<type>` for each entity that a subgraph can be asked for by its key, as the supergraph says. */
export function resolvableEntities(): string[] {
  const types = parse(SUPERGRAPH_SDL).definitions.filter((definition) => definition.kind === Kind.OBJECT_TYPE_DEFINITION);
  return types.flatMap((type) =>
    (type.directives ?? [])
      .filter((directive) => directive.name.value === 'join__type')
      .map((directive) => Object.fromEntries((directive.arguments ?? []).map(({ name, value }) => [name.value, 'value' in value ? value.value : null])))
      .filter(({ key, resolvable }) => key !== undefined && resolvable !== false)
      .map(({ graph }) => `${String(graph).toLowerCase()}.${type.name.value}`),
  );
}

/** Everything of the graph that its manual, the playground, could not explain. */
export function undescribed(schema: GraphQLSchema): string[] {
  const missing: string[] = [];
  const check = (path: string, { description }: { description?: string | null | undefined }): void => {
    if (!description?.trim()) missing.push(path);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue;
    check(type.name, type);
    if (isEnumType(type)) for (const value of type.getValues()) check(`${type.name}.${value.name}`, value);
    if (isObjectType(type)) {
      for (const field of Object.values(type.getFields())) {
        check(`${type.name}.${field.name}`, field);
        for (const argument of field.args) check(`${type.name}.${field.name}(${argument.name})`, argument);
      }
    }
    if (isInputObjectType(type)) for (const field of Object.values(type.getFields())) check(`${type.name}.${field.name}`, field);
  }
  return missing;
}
