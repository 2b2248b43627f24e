import { isId } from '@novacron/core';
import DataLoader from 'dataloader';

/** Batches of one request: a page of any length costs one statement for each kind of row. They check nothing. */

/**
 * A statement has 65,535 parameters at most, Prisma's 32,767, and where the rows are sorted it does not split by itself.
 * https://www.postgresql.org/docs/current/limits.html
 */
const BATCH = { maxBatchSize: 10_000 } as const;

type Load<Row> = (ids: string[]) => Promise<Row[]>;

/** What is no id is not asked for: PostgreSQL would refuse the whole query. */
function loaderOf<Row, Value>(load: Load<Row>, index: (rows: Row[]) => (id: string) => Value): DataLoader<string, Value> {
  return new DataLoader(async (ids) => {
    const asked = ids.filter(isId);
    const valueOf = index(asked.length === 0 ? [] : await load(asked));
    return ids.map((id) => valueOf(id.toLowerCase())); // as PostgreSQL writes them
  }, BATCH);
}

/** The row with an id; null where there is none. */
export const rowLoader = <Row extends { id: string }>(load: Load<Row>): DataLoader<string, Row | null> =>
  loaderOf(load, (rows) => {
    const byId = new Map(rows.map((row) => [row.id, row]));
    return (id) => byId.get(id) ?? null;
  });

/** The rows that belong to an id, in the order in which they are loaded. */
export const rowsLoader = <Row>(load: Load<Row>, ownerOf: (row: Row) => string | null): DataLoader<string, Row[]> =>
  loaderOf(load, (rows) => {
    const byOwner = Map.groupBy(rows, ownerOf);
    return (id) => byOwner.get(id) ?? [];
  });

/** How many belong to an id: zero of what no row is loaded for. */
export const countLoader = <Row extends { _count: number }>(load: Load<Row>, ownerOf: (row: Row) => string): DataLoader<string, number> =>
  loaderOf(load, (rows) => {
    const counts = new Map(rows.map((row) => [ownerOf(row), row._count]));
    return (id) => counts.get(id) ?? 0;
  });
