import { randomUUIDv7 } from 'node:crypto';
import { DomainError } from './errors.ts';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type VmId = Id<'Vm'>;
export type HostId = Id<'Host'>;
export type UserId = Id<'User'>;
export type TenantId = Id<'Tenant'>;
export type SessionId = Id<'Session'>;
export type OperationId = Id<'Operation'>;
export type PoolId = Id<'StoragePool'>;
export type VolumeId = Id<'Volume'>;
export type ImageId = Id<'Image'>;
export type NetworkId = Id<'Network'>;
export type NicId = Id<'Nic'>;
export type SecurityGroupId = Id<'SecurityGroup'>;
export type MigrationId = Id<'Migration'>;

/** A new time-ordered id (UUIDv7): the one place where ids are made. */
export function newId<T extends string>(): T {
  return randomUUIDv7() as T; // a brand exists only for the compiler
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for anything that could be one of our ids; what could not is simply not found. */
export const isId = (value: string): boolean => UUID.test(value);

/** The id that a client sent, or NOT_FOUND: a string that is no id names nothing. `field`: of the input that it came in. */
export function parseId<T extends string>(value: string | number, what: string, field?: string): T {
  const text = String(value);
  if (!isId(text)) throw new DomainError('NOT_FOUND', `There is no ${what} with this id.`, field === undefined ? {} : { field });
  return text.toLowerCase() as T; // a brand exists only for the compiler
}
