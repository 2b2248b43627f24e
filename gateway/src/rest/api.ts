import type { Supergraph } from '@novacron/supergraph';
import { getNamedType, type GraphQLNamedType, type GraphQLSchema, type OperationTypeNode } from 'graphql';
import { deriveRoutes, type Method, type Route, type Unfit } from './routes.ts';
import { fieldsOf, isEntity, printShape, type Shape } from './shape.ts';

/** Where an answer says that something else can be read. */
export interface Location {
  route: Route;
  /** From the answer to its id: ["operation", "id"]. */
  idPath: readonly string[];
}

/** How a route answers when all is well. */
export interface Outcome {
  status: 200 | 201 | 202 | 204;
  location: Location | null;
}

/** Everything that REST knows about one graph. */
export interface RestApi {
  routes: readonly Route[];
  /** Root fields without an address. */
  unfit: readonly Unfit[];
  /** The route at a path below /api/v1; else the methods that are there, none for no such path. */
  match(method: string, path: string): { route: Route; id: string | null } | { allowed: Method[] };
  /** The route of a root field. */
  byField(field: string): Route | undefined;
  outcome(route: Route): Outcome;
  /** Whether it answers someone who is not signed in. */
  isPublic(route: Route): boolean;
  /** The document that asks for a route's field. */
  document(route: Route, shape: Shape): string;
}

const OPERATION = 'Operation';

/** The REST API of a graph; `isOpen` tells fields of root types that need no viewer from all others. */
export function createRestApi(schema: GraphQLSchema, isOpen: Supergraph['authorization']['isOpen']): RestApi {
  const { routes, unfit } = deriveRoutes(schema);
  const fields = new Map(routes.map((route) => [route.field, route]));
  const paths = new Map<string, Map<Method, Route>>();
  for (const route of routes) paths.set(route.path, (paths.get(route.path) ?? new Map<Method, Route>()).set(route.method, route));
  const items = new Map(routes.filter(isItem).map((route) => [getNamedType(route.type).name, route]));

  function match(method: string, path: string): ReturnType<RestApi['match']> {
    const [collection = '', second, ...rest] = path.replace(/^\//, '').split('/');
    const asId = second === undefined ? [] : [['', collection, '{id}', ...rest].join('/')];
    const allowed: Method[] = [];
    // "/vms/plan" before "/vms/{id}", and both where each has methods of its own
    for (const template of [path, ...asId]) {
      const methods = paths.get(template);
      const route = methods?.get((method === 'HEAD' ? 'GET' : method) as Method); // undefined for what is none
      const id = template === path ? null : decode(second ?? '');
      if (route !== undefined && id !== undefined) return { route, id };
      if (id !== undefined) allowed.push(...(methods?.keys() ?? []));
    }
    return { allowed };
  }

  function locationOf(type: GraphQLNamedType, idPath: readonly string[]): Location | null {
    const route = items.get(type.name);
    return route === undefined ? null : { route, idPath };
  }

  function outcome(route: Route): Outcome {
    const type = getNamedType(route.type);
    if (route.kind === 'query') return { status: 200, location: null };
    if (type.name === 'Boolean') return { status: 204, location: null };
    const operation = fieldsOf(type).find((field) => field.name === 'operation' && getNamedType(field.type).name === OPERATION);
    if (type.name === OPERATION) return { status: 202, location: locationOf(type, ['id']) };
    if (operation !== undefined && !isEntity(type)) return { status: 202, location: locationOf(getNamedType(operation.type), ['operation', 'id']) };
    if (route.creates) return { status: 201, location: isEntity(type) ? locationOf(type, ['id']) : null };
    return { status: 200, location: null };
  }

  return {
    routes,
    unfit,
    match,
    byField: (field) => fields.get(field),
    outcome,
    isPublic({ kind, field }) {
      const type = schema.getRootType(kind as OperationTypeNode); // the same words
      return type != null && isOpen(type, field);
    },
    document({ kind, field, variables }, shape) {
      const declared = variables.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
      const given = variables.map(({ name }) => `${name}: $${name}`).join(', ');
      const among = (text: string) => (text === '' ? '' : `(${text})`);
      return `${kind} rest_${field}${among(declared)} { ${field}${among(given)} ${printShape(shape)} }`;
    },
  };
}

const isItem = ({ method, path }: Route): boolean => method === 'GET' && path.endsWith('/{id}');

/** A path's part as text; undefined for what nobody can have written. */
function decode(part: string): string | undefined {
  try {
    const text = decodeURIComponent(part);
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}
