/** The words of a GraphQL name: "setNicSecurityGroups" -> set, Nic, Security, Groups. */
export const words = (name: string): string[] => name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z\d]+/g) ?? [name];

/** "SecurityGroup" -> "security-group" */
export const kebab = (name: string): string => words(name).map((word) => word.toLowerCase()).join('-');

/** An English noun in the plural: "policy" -> "policies", "address" -> "addresses". */
export const plural = (noun: string): string =>
  /[^aeiou]y$/i.test(noun) ? `${noun.slice(0, -1)}ies` : /(s|x|z|ch|sh)$/i.test(noun) ? `${noun}es` : `${noun}s`;

export const lowerFirst = (name: string): string => `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
