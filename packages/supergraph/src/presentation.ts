import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';

/** How results look to clients: which errors they may see, in which words. */
export interface Presentation<Context> {
  error(thrown: unknown): GraphQLFormattedError;
  result(result: FormattedExecutionResult): FormattedExecutionResult;
  /** Runs what belongs to one request: whatever fails in it is presented as that request's. */
  inRequest<Result>(context: Context, run: () => Result): Result;
}
