import type { Fetcher } from '@graphiql/toolkit';
import { getOperationAST } from 'graphql';
import { createClient, type Sink } from 'graphql-ws';
import { authorization, GRAPH_URL, hasCode, send, type GraphAnswer, type GraphRequest } from './graph.ts';
import { currentSession, noticeTokens, onSessionChange, refresh } from './session.ts';

const sockets = createClient({
  url: GRAPH_URL.href.replace(/^http/, 'ws'),
  connectionParams: () => authorization(currentSession()?.accessToken),
});

/** A socket stands for the token that it was opened with: with another one, subscriptions go on over a new socket. */
let connectedAs = currentSession()?.accessToken;
onSessionChange(() => {
  if (connectedAs === currentSession()?.accessToken) return;
  connectedAs = currentSession()?.accessToken;
  sockets.terminate();
});

const toError = (reason: unknown): unknown =>
  reason instanceof CloseEvent ? new Error(`The socket was closed: ${reason.code} ${reason.reason}`) : reason;

/** A subscription, in the form that GraphiQL takes one: it always hands over an object with these three functions. */
const live = (request: GraphRequest) => ({
  subscribe: (observer: Sink<GraphAnswer>) => ({
    unsubscribe: sockets.subscribe<Record<string, unknown>, Record<string, unknown>>(
      { ...request, operationName: request.operationName ?? null },
      { ...observer, error: (reason) => observer.error(toError(reason)) },
    ),
  }),
});

/** Carries out what GraphiQL runs: subscriptions over graphql-ws, everything else over HTTP, both with the session's token. */
export const createFetcher = (): Fetcher => async (request, options) => {
  const operation = options?.documentAST && getOperationAST(options.documentAST, request.operationName);
  if (operation?.operation === 'subscription') return live(request) as never; // the toolkit's types allow for more observers than there are
  const session = currentSession();
  const answer = await send(request, { ...authorization(session?.accessToken), ...options?.headers });
  if (!noticeTokens(answer) && session && hasCode(answer, 'UNAUTHENTICATED')) void refresh();
  return answer as never; // the toolkit wants errors as instances of GraphQLError, and shows what came over the wire
};
