import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';

/**
 * The supergraph of these subgraphs (name -> SDL with federation directives). Throws one error that lists every
 * composition error and every hint: a hint is a field or a value that silently gets lost.
 */
export function composeSupergraph(subgraphSdls: Readonly<Record<string, string>>): string {
  const services = Object.entries(subgraphSdls)
    .toSorted(([one], [other]) => (one < other ? -1 : 1)) // the order of arguments must not show in the committed file
    .map(([name, sdl]) => ({ name, url: `novacron:${name}`, typeDefs: parse(sdl) }));
  const { supergraphSdl, errors, hints } = composeServices(services);
  const faults = [
    ...(errors ?? []).map((error) => `${String(error.extensions['code'] ?? 'ERROR')}: ${error.message}`),
    ...(hints ?? []).map((hint) => `${hint.definition.code}: ${hint.message}`),
  ];
  if (faults.length > 0 || supergraphSdl === undefined) {
    throw new Error(`The subgraphs don't compose:\n${faults.map((fault) => `- ${fault}`).join('\n')}`);
  }
  return `${supergraphSdl.trimEnd()}\n`;
}
