import { can } from '@novacron/contracts';
import type { HostBlockerRow } from '../database.ts';
import { builder } from './context.ts';
import { Host, Vm } from './migration.ts';

const DrainBlocker = builder.objectRef<HostBlockerRow>('DrainBlocker').implement({
  description: 'A VM that stays on a host that is being emptied.',
  fields: (t) => ({
    vm: t.field({ type: Vm, description: 'The VM.', resolve: ({ vmId }) => ({ id: vmId }) }),
    reason: t.exposeString('reason', { description: 'Why it stays, for a person.' }),
  }),
});

builder.objectFields(Host, (t) => ({
  drainBlockers: t.field({
    type: [DrainBlocker],
    nullable: true,
    description: 'What stays on it although it is, or was last, to be emptied, and why. Needs host:read.',
    resolve: ({ id }, _args, { loaders, viewer }) => (can(viewer, 'host:read') ? loaders.blockersOf.load(id) : null),
  }),
}));
