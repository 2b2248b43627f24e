import { OperationTypeNode, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import { rootFields } from './root-fields.ts';

/**
 * Mutations that guess, that make accounts or that ask for mails, and all that hash a password, which takes a core's time on purpose: what
 * they are counted as. Whoever has signed in is counted by its address all the same, since accounts cost nothing. The gateway knows nothing
 * else of what they do: guesses at one account are counted where it is known from which devices its owner comes, so that nobody is locked
 * out by others.
 */
const GUARDED = {
  login: 'login',
  resetPassword: 'login',
  register: 'register',
  requestPasswordReset: 'register',
  acceptInvitation: 'password',
  beginTotp: 'password',
  changePassword: 'password',
  deleteAccount: 'password',
  requestEmailChange: 'password',
  addSshKey: 'made',
  createApiToken: 'made',
  createUser: 'made',
} as const;

export type Attempt = (typeof GUARDED)[keyof typeof GUARDED];

const isGuarded = (name: string): name is keyof typeof GUARDED => Object.hasOwn(GUARDED, name);

/** What an operation attempts, each time that it does. */
export function attemptsIn(document: DocumentNode, operation: OperationDefinitionNode): Attempt[] {
  if (operation.operation !== OperationTypeNode.MUTATION) return [];
  return rootFields(document, operation).flatMap(({ name: { value } }) => (isGuarded(value) ? GUARDED[value] : []));
}
