import type { FormattedExecutionResult, GraphQLFormattedError, GraphQLSchema } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { AnswerCheck, readQuestion, type Question } from './answer-check.ts';
import type { SubgraphRequest, SubgraphSource } from './data-source.ts';

/** Plans make few distinct questions; this only bounds what a flood of odd ones can hold. */
const KEPT_QUESTIONS = 1_000;

/**
 * The same subgraphs, whose answers are what the supergraph's schema promises: what is not becomes null, each with an error at
 * its place (INTERNAL; what was wrong stands in the log). Errors point at what was asked for, or at nothing.
 */
export const checkSources = <Context>(
  sources: Readonly<Record<string, SubgraphSource<Context>>>,
  schema: GraphQLSchema,
  logger: Logger,
): Record<string, SubgraphSource<Context>> => Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, source.conforms ? source : checkSource(source, schema, logger)]));

function checkSource<Context>(source: SubgraphSource<Context>, schema: GraphQLSchema, logger: Logger): SubgraphSource<Context> {
  const questions = new LRUCache<string, Question>({ max: KEPT_QUESTIONS });

  function questionOf({ query, operationName }: SubgraphRequest<Context>): Question {
    const key = `${operationName ?? ''}\n${query}`;
    const known = questions.get(key);
    if (known !== undefined) return known;
    const question = readQuestion(query, operationName);
    questions.set(key, question);
    return question;
  }

  return {
    name: source.name,
    async process(request) {
      const { data: answered, errors: told = [] } = await source.process(request);
      const variables = request.variables ?? {};
      const entities = variables['representations'];
      const count = Array.isArray(entities) ? entities.length : null;
      const said = told.map((error) => readPath(error, count));
      // An answer without data has its errors placed on the way to the executor.
      if (answered == null || (count !== null && answered['_entities'] == null && said.length > 0)) return { data: null, errors: said };
      const check = new AnswerCheck(schema, questionOf(request), variables, said);
      const data = check.data(answered);
      if (check.faults.length > 0) logger.error({ subgraph: source.name, faults: check.faults.slice(0, 5), count: check.faults.length }, 'a subgraph gave an answer that is not of its schema');
      const errors = [...said, ...check.faults.map(({ path }) => ({ message: 'The subgraph gave an answer that is not of its schema.', path, extensions: { code: 'INTERNAL' } }))];
      return { data, ...(errors.length === 0 ? {} : { errors }) } satisfies FormattedExecutionResult;
    },
  };
}

/** The planner's own aliases, by which it keeps apart what clients call the same; clients don't know them. */
const PLANNED_ALIAS = /__alias_\d+$/;

/** A path that leads nowhere is none; that of an entity has to name one that was asked for, since the executor looks it up. */
function readPath(error: GraphQLFormattedError, entities: number | null): GraphQLFormattedError {
  const { path, ...rest } = error;
  if (path === undefined || path.length === 0) return rest;
  const [root, index] = path;
  const leads = entities === null ? typeof root === 'string' : root === '_entities' && typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < entities;
  return leads ? { ...rest, path: path.map((step) => (typeof step === 'string' ? step.replace(PLANNED_ALIAS, '') : step)) } : rest;
}
