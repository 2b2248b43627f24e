import { Kind, valueFromASTUntyped, type ConstDirectiveNode, type DocumentNode } from 'graphql';

/** The arguments that a directive was applied with, as plain values. */
export type DirectiveArguments = Readonly<Record<string, unknown>>;

type Name = string | { name: string; as?: string };

export const argumentsOf = (directive: ConstDirectiveNode): DirectiveArguments =>
  Object.fromEntries((directive.arguments ?? []).map((argument) => [argument.name.value, valueFromASTUntyped(argument.value)]));

/** Every @link of a document: the specification's address without its version, and the arguments. */
const linksOf = (document: DocumentNode): { spec: string; link: DirectiveArguments }[] =>
  document.definitions
    .flatMap((each) => (each.kind === Kind.SCHEMA_DEFINITION || each.kind === Kind.SCHEMA_EXTENSION ? (each.directives ?? []) : []))
    .filter(({ name }) => name.value === 'link')
    .map(argumentsOf)
    .map((link) => ({ spec: String(link['url']).replace(/\/v[\d.]+\/?$/, ''), link }));

/**
 * What a supergraph calls a directive of a specification that it links to, import or rename considered; null where it
 * does not link to it: https://specs.apollo.dev/link/v1.0/#Namespacing
 */
export function linkedDirective(document: DocumentNode, spec: string, directive: string): string | null {
  const link = linksOf(document).find((each) => each.spec === spec)?.link;
  if (link === undefined) return null;
  const imports = (link['import'] ?? []) as readonly Name[]; // as @link defines it
  for (const each of imports) {
    const { name, as = name } = typeof each === 'string' ? { name: each } : each;
    if (name === `@${directive}`) return as.slice(1);
  }
  const own = spec.slice(spec.lastIndexOf('/') + 1);
  const prefix = String(link['as'] ?? own);
  return directive === own ? prefix : `${prefix}__${directive}`;
}
