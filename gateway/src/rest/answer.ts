import { DomainError } from '@novacron/core';
import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import type { RestApi } from './api.ts';
import { problemHeaders, toPartialProblem, toProblem } from './problem.ts';
import type { Method, Route } from './routes.ts';
import { chosenShape, defaultShape, present, type Shape } from './shape.ts';

/** What goes over HTTP. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** Null: none. */
  body: unknown;
}

export interface Question {
  api: RestApi;
  route: Route;
  shape: Shape;
  /** As it was asked; what stands before the route in its path, such as /api/v1. */
  url: URL;
  prefix: string;
  /** The client said what it wants, and is to hear of all that it can't have. */
  isChosen: boolean;
}

/** What a route is to answer: what the client chose, and always where it is told to look next. BAD_USER_INPUT (fields). */
export function shapeOf(api: RestApi, route: Route, fields: string | null): Shape {
  if (fields === null) return defaultShape(route.type);
  const next = api.outcome(route).location?.idPath.join('.');
  return chosenShape(route.type, next === undefined ? fields : `${fields},${next}`);
}

export function answerProblem(error: GraphQLFormattedError, status?: number): Answer {
  const problem = toProblem(error, status);
  return { status: problem.status, headers: problemHeaders(problem), body: problem };
}

export function answerMethodNotAllowed(error: GraphQLFormattedError, allowed: readonly Method[]): Answer {
  const { status, headers, body } = answerProblem(error, 405);
  return { status, headers: { ...headers, allow: allowed.join(', ') }, body };
}

/** The graph's answer as HTTP has it. `formatError`: for the NOT_FOUND of an item that is null. */
export function toAnswer(question: Question, { data, errors = [] }: FormattedExecutionResult, formatError: (error: DomainError) => GraphQLFormattedError): Answer {
  const { api, route, shape } = question;
  const value = data?.[route.field];
  if (value === undefined || value === null) {
    const [error] = errors;
    if (error !== undefined) return answerProblem(error);
    return answerProblem(formatError(new DomainError('NOT_FOUND', 'There is nothing with this id, or nothing that you may read.')));
  }
  const { status, location } = api.outcome(route);
  if (status === 204) return { status, headers: {}, body: null };
  const presented = present(value, shape);
  const body = Array.isArray(presented) ? { items: presented } : presented; // as a page has them
  const headers: Record<string, string> = { 'content-type': 'application/json; charset=utf-8' };
  const id = location?.idPath.reduce<unknown>((inner, name) => (inner as Record<string, unknown> | null)?.[name], body);
  if (location && typeof id === 'string') headers['location'] = `${question.prefix}${location.route.path.replace('{id}', encodeURIComponent(id))}`;
  const links = shape.kind === 'page' ? pageLinks(question, (body as { pageInfo: PageInfo }).pageInfo) : []; // as `present` makes it
  if (links.length > 0) headers['link'] = links.join(', ');
  // What nobody asked for by name is left out where the viewer may not see it.
  const problems = errors.filter(({ extensions }) => question.isChosen || extensions?.['code'] !== 'FORBIDDEN').map(toPartialProblem);
  // "@" begins no name of GraphQL: this can be no field's
  return { status, headers, body: problems.length > 0 && typeof body === 'object' ? { ...body, '@problems': problems } : body };
}

interface PageInfo {
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  startCursor: string | null;
  endCursor: string | null;
}

/** The pages after and before this one, where the list can be read that way (RFC 8288). */
function pageLinks({ route, url }: Question, { hasNextPage, hasPreviousPage, startCursor, endCursor }: PageInfo): string[] {
  const size = url.searchParams.get('first') ?? url.searchParams.get('last');
  const link = (rel: string, sizeName: string, cursorName: string, cursor: string | null): string[] => {
    if (cursor === null || !route.query.some(({ name }) => name === cursorName)) return [];
    const query = new URLSearchParams(url.searchParams);
    for (const name of ['first', 'after', 'last', 'before']) query.delete(name);
    if (size !== null) query.set(sizeName, size);
    query.set(cursorName, cursor);
    return [`<${url.pathname}?${String(query)}>; rel="${rel}"`];
  };
  return [...(hasNextPage ? link('next', 'first', 'after', endCursor) : []), ...(hasPreviousPage ? link('prev', 'last', 'before', startCursor) : [])];
}
