import { DomainError } from '@novacron/core';
import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isInterfaceType,
  isLeafType,
  isListType,
  isObjectType,
  isRequiredArgument,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLOutputType,
} from 'graphql';

/** What is asked of a type and comes back: a document's selection, and the form of the answer. */
export type Shape = Leaf | Fields | Page;

interface Leaf {
  kind: 'leaf';
}

interface Fields {
  kind: 'fields';
  fields: Map<string, Shape>;
}

/** A connection of GraphQL's: { items, totalCount, pageInfo } in an answer. */
interface Page {
  kind: 'page';
  item: Fields;
  hasTotal: boolean;
}

type OutputField = GraphQLField<unknown, unknown>;

/** How many names a path may have: more than anyone needs, and less than the graph lets through with a page in each. */
const LONGEST_PATH = 6;

const PAGE_INFO = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';

export function fieldsOf(type: GraphQLNamedType): OutputField[] {
  return isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];
}

const fieldOf = (type: GraphQLNamedType, name: string): OutputField | undefined => fieldsOf(type).find((field) => field.name === name);

/** Something that is there by itself, which can be asked for again by its id. */
export const isEntity = (type: GraphQLNamedType): boolean => fieldOf(type, 'id') !== undefined;

/** What a Relay connection is a page of; null for every other type. */
export function connectionNode(type: GraphQLOutputType): GraphQLNamedType | null {
  const named = getNamedType(type);
  const edges = fieldOf(named, 'edges');
  if (edges === undefined || fieldOf(named, 'pageInfo') === undefined) return null;
  const node = fieldOf(getNamedType(edges.type), 'node');
  return node === undefined ? null : getNamedType(node.type);
}

const isList = (type: GraphQLOutputType): boolean => isListType(getNullableType(type));
const isAskable = ({ args }: OutputField): boolean => !args.some(isRequiredArgument);
const LEAF: Leaf = { kind: 'leaf' };
const toFields = (entries: Iterable<readonly [string, Shape]>): Fields => ({ kind: 'fields', fields: new Map(entries) });

/** Leaves, ids of what has one, and the leaves of what has none. `deep`: how much more of each. */
function choose(type: GraphQLNamedType, deep: (field: OutputField, named: GraphQLNamedType) => Fields | null): Fields {
  return toFields(
    fieldsOf(type)
      .filter(isAskable)
      .flatMap((field): (readonly [string, Shape])[] => {
        const named = getNamedType(field.type);
        if (isLeafType(named)) return [[field.name, LEAF]];
        if (!isCompositeType(named) || connectionNode(field.type) !== null) return [];
        const inner = deep(field, named);
        return inner === null || inner.fields.size === 0 ? [] : [[field.name, inner]];
      }),
  );
}

const reference = (): Fields => toFields([['id', LEAF]]);

/** A value: its leaves, and ids of what it refers to besides what it is of. */
const ofValue = (type: GraphQLNamedType, owner?: GraphQLNamedType): Fields =>
  choose(type, (field, named) => (isEntity(named) && named !== owner && !isList(field.type) ? reference() : null));

/** One entity in a list: what fits into a row. */
const ofRow = (type: GraphQLNamedType): Fields =>
  choose(type, (field, named) => (isList(field.type) ? null : isEntity(named) ? reference() : ofValue(named, type)));

/** One entity by itself: lists of values, too. */
const ofEntity = (type: GraphQLNamedType): Fields =>
  choose(type, (field, named) => (isEntity(named) ? (isList(field.type) ? null : reference()) : ofValue(named, type)));

/** What a mutation answers, or a report: each part of it as in a list. */
const ofPayload = (type: GraphQLNamedType): Fields => choose(type, (_field, named) => (isEntity(named) ? ofRow(named) : ofValue(named)));

function page(type: GraphQLOutputType, item: Fields): Page {
  return { kind: 'page', item, hasTotal: fieldOf(getNamedType(type), 'totalCount') !== undefined };
}

/** What is answered of a root field where the client does not choose. */
export function defaultShape(type: GraphQLOutputType): Shape {
  const named = getNamedType(type);
  if (isLeafType(named)) return LEAF;
  const node = connectionNode(type);
  if (node !== null) return page(type, ofRow(node));
  if (!isEntity(named)) return ofPayload(named);
  return isList(type) ? ofRow(named) : ofEntity(named);
}

/**
 * What `?fields=name,host.name` chooses: paths of names, through the items of lists. A name of something that has fields
 * itself stands for its leaves. BAD_USER_INPUT (fields).
 */
export function chosenShape(type: GraphQLOutputType, text: string): Shape {
  const named = getNamedType(type);
  if (isLeafType(named)) throw notThere(text, 'there is nothing to choose from');
  const node = connectionNode(type);
  const chosen = toFields([]);
  for (const path of text.split(',')) {
    const names = path.trim().split('.');
    if (names.length > LONGEST_PATH) throw notThere(names.slice(0, LONGEST_PATH).join('.'), `a path has at most ${LONGEST_PATH} names`);
    add(chosen, node ?? named, names, path.trim());
  }
  return node === null ? chosen : page(type, chosen);
}

const notThere = (path: string, why: string) => new DomainError('BAD_USER_INPUT', `"${path}" can't be chosen: ${why}.`, { field: 'fields' });

function add(into: Fields, type: GraphQLNamedType, [name = '', ...rest]: readonly string[], path: string): void {
  const field = fieldOf(type, name);
  if (field === undefined) throw notThere(path, `there is no field "${name}"`);
  if (!isAskable(field)) throw notThere(path, `"${name}" needs arguments; ask the graph for it`);
  const named = getNamedType(field.type);
  if (isLeafType(named)) {
    if (rest.length > 0) throw notThere(path, `"${name}" has no fields`);
    into.fields.set(name, LEAF);
    return;
  }
  const node = connectionNode(field.type);
  const known = into.fields.get(name);
  const inner = known?.kind === 'page' ? known.item : known?.kind === 'fields' ? known : toFields([]);
  if (rest.length > 0) add(inner, node ?? named, rest, path);
  else for (const [one, shape] of ofValue(node ?? named).fields) if (!inner.fields.has(one)) inner.fields.set(one, shape);
  into.fields.set(name, node === null ? inner : page(field.type, inner));
}

/** As a selection set, or nothing for a leaf. */
export function printShape(shape: Shape): string {
  if (shape.kind === 'leaf') return '';
  if (shape.kind === 'page') return `{ edges { node ${printShape(shape.item)} } ${shape.hasTotal ? 'totalCount ' : ''}${PAGE_INFO} }`;
  const fields = [...shape.fields].map(([name, inner]) => (inner.kind === 'leaf' ? name : `${name} ${printShape(inner)}`));
  return `{ ${fields.length === 0 ? '__typename' : fields.join(' ')} }`;
}

/** The graph's answer as REST's: without edges. */
export function present(value: unknown, shape: Shape): unknown {
  if (Array.isArray(value)) return value.map((item) => present(item, shape));
  if (shape.kind === 'leaf' || typeof value !== 'object' || value === null) return value;
  const given = value as Record<string, unknown>; // an object of JSON, as the shape says
  if (shape.kind === 'fields') return Object.fromEntries([...shape.fields].map(([name, inner]) => [name, present(given[name], inner)]));
  const edges = given['edges'] as { node: unknown }[]; // as the shape has asked for
  return {
    items: edges.map(({ node }) => present(node, shape.item)),
    ...(shape.hasTotal ? { totalCount: given['totalCount'] } : {}),
    pageInfo: given['pageInfo'],
  };
}
