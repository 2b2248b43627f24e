import SchemaBuilder from '@pothos/core';
import DirectivesPlugin from '@pothos/plugin-directives';
import FederationPlugin from '@pothos/plugin-federation';
import type { Permission, RequestContext } from '@novacron/contracts';
import ProtectionPlugin from './protection.ts';
import { ByteSize, DateTime, Json } from './scalars.ts';
import TokenScopesPlugin from './token-scopes.ts';

export interface SchemaTypes<Context extends RequestContext> {
  Context: Context;
  DefaultFieldNullability: false;
  FederationScopes: Permission;
  Scalars: {
    ID: { Input: string; Output: string };
    ByteSize: { Input: number; Output: number | bigint };
    DateTime: { Input: Date; Output: Date | string };
    JSON: { Input: unknown; Output: unknown };
  };
}

/** The types that Pothos sees once it has filled in its own defaults. */
export type ExtendedTypes<Context extends RequestContext> = PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes<Context>>;

/**
 * The builder that every subgraph starts from: our scalars, fields not nullable unless they say so, root fields for who has signed
 * in, types that say which scopes an API token needs for them, federation.
 */
export function createBuilder<Context extends RequestContext>({ closedToTokens = false }: { closedToTokens?: boolean } = {}) {
  const builder = new SchemaBuilder<SchemaTypes<Context>>({
    // The last is asked first. Directives must come before federation, or @key silently vanishes.
    plugins: [DirectivesPlugin, FederationPlugin, ProtectionPlugin, TokenScopesPlugin],
    closedToTokens,
    defaultFieldNullability: false,
  });
  builder.addScalarType('ByteSize', ByteSize);
  builder.addScalarType('DateTime', DateTime);
  builder.addScalarType('JSON', Json);
  return builder;
}

export type Builder<Context extends RequestContext = RequestContext> = ReturnType<typeof createBuilder<Context>>;

/** Federation 2.9 or later; the directives are named because the defaults leave some out. */
export const toSubgraphSchema = <Context extends RequestContext>(builder: Builder<Context>) =>
  builder.toSubGraphSchema({
    linkUrl: 'https://specs.apollo.dev/federation/v2.9',
    federationDirectives: ['@key', '@shareable', '@external', '@provides', '@requires', '@extends', '@authenticated', '@requiresScopes', '@cost', '@listSize'],
  });

/**
 * Another subgraph's entity, by its key alone. Not resolvable: with the default key the planner would ask
 * this subgraph for data that it does not have.
 */
export function entityStub<Context extends RequestContext>(builder: Builder<Context>, name: string, description: string) {
  return builder
    .externalRef(name, builder.keyDirective(builder.selection<{ id: string }>('id'), false))
    .implement({
      description,
      externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
    });
}
