import type { FormattedExecutionResult, GraphQLFormattedError, GraphQLSchema } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { AnswerCheck } from './answer-check.ts';
import type { SubgraphRequest, SubgraphSource } from './data-source.ts';
import { placeErrors } from './error-places.ts';
import { askWith, ENTITIES, parseQuestion, type ParsedQuestion, type Question } from './question.ts';

/** Plans make few distinct questions; this bounds what a flood of odd ones can hold: in characters of their text, as in executor.ts. */
const KEPT_CHARACTERS = 2 ** 20;

/**
 * The same subgraphs, whose answers are what the supergraph's schema promises: what is not becomes null, each with an error
 * (INTERNAL; what was wrong stands in the log). Every error has the place of what is null.
 */
export const checkSources = <Context>(
  sources: Readonly<Record<string, SubgraphSource<Context>>>,
  schema: GraphQLSchema,
  logger: Logger,
): Record<string, SubgraphSource<Context>> => Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, checkSource(source, schema, logger)]));

function checkSource<Context>(source: SubgraphSource<Context>, schema: GraphQLSchema, logger: Logger): SubgraphSource<Context> {
  const questions = new LRUCache<string, ParsedQuestion>({ maxSize: KEPT_CHARACTERS });

  function questionOf({ query, operationName, variables = {} }: SubgraphRequest<Context>): Question {
    const key = `${operationName ?? ''}\n${query}`;
    let parsed = questions.get(key);
    if (parsed === undefined) {
      parsed = parseQuestion(query, operationName);
      questions.set(key, parsed, { size: key.length });
    }
    return askWith(parsed, variables);
  }

  /** What is there of an answer, with an error for each value that should not be. */
  function check(answered: Record<string, unknown>, told: readonly GraphQLFormattedError[], question: Question): { data: Record<string, unknown>; errors: readonly GraphQLFormattedError[] } {
    const answer = new AnswerCheck(schema, question, told);
    const data = answer.data(answered);
    const { faults } = answer;
    if (faults.length === 0) return { data, errors: told };
    logger.error({ subgraph: source.name, faults: faults.slice(0, 5), count: faults.length }, 'a subgraph gave an answer that is not of its schema');
    const found = faults.map(({ path }) => ({ message: 'The subgraph gave an answer that is not of its schema.', path, extensions: { code: 'INTERNAL' } }));
    return { data, errors: [...told, ...found] };
  }

  return {
    name: source.name,
    async process(request) {
      const result = await source.process(request);
      if (source.conforms && result.errors === undefined) return result;
      const question = questionOf(request);
      const told = result.errors ?? [];
      const answered = hasAnswer(result, question) ? (result.data ?? null) : null;
      const { data, errors } = answered === null || source.conforms ? { data: answered, errors: told } : check(answered, told, question);
      return { data, ...(errors.length === 0 ? {} : { errors: placeErrors(errors, answered !== null, schema, question) }) };
    },
  };
}

/** Entities that are null as a whole, and said to be, are as good as no data; the executor would take them for a fault of its own. */
const hasAnswer = ({ data, errors }: FormattedExecutionResult, { representations }: Question): boolean =>
  data != null && !(representations !== null && errors !== undefined && data[ENTITIES] == null);
