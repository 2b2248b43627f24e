import type { Candidate, Factor } from '@novacron/placement';
import type { StoredPlacement } from '../create-vm.ts';
import { builder } from './context.ts';
import { Host } from './host.ts';

const PlacementFactor = builder.objectRef<Factor>('PlacementFactor').implement({
  description: "One part of a host's score.",
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What was judged: freeMemory, freeVcpus, usedMemory, usedVcpus.' }),
    weight: t.exposeFloat('weight', { description: 'How much it counts beside the others.' }),
    value: t.exposeFloat('value', { description: '0..1, more is better.' }),
  }),
});

const PlacementCandidate = builder.objectRef<Candidate>('PlacementCandidate').implement({
  description: 'A host that was looked at.',
  fields: (t) => ({
    host: t.field({
      type: Host,
      nullable: true,
      description: 'The host; null when it is no longer in the fleet.',
      resolve: (candidate, _args, { loaders }) => loaders.host.load(candidate.hostId),
    }),
    score: t.exposeFloat('score', { nullable: true, description: '0..1, the highest wins; null when it was removed.' }),
    factors: t.field({ type: [PlacementFactor], description: 'What the score is made of.', resolve: (candidate) => candidate.factors }),
    rejectedBecause: t.exposeString('rejectedBecause', { nullable: true, description: 'What removed it; null when it could take the VM.' }),
  }),
});

export const PlacementDecision = builder.objectRef<StoredPlacement>('PlacementDecision').implement({
  description: 'Where a VM goes, and why: every candidate, what removed it or how it scored, and the winner.',
  fields: (t) => ({
    chosen: t.field({
      type: Host,
      nullable: true,
      description: 'The winner; null when no host can take the VM.',
      resolve: (decision, _args, { loaders }) => (decision.chosenHostId === null ? null : loaders.host.load(decision.chosenHostId)),
    }),
    strategy: t.exposeString('strategy', { description: 'SPREAD (where most is free) or PACK (where least is).' }),
    candidates: t.field({ type: [PlacementCandidate], description: 'The best first.', resolve: (decision) => decision.candidates }),
    decidedAt: t.field({ type: 'DateTime', description: 'When it was decided.', resolve: (decision) => decision.decidedAt }),
  }),
});
