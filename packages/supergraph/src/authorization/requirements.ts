import { getNamedType, isAbstractType, Kind, type ConstDirectiveNode, type DocumentNode, type GraphQLCompositeType, type GraphQLSchema } from 'graphql';
import { argumentsOf, linkedDirective } from '../linked-directives.ts';

/** What must be true of a principal. `anyOf`: one of these lists, all of it. */
export type Requirement = { readonly kind: 'authenticated' } | { readonly kind: 'scopes' | 'policies'; readonly anyOf: readonly (readonly string[])[] };

/** Which fields need something of whoever asks for them. */
export interface Requirements {
  /** All of these; each is the same object wherever the same is needed. */
  of(type: GraphQLCompositeType, field: string): readonly Requirement[];
}

const AUTHENTICATED: Requirement = { kind: 'authenticated' };
const NONE: readonly Requirement[] = [];
const spec = (name: string) => `https://specs.apollo.dev/${name}`;

/**
 * Reads @authenticated, @requiresScopes and @policy of a supergraph. A field needs what it says itself, what its type says
 * and what the type says that it returns. A field of an interface needs all that it needs of any type it may turn out
 * to be of: what would be refused of one of them can be asked for in fragments on the others.
 */
export function readRequirements(supergraph: DocumentNode, schema: GraphQLSchema): Requirements {
  const declared = readDirectives(supergraph);
  const known = new Map<string, readonly Requirement[]>();

  function ofObject(type: GraphQLCompositeType, field: string): Requirement[] {
    const definition = 'getFields' in type ? type.getFields()[field] : undefined;
    if (definition === undefined) return []; // __typename and introspection
    return [type.name, `${type.name}.${field}`, getNamedType(definition.type).name].flatMap((coordinate) => declared.get(coordinate) ?? NONE);
  }

  return {
    of(type, field) {
      const coordinate = `${type.name}.${field}`;
      const found = known.get(coordinate);
      if (found !== undefined) return found;
      const types = isAbstractType(type) ? [type, ...schema.getPossibleTypes(type)] : [type];
      const requirements = [...new Set(types.flatMap((each) => ofObject(each, field)))];
      known.set(coordinate, requirements.length === 0 ? NONE : requirements);
      return requirements;
    },
  };
}

/** What the directives of a supergraph say, by schema coordinate. */
function readDirectives(supergraph: DocumentNode): Map<string, Requirement[]> {
  const authenticated = linkedDirective(supergraph, spec('authenticated'), 'authenticated');
  const requiresScopes = linkedDirective(supergraph, spec('requiresScopes'), 'requiresScopes');
  const policy = linkedDirective(supergraph, spec('policy'), 'policy');
  const same = new Map<string, Requirement>();
  const declared = new Map<string, Requirement[]>();

  function listed(kind: 'scopes' | 'policies', anyOf: unknown): Requirement {
    const requirement = { kind, anyOf: anyOf as string[][] }; // as the specification declares the argument
    const key = JSON.stringify(requirement);
    same.set(key, same.get(key) ?? requirement);
    return same.get(key) as Requirement; // just set
  }

  function read(coordinate: string, directives: readonly ConstDirectiveNode[] = []): void {
    const requirements = directives.flatMap((directive) => {
      const { scopes, policies } = argumentsOf(directive);
      if (directive.name.value === authenticated) return [AUTHENTICATED];
      if (directive.name.value === requiresScopes) return [listed('scopes', scopes)];
      return directive.name.value === policy ? [listed('policies', policies)] : [];
    });
    if (requirements.length > 0) declared.set(coordinate, requirements);
  }

  for (const definition of supergraph.definitions) {
    switch (definition.kind) {
      case Kind.OBJECT_TYPE_DEFINITION:
      case Kind.INTERFACE_TYPE_DEFINITION:
        for (const field of definition.fields ?? []) read(`${definition.name.value}.${field.name.value}`, field.directives);
        read(definition.name.value, definition.directives);
        break;
      case Kind.ENUM_TYPE_DEFINITION:
      case Kind.SCALAR_TYPE_DEFINITION:
        read(definition.name.value, definition.directives);
        break;
    }
  }
  return declared;
}
