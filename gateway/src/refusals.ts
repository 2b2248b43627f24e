import { askerOf, legible, placed, redacted, targetReader, type AuditTrail, type Deed } from '@novacron/audit';
import type { RequestContext } from '@novacron/contracts';
import type { RefusedFields } from '@novacron/supergraph';
import { getArgumentValues, Kind, type GraphQLField, type SelectionNode } from 'graphql';

/** Tells the audit what the gateway itself refuses: no subgraph hears of it. */
export interface Refusals {
  /** A token that is no good. */
  token(from: Omit<RequestContext, 'viewer'>): void;
  /** A request that nobody may make, or nobody without a token. */
  request(context: RequestContext, action: string): void;
  /** Fields that were taken out of an operation. */
  fields(context: RequestContext, refused: RefusedFields): void;
}

const NOWHERE = { targetType: null, targetId: null, tenantId: null } as const;

/** Without a trail it tells nobody. */
export function createRefusals(trail: Pick<AuditTrail, 'refused'> | null): Refusals {
  const tell = (context: RequestContext, deed: Deed): void =>
    trail?.refused(askerOf(context), placed(deed, context), { outcome: 'DENIED', code: context.viewer === null ? 'UNAUTHENTICATED' : 'FORBIDDEN' });
  const request = (context: RequestContext, action: string): void => tell(context, { kind: 'ACCESS', action: legible(action), ...NOWHERE, arguments: null });
  return {
    token: (from) => request({ ...from, viewer: null }, 'authenticate'),
    request,
    fields(context, refused) {
      if (trail === null) return;
      for (const { type, field } of refused.fields) {
        if (type === refused.schema.getMutationType()?.name) for (const deed of mutationsOf(field, refused)) tell(context, deed);
        else request(context, type === refused.schema.getQueryType()?.name || type === refused.schema.getSubscriptionType()?.name ? field : `${type}.${field}`);
      }
    },
  };
}

/** What each use of a refused mutation was to do. */
function mutationsOf(name: string, { schema, operation, variables }: RefusedFields): Deed[] {
  const field: GraphQLField<unknown, unknown> | undefined = schema.getMutationType()?.getFields()[name];
  if (field === undefined) return [];
  const nodes = operation.selectionSet.selections.filter((node) => node.kind === Kind.FIELD && node.name.value === name);
  const targetOf = targetReader(field);
  const unread: Deed = { kind: 'MUTATION', action: name, ...NOWHERE, arguments: null };
  return nodes.length === 0 ? [unread] : nodes.map(read); // in a fragment: what it was to do is not looked for

  function read(node: SelectionNode): Deed {
    try {
      const args = node.kind === Kind.FIELD && field ? getArgumentValues(field, node, variables) : {};
      return { ...unread, ...targetOf(args), arguments: redacted(args) };
    } catch {
      return unread; // arguments of the wrong form
    }
  }
}
