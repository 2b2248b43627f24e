import { readdirSync, readFileSync } from 'node:fs';

const DIRECTORY = new URL('../../gateway/playground/examples/', import.meta.url);

export interface Example {
  /** "01-login" */
  name: string;
  document: string;
  /** As prefilled in the playground. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as the example's document wants them
  variables: Record<string, any>;
}

/** What the playground's tabs open with, in their order. */
export const EXAMPLES: readonly Example[] = readdirSync(DIRECTORY)
  .filter((file) => file.endsWith('.graphql'))
  .toSorted()
  .map((file) => {
    const read = (path: string) => readFileSync(new URL(path, DIRECTORY), 'utf8');
    const variables = file.replace(/graphql$/, 'json');
    const hasVariables = readdirSync(DIRECTORY).includes(variables);
    return { name: file.replace('.graphql', ''), document: read(file), variables: hasVariables ? JSON.parse(read(variables)) : {} };
  });

export function example(name: string): Example {
  const found = EXAMPLES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`The playground has no example ${name}.`);
  return found;
}
