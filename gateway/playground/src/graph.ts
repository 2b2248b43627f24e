import type { FormattedExecutionResult } from 'graphql';

/** The gateway answers queries, mutations and subscriptions on one path of the page's own origin. */
export const GRAPH_URL = new URL('/graphql', location.href);

export interface GraphRequest {
  query: string;
  operationName?: string | null | undefined;
  variables?: Record<string, unknown> | undefined;
}

export type GraphAnswer = FormattedExecutionResult<Record<string, unknown>, Record<string, unknown>>;

export const authorization = (accessToken: string | undefined) =>
  accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };

/** Sends one operation over HTTP. GraphQL errors are part of the answer; what is no GraphQL answer throws. */
export async function send(request: GraphRequest, headers: Record<string, string>): Promise<GraphAnswer> {
  const response = await fetch(GRAPH_URL, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...headers,
    },
    body: JSON.stringify(request),
  });
  if (!/json/.test(response.headers.get('content-type') ?? '')) {
    throw new Error(`The gateway answered ${response.status} ${response.statusText} without a GraphQL result.`);
  }
  return response.json();
}

export const hasCode = (answer: GraphAnswer, code: string): boolean =>
  answer.errors?.some((error) => error.extensions?.['code'] === code) ?? false;

/** How an operation would be run, as the gateway's http/query-plan.ts tells it. */
export type PlanStep =
  | { does: 'sequence' | 'parallel' | 'subscribe'; steps: PlanStep[] }
  | { does: 'fetch'; subgraph: string; path: string | null; operation: string }
  | { does: 'if' | 'unless'; variable: string; steps: PlanStep[] };

export type PlanAnswer = { plan: PlanStep | null } | { errors: readonly { message: string }[] };

/** The plan of an operation. Never rejects: what is wrong is an error to show. */
export async function askPlan({ query, operationName }: GraphRequest, accessToken: string | undefined): Promise<PlanAnswer> {
  try {
    const response = await fetch(`${GRAPH_URL}/plan`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization(accessToken) },
      body: JSON.stringify({ query, operationName }),
    });
    return (await response.json()) as PlanAnswer;
  } catch (error) {
    return { errors: [{ message: String(error) }] };
  }
}
