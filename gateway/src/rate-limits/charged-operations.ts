import { createCostModel, type PreparedOperation, type Supergraph } from '@novacron/supergraph';
import { parse } from 'graphql';
import type { Allowance } from './allowance.ts';

/**
 * Operations of this supergraph that are charged to whoever runs them: before they are planned what they are estimated to
 * cost, afterwards what their answers show. `run` rejects with RATE_LIMITED where that is more than is left.
 */
export function chargeOperations<Context extends { allowance: Allowance }>({ sdl, apiSchema }: Supergraph): (prepared: PreparedOperation<Context>) => PreparedOperation<Context> {
  const cost = createCostModel(parse(sdl, { noLocation: true }), apiSchema);
  return (prepared) => ({
    ...prepared,
    async run(variables, context, signal) {
      const { document, operation } = prepared;
      await context.allowance.charge({ document, operation, variables, points: cost.estimate(document, operation, variables) });
      const result = await prepared.run(variables, context, signal);
      context.allowance.settle(cost.actual(document, operation, variables, result.data));
      return result;
    },
  });
}
