import { DomainError, isId } from '@novacron/core';
import type { RequestContext } from '@novacron/contracts';
import type { ArgBuilder, ObjectRef } from '@pothos/core';
import type { Builder, ExtendedTypes } from './builder.ts';

export const PAGE_SIZE = { default: 50, max: 500 } as const;

export interface PageArguments {
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}

/** A page to read: `limit` rows from the cursor on, backwards when `last` was asked for. */
export interface Page {
  limit: number;
  backwards: boolean;
  cursor: readonly string[] | null;
}

export interface Connection<Node> {
  edges: { cursor: string; node: Node }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
  totalCount: () => Promise<number>;
}

const notOurs = (field: string) => new DomainError('BAD_USER_INPUT', `"${field}" is no cursor of this list.`, { field });

const encodeCursor = (key: readonly string[]): string => Buffer.from(JSON.stringify(key)).toString('base64url');

function decodeCursor(text: string, field: string, length: number): string[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (Array.isArray(key) && key.length === length && key.every((part) => typeof part === 'string')) return key;
  } catch {
    // falls through: what can't be read is not ours
  }
  throw notOurs(field);
}

/** Checks the four paging arguments. `keyLength`: how many values make up a cursor of this list. */
export function parsePage(args: PageArguments, keyLength = 1): Page {
  const backwards = args.last != null || args.before != null;
  if (backwards && (args.first != null || args.after != null)) {
    throw new DomainError('BAD_USER_INPUT', 'Page forwards with first and after, or backwards with last and before.', {
      field: args.last != null ? 'last' : 'before',
    });
  }
  const [size, sizeField] = backwards ? [args.last, 'last'] : [args.first, 'first'];
  if (size != null && (size < 0 || size > PAGE_SIZE.max)) {
    throw new DomainError('BAD_USER_INPUT', `"${sizeField}" is between 0 and ${PAGE_SIZE.max}.`, { field: sizeField });
  }
  const [cursor, cursorField] = backwards ? [args.before, 'before'] : [args.after, 'after'];
  return {
    limit: size ?? PAGE_SIZE.default,
    backwards,
    cursor: cursor == null ? null : decodeCursor(cursor, cursorField, keyLength),
  };
}

/**
 * A connection from `limit + 1` rows read in the page's direction (the extra row only says that there is more).
 * `keyOf` gives the values that the list is sorted by, the id last.
 */
export function toConnection<Row>(
  rows: readonly Row[],
  page: Page,
  keyOf: (row: Row) => readonly string[],
  totalCount: () => Promise<number>,
): Connection<Row> {
  const more = rows.length > page.limit;
  const kept = rows.slice(0, page.limit);
  const ordered = page.backwards ? kept.toReversed() : kept;
  const edges = ordered.map((node) => ({ cursor: encodeCursor(keyOf(node)), node }));
  return {
    edges,
    pageInfo: {
      hasNextPage: page.backwards ? page.cursor !== null : more,
      hasPreviousPage: page.backwards ? more : page.cursor !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount,
  };
}

/** The id after which a list sorted by id goes on; BAD_USER_INPUT for what is none: PostgreSQL would refuse the query. */
export function cursorId(page: Page): string | undefined {
  const cursor = page.cursor?.[0];
  if (cursor !== undefined && !isId(cursor)) throw notOurs(page.backwards ? 'before' : 'after');
  return cursor;
}

/** Prisma's where, orderBy and take for a list sorted by id: UUIDv7 ids sort by time of creation. */
export function byId(page: Page) {
  const cursor = cursorId(page);
  return {
    where: cursor === undefined ? {} : { id: page.backwards ? { lt: cursor } : { gt: cursor } },
    orderBy: { id: page.backwards ? ('desc' as const) : ('asc' as const) },
    take: page.limit + 1,
  };
}

/** The newest first: for what one looks back at, such as operations. */
export function byIdDescending(page: Page) {
  const cursor = cursorId(page);
  return {
    where: cursor === undefined ? {} : { id: page.backwards ? { gt: cursor } : { lt: cursor } },
    orderBy: { id: page.backwards ? ('asc' as const) : ('desc' as const) },
    take: page.limit + 1,
  };
}

const pageInfoRefs = new WeakMap<object, unknown>();

function pageInfoRef<Context extends RequestContext>(builder: Builder<Context>) {
  const define = () =>
    builder.objectRef<Connection<unknown>['pageInfo']>('PageInfo').implement({
      description: 'Where a page stands in its list (Relay Cursor Connections).',
      shareable: true,
      cost: 0, // a page costs what is in it
      fields: (t) => ({
        hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Is there more after this page?' }),
        hasPreviousPage: t.exposeBoolean('hasPreviousPage', { description: 'Is there more before this page?' }),
        startCursor: t.exposeString('startCursor', { nullable: true, description: 'Cursor of the first edge; send it as `before`.' }),
        endCursor: t.exposeString('endCursor', { nullable: true, description: 'Cursor of the last edge; send it as `after`.' }),
      }),
    });
  const known = pageInfoRefs.get(builder);
  if (known) return known as ReturnType<typeof define>; // the map holds only what define made for this builder
  const ref = define();
  pageInfoRefs.set(builder, ref);
  return ref;
}

/** Declares <Name>Connection and <Name>Edge in the shape of the spine: no nullable edges, a total count. */
export function connectionType<Context extends RequestContext, Row>(
  builder: Builder<Context>,
  name: string,
  node: ObjectRef<ExtendedTypes<Context>, Row>,
) {
  const edge = builder.objectRef<{ cursor: string; node: Row }>(`${name}Edge`).implement({
    description: `One ${name} in a list.`,
    cost: 0,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'Where this item stands: send it as `after` or `before`.' }),
      node: t.field({ type: node, description: 'The item itself.', resolve: (parent) => parent.node as never }),
    }),
  });
  const pageInfo = pageInfoRef(builder);
  return builder.objectRef<Connection<Row>>(`${name}Connection`).implement({
    description: `A page of a list of ${name}, stable while others are added.`,
    fields: (t) => ({
      edges: t.field({ type: [edge], description: 'The items of this page.', resolve: (parent) => parent.edges }),
      pageInfo: t.field({ type: pageInfo, description: 'Is there more?', resolve: (parent) => parent.pageInfo }),
      totalCount: t.int({ cost: 1, description: 'How many there are in all pages, counted now.', resolve: (parent) => parent.totalCount() }),
    }),
  });
}

type ArgumentBuilder<Context extends RequestContext> = ArgBuilder<ExtendedTypes<Context>>;

/** The arguments of a list that is read forwards. */
export const forwardArguments = <Context extends RequestContext>(arg: ArgumentBuilder<Context>) => ({
  first: arg.int({ description: `How many to read: ${PAGE_SIZE.default} unless told, ${PAGE_SIZE.max} at most.` }),
  after: arg.string({ description: 'Read on after this cursor.' }),
});

/** The arguments of a list that is read either way. */
export const pageArguments = <Context extends RequestContext>(arg: ArgumentBuilder<Context>) => ({
  ...forwardArguments(arg),
  last: arg.int({ description: 'How many to read from the end, or from `before` backwards.' }),
  before: arg.string({ description: 'Read backwards from this cursor.' }),
});
