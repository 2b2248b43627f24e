import { forwardArguments } from '@novacron/graphql';
import { listOperationsOf } from '../directory.ts';
import { builder } from './context.ts';
import { OperationConnection } from './operation.ts';

/** Entity of vms that operations adds a field to. Whether the VM is there is its owner's to say: it is known by its key alone. */
builder.externalRef('Vm', builder.selection<{ id: string }>('id')).implement({
  description: 'A VM.',
  externalFields: (t) => ({ id: t.id({ description: 'Its id.' }) }),
  fields: (t) => ({
    operations: t.field({
      type: OperationConnection,
      description: 'What was done to it, and is being done, as far as you may read it. The newest first.',
      args: forwardArguments(t.arg),
      resolve: ({ id }, args, { loaders, viewer }) => listOperationsOf(loaders, viewer, id, args),
    }),
  }),
});
