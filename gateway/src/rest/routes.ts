import {
  getNamedType,
  isInputObjectType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';
import { kebab, lowerFirst, plural, words } from './names.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Where one value of a request goes: an argument of the field, or a member of its `input`. */
export interface Parameter {
  /** As the client writes it. */
  name: string;
  /** As the field takes it: ["input", "name"]. */
  target: readonly string[];
  type: GraphQLInputType;
  required: boolean;
  description: string | null;
  /** Written as one of its values, or that with "-" before it, for the other way round. */
  isOrder: boolean;
}

/** One root field as an address. */
export interface Route {
  /** The root field: its name is the operation's id. */
  field: string;
  kind: 'query' | 'mutation';
  method: Method;
  /** Below /api/v1: "/vms/{id}/start" */
  path: string;
  /** Makes something new: 201, or 202 where that takes time. */
  creates: boolean;
  /** What stands in the path for {id}. */
  id: Parameter | null;
  query: readonly Parameter[];
  body: readonly Parameter[];
  type: GraphQLOutputType;
  description: string | null;
  /** Every argument with its type, as a document declares its variables. */
  variables: readonly { name: string; type: GraphQLInputType }[];
}

/** A root field for which the rule has no address, and why. */
export interface Unfit {
  field: string;
  why: string;
}

type RootField = GraphQLField<unknown, unknown>;

/** A verb with an address of its own; every other one is the last word of a POST. */
const VERBS: ReadonlyMap<string, { method: Method; of: 'collection' | 'item' | 'property' }> = new Map([
  ['create', { method: 'POST', of: 'collection' }],
  ['register', { method: 'POST', of: 'collection' }],
  ['update', { method: 'PATCH', of: 'item' }],
  ['delete', { method: 'DELETE', of: 'item' }],
  ['set', { method: 'PUT', of: 'property' }],
]);

class Misfit extends Error {}

/**
 * The REST API of a graph, by one rule over its root fields:
 *
 *     vm(id)                        GET    /vms/{id}
 *     vms(first, filter, orderBy)   GET    /vms                      the filter's fields are parameters
 *     me                            GET    /me
 *     createVm, registerHost        POST   /vms, /hosts
 *     updateVm, deleteVm            PATCH  /vms/{id}, DELETE /vms/{id}
 *     setHostMaintenance            PUT    /hosts/{id}/maintenance
 *     startVm, migrateVm            POST   /vms/{id}/start, /vms/{id}/migrate
 *     importImage, planVm           POST   /images/import, /vms/plan  nothing is named by an id yet
 *     updateProfile                 POST   /profiles/update           nor is what belongs to whoever asks
 *     login                         POST   /login
 *
 * The noun of a mutation is the longest run of words after the verb that is a type of the graph. The id stands in the path: an argument
 * (or a field of `input`) that is called id, or <noun>Id. All other arguments are the body, and of GET and DELETE the query.
 */
export function deriveRoutes(schema: GraphQLSchema): { routes: Route[]; unfit: Unfit[] } {
  const routes = new Map<string, Route>();
  const unfit: Unfit[] = [];
  const derive = (kind: Route['kind'], field: RootField, build: (schema: GraphQLSchema, field: RootField) => Place): void => {
    try {
      const route = toRoute(kind, field, build(schema, field));
      const address = `${route.method} ${route.path}`;
      const other = routes.get(address);
      if (other !== undefined) throw new Misfit(`${address} is that of ${other.field}`);
      routes.set(address, route);
    } catch (thrown) {
      if (!(thrown instanceof Misfit)) throw thrown;
      unfit.push({ field: field.name, why: thrown.message });
    }
  };
  for (const field of Object.values(schema.getQueryType()?.getFields() ?? {})) derive('query', field, placeQuery);
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) derive('mutation', field, placeVerb);
  return { routes: [...routes.values()], unfit };
}

/** Where a field is, and which of its inputs stands in the path. */
interface Place {
  method: Method;
  path: string;
  id: string | null;
  creates?: boolean;
}

const isItem = ({ args }: RootField): boolean => args.length === 1 && args[0]?.name === 'id' && isRequiredArgument(args[0]);
const needsBody = ({ args }: RootField): boolean => args.some((arg) => isRequiredArgument(arg) && isInputObjectType(getNamedType(arg.type)));

function placeQuery(schema: GraphQLSchema, field: RootField): Place {
  if (isItem(field)) return { method: 'GET', path: `/${plural(kebab(field.name))}/{id}`, id: 'id' };
  return needsBody(field) ? placeVerb(schema, field) : { method: 'GET', path: `/${kebab(field.name)}`, id: null };
}

