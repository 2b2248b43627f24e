import type { SecurityGroupId } from '@novacron/core';
import type { Step, StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import type { HostNetworks } from '../host/host-networks.ts';

/**
 * The first step of what changes filters, done by the mutation's own transaction. From there on it only goes forward: a host
 * that is offline gets the rules when it is back.
 */
export const HOLD_RULES = { name: 'network.hold-rules', undoable: false, settles: true } as const satisfies StepDeclaration<{ groupId?: SecurityGroupId }>;
/** On each host that has NICs of it: filters are what the rows say, also of running guests. */
export const UPDATE_FILTERS = { name: 'network.update-filters', undoable: false } as const satisfies StepDeclaration<object>;

export const holdRulesStep: Step<Tx> = { ...HOLD_RULES, run: () => Promise.resolve() };

export const updateFiltersStep = (networks: HostNetworks): Step<Tx> => ({
  ...UPDATE_FILTERS,
  async run(run) {
    await run.begin();
    await networks.settleFilters();
  },
});
