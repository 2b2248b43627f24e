import type { Codec } from '../codec.ts';

/** One remote procedure. */
export interface Procedure<Args, Result> {
  readonly name: string;
  readonly number: number;
  readonly args: Codec<Args>;
  readonly result: Codec<Result>;
}

/** A row of the table of procedures. */
export function procedure<Args, Result>(
  name: string,
  number: number,
  args: Codec<Args>,
  result: Codec<Result>,
): Procedure<Args, Result> {
  return { name, number, args, result };
}
