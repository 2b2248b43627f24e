import type { Subgraph } from '@novacron/contracts';
import { failSpan, inSpan } from '@novacron/telemetry';
import { SpanKind } from '@opentelemetry/api';
import { execute, parse, validate, type DocumentNode, type ExecutionResult, type FormattedExecutionResult, type GraphQLError } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { SubgraphRequest } from './data-source.ts';
import { formatSubgraphError, type ErrorOrigin } from './error-format.ts';

export type SubgraphExecutor = (request: SubgraphRequest) => Promise<FormattedExecutionResult>;

type Prepared = { document: DocumentNode } | { errors: readonly GraphQLError[] };

/**
 * The gateway's plans make few distinct operations; this bounds what a flood of odd ones can hold: in characters of their text, since
 * a client's literals are in it. What is parsed is some 50 times as large.
 */
const KEPT_CHARACTERS = 2 ** 20;

/**
 * Runs operations against a subgraph in this process, whichever transport brought them. Never rejects: errors are
 * mapped once, here. Parsed and validated operations are kept.
 */
export function createSubgraphExecutor(subgraph: Subgraph, logger: Logger): SubgraphExecutor {
  const prepared = new LRUCache<string, Prepared>({ maxSize: KEPT_CHARACTERS });

  function prepare(query: string): Prepared {
    const known = prepared.get(query);
    if (known !== undefined) return known;
    const made = parseAndValidate(subgraph, query);
    prepared.set(query, made, { size: query.length + 1 });
    return made;
  }

  async function answer({ query, operationName, variables, context }: SubgraphRequest): Promise<FormattedExecutionResult> {
    const origin: ErrorOrigin = { stage: 'validation', subgraph: subgraph.name, requestId: context.requestId, logger };
    try {
      const operation = prepare(query);
      if ('errors' in operation) return { errors: operation.errors.map((error) => formatSubgraphError(error, origin)) };
      origin.stage = 'execution';
      const result: ExecutionResult = await execute({
        schema: subgraph.schema,
        document: operation.document,
        operationName: operationName ?? null,
        variableValues: variables ?? {},
        contextValue: subgraph.createContext(context),
      });
      if (result.errors) subgraph.observe?.(context, result.errors);
      return {
        ...('data' in result ? { data: result.data ?? null } : {}),
        ...(result.errors ? { errors: result.errors.map((error) => formatSubgraphError(error, origin)) } : {}),
      };
    } catch (thrown) {
      return { errors: [formatSubgraphError(thrown, origin)] };
    }
  }

  return (request) =>
    inSpan(`subgraph ${subgraph.name}`, { kind: SpanKind.SERVER, attributes: { 'novacron.subgraph': subgraph.name, 'novacron.request.id': request.context.requestId } }, async () => {
      const result = await answer(request);
      const [error] = result.errors ?? [];
      if (error) failSpan(String(error.extensions?.['code']));
      return result;
    });
}

function parseAndValidate(subgraph: Subgraph, query: string): Prepared {
  const document = parse(query, { noLocation: true });
  const errors = validate(subgraph.schema, document);
  return errors.length > 0 ? { errors } : { document };
}
