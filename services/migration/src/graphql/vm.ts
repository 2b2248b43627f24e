import { forwardArguments } from '@novacron/graphql';
import { listMigrationsOf } from '../list-migrations.ts';
import { builder } from './context.ts';
import { MigrationConnection, Vm } from './migration.ts';

/** Whether the VM is there is its owner's to say: here it is known by its key alone. */
builder.objectFields(Vm, (t) => ({
  migrations: t.field({
    type: MigrationConnection,
    description: 'Its moves from host to host, as far as you may read them. The newest first.',
    args: forwardArguments(t.arg),
    resolve: ({ id }, args, { loaders, viewer }) => listMigrationsOf(loaders, viewer, id, args),
  }),
}));
