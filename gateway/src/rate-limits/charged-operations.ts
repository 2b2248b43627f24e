import type { PreparedOperation, Supergraph } from '@novacron/supergraph';
import type { Allowance } from './allowance.ts';

/**
 * Operations of this supergraph that are charged to whoever runs them: before they are planned what they are estimated to
 * cost, afterwards what their answers show. `run` rejects with RATE_LIMITED where that is more than is left.
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
        await context.allowance.charge({ document, operation, variables, points: estimate(variables) });
        const result = await prepared.run(variables, context, signal);
        context.allowance.settle(result.data == null ? 1 : costs.actual(document, operation, variables, result.data));
        return result;
      },
    };
  };
