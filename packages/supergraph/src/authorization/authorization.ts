import { executeSync, GraphQLError, Kind, TypeInfo, visit, visitWithTypeInfo, type DocumentNode, type FieldNode, type FragmentDefinitionNode, type GraphQLCompositeType, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import type { Principal } from './principal.ts';
import { readRequirements, type Requirement } from './requirements.ts';
import { restrict, TYPENAME_KEY } from './restrict.ts';

type Variables = Readonly<Record<string, unknown>>;

/** An answer as it is before errors take their public form. */
export interface RawAnswer {
  data?: Readonly<Record<string, unknown>> | null;
  errors?: readonly GraphQLError[];
}

export interface RefusedField {
  readonly type: string;
  readonly field: string;
}

/** What of an operation may run for a principal. */
export interface Permitted {
  /** Equal for what was restricted in the same way; empty: nothing was refused. */
  readonly key: string;
  /** The given document where nothing was refused; null where nothing may run: then complete answers by itself. */
  readonly document: DocumentNode | null;
  /** What was taken out, by type and field; empty: nothing. */
  readonly refused: readonly RefusedField[];
  /**
   * Makes of the answer to `document` the answer to what was asked for: null for each field that was refused, or for what holds
   * it where it can't be null, and an error with its path: UNAUTHENTICATED for strangers, else FORBIDDEN.
   */
  complete(answer: RawAnswer, variables: Variables): RawAnswer;
}

/** Decides by the directives of a supergraph what of an operation runs: before it is planned, and without asking a subgraph. */
export interface Authorization {
  /** `document` is validated, and holds the operation. */
  authorize(document: DocumentNode, operation: OperationDefinitionNode, principal: Principal): Permitted;
  /** True for a field that needs nothing of whoever asks for it; what is selected of it may. */
  isOpen(type: GraphQLCompositeType, field: string): boolean;
}

export function createAuthorization(supergraph: DocumentNode, schema: GraphQLSchema): Authorization {
  const requirements = readRequirements(supergraph, schema);
  const needed = new WeakMap<OperationDefinitionNode, readonly Requirement[]>();
  const restrictions = new WeakMap<OperationDefinitionNode, Map<string, Permitted>>();

  /** Every requirement of an operation, once. */
  function requirementsOf(document: DocumentNode, operation: OperationDefinitionNode): readonly Requirement[] {
    const known = needed.get(operation);
    if (known !== undefined) return known;
    const found = new Set<Requirement>();
    const types = new TypeInfo(schema);
    const definitions = document.definitions.filter((each) => each === operation || each.kind === Kind.FRAGMENT_DEFINITION);
    visit(
      { kind: Kind.DOCUMENT, definitions },
      visitWithTypeInfo(types, {
        Field({ name }) {
          const parent = types.getParentType();
          if (parent) for (const requirement of requirements.of(parent, name.value)) found.add(requirement);
        },
      }),
    );
    needed.set(operation, [...found]);
    return [...found];
  }

  return {
    isOpen: (type, field) => requirements.of(type, field).length === 0,
    authorize(document, operation, principal) {
      const all = requirementsOf(document, operation);
      const policies = all.length === 0 ? NONE : satisfiedPolicies(all, principal);
      const refused = all.filter((requirement) => !isMet(requirement, principal, policies));
      if (refused.length === 0) return { key: '', document, refused: [], complete: (answer) => answer };
      const key = JSON.stringify([principal.authenticated, principal.owes ?? null, ...refused]);
      const known = restrictions.get(operation) ?? new Map<string, Permitted>();
      restrictions.set(operation, known);
      const permitted = known.get(key) ?? permit(key, document, operation, new Set(refused), principal);
      known.set(key, permitted);
      return permitted;
    },
  };

  function permit(key: string, document: DocumentNode, operation: OperationDefinitionNode, refused: ReadonlySet<Requirement>, { authenticated, owes }: Principal): Permitted {
    const reasonsOf = (type: GraphQLCompositeType, field: string) => requirements.of(type, field).filter((requirement) => refused.has(requirement));
    const taken = new Map<string, RefusedField>();
    const restricted = restrict(schema, document, operation, (type, field) => {
      const isRefused = reasonsOf(type, field).length > 0;
      if (isRefused) taken.set(`${type.name}.${field}`, { type: type.name, field });
      return isRefused;
    });
    const errorAt = (nodes: readonly FieldNode[], message: string, path?: readonly (string | number)[]) =>
      new GraphQLError(message, { nodes, path, extensions: { code: authenticated ? 'FORBIDDEN' : 'UNAUTHENTICATED' } });
    const explain = (type: GraphQLCompositeType, field: string): string => {
      if (!authenticated) return 'Sign in first: this field needs an access token.';
      const [reason] = reasonsOf(type, field);
      if (reason === undefined) return `Ask for "${field}" in fragments on the types that you may read it of.`;
      if (reason.kind === 'scopes' && owes !== undefined) return owes;
      return reason.kind === 'scopes' ? `You need ${spell(reason.anyOf)} for this.` : 'You are not allowed to ask for this.';
    };
    const whole: DocumentNode = { kind: Kind.DOCUMENT, definitions: [operation, ...document.definitions.filter((each): each is FragmentDefinitionNode => each.kind === Kind.FRAGMENT_DEFINITION)] };

    return {
      key,
      document: restricted.document,
      refused: [...taken.values()],
      complete(answer, variables) {
        const root = schema.getRootType(operation.operation);
        if (root && restricted.fatal.length > 0) {
          return { data: null, errors: restricted.fatal.map((node) => errorAt([node], explain(root, node.name.value), [(node.alias ?? node.name).value])) };
        }
        if (answer.data == null && restricted.document !== null) return answer;
        const completed = executeSync({
          schema,
          document: whole,
          rootValue: answer.data ?? {},
          variableValues: variables,
          // What was asked for has its key in the answer, if only with null.
          fieldResolver(source: Record<string, unknown>, _args, _context, { path, parentType, fieldName, fieldNodes }) {
            if (path.key in source) return source[path.key];
            throw errorAt(fieldNodes, explain(parentType, fieldName));
          },
          typeResolver: (value: Record<string, unknown>) => value[TYPENAME_KEY] as string, // restrict asks for it
        });
        const errors = [...(answer.errors ?? []), ...(completed.errors ?? [])];
        return { data: completed.data ?? null, ...(errors.length > 0 ? { errors } : {}) };
      },
    };
  }
}

const NONE: ReadonlySet<string> = new Set();

function satisfiedPolicies(requirements: readonly Requirement[], { policies }: Principal): ReadonlySet<string> {
  const names = requirements.flatMap((requirement) => (requirement.kind === 'policies' ? requirement.anyOf.flat() : []));
  return names.length === 0 || policies === undefined ? NONE : policies([...new Set(names)]);
}

function isMet(requirement: Requirement, { authenticated, scopes }: Principal, policies: ReadonlySet<string>): boolean {
  if (requirement.kind === 'authenticated') return authenticated;
  const held = requirement.kind === 'scopes' ? scopes : policies;
  return requirement.anyOf.some((all) => all.every((name) => held.has(name)));
}

const spell = (anyOf: readonly (readonly string[])[]): string => anyOf.map((all) => all.join(' and ')).join(', or ');
