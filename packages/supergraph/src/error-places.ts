import { isInterfaceType, isNonNullType, isObjectType, type GraphQLFormattedError, type GraphQLSchema } from 'graphql';
import { ENTITIES, rootTypeOf, selectedFields, type Question } from './question.ts';

type Path = readonly (string | number)[];

/** The planner's own aliases, and those of required-arguments.ts, which keep apart what clients call the same; clients don't know them. */
const PLANNED_ALIAS = /__(?:alias|requires)_\d+$/;
const asClientsSay = (step: string | number): string | number => (typeof step === 'string' ? step.replace(PLANNED_ALIAS, '') : step);

/**
 * Gives errors the places where their fields are null. One that knows no place, of an answer without data, is said of every
 * field that was asked for. One of an entity is said of each field that this subgraph adds to it: the entity itself is there, others
 * know it. Only if a field of it is never null is the entity what is missing. The executor puts the entity's own
 * place for `_entities` and its index.
 */
export function placeErrors(errors: readonly GraphQLFormattedError[], isAnswered: boolean, schema: GraphQLSchema, question: Question): GraphQLFormattedError[] {
  return errors.flatMap((error) => {
    const { path: said, ...rest } = error;
    const path = leads(said, question) ? said : undefined;
    if (path === undefined && isAnswered) return [rest];
    const at = (place: Path): GraphQLFormattedError => ({ ...rest, path: place.map(asClientsSay) });
    return placesOf(path, schema, question).map(at);
  });
}

/** A path that leads nowhere is none; that of an entity has to name one that was asked for, since the executor looks it up. */
function leads(path: Path | undefined, { representations }: Question): path is Path {
  const [root, index] = path ?? [];
  if (representations === null) return typeof root === 'string';
  return root === ENTITIES && typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < representations.length;
}

function placesOf(path: Path | undefined, schema: GraphQLSchema, question: Question): Path[] {
  const { representations, operation } = question;
  if (representations === null) {
    if (path !== undefined) return [path];
    return [...selectedFields(schema, question, rootTypeOf(schema, question), [operation.selectionSet]).keys()].map((key) => [key]);
  }
  if (path === undefined) return representations.flatMap((_each, index) => entityPlaces(index, schema, question));
  return path.length === 2 ? entityPlaces(Number(path[1]), schema, question) : [path];
}

function entityPlaces(index: number, schema: GraphQLSchema, question: Question): Path[] {
  const entity: Path = [ENTITIES, index];
  const representation = question.representations?.[index] as { __typename?: unknown } | undefined; // the executor makes them
  const type = schema.getType(String(representation?.__typename));
  if (!isObjectType(type) && !isInterfaceType(type)) return [entity];
  const root = selectedFields(schema, question, rootTypeOf(schema, question), [question.operation.selectionSet]);
  const sets = [...root.values()].flat().flatMap(({ name, selectionSet }) => (name.value === ENTITIES ? (selectionSet ?? []) : []));
  const fields = [...selectedFields(schema, question, type, sets)].filter(([, [node]]) => node?.name.value !== '__typename');
  const isMissing = fields.length === 0 || fields.some(([, [node]]) => isNonNullType(type.getFields()[node?.name.value ?? '']?.type));
  return isMissing ? [entity] : fields.map(([key]) => entity.concat(key));
}
