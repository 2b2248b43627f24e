import { createHash } from 'node:crypto';
import { OperationTypeNode, valueFromASTUntyped, type DocumentNode, type FieldNode, type OperationDefinitionNode } from 'graphql';
import { rootFields } from './root-fields.ts';

/** Mutations that are counted by themselves. The gateway knows nothing else of what they do. */
const GUARDED = {
  login: { account: (args) => at(args['input'], 'email') },
  register: { account: null },
} as const satisfies Record<string, { account: ((args: Record<string, unknown>) => unknown) | null }>;

export type GuardedField = keyof typeof GUARDED;

export interface Attempt {
  field: GuardedField;
  /** Equal for one account however it is spelt, and no address of anybody's; null where only the caller's address counts. */
  account: string | null;
}

const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && key in value ? (value as Record<string, unknown>)[key] : undefined; // just looked

const isGuarded = (name: string): name is GuardedField => Object.hasOwn(GUARDED, name);

/** What an operation attempts, each time that it does. */
export function attemptsIn(document: DocumentNode, operation: OperationDefinitionNode, variables: Readonly<Record<string, unknown>>): Attempt[] {
  if (operation.operation !== OperationTypeNode.MUTATION) return [];
  const fields = rootFields(document, operation).filter(({ name }) => isGuarded(name.value));
  if (fields.length === 0) return [];
  const given = withDefaults(operation, variables);
  return fields.map((node) => {
    const field = node.name.value as GuardedField; // filtered by it
    const account = GUARDED[field].account?.(argumentsOf(node, given));
    return { field, account: typeof account === 'string' ? accountKey(account) : null };
  });
}

function withDefaults(operation: OperationDefinitionNode, variables: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const defaults = (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
    defaultValue === undefined ? [] : [[variable.name.value, valueFromASTUntyped(defaultValue)] as const],
  );
  return { ...Object.fromEntries(defaults), ...variables };
}

const argumentsOf = ({ arguments: args = [] }: FieldNode, variables: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(args.map(({ name, value }) => [name.value, valueFromASTUntyped(value, variables)]));

/** As identity compares addresses, and hashed: what is typed into a login stays out of Redis. */
const accountKey = (text: string): string => createHash('sha256').update(text.trim().toLowerCase()).digest('base64url');
