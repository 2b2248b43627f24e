import type { PreparedOperation, Supergraph } from '@novacron/supergraph';
import type { FormattedExecutionResult } from 'graphql';
import type { Allowance } from './allowance.ts';

/** Errors by which what was worked for can't be made to disappear. */
const BLAMELESS: ReadonlySet<unknown> = new Set(['UNAVAILABLE', 'UNAUTHENTICATED', 'FORBIDDEN', 'INTERNAL']);

/**
 * Whether the answer says what was used. Where its caller did not wait for it, or asked for what had to fail beside the rest, it
 * shows nothing of the work: the estimate stays.
 */
function isRefunded(result: FormattedExecutionResult, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted) return false;
  if (!('data' in result)) return true; // refused before it ran
  const codes = (result.errors ?? []).map(({ extensions }) => extensions?.['code']);
  return codes.every((code) => (result.data === null ? code === 'UNAVAILABLE' : BLAMELESS.has(code)));
}

/**
 * Operations of this supergraph that are charged to whoever runs them: before they are planned what they are estimated to
 * cost, afterwards what their answers show, where they show it. `run` rejects with RATE_LIMITED where that is more than is left.
 */
export const chargeOperations =
  <Context extends { allowance: Allowance }>({ costs }: Pick<Supergraph, 'costs'>) =>
  (prepared: PreparedOperation<Context>): PreparedOperation<Context> => {
    const { document, operation } = prepared;

    /** What can't be estimated is going to be refused, by whoever says why. */
    function estimate(variables: Readonly<Record<string, unknown>>): number {
      try {
        return costs.estimate(document, operation, variables);
      } catch {
        return 1;
      }
    }

    return {
      ...prepared,
      async run(variables, context, signal) {
        await context.allowance.charge({ document, operation, points: estimate(variables) });
        const result = await prepared.run(variables, context, signal);
        if (isRefunded(result, signal)) context.allowance.settle(result.data == null ? 1 : costs.actual(document, operation, variables, result.data));
        return result;
      },
    };
  };
