import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type PothosOutputFieldType, type PothosTypeConfig, type SchemaTypes } from '@pothos/core';
import { requireScope, requireSignedIn, type Permission, type RequestContext } from '@novacron/contracts';
import { getNamedType, isObjectType, type GraphQLFieldResolver, type GraphQLNamedType, type GraphQLResolveInfo, type SelectionSetNode } from 'graphql';

const NAME = 'tokenScopes';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      [NAME]: TokenScopesPlugin<Types>;
    }
    export interface BaseTypeOptions<Types extends SchemaTypes = SchemaTypes> {
      /** An API token that asks for such an object, by whatever field, was made for one of these; else FORBIDDEN. */
      tokenScopes?: readonly Permission[];
    }
    export interface SchemaBuilderOptions<Types extends SchemaTypes> {
      /** API tokens ask no mutation but those that name their scopes, and those that need no token at all. */
      closedToTokens?: boolean;
    }
  }
}

/**
 * Keeps API tokens to what they were made for wherever an object is answered: by a field of another object and in what a mutation
 * answers as well as by a query. Roles are for the resolvers: what is guarded here is what every role may read.
 */
class TokenScopesPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onTypeConfig(type: PothosTypeConfig): PothosTypeConfig {
    const scopes = this.#scopesOf(type);
    return scopes === undefined ? type : { ...type, extensions: { ...type.extensions, [NAME]: scopes } };
  }

  override wrapResolve(resolver: GraphQLFieldResolver<unknown, Types['Context'], object>, field: PothosOutputFieldConfig<Types>): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const isMutation = field.kind === 'Mutation';
    const scopes = this.#scopesOf(this.buildCache.getTypeConfig(refOf(field.type)));
    if (!isMutation && scopes === undefined) return resolver;
    const { requiresScopes, authenticated } = field.pothosOptions as { requiresScopes?: unknown; authenticated?: boolean }; // see protection.ts
    const isClosed = isMutation && this.builder.options.closedToTokens === true && requiresScopes === undefined && authenticated !== false;
    return (parent, args, context, info) => {
      const { viewer } = context as RequestContext; // every subgraph's context is one: see createBuilder
      if (viewer?.scopes !== undefined) {
        if (isClosed) requireSignedIn(viewer);
        if (scopes !== undefined) requireScope(viewer, scopes);
        // what it could not be shown afterwards is refused before anything is done
        if (isMutation) for (const shown of scopesOfAnswer(info)) requireScope(viewer, shown);
      }
      return resolver(parent, args, context, info);
    };
  }

  /** Those of a type; a page of a list is as its items are. */
  #scopesOf({ name, pothosOptions }: PothosTypeConfig): readonly Permission[] | undefined {
    const node = name.endsWith('Connection') ? name.slice(0, -'Connection'.length) : null;
    const options = node === null ? pothosOptions : this.buildCache.getTypeConfig(node).pothosOptions;
    return (options as { tokenScopes?: readonly Permission[] }).tokenScopes; // declared above
  }
}

function refOf<Types extends SchemaTypes>(type: PothosOutputFieldType<Types>): Extract<PothosOutputFieldType<Types>, { ref: unknown }>['ref'] {
  return type.kind === 'List' ? refOf(type.type) : type.ref;
}

const scopesIn = ({ extensions }: GraphQLNamedType) => extensions[NAME] as readonly Permission[] | undefined; // as onTypeConfig has put them

/** What is asked of a mutation's payload, one level deep. */
function scopesOfAnswer({ fieldNodes, fragments, returnType }: GraphQLResolveInfo): (readonly Permission[])[] {
  const payload = getNamedType(returnType);
  if (!isObjectType(payload)) return [];
  const fields = payload.getFields();
  const scopesOf = ({ selections }: SelectionSetNode): (readonly Permission[])[] =>
    selections.flatMap((selection) => {
      if (selection.kind === 'InlineFragment') return scopesOf(selection.selectionSet);
      if (selection.kind === 'FragmentSpread') return scopesOf(fragments[selection.name.value]?.selectionSet ?? { kind: 'SelectionSet' as never, selections: [] });
      const field = fields[selection.name.value];
      return field === undefined ? [] : [scopesIn(getNamedType(field.type)) ?? []].filter((scopes) => scopes.length > 0);
    });
  return fieldNodes.flatMap(({ selectionSet }) => (selectionSet === undefined ? [] : scopesOf(selectionSet)));
}

SchemaBuilder.registerPlugin(NAME, TokenScopesPlugin);

export default NAME;
