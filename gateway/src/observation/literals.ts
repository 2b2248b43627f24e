import { createHash } from 'node:crypto';
import { stripSensitiveLiterals } from '@apollo/utils.stripsensitiveliterals';
import { prettyFormatQueryPlan, type PlanNode, type QueryPlan, type SubscriptionNode } from '@apollo/query-planner';
import { parse, print, type DocumentNode } from 'graphql';

const hide = (document: DocumentNode): DocumentNode => stripSensitiveLiterals(document, { hideListAndObjectLiterals: true });

const hashes = new WeakMap<DocumentNode, string>();

/**
 * SHA-256 of a document, in hexadecimal, without the literals in it: the same for the same operation whatever was sent with
 * it, and no way to try out passwords.
 */
export function hashWithoutLiterals(document: DocumentNode): string {
  const known = hashes.get(document);
  if (known !== undefined) return known;
  const hash = createHash('sha256').update(print(hide(document))).digest('hex');
  hashes.set(document, hash);
  return hash;
}

/** A plan as people read it, without the literals that the client has written into its document. */
export const formatWithoutLiterals = (plan: QueryPlan): string => prettyFormatQueryPlan({ ...plan, ...(plan.node ? { node: hideIn(plan.node) } : {}) });

/** The same node, with every fetch below it rewritten. Whatever kinds of nodes there are, fetches are objects in them. */
function hideIn<Node extends PlanNode | SubscriptionNode>(node: Node): Node {
  const rewrite = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rewrite);
    if (typeof value !== 'object' || value === null) return value;
    if ('kind' in value && value.kind === 'Fetch' && 'operation' in value) {
      return { ...value, operation: print(hide(parse(String(value.operation), { noLocation: true }))), operationDocumentNode: undefined };
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rewrite(inner)]));
  };
  return rewrite(node) as Node; // of the same shape
}
