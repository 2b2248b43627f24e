import { mapped } from './database-errors.ts';
import type { Sql } from './kernel.ts';

/*
 * Doors: functions in one service's schema that others may call, in the transactions of their own mutations. An expression is
 * `schema.function($1::type, ...)`; what a door refuses is a DomainError.
 */

/** What a door answers, as JSON. The function's own declaration says what that is. */
export async function callDoor<Result>(sql: Sql, expression: string, ...values: unknown[]): Promise<Result> {
  const rows = await mapped(sql.$queryRawUnsafe<{ value: unknown }[]>(`SELECT to_jsonb(${expression}) AS value`, ...values));
  return rows[0]?.value as Result; // as declared there
}

/** The rows of a door that answers a table. */
export const readDoor = <Row>(sql: Sql, expression: string, ...values: unknown[]): Promise<Row[]> =>
  mapped(sql.$queryRawUnsafe<Row[]>(`SELECT * FROM ${expression}`, ...values));

/** For a door that answers nothing. */
export const passDoor = async (sql: Sql, expression: string, ...values: unknown[]): Promise<void> => {
  await mapped(sql.$queryRawUnsafe(`SELECT ${expression}::text`, ...values));
};
