import { DomainError } from '@novacron/core';
import { getNamedType, getNullableType, isListType, type GraphQLInputType } from 'graphql';
import type { Parameter, Route } from './routes.ts';

/** One request to a route, as it was read from HTTP. */
export interface RestRequest {
  /** What stands for {id}. */
  id: string | null;
  query: URLSearchParams;
  /** Parsed JSON; undefined when there was none. */
  body: unknown;
  /** The header Idempotency-Key (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/). */
  idempotencyKey: string | null;
}

/** How a client says that a request is the same as one before: in the body, or as HTTP has it. */
export const IDEMPOTENCY_KEY = { field: 'idempotencyKey', header: 'Idempotency-Key' } as const;

const refuse = (field: string, message: string) => new DomainError('BAD_USER_INPUT', message, { field });

/** The variables of the route's operation. BAD_USER_INPUT (the parameter) for what is unknown, missing or given twice. */
export function toVariables(route: Route, request: RestRequest): Record<string, unknown> {
  const variables: Record<string, unknown> = {};
  const take = ({ target }: Parameter, value: unknown): void => {
    const [argument = '', member] = target;
    if (member === undefined) variables[argument] = value;
    else variables[argument] = { ...(variables[argument] as object | undefined), [member]: value }; // made here
  };
  if (route.body.some(({ target }) => target.length > 1)) variables['input'] = {};
  if (route.id !== null) take(route.id, request.id);
  takeQuery(route, request.query, take);
  takeBody(route, request, take);
  return variables;
}

type Take = (parameter: Parameter, value: unknown) => void;

function takeQuery({ query }: Route, given: URLSearchParams, take: Take): void {
  for (const name of new Set(given.keys())) {
    if (name === 'fields') continue;
    const parameter = query.find((one) => one.name === name);
    if (parameter === undefined) throw refuse(name, `There is no parameter "${name}" here.`);
    take(parameter, parseTexts(parameter, given.getAll(name)));
  }
  const missing = query.find(({ name, required }) => required && !given.has(name));
  if (missing !== undefined) throw refuse(missing.name, `The parameter "${missing.name}" is required.`);
}

function takeBody({ body: parameters }: Route, { body, idempotencyKey }: RestRequest, take: Take): void {
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw new DomainError('BAD_USER_INPUT', 'The body is a JSON object.');
  }
  const given = new Map(Object.entries(body ?? {}));
  const takesKey = parameters.some(({ name }) => name === IDEMPOTENCY_KEY.field);
  if (idempotencyKey !== null && takesKey && !given.has(IDEMPOTENCY_KEY.field)) given.set(IDEMPOTENCY_KEY.field, idempotencyKey);
  for (const [name, value] of given) {
    const parameter = parameters.find((one) => one.name === name);
    if (parameter === undefined) throw refuse(name, `There is no field "${name}" in this body.`);
    take(parameter, value);
  }
  const missing = parameters.find(({ name, required }) => required && !given.has(name));
  if (missing !== undefined) throw refuse(missing.name, `The field "${missing.name}" of the body is required.`);
}

/** The text of a query string as the graph wants it; text that is no such value stays, for the graph to refuse in its words. */
function parseTexts({ name, type, isOrder }: Parameter, texts: readonly string[]): unknown {
  if (isListType(getNullableType(type))) return texts.map((text) => parseText(type, text));
  const [text = '', ...more] = texts;
  if (more.length > 0) throw refuse(name, `The parameter "${name}" takes one value.`);
  return isOrder ? { field: text.replace(/^-/, ''), descending: text.startsWith('-') } : parseText(type, text);
}

function parseText(type: GraphQLInputType, text: string): unknown {
  switch (getNamedType(type).name) {
    case 'Boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'Int':
    case 'Float':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    default:
      return text;
  }
}
