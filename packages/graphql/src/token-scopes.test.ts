import type { Permission, RequestContext, Viewer } from '@novacron/contracts';
import { newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { graphql } from 'graphql';
import { expect, it } from 'vitest';
import { createBuilder, toSubgraphSchema } from './builder.ts';
import { connectionType, toConnection } from './connection.ts';

const deeds: string[] = [];

/** A graph of things in boxes: a box is for whoever has box:read, here vm:read; a thing is for everybody. */
function boxes(closedToTokens: boolean) {
  const builder = createBuilder<RequestContext>({ closedToTokens });
  const Box = builder.objectRef<{ name: string }>('Box').implement({
    tokenScopes: ['vm:read', 'host:read'],
    fields: (t) => ({ name: t.exposeString('name') }),
  });
  const BoxConnection = connectionType(builder, 'Box', Box);
  const Thing = builder.objectRef<object>('Thing').implement({
    fields: (t) => ({
      name: t.string({ resolve: () => 'thing' }),
      box: t.field({ type: Box, nullable: true, resolve: () => ({ name: 'box' }) }),
      boxes: t.field({ type: [Box], resolve: () => [] }),
    }),
  });
  const BoxPayload = builder.objectRef<object>('BoxPayload').implement({
    fields: (t) => ({ box: t.field({ type: Box, resolve: () => ({ name: 'box' }) }), operation: t.string({ resolve: () => 'begun' }) }),
  });
  const done = (what: string) => () => {
    deeds.push(what);
    return {};
  };
  builder.queryType({
    fields: (t) => ({
      thing: t.field({ type: Thing, resolve: () => ({}) }),
      boxes: t.field({ type: BoxConnection, resolve: () => toConnection<{ name: string }>([], { limit: 1, backwards: false, cursor: null }, () => [], async () => 7) }),
    }),
  });
  builder.mutationType({
    fields: (t) => ({
      open: t.field({ type: BoxPayload, resolve: done('open') }),
      scoped: t.field({ type: BoxPayload, requiresScopes: [['vm:start']], resolve: done('scoped') }),
      anybody: t.field({ type: BoxPayload, authenticated: false, resolve: done('anybody') }),
    }),
  });
  return toSubgraphSchema(builder);
}

const schemas = { open: boxes(false), closed: boxes(true) };

const person: Viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'viewer', tenantId: newId<TenantId>() }] };
const token = (...scopes: Permission[]): Viewer => ({ ...person, scopes });

/** 'ok', or the code of the error; and what was done. */
async function ask(source: string, viewer: Viewer | null, schema = schemas.open): Promise<[string, string[]]> {
  deeds.length = 0;
  const { errors } = await graphql({ schema, source, contextValue: { viewer, requestId: 'test', address: null, userAgent: null } });
  return [(errors?.[0]?.originalError as { code?: string } | undefined)?.code ?? errors?.[0]?.message ?? 'ok', [...deeds]];
}

it.each([
  '{ thing { box { name } } }',
  '{ thing { boxes { name } } }',
  '{ boxes { totalCount } }',
  '{ alias: thing { ... on Thing { ...it } } } fragment it on Thing { other: box { name } }',
])('%s is for tokens with one of the scopes, and for people', async (source) => {
  expect(await ask(source, token('volume:read'))).toEqual(['FORBIDDEN', []]);
  expect(await ask(source, token())).toEqual(['FORBIDDEN', []]);
  for (const viewer of [token('vm:read'), token('host:read', 'volume:read'), person, null]) expect(await ask(source, viewer)).toEqual(['ok', []]);
});

it('what is for everybody needs no scope', async () => {
  expect(await ask('{ thing { name } }', token())).toEqual(['ok', []]);
});

it.each([
  'mutation { open { box { name } } }',
  'mutation { open { ... on BoxPayload { operation it: box { name } } } }',
  'mutation { open { ...it } } fragment it on BoxPayload { ...that } fragment that on BoxPayload { box { name } }',
])('%s does nothing for a token that could not be shown the answer', async (source) => {
  expect(await ask(source, token('vm:start'))).toEqual(['FORBIDDEN', []]);
  expect(await ask(source, token('vm:read'))).toEqual(['ok', ['open']]);
  expect(await ask('mutation { open { operation } }', token('vm:start'))).toEqual(['ok', ['open']]);
});

it('a closed subgraph does for tokens what names its scopes, and what needs no token', async () => {
  const by = async (viewer: Viewer | null) => Promise.all(['open', 'scoped', 'anybody'].map(async (name) => (await ask(`mutation { ${name} { operation } }`, viewer, schemas.closed))[0]));
  expect(await by(token('vm:read', 'vm:start'))).toEqual(['FORBIDDEN', 'ok', 'ok']);
  expect(await by(person)).toEqual(['ok', 'ok', 'ok']);
});
