import { getOperationAST, GraphQLError, validate, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { refuseOversized } from '../limits/document-size.ts';
import type { Limits } from '../limits/limits.ts';
import { parseWithin } from '../limits/parse-within.ts';

/** What is wrong with a document or its variables: several things at once. */
export class InvalidDocument extends Error {
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super('the document is not valid');
    this.errors = errors;
  }
}

function withCode({ message, nodes, source, positions, extensions }: GraphQLError, code: string): GraphQLError {
  return new GraphQLError(message, { nodes: nodes ?? null, source: source ?? null, positions: positions ?? null, extensions: { code, ...extensions } });
}

function failingWith<Result>(code: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw error instanceof GraphQLError ? new InvalidDocument([withCode(error, code)]) : error;
  }
}

/** Parses and validates; InvalidDocument with GRAPHQL_PARSE_FAILED or GRAPHQL_VALIDATION_FAILED. */
export function readDocument(schema: GraphQLSchema, query: string, limits?: Limits): DocumentNode {
  const document = failingWith('GRAPHQL_PARSE_FAILED', () => parseWithin(query, limits));
  failingWith('GRAPHQL_VALIDATION_FAILED', () => refuseOversized(document, limits));
  // graphql-js throws instead of answering where a subscription's root field depends on a variable
  const errors = failingWith('GRAPHQL_VALIDATION_FAILED', () => validate(schema, document));
  if (errors.length > 0) throw new InvalidDocument(errors.map((error) => withCode(error, 'GRAPHQL_VALIDATION_FAILED')));
  return document;
}

/** The operation to run; InvalidDocument with OPERATION_RESOLUTION_FAILURE where that is not clear. */
export function chooseOperation(document: DocumentNode, name: string | null): OperationDefinitionNode {
  const operation = getOperationAST(document, name);
  if (operation != null) return operation;
  const message = name === null ? 'Say which operation of the document to run.' : `There is no operation "${name}" in the document.`;
  throw new InvalidDocument([new GraphQLError(message, { extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } })]);
}
