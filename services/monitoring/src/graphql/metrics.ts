import { can } from '@novacron/contracts';
import { metricsTypes } from '@novacron/graphql';
import { historyWindow, MAX_POINTS, MIN_STEP_MS } from '../rules.ts';
import { builder } from './context.ts';

/** Entities of vms that monitoring adds fields to: asked for by their key alone, and described by their owner. */
const Vm = builder.externalRef('Vm', builder.selection<{ id: string }>('id'));
const Host = builder.externalRef('Host', builder.selection<{ id: string }>('id'));

const { VmMetrics, HostMetrics } = metricsTypes(builder, Vm, Host);

Vm.implement({
  description: 'A VM.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
  fields: (t) => ({
    metrics: t.field({
      type: VmMetrics,
      nullable: true,
      description: 'What it uses right now; null while it does not run, or is not measured.',
      resolve: async ({ id }, _args, { loaders, viewer }) => {
        if (!can(viewer, 'vm:read')) return null;
        const sample = await loaders.latestVm.load(id);
        return sample !== null && can(viewer, 'vm:read', sample.tenantId) ? sample : null;
      },
    }),
    metricsHistory: t.field({
      type: [VmMetrics],
      cost: 0, // what it costs is to begin it, however many steps
      listSize: { assumedSize: 300 },
      description: `What it used, as averages over steps of equal length, the oldest first, \`at\` the step's beginning; steps in which it did not run are left out. Kept for 24 hours. At most ${MAX_POINTS.toLocaleString('en')} steps, else BAD_USER_INPUT.`,
      args: {
        from: t.arg({ type: 'DateTime', required: true, cost: 10, description: 'Where the first step begins.' }),
        to: t.arg({ type: 'DateTime', description: 'Where the last step ends: now, unless told.' }),
        stepMs: t.arg.int({
          description: `The length of a step, at least ${MIN_STEP_MS.toLocaleString('en')}. Unless told, a 300th of the whole, or that minimum.`,
        }),
      },
      resolve: ({ id }, args, { loaders, now, viewer }) => {
        const window = historyWindow(args, now);
        return can(viewer, 'vm:read') ? loaders.history.load({ vmId: id, window }) : [];
      },
    }),
  }),
});

Host.implement({
  description: 'A host.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
  fields: (t) => ({
    metrics: t.field({
      type: HostMetrics,
      nullable: true,
      description: 'What it uses right now; null while it is not measured, and to whom lacks host:read.',
      resolve: ({ id }, _args, { loaders, viewer }) => (can(viewer, 'host:read') ? loaders.latestHost.load(id) : null),
    }),
  }),
});
