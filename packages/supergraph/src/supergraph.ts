import { createHash } from 'node:crypto';
import { DEFAULT_SUPPORTED_SUPERGRAPH_FEATURES, errorCauses, isFed1Supergraph, Supergraph as Composed, type Schema } from '@apollo/federation-internals';
import { QueryPlanner } from '@apollo/query-planner';
import { DomainError } from '@novacron/core';
import { GraphQLError, parse, type DocumentNode, type GraphQLSchema } from 'graphql';
import { createAuthorization, type Authorization } from './authorization/authorization.ts';
import { createAliasIsolation, type IsolatedDocument } from './client-aliases.ts';
import { createCostModel, type CostModel } from './cost/cost-model.ts';
import type { SubgraphSource } from './data-source.ts';
import { isolateRequiredArguments } from './required-arguments.ts';
import { dropUnresolvableKeys } from './resolvable-keys.ts';

/** A supergraph that can't be served; the message is for whoever runs the gateway, and says why. */
export class InvalidSupergraph extends DomainError {
  constructor(message: string, details: { cause?: unknown } = {}) {
    super('INVALID_STATE', message, details);
  }
}

/** A composed graph, ready to be asked. It never changes: a reload makes another one. */
export interface Supergraph {
  readonly sdl: string;
  /** SHA-256 of the SDL, in hexadecimal: tells versions apart. */
  readonly hash: string;
  /** Its subgraphs with the addresses that were composed into it. */
  readonly subgraphs: readonly { readonly name: string; readonly url: string }[];
  /** What clients see. */
  readonly apiSchema: GraphQLSchema;
  /** By @cost and @listSize. */
  readonly costs: CostModel;
  /** By @authenticated, @requiresScopes and @policy. */
  readonly authorization: Authorization;
  /** The parts that the planner and its executor work with: what clients see, and a little more. */
  readonly planning: {
    readonly planner: QueryPlanner;
    readonly api: Schema;
    readonly schema: GraphQLSchema;
    /** What is to be planned instead of a client's document. */
    isolateAliases(document: DocumentNode): IsolatedDocument;
    /** The same sources, which are asked for what was planned in the words that they know. */
    translate<Context>(sources: Readonly<Record<string, SubgraphSource<Context>>>): Readonly<Record<string, SubgraphSource<Context>>>;
  };
}

/**
 * Those of the security specs are ours to enforce, and change no plan; the planner would refuse them.
 * https://specs.apollo.dev/authenticated/v0.1, /requiresScopes/v0.1 and /policy/v0.1
 */
const SECURITY_FEATURES = ['authenticated', 'requiresScopes', 'policy'].map((name) => `https://specs.apollo.dev/${name}/v0.1`);
const FEATURES = new Set([...DEFAULT_SUPPORTED_SUPERGRAPH_FEATURES, ...SECURITY_FEATURES]);

/** Reads the SDL of a federation 2 supergraph and makes its planner, which takes a moment. InvalidSupergraph. */
export function loadSupergraph(sdl: string): Supergraph {
  try {
    const composed = Composed.build(sdl, { supportedFeatures: FEATURES });
    if (isFed1Supergraph(composed.schema)) throw new InvalidSupergraph('It is a supergraph of federation 1: compose its subgraphs with federation 2.');
    const api = composed.apiSchema();
    const apiSchema = api.toGraphQLJSSchema();
    const document = parse(sdl, { noLocation: true });
    const entered = dropUnresolvableKeys(document);
    const isolated = isolateRequiredArguments(entered);
    const plannable = isolated?.document ?? entered;
    const planned = plannable === document ? composed : Composed.build(plannable, { supportedFeatures: FEATURES });
    return {
      sdl,
      hash: createHash('sha256').update(sdl).digest('hex'),
      subgraphs: composed.subgraphsMetadata().map(({ name, url }) => ({ name, url })),
      apiSchema,
      costs: createCostModel(document, apiSchema),
      authorization: createAuthorization(document, apiSchema),
      planning: {
        planner: new QueryPlanner(planned),
        api: planned.apiSchema(),
        schema: planned.schema.toGraphQLJSSchema(),
        isolateAliases: createAliasIsolation(document),
        translate: (sources) => (isolated === null ? sources : Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, isolated.translate(source)]))),
      },
    };
  } catch (cause) {
    if (cause instanceof InvalidSupergraph || !(cause instanceof Error)) throw cause;
    throw new InvalidSupergraph(explain(cause), { cause });
  }
}

function explain(error: Error): string {
  const cause = (error instanceof GraphQLError ? errorCauses(error)?.[0] : undefined) ?? error;
  const [line = ''] = cause.message.split('\n');
  const sentence = line.replace(/\.?$/, '.');
  if (!(cause instanceof GraphQLError)) return `It can't be planned: ${sentence}`;
  // the last is what a subgraph's own SDL comes to
  if (/^Invalid supergraph: must (?:be a core schema|use the join spec)|^Unknown directive "@link"/.test(line)) return 'It is no federation 2 supergraph: it has no @link to https://specs.apollo.dev/join.';
  const [at] = cause.locations ?? [];
  return `It is no valid federation 2 supergraph: ${sentence.replace(/^Invalid supergraph: /, '')}${at === undefined ? '' : ` (line ${at.line}, column ${at.column})`}`.replace(/\.( \(.*\))$/, '$1.');
}
