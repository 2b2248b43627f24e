import { connectionType, entityStub, operationErrorType, operationStateEnum, pageArguments } from '@novacron/graphql';
import { requireScope, requireViewer } from '@novacron/contracts';
import { listOperations } from '../directory.ts';
import { canCancel, STEP_STATES, viewOperation, type OperationRecord, type StepRecord } from '../rules.ts';
import { builder } from './context.ts';

const OperationState = operationStateEnum(builder);
const User = entityStub(builder, 'User', 'A user.');
const Tenant = entityStub(builder, 'Tenant', 'A tenant.');

const OperationError = operationErrorType(builder);

const OperationStep = builder.objectRef<StepRecord>('OperationStep').implement({
  description: 'One step of an operation: done as a whole, and undone as a whole if a later one fails.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The service that does it, and what it does.' }),
    state: t.field({
      type: OperationState,
      description: 'How far it has come. Of a step, QUEUED is waiting for its turn or its next try, CANCELLING being undone, and CANCELLED undone.',
      resolve: (step) => STEP_STATES[step.state],
    }),
    attempt: t.exposeInt('attempt', { description: 'How often it was begun, undoing included; 0 before the first time.' }),
    progress: t.exposeFloat('progress', { description: "How much of it is done, 0..1; a step that can't tell goes from 0 to 1 at once." }),
    error: t.field({
      type: OperationError,
      nullable: true,
      description: 'Why its last try failed; null without a failure, and once it has succeeded.',
      resolve: (step) => step.error,
    }),
    startedAt: t.field({ type: 'DateTime', nullable: true, description: 'When it was first begun.', resolve: (step) => step.startedAt }),
    finishedAt: t.field({ type: 'DateTime', nullable: true, description: 'When it was done, failed or was undone.', resolve: (step) => step.finishedAt }),
  }),
});

export const Operation = builder.objectRef<OperationRecord>('Operation');
Operation.implement({
  description: 'A verb under way, or done. It survives every restart, and ends: done, failed or cancelled, with nothing left half-made.',
  tokenScopes: ['operation:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    // These three the events subgraph also provides, from the event itself.
    kind: t.exposeString('kind', { shareable: true, description: 'Which verb, such as "vm.create".' }),
    state: t.field({ type: OperationState, shareable: true, description: 'How far it has come.', resolve: (operation) => operation.state }),
    progress: t.exposeFloat('progress', { shareable: true, description: 'How much of it is done, 0..1; it stays where it was when it turns back.' }),
    steps: t.field({
      type: [OperationStep],
      description: 'What it does, in order.',
      resolve: ({ id }, _args, { loaders }) => loaders.steps.load(id),
    }),
    targetType: t.exposeString('targetType', { description: 'The type of the object that it works on, such as "Vm".' }),
    targetId: t.exposeID('targetId', { description: 'The object that it works on.' }),
    error: t.field({
      type: OperationError,
      nullable: true,
      description: 'Why it failed, or is turning back; null without a failure.',
      resolve: (operation) => operation.error,
    }),
    requestedBy: t.field({
      type: User,
      nullable: true,
      description: 'Who asked for it; null when it was NovaCron itself.',
      resolve: ({ requestedBy }) => (requestedBy === null ? null : { id: requestedBy }),
    }),
    tenant: t.field({
      type: Tenant,
      nullable: true,
      description: 'Whose it is; null when it concerns the platform itself.',
      resolve: ({ tenantId }) => (tenantId === null ? null : { id: tenantId }),
    }),
    cancellable: t.boolean({
      description: 'Can you cancel it now? False after the point of no return and for who lacks operation:cancel.',
      resolve: (operation, _args, { viewer }) => canCancel(operation, viewer),
    }),
    parent: t.field({
      type: Operation,
      nullable: true,
      description: 'The operation that it is a part of, such as the draining of a host; null when it stands alone, or when you may not read that one.',
      resolve: async ({ parentId }, _args, { viewer, loaders }) => (parentId === null ? null : viewOperation(await loaders.operations.load(parentId), viewer)),
    }),
    children: t.field({
      type: [Operation],
      description: 'The operations that are parts of it and that you may read, in the order in which they were begun.',
      resolve: ({ id }, _args, { loaders }) => loaders.children.load(id),
    }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was asked for.', resolve: (operation) => operation.createdAt }),
    startedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When its first step was begun.',
      resolve: (operation) => operation.startedAt,
    }),
    finishedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ended. It is kept for 30 days after that.',
      resolve: (operation) => operation.finishedAt,
    }),
  }),
});

builder.asEntity(Operation, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: async ({ id }, { viewer, loaders }) => {
    requireScope(viewer, ['operation:read']);
    return viewOperation(await loaders.operations.load(id), viewer);
  },
});

export const OperationConnection = connectionType(builder, 'Operation', Operation);

const OperationFilter = builder.inputType('OperationFilter', {
  description: 'Which operations: all that is given must match.',
  fields: (t) => ({
    states: t.field({ type: [OperationState], description: 'In one of these states.' }),
    kind: t.string({ description: 'Of this verb, such as "vm.create".' }),
    targetId: t.id({ description: 'That work on this object.' }),
    tenantId: t.id({ description: 'Of this tenant.' }),
  }),
});

builder.queryFields((t) => ({
  operation: t.field({
    type: Operation,
    nullable: true,
    description: 'The operation with this id; null where there is none, or none that you may read.',
    args: { id: t.arg.id({ required: true, description: "The operation's id." }) },
    resolve: async (_root, { id }, { viewer, loaders }) => {
      const known = requireViewer(viewer);
      return viewOperation(await loaders.operations.load(id), known);
    },
  }),
  operations: t.field({
    type: OperationConnection,
    description:
      'The operations of the tenants where you hold operation:read; for a platform administrator all of them, also those of no tenant. The newest first.',
    args: { ...pageArguments(t.arg), filter: t.arg({ type: OperationFilter, description: 'Which of them.' }) },
    resolve: (_root, args, { db, viewer }) => listOperations(db, viewer, args),
  }),
}));

builder.mutationFields((t) => ({
  cancelOperation: t.field({
    type: Operation,
    description:
      'Ends an operation early and undoes what it has begun: it is CANCELLING until that is done. Asked again meanwhile, it answers the same. ' +
      'Needs operation:cancel. INVALID_STATE when it has ended, or can no longer turn back.',
    args: { id: t.arg.id({ required: true, description: "The operation's id." }) },
    resolve: async (_root, { id }, context) => {
      const operation = await context.cancel(context, id);
      context.loaders.steps.clear(operation.id);
      return operation;
    },
  }),
}));