function placeVerb(schema: GraphQLSchema, field: RootField): Place {
  const [verb = '', ...rest] = words(field.name);
  if (rest.length === 0) return { method: 'POST', path: `/${verb}`, id: null };
  const { noun, property } = splitNoun(schema, field, rest);
  const collection = `/${plural(kebab(noun))}`;
  const id = idOf(field, noun);
  const known = VERBS.get(verb);
  const { method, of } = known === undefined || (known.of === 'item' && id === null) ? ({ method: 'POST', of: 'verb' } as const) : known;
  if (of === 'collection') {
    if (id !== null || property !== '') throw new Misfit(`"${verb}" is for something new, which has no id`);
    return { method, path: collection, id: null, creates: true };
  }
  if (of === 'verb') {
    if (property !== '') throw new Misfit(`there is no type ${noun}${property}`);
    return { method, path: id === null ? `${collection}/${kebab(verb)}` : `${collection}/{id}/${kebab(verb)}`, id };
  }
  if (id === null) throw new Misfit(`"${verb}" is for something that has an id: "id" or "${lowerFirst(noun)}Id"`);
  if ((of === 'property') !== (property !== '')) throw new Misfit(`"${verb}" is for ${of === 'property' ? 'a property of something' : 'the whole of something'}`);
  return { method, path: of === 'property' ? `${collection}/{id}/${kebab(property)}` : `${collection}/{id}`, id };
}

/** "NicSecurityGroups" is a noun and a property of it, where a type or an argument `nicId` says so. */
function splitNoun(schema: GraphQLSchema, field: RootField, rest: readonly string[]): { noun: string; property: string } {
  const inputs = new Set(inputsOf(field).map(({ name }) => name));
  for (let length = rest.length; length > 0; length -= 1) {
    const noun = rest.slice(0, length).join('');
    if (inputs.has(`${lowerFirst(noun)}Id`) || isObjectType(schema.getType(noun))) return { noun, property: rest.slice(length).join('') };
  }
  return { noun: rest.join(''), property: '' };
}

const idOf = (field: RootField, noun: string): string | null => {
  const ids = new Set(['id', `${lowerFirst(noun)}Id`]);
  return inputsOf(field).find(({ name, required }) => required && ids.has(name))?.name ?? null;
};

/** The one argument `input` stands for its fields. */
function inputsOf({ args }: RootField): Parameter[] {
  const [only] = args;
  if (args.length === 1 && only?.name === 'input') {
    const type = getNamedType(only.type);
    if (isInputObjectType(type)) return Object.values(type.getFields()).map((one) => toParameter(one, isRequiredInputField(one), ['input']));
  }
  return args.map((one) => toParameter(one, isRequiredArgument(one), []));
}

const toParameter = ({ name, type, description }: GraphQLArgument | GraphQLInputField, required: boolean, path: readonly string[]): Parameter => ({
  name,
  target: [...path, name],
  type,
  required,
  description: description ?? null,
  isOrder: false,
});

function toRoute(kind: Route['kind'], field: RootField, { method, path, id, creates = false }: Place): Route {
  const inputs = inputsOf(field);
  const rest = inputs.filter(({ name }) => name !== id);
  const hasBody = method !== 'GET' && method !== 'DELETE';
  const query = hasBody ? [] : rest.flatMap(inQuery);
  const twice = query.find(({ name }, index) => name === 'fields' || query.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new Misfit(`the parameter "${twice.name}" would have two meanings`);
  return {
    field: field.name,
    kind,
    method,
    path,
    creates,
    id: inputs.find(({ name }) => name === id) ?? null,
    query,
    body: hasBody ? rest : [],
    type: field.type,
    description: field.description ?? null,
    variables: field.args.map(({ name, type }) => ({ name, type })),
  };
}

/** A filter's fields are parameters of their own; an order is one that names a field. */
function inQuery(parameter: Parameter): Parameter[] {
  const type = getNamedType(parameter.type);
  if (!isInputObjectType(type)) return [parameter];
  const fields = type.getFields();
  if (parameter.name === 'filter') {
    return Object.values(fields).map((field) => {
      if (isInputObjectType(getNamedType(field.type))) throw new Misfit(`"${field.name}" of the filter has fields itself`);
      return toParameter(field, isRequiredInputField(field), parameter.target);
    });
  }
  if (fields['field'] !== undefined && fields['descending'] !== undefined) return [{ ...parameter, type: fields['field'].type, isOrder: true }];
  throw new Misfit(`"${parameter.name}" has fields, which fit into no address`);
}
