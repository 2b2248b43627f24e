import type { GraphQLFormattedError } from 'graphql';

type Json = Readonly<Record<string, unknown>>;

/**
 * The answers of one operation, to find out which of the entities at a path a subgraph was asked for. Apollo's executor asks only for
 * those of the types that the subgraph knows, yet reads the index in an error's path as one among all of them
 * (makeLazyErrorPathGenerator in @apollo/gateway 2.14, executeQueryPlan.ts), so that errors came to stand at others.
 */
export class EntityOrder {
  readonly #roots: Json[] = [];

  /** Data of the root: the executor puts all that comes later into the same objects. */
  remember(data: Json): void {
    this.#roots.push(data);
  }

  /** The errors of an answer about entities, with the indexes that the executor takes them for. */
  align(errors: readonly GraphQLFormattedError[], path: readonly (string | number)[], representations: readonly unknown[]): readonly GraphQLFormattedError[] {
    if (!path.includes('@')) return errors;
    const entities = this.#roots.flatMap((root) => entitiesAt(root, path));
    if (entities.length === representations.length) return errors;
    const order = orderOf(representations, entities, true) ?? orderOf(representations, entities, false);
    if (order === null) return errors;
    return errors.map((error) => {
      const [root, index, ...within] = error.path ?? [];
      const place = typeof index === 'number' ? order[index] : undefined;
      return root === undefined || place === undefined ? error : Object.assign({}, error, { path: [root, place, ...within] });
    });
  }
}

/** Without those that are null, as the executor counts them. */
function entitiesAt(value: unknown, path: readonly (string | number)[]): unknown[] {
  if (value === null || value === undefined) return [];
  const [step, ...rest] = path;
  if (step === undefined) return [value];
  if (step === '@') return Array.isArray(value) ? value.flatMap((each) => entitiesAt(each, rest)) : [];
  return typeof value === 'object' && Object.hasOwn(value, step) ? entitiesAt((value as Json)[step], rest) : [];
}

/** Index of each representation's entity. Both are in the same order; an @interfaceObject is asked for by another `__typename`. */
function orderOf(representations: readonly unknown[], entities: readonly unknown[], byType: boolean): number[] | null {
  const order: number[] = [];
  let next = 0;
  for (const representation of representations) {
    while (next < entities.length && !isWithin(representation, entities[next], byType)) next += 1;
    if (next === entities.length) return null;
    order.push(next);
    next += 1;
  }
  return order;
}

/** True if all of the one is in the other. */
function isWithin(part: unknown, whole: unknown, byType: boolean): boolean {
  if (typeof part !== 'object' || part === null) return part === whole;
  if (typeof whole !== 'object' || whole === null) return false;
  return Object.entries(part).every(([key, value]) => (key === '__typename' && !byType) || (Object.hasOwn(whole, key) && isWithin(value, (whole as Json)[key], byType)));
}
