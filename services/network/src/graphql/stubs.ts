import { entityStub } from '@novacron/graphql';
import { builder } from './context.ts';

/** Entities of other services, by their keys. */
export const Tenant = entityStub(builder, 'Tenant', 'Who owns VMs: a customer, a team, a project.');
export const Host = entityStub(builder, 'Host', 'A machine that runs VMs.');
export const Operation = entityStub(builder, 'Operation', 'A piece of work that was accepted and will end.');
