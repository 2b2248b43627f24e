import { expect, it } from 'vitest';
import { isConnectionLoss } from './connection-loss.ts';
import { DomainError } from './errors.ts';

const failure = (message: string, more: object = {}) => Object.assign(new Error(message), more);

it.each([
  ['a refused connection', failure('connect ECONNREFUSED 127.0.0.1:5432', { code: 'ECONNREFUSED' })],
  ['a socket that is not there', failure('connect ENOENT /run/postgres/.s.PGSQL.5432', { code: 'ENOENT' })],
  ['the same, as Prisma tells it', failure('\nInvalid `prisma.vm.count()` invocation:\n\n\nconnect ENOENT /run/.s.PGSQL.5432', { code: 'ENOENT' })],
  ['a connection that was reset', failure('read ECONNRESET', { code: 'ECONNRESET' })],
  ['a name without an address', failure('getaddrinfo ENOTFOUND postgres', { code: 'ENOTFOUND' })],
  ['a connection that ended', failure('Connection terminated unexpectedly')],
  ['a connection that had ended before', failure('Client has encountered a connection error and is not queryable')],
  ['a pool that got no connection', failure('timeout exceeded when trying to connect')],
  ['a server that shuts down', failure('terminating connection due to administrator command', { code: '57P01' })],
  ['the same, as Prisma tells it of a raw query', failure('Raw query failed.', { code: 'P2010', meta: { driverAdapterError: { cause: { originalCode: '57P01' } } } })],
  ['a connection that its adapter found closed', failure('Raw query failed.', { code: 'P2010', meta: { driverAdapterError: failure('ConnectionClosed', { cause: { kind: 'ConnectionClosed' } }) } })],
  ['a query that got no answer', failure('Query read timeout')],
  ['a server that Prisma can not reach', failure("Can't reach database server", { code: 'P1001' })],
  ['what another error was caused by', new Error('it failed', { cause: failure('connect ECONNREFUSED', {}) })],
])('%s is a loss of the connection, and may be tried again', (_what, error) => {
  expect(isConnectionLoss(error)).toBe(true);
  expect(DomainError.from(error).toRecord()).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
});

it.each([
  ['a file that is not there', failure("ENOENT: no such file or directory, open '/x'", { code: 'ENOENT' })],
  ['a duplicate', failure('Unique constraint failed', { code: 'P2002' })],
  ['a refused permission', failure('permission denied for table vm', { code: '42501' })],
  ['a fault of ours', new TypeError('x is not a function')],
  ['no error at all', 'connect ECONNREFUSED'],
  ['nothing', undefined],
])('%s is none', (_what, error) => {
  expect(isConnectionLoss(error)).toBe(false);
  expect(DomainError.from(error).toRecord()).toMatchObject({ code: 'INTERNAL', retryable: false });
});
