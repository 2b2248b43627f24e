import { GraphQLError } from 'graphql';

/** What one document may be at most. All of it is counted before the document is validated. */
export interface Limits {
  /** Tokens: they bound a parser's time. */
  tokens: number;
  /** Lines: each error counts them up to its place. */
  lines: number;
  /** Brackets inside one another, in the document and in its variables: a parser's and a serializer's stack. */
  nesting: number;
  /** Fields inside one another. */
  depth: number;
  /** Fields, each as often as fragments repeat it. */
  fields: number;
  /** Aliases, each as often as fragments repeat it. */
  aliases: number;
  /** Fields of Query, Mutation or Subscription, each as often as fragments repeat it. */
  rootFields: number;
  /** How often one place of the answer may be asked for: the validator compares each with each. */
  repeats: number;
  /** Fragments of a document: the validator compares those that stand beside each other, too. */
  fragments: number;
  /** Variables of an operation. */
  variables: number;
  /** Directives in one place. */
  directives: number;
}

/**
 * Room for a dashboard and for what tools generate. GraphiQL's introspection has 400 tokens, 130 fields, 15 levels; a plan
 * of 2,000 fields takes a third of a second, and so does the validation of 500 repeats.
 */
export const DEFAULT_LIMITS: Limits = {
  tokens: 10_000,
  lines: 5_000,
  nesting: 100,
  depth: 30,
  fields: 2_000,
  aliases: 200,
  rootFields: 50,
  repeats: 50,
  fragments: 200,
  variables: 200,
  directives: 8,
};

/** What a client reads that has gone beyond a limit, with the limit's name. GRAPHQL_VALIDATION_FAILED. */
export const beyondLimit = (limit: keyof Limits, what: string): GraphQLError =>
  new GraphQLError(`${what} (limit "${limit}"): ask for less at once.`, { extensions: { code: 'GRAPHQL_VALIDATION_FAILED', http: { status: 400 } } });
