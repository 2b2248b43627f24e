import { isPlatformAdmin, type RequestContext, type Subgraph, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { defaultFieldResolver, GraphQLObjectType, GraphQLSchema, Kind, type GraphQLError, type GraphQLFieldConfig } from 'graphql';
import { askedAs, askerOf, legible, type Asker, type Deed, type Ending } from './entry.ts';
import { redacted, showsName } from './redaction.ts';
import { targetReader, type Target } from './target.ts';
import type { AuditTrail } from './trail.ts';

/** Codes of a denied access; anything else that fails, fails. */
export const isDenial = (code: unknown): code is 'FORBIDDEN' | 'UNAUTHENTICATED' => code === 'FORBIDDEN' || code === 'UNAUTHENTICATED';

export function endingOf(error: unknown): Ending {
  const { code } = DomainError.from(error);
  return { outcome: isDenial(code) ? 'DENIED' : 'FAILED', code };
}

/**
 * The same subgraph, with every mutation in the audit from before it begins, and whatever else it denies. What can't be written down
 * is not done: UNAVAILABLE.
 */
export function auditSubgraph(subgraph: Subgraph, trail: AuditTrail): Subgraph {
  const requests = new WeakMap<object, RequestContext>();
  /** Errors that an entry tells of. */
  const told = new WeakSet<object>();

  function audited(name: string, config: GraphQLFieldConfig<unknown, object>, type: GraphQLObjectType): GraphQLFieldConfig<unknown, object> {
    const { resolve = defaultFieldResolver } = config;
    const field = type.getFields()[name]!; // it is this one's configuration
    const targetOf = targetReader(field);
    return {
      ...config,
      async resolve(root, args: Record<string, unknown>, context, info) {
        const request = requests.get(context);
        if (request === undefined) return resolve(root, args, context, info); // made by somebody else than createContext
        const asker = askerOf(request);
        // what its beginning says can't be taken back: a name is written once it has turned out to be one
        const shows = showsName(name);
        const late = (names: boolean) => (shows === undefined ? {} : { arguments: redacted(args, { names }) });
        const deed: Deed = { kind: 'MUTATION', action: name, ...placed(targetOf(args), request), arguments: shows === undefined ? redacted(args) : null };
        const begun = await trail.begin(asker, deed);
        try {
          const answer: unknown = await resolve(root, args, context, info);
          begun.end({ outcome: 'SUCCEEDED', code: null }, { ...known(targetOf(args, answer), request.viewer ?? signedInBy(answer)), ...late(shows === true) });
          return answer;
        } catch (error) {
          begun.end(endingOf(error), late(false));
          if (error instanceof Object) told.add(error);
          throw error;
        }
      },
    };
  }

  function observe(request: RequestContext, errors: readonly GraphQLError[]): void {
    for (const error of errors) {
      const { originalError, path } = error;
      if (!(originalError instanceof DomainError) || told.has(originalError) || !isDenial(originalError.code)) continue;
      const node = error.nodes?.[0];
      const names = [path?.[0], node?.kind === Kind.FIELD ? node.name.value : undefined].filter((name) => typeof name === 'string');
      const deed: Deed = { kind: 'ACCESS', action: legible([...new Set(names)].join('.')) || 'authenticate', ...placed(NOTHING, request), arguments: null };
      trail.refused(askerOf(request), deed, endingOf(originalError));
    }
    subgraph.observe?.(request, errors);
  }

  return {
    ...subgraph,
    schema: withMutations(subgraph.schema, audited),
    createContext(request) {
      const context = subgraph.createContext(request);
      requests.set(context, request);
      return context;
    },
    observe,
  };
}

const NOTHING = { targetType: null, targetId: null, tenantId: null } as const;

/** What nothing says the tenant of belongs to the only one of whoever asks, unless that one reaches every tenant. */
export function placed<About extends Pick<Deed, 'tenantId'>>(about: About, { viewer }: Pick<RequestContext, 'viewer'>): About {
  if (about.tenantId !== null || viewer === null || isPlatformAdmin(viewer)) return about;
  const [only, ...others] = new Set(viewer.roles.map(({ tenantId }) => tenantId));
  return { ...about, tenantId: others.length === 0 ? (only ?? null) : null };
}

/** What the end of a mutation tells: of one that signs somebody in, also who it was. */
const known = (target: Target, viewer: Viewer | null): Partial<Deed & Asker> => ({ ...placed(target, { viewer }), ...(viewer === null ? {} : askedAs(viewer)) });

/** Identity's payloads of whoever has just signed in. */
function signedInBy(answer: unknown): Viewer | null {
  const payload = answer as { view?: { viewer?: Viewer } } | null | undefined; // or something else altogether
  return payload?.view?.viewer ?? null;
}

type Change = (name: string, config: GraphQLFieldConfig<unknown, object>, type: GraphQLObjectType) => GraphQLFieldConfig<unknown, object>;

/** A schema that differs in how its mutations are resolved; nothing but the schema refers to their type. */
function withMutations(schema: GraphQLSchema, change: Change): GraphQLSchema {
  const type = schema.getMutationType();
  if (!type) return schema;
  const { fields, ...config } = type.toConfig();
  const changed = new GraphQLObjectType({ ...config, fields: Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, change(name, field, type)])) });
  const whole = schema.toConfig();
  return new GraphQLSchema({ ...whole, mutation: changed, types: whole.types.map((one) => (one === type ? changed : one)) });
}
