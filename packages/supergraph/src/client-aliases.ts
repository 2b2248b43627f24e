import { GraphQLError, Kind, parse, visit, type DocumentNode } from 'graphql';
import type { RawAnswer } from './authorization/authorization.ts';

/** A document in which no alias looks like a field that the planner adds to it. */
export interface IsolatedDocument {
  /** The given one where none did. */
  readonly document: DocumentNode;
  /** The answer to it, under the names that the client chose. */
  restore(answer: RawAnswer): RawAnswer;
}

const SUFFIX = '__client';
const FIELD_SETS = new Set(['key', 'requires', 'provides']);

/**
 * Apollo's planner adds keys and required fields to what clients select, and takes a client's `id: name` for the id. So such aliases
 * are others until the answer is there.
 */
export function createAliasIsolation(supergraph: DocumentNode): (document: DocumentNode) => IsolatedDocument {
  const added = namesInFieldSets(supergraph);
  const known = new WeakMap<DocumentNode, IsolatedDocument>();

  function isolate(document: DocumentNode): IsolatedDocument {
    let isChanged = false;
    const isolated = visit(document, {
      Field(field) {
        const shown = (field.alias ?? field.name).value;
        const looksAdded = shown !== field.name.value && added.has(shown);
        if (!looksAdded && !shown.endsWith(SUFFIX)) return undefined;
        isChanged ||= looksAdded;
        return { ...field, alias: { kind: Kind.NAME, value: `${shown}${SUFFIX}` } as const };
      },
    });
    return isChanged ? { document: isolated, restore } : { document, restore: (answer) => answer };
  }

  return (document) => {
    const found = known.get(document) ?? isolate(document);
    known.set(document, found);
    return found;
  };
}

/** Every name of a field that some key, @requires or @provides has. */
function namesInFieldSets(supergraph: DocumentNode): Set<string> {
  const names = new Set<string>();
  visit(supergraph, {
    Directive({ name: directive, arguments: args = [] }) {
      if (!directive.value.startsWith('join__')) return;
      for (const { name, value } of args) {
        if (FIELD_SETS.has(name.value) && value.kind === Kind.STRING) visit(parse(`{ ${value.value} }`), { Field: (field) => void names.add(field.name.value) });
      }
    },
  });
  return names;
}

const chosen = (name: string): string => (name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : name);

function restored(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(restored);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [chosen(name), restored(each)]));
}

const restore = ({ data, errors }: RawAnswer): RawAnswer => ({
  ...(data === undefined ? {} : { data: restored(data) as RawAnswer['data'] ?? null }), // an object stays one
  ...(errors === undefined ? {} : { errors: errors.map(restoredError) }),
});

function restoredError(error: GraphQLError): GraphQLError {
  if (error.path === undefined) return error;
  const { message, nodes = null, source = null, positions = null, originalError = null, extensions } = error;
  const path = error.path.map((step) => (typeof step === 'string' ? chosen(step) : step));
  return new GraphQLError(message, { nodes, source, positions, path, originalError, extensions });
}
