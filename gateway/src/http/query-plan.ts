import { prettyFormatQueryPlan, type PlanNode, type QueryPlan, type SubscriptionNode } from '@apollo/query-planner';
import { isPlatformAdmin, requireSignedIn, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { InvalidDocument } from '@novacron/supergraph';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GraphQLError, parse, print, type GraphQLFormattedError } from 'graphql';
import type { Graph } from '../graph.ts';
import { readBody } from './graphql-parameters.ts';
import { requireJson } from './media-types.ts';
import { RequestFault } from './request-fault.ts';

/** How an operation would be run, as a tree. */
export type PlanStep =
  | { does: 'sequence' | 'parallel' | 'subscribe'; steps: PlanStep[] }
  | { does: 'fetch'; subgraph: string; /** Whose fields are fetched: `vm.createdBy`; null for those of the root. */ path: string | null; operation: string }
  | { does: 'if' | 'unless'; variable: string; steps: PlanStep[] };

export interface QueryPlanAnswer {
  /** Null where no subgraph is asked. */
  plan: PlanStep | null;
  /** The same, as the planner writes it. */
  text: string;
}

export interface QueryPlanRouteOptions<Context> {
  graph: Graph<Context>;
  contextOf(request: FastifyRequest): Promise<Context>;
  formatError(thrown: unknown, requestId: string): GraphQLFormattedError;
  /** Is told of who has signed in and is no platform administrator. */
  onRefused?(context: Context): void;
}

/**
 * POST /graphql/plan: how an operation would be run, which is not done. A plan says how the graph is cut into services:
 * it is for platform administrators.
 */
export function routeQueryPlan<Context extends { viewer: Viewer | null }>(app: FastifyInstance, { graph, contextOf, formatError, onRefused }: QueryPlanRouteOptions<Context>): void {
  async function answer(request: FastifyRequest): Promise<QueryPlanAnswer> {
    requireJson(request.headers);
    const context = await contextOf(request);
    if (!isPlatformAdmin(requireSignedIn(context.viewer))) {
      onRefused?.(context);
      throw new DomainError('FORBIDDEN', 'Query plans are for platform administrators.');
    }
    const { query, operationName } = readBody(request.body);
    const plan = graph.prepare(query ?? '', operationName, context).plan();
    return { plan: outline(plan), text: prettyFormatQueryPlan(plan) };
  }

  app.post('/graphql/plan', async (request, reply) => {
    void reply.header('cache-control', 'no-store');
    try {
      return await answer(request);
    } catch (thrown) {
      const faults = thrown instanceof InvalidDocument ? thrown.errors : [thrown];
      return reply.code(statusOf(thrown)).send({ errors: faults.map((fault) => formatError(fault, request.id)) });
    }
  });
}

function statusOf(thrown: unknown): number {
  if (thrown instanceof RequestFault) return thrown.status;
  if (thrown instanceof InvalidDocument || thrown instanceof GraphQLError) return 400;
  const { code } = DomainError.from(thrown);
  return { UNAUTHENTICATED: 401, FORBIDDEN: 403, UNAVAILABLE: 503 }[code as string] ?? 500;
}

const outline = ({ node }: QueryPlan): PlanStep | null => (node === undefined ? null : stepOf(node, null));

function stepOf(node: PlanNode | SubscriptionNode, path: string | null): PlanStep {
  const all = (nodes: readonly (PlanNode | undefined)[]) => nodes.filter((each) => each !== undefined).map((each) => stepOf(each, path));
  switch (node.kind) {
    case 'Sequence': return { does: 'sequence', steps: all(node.nodes) };
    case 'Parallel': return { does: 'parallel', steps: all(node.nodes) };
    case 'Subscription': return { does: 'subscribe', steps: all([node.primary, node.rest]) };
    case 'Flatten': return stepOf(node.node, node.path.join('.'));
    case 'Fetch': return { does: 'fetch', subgraph: node.serviceName, path, operation: print(parse(node.operation)) };
    case 'Condition': {
      const then = { does: 'if', variable: node.condition, steps: all([node.ifClause]) } as const;
      const otherwise = { does: 'unless', variable: node.condition, steps: all([node.elseClause]) } as const;
      if (node.elseClause === undefined) return then;
      return node.ifClause === undefined ? otherwise : { does: 'parallel', steps: [then, otherwise] };
    }
    case 'Defer': throw new DomainError('INTERNAL', '@defer is not in the schema.');
  }
}
