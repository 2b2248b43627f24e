/**
 * The tabs that a first visit opens: one for each file in examples/, in the order of their names, with the
 * variables of the .json file beside it.
 */
const operations = import.meta.glob<string>('../examples/*.graphql', { query: '?raw', import: 'default', eager: true });
const variables = import.meta.glob<string>('../examples/*.json', { query: '?raw', import: 'default', eager: true });

export const EXAMPLES = Object.entries(operations)
  .toSorted(([one], [other]) => one.localeCompare(other))
  .map(([path, query]) => ({ query: query.trimEnd(), variables: variables[path.replace(/graphql$/, 'json')] ?.trimEnd() ?? null }));
